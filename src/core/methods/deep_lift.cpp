#include "core/methods/deep_lift.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/evaluate/layers.h"
#include "core/evaluate/recompute.h"
#include "core/methods/batch_check.h"
#include "core/methods/chunks.h"
#include "core/methods/pairs.h"
#include "core/numeric/device.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// Rows, and which of them are of one sequence.
struct Pairs {
  PairRows rows;
  std::vector<int64_t> sequence;  // of each pair: which of the sequences
  std::vector<int64_t> firsts;    // of each sequence: its first pair
};

Pairs gather(const Sequences& sequences, const References& references, Constants& constants,
             int64_t begin, int64_t end) {
  Pairs pairs{gather_pairs(sequences, references, constants, begin, end), {}, {}};
  for (int64_t pair = begin; pair < end; ++pair) {
    const int64_t sequence = pair / references.count - begin / references.count;
    if (sequence == static_cast<int64_t>(pairs.firsts.size())) {
      pairs.firsts.push_back(pair - begin);
    }
    pairs.sequence.push_back(sequence);
  }
  return pairs;
}

// f of the pairs' sequences, [pairs, targets] in double, by the model itself: of each sequence
// once. In a model that squeezes the row of a single one would vanish, so a reference keeps it
// company.
at::Tensor predictions(const Graph& graph, Constants& constants, const Pairs& pairs,
                       const DeepLiftOptions& options, const std::atomic<bool>& cancelled) {
  const at::NoGradGuard guard;
  EvaluateOptions evaluation;
  evaluation.cancelled = &cancelled;
  const at::Tensor firsts = at::tensor(pairs.firsts, at::kLong).to(pairs.rows.X.device());
  const auto once = [&](const at::Tensor& rows, const at::Tensor& company) {
    const at::Tensor own = rows.index_select(0, firsts);
    return own.size(0) > 1 ? own : at::cat({own, company.narrow(0, 0, 1)});
  };
  Value input;
  input.x = once(pairs.rows.X, pairs.rows.references);
  std::vector<Value> inputs{input};
  for (const Value& arg : pairs.rows.args) {
    Value own;
    own.x = once(arg.x.toTensor(), arg.x.toTensor());
    inputs.push_back(own);
  }
  const std::vector<Value> outputs = evaluate(graph, constants, inputs, evaluation);
  if (outputs.size() != 1 || !outputs[0].x.isTensor()) {
    return {};  // told of by the evaluation with rules
  }
  at::Tensor columns = columns_of(outputs[0].x.toTensor(), input.x.toTensor().size(0));
  check_targets(options.targets, columns.size(1));
  columns = options.mean_normalise ? columns - columns.mean(1, true) : columns;
  const at::Tensor sequence = at::tensor(pairs.sequence, at::kLong).to(columns.device());
  return chosen(columns, options.targets).index_select(0, sequence);
}

// What shares out the change of a prediction: the sequences, or the output of a layer. Differences
// and multipliers of both parts, rows in the order of the pairs.
struct Point {
  at::Tensor rise;                   // d+ [pairs, ...]
  at::Tensor fall;                   // d-
  std::vector<at::Tensor> positive;  // m+, per target
  std::vector<at::Tensor> negative;  // m-
};

