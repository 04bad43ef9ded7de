// Loop and Scan, whose graphs are built once for every round: how many there are must be known.
#include <algorithm>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

namespace {

// No model goes round more often that is not one of single positions of very long sequences.
constexpr int64_t most_rounds = 4096;

const Graph& body_of(Operator& op, size_t inputs, size_t least_outputs) {
  const Attribute* body = op.attribute("body");
  if (!body || !body->graph) {
    op.refuse("has no graph for its rounds");
  }
  if (body->graph->inputs.size() != inputs || body->graph->outputs.size() < least_outputs) {
    op.refuse("has a graph of " + std::to_string(body->graph->inputs.size()) + " inputs and " +
              std::to_string(body->graph->outputs.size()) + " outputs, which does not fit its own");
  }
  return *body->graph;
}

void check_rounds(const Operator& op, int64_t rounds) {
  if (rounds > most_rounds) {
    op.refuse("goes round more than " + std::to_string(most_rounds) +
              " times, which is not supported");
  }
}

// What was given in each round, along a dimension of its own.
ProgramValue stacked(Operator& op, const std::vector<ProgramValue>& rounds, int64_t axis) {
  if (rounds.empty()) {
    op.refuse("goes round not once, and has an output of what its rounds give");
  }
  Sizes sizes = rounds[0].sizes;
  for (const ProgramValue& round : rounds) {
    if (round.sizes.size() != sizes.size()) {
      op.refuse("gives tensors of different numbers of dimensions in its rounds");
    }
    for (size_t i = 0; i < sizes.size(); ++i) {
      sizes[i] = sizes[i] == round.sizes[i] ? sizes[i] : -1;
    }
  }
  const int64_t at = op.axis(axis, rounds[0].rank() + 1);
  sizes.insert(sizes.begin() + at, static_cast<int64_t>(rounds.size()));
  return op.emit("stack", {{"tensors", rounds}, {"dim", at}}, sizes, rounds[0].dtype);
}

bool known_flag(const Operator& op, const ProgramValue& value) {
  const at::Tensor flag = op.build.known(value);
  if (!flag.defined() || flag.numel() != 1) {
    op.refuse(
        "goes on for as long as a condition holds that is only known while the model runs, "
        "which is not supported");
  }
  return flag.to(at::kBool).item<bool>();
}

}  // namespace

// Inputs: how often at most, whether at all, and what is carried from round to round. Each round:
// its number, the condition and what is carried; whether to go on, what is carried, and what it
// adds to the outputs.
void loop(Operator& op) {
  int64_t most = -1;
  if (op.given(0)) {
    const at::Tensor count = op.build.known(op.in(0));
    if (!count.defined() || count.numel() != 1) {
      op.refuse(
          "goes round a number of times that is only known while the model runs, which is "
          "not supported");
    }
    most = std::max<int64_t>(count.to(at::kLong).item<int64_t>(), 0);
  }
  const size_t carried = op.count() < 2 ? 0 : op.count() - 2;
  const Graph& body = body_of(op, carried + 2, carried + 1);
  const size_t added = body.outputs.size() - carried - 1;
  std::vector<ProgramValue> values;
  for (size_t i = 0; i < carried; ++i) {
    values.push_back(op.in(i + 2));
  }
  ProgramValue condition = op.given(1) ? op.in(1) : op.build.constant(at::ones({}, at::kBool));
  std::vector<std::vector<ProgramValue>> given(added);
  bool asks = op.given(1);
  for (int64_t round = 0; most < 0 || round < most; ++round) {
    if ((asks || round == 0) && !known_flag(op, condition)) {
      break;
    }
    check_rounds(op, most >= 0 && !asks ? most : round + 1);
    std::vector<ProgramValue> inputs{op.build.of_wholes({round}, true), condition};
    inputs.insert(inputs.end(), values.begin(), values.end());
    std::vector<ProgramValue> outputs = op.build.build_inner(body, inputs);
    condition = outputs[0];
    asks = true;
    values.assign(outputs.begin() + 1, outputs.begin() + 1 + static_cast<std::ptrdiff_t>(carried));
    for (size_t i = 0; i < added; ++i) {
      given[i].push_back(outputs[1 + carried + i]);
    }
  }
  for (size_t i = 0; i < carried; ++i) {
    op.give(values[i], i);
  }
  for (size_t i = 0; i < added; ++i) {
    if (op.wanted(carried + i)) {
      op.give(stacked(op, given[i], 0), carried + i);
    }
  }
}

