#include "deep_lift.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "error.h"
#include "pairs.h"

namespace seqlift {

namespace {

constexpr int64_t bases = 4;

// Pairs as rows: [pairs, C, L] of both, and the arguments of the sequence for each.
struct Pairs {
  at::Tensor x;
  at::Tensor reference;
  std::vector<Value> args;
};

Pairs gather(const Sequences& sequences, const References& references, Constants& constants,
             int64_t begin, int64_t end) {
  std::vector<at::Tensor> x;
  std::vector<at::Tensor> reference;
  std::vector<std::vector<at::Tensor>> args(sequences.args.size());
  for (int64_t pair = begin; pair < end; ++pair) {
    const int64_t i = pair / references.count;
    const int64_t j = pair % references.count;
    x.push_back(to_compute(sequences.X(i, i + 1), constants));
    reference.push_back(to_compute(references.get(i, i + 1, j, j + 1), constants));
    const std::vector<Value> own = batch_of_args(sequences, constants, i, i + 1);
    for (size_t k = 0; k < own.size(); ++k) {
      args[k].push_back(own[k].x.toTensor());
    }
  }
  Pairs pairs{at::cat(x), at::cat(reference), std::vector<Value>(args.size())};
  for (size_t k = 0; k < args.size(); ++k) {
    pairs.args[k].x = at::cat(args[k]);
  }
  return pairs;
}

// f of x above f of the references, [2 pairs, targets] in double, by the model itself.
at::Tensor predictions(const Graph& graph, Constants& constants, const Pairs& pairs,
                       const DeepLiftOptions& options, const std::atomic<bool>& cancelled) {
  const at::NoGradGuard guard;
  EvaluateOptions evaluation;
  evaluation.cancelled = &cancelled;
  Value input;
  input.x = at::cat({pairs.x, pairs.reference});
  std::vector<Value> inputs{input};
  for (const Value& arg : pairs.args) {
    Value both;
    both.x = at::cat({arg.x.toTensor(), arg.x.toTensor()});
    inputs.push_back(both);
  }
  const std::vector<Value> outputs = evaluate(graph, constants, inputs, evaluation);
  if (outputs.size() != 1 || !outputs[0].x.isTensor()) {
    return {};  // told of by the evaluation with rules
  }
  at::Tensor columns = columns_of(outputs[0].x.toTensor(), 2 * pairs.x.size(0));
  check_targets(options.targets, columns.size(1));
  columns = options.mean_normalise ? columns - columns.mean(1, true) : columns;
  return chosen(columns, options.targets);
}

// The multipliers of both parts, per target [pairs, C, L].
struct Parts {
  std::vector<at::Tensor> positive;
  std::vector<at::Tensor> negative;
};

Parts multipliers(const Graph& graph, Constants& constants, const Pairs& pairs,
                  const DeepLiftOptions& options, const std::atomic<bool>& cancelled) {
  RevealCancel rules(options.rule, pairs.x.size(0));
  EvaluateOptions evaluation;
  evaluation.gradients = true;
  evaluation.batch = {rules.rows(), 1, nullptr};
  evaluation.cancelled = &cancelled;
  evaluation.override_operation = [&](Call& call) { return rules.apply(call); };
  const RevealCancel::Input blocks = RevealCancel::input(pairs.x, pairs.reference);
  Value input;
  input.x = blocks.blocks;
  input.depends = true;
  std::vector<Value> inputs{input};
  for (const Value& arg : pairs.args) {
    Value repeated;
    repeated.x = RevealCancel::repeat(arg.x.toTensor());
    inputs.push_back(repeated);
  }
  const at::AutoGradMode enabled(true);
  const std::vector<Value> outputs = evaluate(graph, constants, inputs, evaluation);
  PairOptions what;
  what.targets = options.targets;
  what.mean_normalise = options.mean_normalise;
  const at::Tensor columns = explained_columns(outputs, false, rules.rows(), what);
  const at::Tensor change = RevealCancel::change(columns);
  Parts parts;
  for (const int64_t target : options.targets) {
    const auto gradients = torch::autograd::grad({change.select(1, target).sum()},
                                                 {blocks.plus, blocks.minus}, {}, true);
    parts.positive.push_back(gradients[0]);
    parts.negative.push_back(gradients[1]);
  }
  return parts;
}

}  // namespace

DeepLiftShapResult deep_lift(const Graph& graph, Constants& constants, const Sequences& sequences,
                             const References& references, const DeepLiftOptions& options) {
  const int64_t r = references.count;
  const int64_t count = sequences.count * r;
  const int64_t size = options.batch_size;
  const auto targets = static_cast<int64_t>(options.targets.size());
  using Output = DeepLiftOptions::Output;
  // Every pair has rows of its own, so the chunks write without meeting.
  const at::Tensor X = sequences.X(0, 1);
  const auto in_double = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor values = at::zeros({count, bases, X.size(2), targets}, in_double);
  const at::Tensor deltas = at::zeros({count, targets}, in_double);
  const at::Tensor f_x = at::zeros({count, targets}, in_double);
  const at::Tensor f_reference = at::zeros({count, targets}, in_double);
  const Chunk work = [&](int64_t chunk, const std::atomic<bool>& cancelled) {
    const int64_t begin = chunk * size;
    const int64_t end = std::min(begin + size, count);
    const Pairs pairs = gather(sequences, references, constants, begin, end);
    const Parts parts = multipliers(graph, constants, pairs, options, cancelled);
    const at::Tensor f = predictions(graph, constants, pairs, options, cancelled);
    const at::Tensor change = (pairs.x - pairs.reference).narrow(1, 0, bases).to(at::kDouble);
    const auto place = [&](const at::Tensor& whole) { return whole.narrow(0, begin, end - begin); };
    place(f_x).copy_(f.narrow(0, 0, end - begin));
    place(f_reference).copy_(f.narrow(0, end - begin, end - begin));
    for (int64_t t = 0; t < targets; ++t) {
      const at::Tensor plus = parts.positive[t].narrow(1, 0, bases).to(at::kDouble);
      const at::Tensor minus = parts.negative[t].narrow(1, 0, bases).to(at::kDouble);
      const at::Tensor m =
          at::where(change > 0, plus, at::where(change < 0, minus, (plus + minus) / 2));
      const at::Tensor contributions = m * change;
      const at::Tensor kept = options.output == Output::multipliers            ? m
                              : options.output == Output::positive_multipliers ? plus
                              : options.output == Output::negative_multipliers ? minus
                                                                               : contributions;
      place(values).select(-1, t).copy_(kept);
      const at::Tensor moved = f.narrow(0, 0, end - begin).select(1, t) -
                               f.narrow(0, end - begin, end - begin).select(1, t);
      place(deltas).select(1, t).copy_(contributions.sum({1, 2}) - moved);
    }
  };
  run_chunks((count + size - 1) / size, work, options.work);
  const auto by_sequence = [&](const at::Tensor& rows) {
    return rows.unflatten(0, {sequences.count, r});
  };
  DeepLiftShapResult result;
  result.values = by_sequence(values);
  result.deltas = by_sequence(deltas);
  result.predictions = by_sequence(f_x).select(1, 0);
  result.reference_predictions = by_sequence(f_reference);
  return result;
}

}  // namespace seqlift
