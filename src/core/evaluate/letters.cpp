// What reads the sequence in steps: comparisons, roundings, indices and what is looked up by them.
// Between its letters a step has no gradient, and no multiplier for a base that is not there.
//
// But what depends on one position of X each, whatever it computes, is a linear map of one-hot
// columns: with f(A), f(C), f(G), f(T) and f(N) at a position,
//   f(x) = sum_b x_b f(b) + (1 - sum_b x_b) f(N),
// which is exact for letters and N. So an argmax with an embedding, a cast of x > 0.5, an index
// made of sum_b b x_b are evaluated as that map, where their result is first computed with: by then
// it is known on sequences of one letter, and the map is compared with it on others. What is not
// such a map (k-mers, steps behind a convolution) is refused.

#include <algorithm>

#include "core/base/error.h"
#include "core/evaluate/evaluation.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

using torch::jit::Node;

namespace {

constexpr int64_t n_letters = 4;
// Behind A, C, G, T and N: sequences to compare the map with.
constexpr int64_t trials = 3;

bool is_number(const Value& value) {
  return value.x.isTensor() && value.x.toTensor().defined() && !value.typed() &&
         value.x.toTensor().is_floating_point();
}

// How a tensor [rows, ..., positions, ...] lies over the positions of X.
struct Placement {
  int64_t dim = 0;
  int64_t first = 0;  // the position of X that comes first
  bool reversed = false;
};

at::Tensor linear_map(const at::Tensor& letters, const Placement& placement, const at::Tensor& X) {
  at::Tensor shares = X.narrow(1, 0, n_letters);
  shares = at::cat({shares, 1 - shares.sum(1, true)}, 1);
  shares = placement.reversed ? shares.flip({2}) : shares;
  shares = shares.narrow(2, placement.first, letters.size(placement.dim));
  const at::Tensor last = letters.movedim(placement.dim, -1);
  const at::Tensor flat = last.reshape({last.size(0), -1, last.size(-1)});
  at::Tensor sum = shares.narrow(1, 0, 1) * flat[0];
  for (int64_t letter = 1; letter <= n_letters; ++letter) {
    sum = sum + shares.narrow(1, letter, 1) * flat[letter];
  }
  std::vector<int64_t> sizes = last.sizes().vec();
  sizes[0] = X.size(0);
  return sum.reshape(sizes).movedim(-1, placement.dim);
}

// Rows of X that are letters and N alone.
at::Tensor of_letters(const at::Tensor& X) {
  const at::Tensor columns = X.narrow(1, 0, n_letters).flatten(1);
  const at::Tensor zero_or_one = (columns == 0).logical_or(columns == 1).all(1);
  return zero_or_one.logical_and((X.narrow(1, 0, n_letters).sum(1) <= 1).all(1));
}

// Whether the map gives `value`. `between`: only where X is letters.
bool agrees(const at::Tensor& letters, const Placement& placement, const at::Tensor& X,
            const at::Tensor& value, bool between) {
  const at::NoGradGuard guard;
  const at::Tensor map = linear_map(letters, placement, X.detach());
  if (map.sizes() != value.sizes()) {
    return false;
  }
  const at::Tensor same = (map == value.detach()).flatten(1).all(1);
  const at::Tensor good = of_letters(X.detach());
  return (between ? same.logical_or(good.logical_not()) : same.logical_and(good))
      .all()
      .item<bool>();
}

std::vector<Placement> placements_of(const at::Tensor& letters, int64_t length) {
  std::vector<Placement> found;
  for (const bool cropped : {false, true}) {
    for (int64_t dim = 1; dim < letters.dim(); ++dim) {
      const int64_t rest = length - letters.size(dim);
      if (rest >= 0 && rest % 2 == 0 && cropped == (rest > 0)) {
        found.push_back({dim, rest / 2, false});
        found.push_back({dim, rest / 2, true});
      }
    }
  }
  return found;
}

// Sequences of A, of C, of G, of T and of N alone, and others without a pattern, in place of a row
// [1, C, L].
at::Tensor letter_rows(const at::Tensor& row) {
  const at::Tensor X = row.detach().repeat({n_letters + 1 + trials, 1, 1});
  X.narrow(1, 0, n_letters).zero_();
  for (int64_t letter = 0; letter < n_letters; ++letter) {
    X[letter][letter].fill_(1);
  }
  const at::Tensor place = at::arange(X.size(2), at::TensorOptions(at::kLong).device(X.device()));
  for (int64_t trial = 0; trial < trials; ++trial) {
    const at::Tensor letter =
        (place * (place + 2 * trial + 7)).floor_divide(3 + trial).remainder(n_letters);
    X[n_letters + 1 + trial].narrow(0, 0, n_letters).scatter_(0, letter.unsqueeze(0), 1);
  }
  return X;
}

struct Captured {};

}  // namespace