// Inputs: states, and tensors that are gone through along one dimension.
void scan(Operator& op) {
  if (op.version < 9) {
    op.refuse(
        "is of version 8, whose first dimension is that of the sequences, which is not "
        "supported");
  }
  const int64_t scanned = op.whole("num_scan_inputs", 0);
  if (scanned < 1 || scanned > static_cast<int64_t>(op.count())) {
    op.refuse("goes through " + std::to_string(scanned) + " of its " + std::to_string(op.count()) +
              " inputs");
  }
  const size_t through = static_cast<size_t>(scanned);
  const size_t states = op.count() - through;
  const Graph& body = body_of(op, op.count(), states);
  const size_t added = body.outputs.size() - states;
  const auto per = [&](const char* name, size_t count) {
    Sizes numbers = op.wholes(name);
    numbers.resize(numbers.empty() ? count : numbers.size(), 0);
    if (numbers.size() != count) {
      op.refuse("has " + std::to_string(numbers.size()) + " numbers as `" + name + "`, not " +
                std::to_string(count));
    }
    return numbers;
  };
  const Sizes axes = per("scan_input_axes", through);
  const Sizes directions = per("scan_input_directions", through);
  const Sizes output_axes = per("scan_output_axes", added);
  const Sizes output_directions = per("scan_output_directions", added);
  std::vector<int64_t> along;
  int64_t rounds = -1;
  for (size_t i = 0; i < through; ++i) {
    const ProgramValue& x = op.in(states + i);
    along.push_back(op.axis(axes[i], x.rank()));
    const int64_t size = x.sizes[static_cast<size_t>(along[i])];
    if (size < 0) {
      op.refuse(
          "goes through a dimension whose size is only known while the model runs, which is "
          "not supported");
    }
    if (rounds >= 0 && size != rounds) {
      op.refuse("goes through dimensions of different sizes");
    }
    rounds = size;
  }
  check_rounds(op, rounds);
  std::vector<ProgramValue> values;
  for (size_t i = 0; i < states; ++i) {
    values.push_back(op.in(i));
  }
  std::vector<std::vector<ProgramValue>> given(added);
  for (int64_t round = 0; round < rounds; ++round) {
    std::vector<ProgramValue> inputs = values;
    for (size_t i = 0; i < through; ++i) {
      const ProgramValue& x = op.in(states + i);
      Sizes sizes = x.sizes;
      sizes.erase(sizes.begin() + along[i]);
      const int64_t at = directions[i] == 0 ? round : rounds - 1 - round;
      inputs.push_back(
          op.emit("select.int", {{"self", x}, {"dim", along[i]}, {"index", at}}, sizes, x.dtype));
    }
    std::vector<ProgramValue> outputs = op.build.build_inner(body, inputs);
    values.assign(outputs.begin(), outputs.begin() + static_cast<std::ptrdiff_t>(states));
    for (size_t i = 0; i < added; ++i) {
      given[i].push_back(outputs[states + i]);
    }
  }
  for (size_t i = 0; i < states; ++i) {
    op.give(values[i], i);
  }
  for (size_t i = 0; i < added; ++i) {
    if (!op.wanted(states + i)) {
      continue;
    }
    if (output_directions[i] != 0) {
      std::reverse(given[i].begin(), given[i].end());
    }
    op.give(stacked(op, given[i], output_axes[i]), states + i);
  }
}

}  // namespace onnx
}  // namespace seqlift