// `f_x`: predictions() of the same pairs; `f_reference` becomes those of their references, which
// pass through the rules as the model has them.
std::vector<Point> explain(const Graph& graph, Constants& constants, const Pairs& pairs,
                           const DeepLiftOptions& options, const at::Tensor& f_x,
                           at::Tensor& f_reference, const std::atomic<bool>& cancelled) {
  const int64_t count = pairs.rows.X.size(0);
  RevealCancel rules(options.rule, count);
  EvaluateOptions evaluation;
  evaluation.mode = EvaluateOptions::Gradients{{rules.rows(), 1, nullptr}};
  evaluation.cancelled = &cancelled;
  evaluation.override_operation = [&](Call& call) { return rules.apply(call); };
  evaluation.cuts = within_memory(graph, constants, first_row(pairs.rows.X, pairs.rows.args, graph),
                                  {0, rules.rows()})
                        .cuts;
  if (!evaluation.cuts.empty()) {
    evaluation.carry = rules.carry();
  }
  Layers layers(graph);
  evaluation.layer = layers.take();
  const at::Tensor leaf = RevealCancel::input(pairs.rows.X, pairs.rows.references);
  Value input;
  input.x = fresh_copy(leaf);
  input.depends = true;
  std::vector<Value> inputs{input};
  for (const Value& arg : pairs.rows.args) {
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
  f_reference = chosen(Blocks::of(columns).reference, options.targets);
  if (!constants.reduced()) {  // which rounds too coarsely to tell
    check_company(f_x, chosen(Blocks::of(columns).x, options.targets), pairs.rows.X.scalar_type());
  }
  const at::Tensor change = RevealCancel::change(columns);
  std::vector<at::Tensor> stacks;
  for (const Halves& layer : layers.outputs()) {
    stacks.push_back(layer.x);
  }
  const bool by_layer = !stacks.empty();
  if (!by_layer) {
    stacks.push_back(leaf);
  }
  // Channels beyond the bases are held fixed.
  const auto kept = [&](const at::Tensor& block) {
    return (by_layer ? block : block.narrow(1, 0, bases)).detach().to(at::kDouble);
  };
  std::vector<Point> points;
  for (const at::Tensor& stack : stacks) {
    const std::optional<Blocks> blocks = blocks_of_pairs(stack, count);
    if (!blocks || stack.size(0) != rules.rows()) {
      throw Error("layer", "The output of a layer does not have one row for each sequence.");
    }
    points.push_back({kept(blocks->rise()), kept(blocks->fall()), {}, {}});
  }
  for (size_t t = 0; t < options.targets.size(); ++t) {
    const std::vector<at::Tensor> gradients =
        column_gradients(change, stacks, options.targets[t], t + 1 < options.targets.size());
    for (size_t i = 0; i < points.size(); ++i) {
      const Blocks multipliers = Blocks::of(gradients[i]);
      points[i].positive.push_back(kept(multipliers.plus));
      points[i].negative.push_back(kept(multipliers.minus));
    }
  }
  return points;
}

// Rows [first, ...] of a whole: of pairs, or of sequences.
struct Rows {
  int64_t first = 0;
  at::Tensor values;
};

// In the order of the chunks, so that threads do not matter; each chunk's memory is let go.
using Batch = std::vector<Rows>;  // of each point

at::Tensor join(std::vector<std::vector<Batch>>& chunks, size_t point, int64_t count) {
  at::Tensor whole;
  for (std::vector<Batch>& chunk : chunks) {
    for (Batch& batch : chunk) {
      Rows& rows = batch[point];
      if (!whole.defined()) {
        std::vector<int64_t> sizes = rows.values.sizes().vec();
        sizes[0] = count;
        whole = at::zeros(sizes, rows.values.options());
      }
      whole.narrow(0, rows.first, rows.values.size(0)).add_(rows.values);
      rows.values.reset();
    }
  }
  return whole;
}

}  // namespace