// The value of an input of `node` for sequences of A, of C, of G, of T and of N alone, and for a
// few others.
at::Tensor Evaluation::values_of_letters(const Node* node, size_t input, int visit) const {
  const at::NoGradGuard guard;
  const int64_t rows = n_letters + 1 + trials;
  std::vector<Value> inputs = given_;
  for (Value& one : inputs) {
    const at::Tensor values = one.x.isTensor() ? one.x.toTensor().detach() : at::Tensor();
    one = Value();
    if (values.defined() && values.dim() > 0) {
      std::vector<int64_t> repeats(values.dim(), 1);
      repeats[0] = rows;
      one.x = values.narrow(0, 0, 1).repeat(repeats);
    } else {
      one.x = values;
    }
  }
  inputs[0].x = letter_rows(given_[0].x.toTensor().narrow(0, 0, 1));
  EvaluateOptions options;
  options.cancelled = options_.cancelled;
  at::Tensor found;
  int seen = 0;
  options.before = [&](const Node* now, const std::vector<Value>& values) {
    if (now == node && seen++ == visit) {
      found = values[input].x.isTensor() ? values[input].x.toTensor() : at::Tensor();
      throw Captured();
    }
  };
  try {
    Evaluation(graph_, constants_, options).run(inputs);
  } catch (const Captured&) {
    return found;
  } catch (const Error& error) {
    if (error.kind() == "interrupt" || error.kind() == "memory") {
      throw;
    }
  }
  return {};
}

bool Evaluation::read_exactly(const Node* node, size_t input, int visit, Value& value) const {
  const Value& X = given_[0];
  const at::Tensor x = X.x.toTensor();
  if (x.dim() != 3 || x.size(1) < n_letters) {
    return false;
  }
  const at::Tensor all = values_of_letters(node, input, visit);
  if (!all.defined() || all.dim() < 2 || all.size(0) != n_letters + 1 + trials ||
      !all.isfinite().all().item<bool>()) {
    return false;
  }
  const at::Tensor letters = all.narrow(0, 0, n_letters + 1);
  const at::Tensor others = all.narrow(0, n_letters + 1, trials);
  const at::Tensor trial = letter_rows(x.narrow(0, 0, 1)).narrow(0, n_letters + 1, trials);
  for (const Placement& placement : placements_of(letters, x.size(2))) {
    const bool fits =
        agrees(letters, placement, trial, others, false) &&
        agrees(letters, placement, x, value.x.toTensor(), options_.letters->between) &&
        (!value.paired() ||
         agrees(letters, placement, X.ref().toTensor(), value.ref().toTensor(), false));
    if (fits) {
      const at::AutoGradMode enabled(true);
      Value exact;
      exact.depends = true;
      exact.x = X.paired() ? value.x : c10::IValue(linear_map(letters, placement, x));
      if (X.paired()) {
        exact.set_ref(linear_map(letters, placement, X.ref().toTensor()));
      }
      value = exact;
      return true;
    }
  }
  return false;
}

Evaluation::Steps Evaluation::steps_of(const Node* node) const {
  Steps steps;
  for (const torch::jit::Value* input : node->inputs()) {
    const auto known = steps_.find(input);
    steps.push_back(known == steps_.end() ? nullptr : known->second);
  }
  return steps;
}

void Evaluation::mark_step(const torch::jit::Value* value, const Node* step) {
  if (step) {
    steps_[value] = step;
  } else {
    steps_.erase(value);
  }
}

void Evaluation::read_letters(const Node* node, std::vector<Value>& inputs, Steps& steps,
                              const Operation& row) {
  const int visit = step_visits_[node]++;
  bool any = false;
  bool continuous = false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    any = any || steps[i];
    continuous = continuous || (inputs[i].depends && !steps[i]);
  }
  const bool shape_only = row.kind == Kind::shape;
  if (!any || shape_only || row.is(continuous ? Trait::chooses : Trait::hands_on)) {
    return;
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (steps[i] && is_number(inputs[i])) {
      if (!read_exactly(node, i, visit, inputs[i])) {
        refuse_step(steps[i]);
      }
      steps[i] = nullptr;
    }
  }
}

void Evaluation::mark_steps(const Call& call, const Steps& steps,
                            const std::vector<Value>& outputs) {
  const Node* step = nullptr;
  bool continuous = false;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    step = step ? step : steps[i];
    continuous = continuous || (call.inputs[i].depends && !steps[i]);
  }
  const bool nothing = (!step && !continuous) || call.row->kind == Kind::shape;
  const Node* here = step && !continuous ? step : call.node;
  for (size_t i = 0; i < outputs.size() && i < call.node->outputs().size(); ++i) {
    const Value& output = outputs[i];
    const bool tensor = output.x.isTensor() && output.x.toTensor().defined();
    const bool whole = output.typed() || (tensor && !output.x.toTensor().is_floating_point() &&
                                          !output.x.toTensor().is_complex());
    const bool list = output.x.isList() || output.x.isTuple();
    const bool stepped = tensor && (whole || call.is(Trait::rounds));
    mark_step(call.node->outputs()[i], nothing                           ? nullptr
                                       : stepped                         ? here
                                       : (tensor || list) && !continuous ? step
                                                                         : nullptr);
  }
}

void Evaluation::refuse_step(const Node* step) const {
  if (options_.letters->stepped) {
    options_.letters->stepped(step);
    return;
  }
  throw Error(
      "discrete",
      "The model reads the sequence in steps: " + place_of(step, graph_) +
          ". Between them there is no slope: " +
          (options_.two_halves() ? "hypothetical scores and multipliers of bases that are not there"
                                 : "gradients") +
          " would mean nothing.");
}

}  // namespace seqlift
