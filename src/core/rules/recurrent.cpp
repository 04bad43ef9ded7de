// Recurrent networks: layers and directions of the cells of recurrence.cpp.

#include "core/base/error.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/recurrence.h"
#include "core/rules/rules.h"

namespace seqlift {
namespace rules {

namespace {

Cell cell_of(const Call& call) {
  const Form form = call.row->form;
  return form == Form::lstm       ? Cell::lstm
         : form == Form::gru      ? Cell::gru
         : form == Form::rnn_tanh ? Cell::rnn_tanh
                                  : Cell::rnn_relu;
}

// Whether anything reads a result. The modules put the last states into a tuple that most models
// ignore.
bool is_read(const torch::jit::Value* value) {
  for (const torch::jit::Use& use : value->uses()) {
    const auto kind = use.user->kind();
    const torch::jit::Node* branch =
        kind == c10::prim::Return ? use.user->owningBlock()->owningNode() : nullptr;
    const bool tuple = kind == c10::prim::TupleConstruct;
    const bool of_if = branch && branch->kind() == c10::prim::If;
    if ((!tuple && !of_if) || (tuple && is_read(use.user->output())) ||
        (of_if && is_read(branch->output(use.offset)))) {
      return true;
    }
  }
  return false;
}

// Stands for a result that nothing reads.
Value unread() {
  Value value;
  value.x = at::Tensor();
  value.tainted = true;
  return value;
}

std::vector<at::Tensor> tensors_of(const c10::IValue& value) {
  return value.isTensor() ? std::vector<at::Tensor>{value.toTensor()} : value.toTensorVector();
}

// The initial states, h and for lstm c, as the operation holds them.
std::vector<Halves> initial_states(const Call& call) {
  const Value& value = call.inputs[call.find("hx")];
  const std::vector<at::Tensor> x = tensors_of(value.x);
  const std::vector<at::Tensor> ref = value.paired() ? tensors_of(value.ref()) : x;
  std::vector<Halves> states;
  for (size_t i = 0; i < x.size(); ++i) {
    states.push_back({x[i], ref[i]});
  }
  return states;
}

void check_weights(const Call& call, const std::vector<const char*>& names) {
  for (const char* name : names) {
    if (call.depends(call.find(name))) {
      throw Error("unsupported_operation",
                  call.where() + " has weights that depend on X, which has no rule.");
    }
  }
}

// A layer's weights in one direction, from where `from` points in the list.
CellWeights take_weights(const std::vector<at::Tensor>& all, size_t& from, size_t count,
                         bool biases) {
  CellWeights weights;
  const size_t end = from + count;
  weights.input = all.at(from++);
  weights.hidden = all.at(from++);
  if (biases) {
    weights.input_bias = all.at(from++);
    weights.hidden_bias = all.at(from++);
  }
  if (from < end) {
    weights.projection = all.at(from++);
  }
  return weights;
}

Halves join_steps(const std::vector<Halves>& parts, int64_t dim, bool new_dim) {
  if (parts.size() == 1 && !new_dim) {
    return parts[0];
  }
  const Nary join = [&](const Operands& tensors) {
    return new_dim ? at::stack(tensors, dim) : at::cat(tensors, dim);
  };
  return seqlift::linear(join, parts);
}

Halves select(const Halves& value, int64_t index) {
  return seqlift::linear([&](const at::Tensor& whole) { return whole.select(0, index); }, value);
}

Halves swap_time_and_rows(const Halves& value) {
  return seqlift::linear([](const at::Tensor& whole) { return whole.transpose(0, 1); }, value);
}

// Rows of the sequences must not stand where the steps are.
void check_steps(const Call& call, const Halves& input) {
  if (input.x.size(0) != input.ref.size(0)) {
    throw BatchMoved();
  }
  check_rows(input.x.transpose(0, 1), input.ref.transpose(0, 1), call.batch);
  if (input.x.size(0) == 0) {
    throw Error("evaluation", call.where() + " is given a sequence of no steps.");
  }
  const int64_t n = call.batch.sequences;
  if (call.batch.references == 1 && input.x.size(0) == n && input.x.size(1) % n != 0) {
    throw Error("unsupported_operation",
                call.where() +
                    " takes the sequences of a batch for steps in time: what it gives "
                    "for one depends on the others (batch_first is missing).");
  }
}

}  // namespace

std::vector<Value> recurrent(Call& call) {
  if (call.find("batch_sizes") >= 0) {
    throw Error("unsupported_operation",
                call.where() +
                    " runs over a packed sequence, which has no rule; sequences of one "
                    "length need no packing.");
  }
  check_weights(call, {"params"});
  const Cell cell = cell_of(call);
  const bool biases = call.constant(call.find("has_biases")).toBool();
  const bool batch_first = call.constant(call.find("batch_first")).toBool();
  const int64_t layers = call.constant(call.find("num_layers")).toInt();
  const int64_t directions = call.constant(call.find("bidirectional")).toBool() ? 2 : 1;
  const std::vector<at::Tensor> weights = tensors_of(call.constant(call.find("params")));
  const size_t each = weights.size() / (layers * directions);
  const bool wants_hidden = is_read(call.node->output(1));
  const bool wants_cell = cell == Cell::lstm && is_read(call.node->output(2));
  if ((wants_hidden || wants_cell) && call.batch.references > 1) {
    throw BatchMoved();  // it lies in dimension 1 of the last states
  }

  Halves sequence = call.halves(call.find("input"));
  sequence = batch_first ? swap_time_and_rows(sequence) : sequence;
  check_steps(call, sequence);
  const std::vector<Halves> initial = initial_states(call);
  for (const Halves& state : initial) {
    if (call.batch.references > 1 && state.ref.size(1) != sequence.ref.size(1)) {
      throw BatchMoved();
    }
  }
  std::vector<Halves> last_hidden;
  std::vector<Halves> last_cell;
  size_t next = 0;
  for (int64_t layer = 0; layer < layers; ++layer) {
    std::vector<Halves> outputs;
    for (int64_t direction = 0; direction < directions; ++direction) {
      const int64_t number = layer * directions + direction;
      CellStates states{select(initial[0], number), {}};
      if (cell == Cell::lstm) {
        states.cell = select(initial[1], number);
      }
      const Recurrence run = run_recurrence(cell, take_weights(weights, next, each, biases),
                                            sequence, states, direction == 1, call.batch);
      outputs.push_back(run.output);
      if (wants_hidden) {
        last_hidden.push_back(select(run.output, direction == 1 ? 0 : run.output.x.size(0) - 1));
      }
      if (wants_cell) {
        last_cell.push_back(run.last_cell);
      }
    }
    sequence = join_steps(outputs, 2, false);
  }
  std::vector<Value> results{to_value(batch_first ? swap_time_and_rows(sequence) : sequence)};
  results.push_back(wants_hidden ? to_value(join_steps(last_hidden, 0, true)) : unread());
  if (cell == Cell::lstm) {
    results.push_back(wants_cell ? to_value(join_steps(last_cell, 0, true)) : unread());
  }
  return results;
}

// A cell by itself: one step.
std::vector<Value> recurrent_cell(Call& call) {
  check_weights(call, {"w_ih", "w_hh", "b_ih", "b_hh"});
  const Cell cell = cell_of(call);
  const auto weight = [&](const char* name) {
    const c10::IValue& value = call.constant(call.find(name));
    return value.isTensor() ? value.toTensor() : at::Tensor();
  };
  const CellWeights weights{weight("w_ih"), weight("w_hh"), weight("b_ih"), weight("b_hh"), {}};
  const std::vector<Halves> initial = initial_states(call);
  const Halves input = call.halves(call.find("input"));
  check_rows(input.x, input.ref, call.batch);
  check_rows(initial[0].x, initial[0].ref, call.batch);
  const CellStates states{initial[0], cell == Cell::lstm ? initial[1] : Halves()};
  const Halves step =
      seqlift::linear([](const at::Tensor& rows) { return rows.unsqueeze(0); }, input);
  const Recurrence run = run_recurrence(cell, weights, step, states, false, call.batch);
  std::vector<Value> results{to_value(select(run.output, 0))};
  if (cell == Cell::lstm) {
    results.push_back(to_value(run.last_cell));
  }
  return results;
}

}  // namespace rules
}  // namespace seqlift