DeepLiftShapResult deep_lift(const Graph& graph, Constants& constants, const Sequences& sequences,
                             const References& references, const DeepLiftOptions& options) {
  check_batch(graph, constants, sequences, options.batch_size);
  const int64_t r = references.count;
  const int64_t count = sequences.count * r;
  const int64_t size = options.batch_size;
  const int64_t chunks = (count + size - 1) / size;
  const auto targets = static_cast<int64_t>(options.targets.size());
  const size_t n_points = std::max<size_t>(graph.layer_paths.size(), 1);
  using Output = DeepLiftOptions::Output;
  const bool mean = options.output == Output::attributions;
  // Every pair has rows of its own, so the chunks write without meeting.
  const auto in_double = at::TensorOptions().dtype(at::kDouble);
  const std::vector<int64_t> by_pair{count, targets};
  const at::Tensor f_x = at::zeros(by_pair, in_double);
  const at::Tensor f_reference = at::zeros(by_pair, in_double);
  std::vector<at::Tensor> deltas;
  for (size_t i = 0; i < n_points; ++i) {
    deltas.push_back(at::zeros(by_pair, in_double));
  }
  std::vector<std::vector<Batch>> values(chunks);
  BatchOptions batch_options;
  // A pair has five rows: no more of them at a time than stay near the core.
  batch_options.most = rows_at_once(size, sequences.X(0, 1).size(2), graph, constants);
  Batches batches(constants.device(), batch_options);
  const auto run = [&](int64_t begin, int64_t end, const std::atomic<bool>& cancelled) {
    const int64_t here = end - begin;
    Batch batch;
    const Pairs pairs = gather(sequences, references, constants, begin, begin + here);
    const at::Tensor f_here = predictions(graph, constants, pairs, options, cancelled);
    at::Tensor f_there;
    const std::vector<Point> points =
        explain(graph, constants, pairs, options, f_here, f_there, cancelled);
    f_x.narrow(0, begin, here).copy_(f_here);
    f_reference.narrow(0, begin, here).copy_(f_there);
    for (size_t i = 0; i < points.size(); ++i) {
      const Point& point = points[i];
      const at::Tensor difference = point.rise + point.fall;
      std::vector<at::Tensor> kept;
      std::vector<at::Tensor> sums;
      for (int64_t t = 0; t < targets; ++t) {
        const at::Tensor& plus = point.positive[t];
        const at::Tensor& minus = point.negative[t];
        const at::Tensor contributions = plus * point.rise + minus * point.fall;
        sums.push_back(contributions.flatten(1).sum(1));
        kept.push_back(options.output == Output::positive_multipliers   ? plus
                       : options.output == Output::negative_multipliers ? minus
                       : options.output == Output::multipliers ? of_sign(difference, plus, minus)
                                                               : contributions);
      }
      deltas[i].narrow(0, begin, here).copy_(at::stack(sums, 1) - (f_here - f_there));
      Rows rows{begin, at::stack(kept, -1).cpu()};
      if (mean) {
        const at::Tensor sequence = at::floor_divide(at::arange(begin, begin + here, at::kLong), r);
        rows.first = begin / r;
        std::vector<int64_t> sizes = rows.values.sizes().vec();
        sizes[0] = (begin + here - 1) / r + 1 - rows.first;
        rows.values =
            at::zeros(sizes, in_double)
                .index_add_(0, sequence - rows.first, rows.values / static_cast<double>(r));
      }
      batch.push_back(rows);
    }
    return batch;
  };
  const Chunk work = [&](int64_t chunk, const std::atomic<bool>& cancelled) {
    const int64_t first = chunk * size;
    batches.run(first, std::min(first + size, count), [&](int64_t begin, int64_t end) {
      values[chunk].push_back(run(begin, end, cancelled));
    });
  };
  run_chunks(chunks_of(chunks, graph, passes * std::min(size, count), sequences.X(0, 1).size(2)),
             work, work_on(constants.device(), options.work));
  const auto by_sequence = [&](const at::Tensor& rows) {
    return rows.unflatten(0, {sequences.count, r});
  };
  DeepLiftShapResult result;
  std::vector<at::Tensor> wholes;
  for (size_t i = 0; i < n_points; ++i) {
    const at::Tensor whole = join(values, i, mean ? sequences.count : count);
    wholes.push_back(mean ? whole : by_sequence(whole));
    deltas[i] = by_sequence(deltas[i]);
  }
  if (graph.layer_paths.empty()) {
    result.values = wholes[0];
    result.deltas = deltas[0];
  } else {
    result.layers = wholes;
    result.layer_deltas = deltas;
  }
  result.predictions = by_sequence(f_x).select(1, 0);
  result.reference_predictions = by_sequence(f_reference);
  return result;
}

}  // namespace seqlift
