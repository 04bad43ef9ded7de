#include "core/methods/gradients.h"

#include <algorithm>
#include <numeric>

#include "core/base/error.h"
#include "core/evaluate/evaluate.h"
#include "core/evaluate/layers.h"
#include "core/evaluate/recompute.h"
#include "core/methods/batch_check.h"
#include "core/methods/chunks.h"
#include "core/methods/pairs.h"
#include "core/model/operation_table.h"
#include "core/numeric/shape_text.h"
#include "core/numeric/tensor_functions.h"
#include "core/sequences/random.h"

namespace seqlift {

namespace {

// aten::relu with another way back; nothing for all other operations.
std::vector<Value> override_relu(const Call& call, GradientOptions::Relu rule) {
  if (!call.is(Trait::rectifies) || !call.depends(0)) {
    return {};
  }
  const at::Tensor input = call.inputs[0].x.toTensor();
  const at::Tensor output = at::relu(input.detach());
  const bool guided = rule == GradientOptions::Relu::guided;
  Value result;
  result.x = attach(output, {input}, [guided, output](const at::Tensor& grad) {
    const at::Tensor positive = at::relu(grad);
    return std::vector<at::Tensor>{guided ? positive * output.gt(0) : positive};
  });
  result.depends = true;
  return {result};
}

// All of a batch, before any of it is added up: memory may run out on the way.
RowGradients on_cpu(RowGradients batch) {
  for (std::vector<at::Tensor>* tensors : {&batch.points, &batch.gradients}) {
    for (at::Tensor& tensor : *tensors) {
      tensor = tensor.defined() ? tensor.detach().cpu() : tensor;
    }
  }
  batch.f = batch.f.cpu();
  return batch;
}

}  // namespace

RowGradients GradientEvaluator::run(const GradientRows& rows, bool backward) const {
  if (rows.X.size(0) != 1) {
    return run_as_given(rows, backward);
  }
  if (!graph_.findings->alone_differs) {
    try {
      return run_as_given(rows, backward);
    } catch (const Error& error) {
      if (error.kind() != "output" && error.kind() != "layer") {
        throw;
      }
    }
  }
  // In a model that squeezes, the row of a single sequence vanishes.
  GradientRows both{twice(rows.X), rows.args, rows.layers, rows.between};
  for (std::vector<at::Tensor>* tensors : {&both.args, &both.layers}) {
    std::transform(tensors->begin(), tensors->end(), tensors->begin(), twice);
  }
  RowGradients result = run_as_given(both, backward);
  for (std::vector<at::Tensor>* tensors : {&result.points, &result.gradients}) {
    for (at::Tensor& tensor : *tensors) {
      tensor = tensor.defined() ? tensor.narrow(0, 0, 1) : tensor;
    }
  }
  result.f = result.f.narrow(0, 0, 1);
  return result;
}

RowGradients GradientEvaluator::run_as_given(const GradientRows& rows, bool backward) const {
  const at::AutoGradMode enabled(true);
  const int64_t count = rows.X.size(0);
  EvaluateOptions evaluation;
  evaluation.cancelled = &cancelled_;
  evaluation.mode = EvaluateOptions::Gradients();
  if (graph_.layer_paths.empty()) {
    evaluation.letters = Letters{rows.between, {}};
  }
  if (options_.relu != GradientOptions::Relu::ordinary) {
    evaluation.override_operation = [&](Call& call) { return override_relu(call, options_.relu); };
  }
  if (backward && rows.layers.empty()) {
    const std::vector<Value> first = first_row(rows.X, values_of(rows.args), graph_);
    const BatchMemory memory = within_memory(graph_, constants_, first, {0, count, true});
    evaluation.cuts = memory.cuts;
    evaluation.strips = memory.strips;
  }
  const at::Tensor leaf = leaf_of(rows.X);
  std::vector<Value> inputs(1);
  inputs[0].x = fresh_copy(leaf);
  inputs[0].depends = true;
  std::vector<at::Tensor> arg_points;
  for (const at::Tensor& arg : rows.args) {
    Value value;
    value.x = arg;
    arg_points.emplace_back();
    if (options_.args && at::isFloatingType(arg.scalar_type())) {
      arg_points.back() = leaf_of(arg);
      value.x = fresh_copy(arg_points.back());
      value.depends = true;
    }
    inputs.push_back(value);
  }
  Layers layers(graph_);
  std::vector<at::Tensor> given = rows.layers;
  std::transform(given.begin(), given.end(), given.begin(), leaf_of);
  evaluation.layer = layers.take(given);
  const std::vector<Value> outputs = evaluate(graph_, constants_, inputs, evaluation);

  PairOptions what;
  what.targets = options_.targets;
  what.mean_normalise = options_.mean_normalise;
  const at::Tensor f = explained_columns(outputs, false, count, what);
  std::vector<int64_t> targets = options_.targets;
  if (targets.empty()) {
    targets.resize(f.size(1));
    std::iota(targets.begin(), targets.end(), 0);
  }
  std::vector<at::Tensor> points;
  for (const Halves& layer : layers.outputs()) {
    if (layer.x.dim() == 0 || layer.x.size(0) != count) {
      throw Error("layer", "A layer's output is not one row per sequence: for " +
                               std::to_string(count) + " sequences it is " + shape_text(layer.x) +
                               ".");
    }
    points.push_back(layer.x);
  }
  if (points.empty()) {
    points.push_back(leaf);
  }
  if (options_.args) {
    points.insert(points.end(), arg_points.begin(), arg_points.end());
  }

  RowGradients result;
  result.f = chosen(f, targets);
  std::vector<at::Tensor> explained;
  for (const at::Tensor& point : points) {
    result.points.push_back(point.defined() ? point.detach() : point);
    if (point.defined()) {
      explained.push_back(point);
    }
  }
  if (!backward) {
    return result;
  }
  std::vector<std::vector<at::Tensor>> by_target;
  for (size_t t = 0; t < targets.size(); ++t) {
    by_target.push_back(column_gradients(f, explained, targets[t], t + 1 < targets.size()));
  }
  size_t next = 0;
  for (const at::Tensor& point : points) {
    std::vector<at::Tensor> parts;
    for (size_t t = 0; point.defined() && t < targets.size(); ++t) {
      parts.push_back(by_target[t][next]);
    }
    result.gradients.push_back(point.defined() ? at::stack(parts, -1) : point);
    next += point.defined() ? 1 : 0;
  }
  if (options_.simplex && graph_.layer_paths.empty()) {
    at::Tensor own = result.gradients[0].narrow(1, 0, bases);
    own.sub_(own.mean(1, true));
  }
  return result;
}

RowGradients GradientEvaluator::sum(
    int64_t count, const at::Tensor& weights,
    const std::function<GradientRows(const at::Tensor&, const at::Tensor&)>& rows) const {
  const int64_t each = weights.size(0);
  const int64_t all = count * each;
  const int64_t blocks = (all + options_.batch_size - 1) / options_.batch_size;
  const int64_t size = (all + blocks - 1) / blocks;
  RowGradients sums;
  const auto add = [&](at::Tensor& total, const at::Tensor& part, const at::Tensor& which,
                       const at::Tensor& weight) {
    if (!part.defined()) {
      return;
    }
    if (!total.defined()) {
      std::vector<int64_t> sizes = part.sizes().vec();
      sizes[0] = count;
      total = at::zeros(sizes, at::kDouble);
    }
    std::vector<int64_t> broadcast(part.dim(), 1);
    broadcast[0] = -1;
    total.index_add_(0, which, part.to(at::kDouble) * weight.view(broadcast));
  };
  const auto batch = [&](int64_t begin, int64_t end) {
    const at::Tensor number = at::arange(begin, end, at::kLong);
    const at::Tensor which = at::floor_divide(number, each);
    const at::Tensor place = number - which * each;
    const at::Tensor weight = weights.index_select(0, place);
    const RowGradients part = on_cpu(run(rows(which, place)));
    sums.points.resize(part.points.size());
    sums.gradients.resize(part.points.size());
    for (size_t i = 0; i < part.points.size(); ++i) {
      add(sums.points[i], part.points[i], which, weight);
      add(sums.gradients[i], part.gradients[i], which, weight);
    }
    add(sums.f, part.f, which, weight);
  };
  for (int64_t begin = 0; begin < all; begin += size) {
    batches_.run(begin, std::min(begin + size, all), batch);
  }
  return sums;
}

RowGradients GradientEvaluator::forward(const at::Tensor& X,
                                        const std::vector<at::Tensor>& args) const {
  std::vector<RowGradients> parts;
  batches_.run(0, X.size(0), [&](int64_t begin, int64_t end) {
    GradientRows rows{X.narrow(0, begin, end - begin), args, {}, false};
    for (at::Tensor& arg : rows.args) {
      arg = arg.narrow(0, begin, end - begin);
    }
    parts.push_back(run(rows, false));
  });
  RowGradients all;
  all.points = join_rows(parts, &RowGradients::points);
  all.f = join_rows(parts, &RowGradients::f).cpu();
  return all;
}

BatchOptions batches_of(const GradientOptions& options) {
  BatchOptions batches;
  batches.most = options.batch_size;
  return batches;
}

namespace {

GradientResult averaged(const Graph& graph, Constants& constants, const Sequences& sequences,
                        const GradientOptions& options, int64_t copies_of_each,
                        const std::function<at::Tensor(int64_t begin, int64_t end)>& noise) {
  check_batch(graph, constants, sequences, options.batch_size);
  // Sequences that are evaluated together.
  const int64_t size = std::max<int64_t>(1, options.batch_size / copies_of_each);
  const int64_t chunks = (sequences.count + size - 1) / size;
  std::vector<RowGradients> parts(chunks);
  const at::Tensor weights =
      at::full({copies_of_each}, 1.0 / static_cast<double>(copies_of_each), at::kDouble);
  Batches batches(constants.device(), batches_of(options));
  const Chunk work = [&](int64_t chunk, const std::atomic<bool>& cancelled) {
    const GradientEvaluator evaluator(graph, constants, options, batches, cancelled);
    const int64_t begin = chunk * size;
    const int64_t end = std::min(begin + size, sequences.count);
    const at::Tensor X = to_compute(sequences.X(begin, end), constants);
    const std::vector<at::Tensor> args = arg_rows(sequences, constants, begin, end);
    const at::Tensor added = noise ? to_compute(noise(begin, end), constants) : at::Tensor();
    parts[chunk] =
        evaluator.sum(end - begin, weights, [&](const at::Tensor& which, const at::Tensor& place) {
          const at::Tensor index = which.to(X.device());
          GradientRows rows;
          rows.X = X.index_select(0, index);
          rows.between = added.defined();
          if (added.defined()) {
            rows.X.narrow(1, 0, bases).add_(added.index({index, place.to(X.device())}));
          }
          for (const at::Tensor& arg : args) {
            rows.args.push_back(arg.index_select(0, index));
          }
          return rows;
        });
  };
  const int64_t rows = std::min(size * copies_of_each, options.batch_size);
  run_chunks(chunks_of(chunks, graph, passes * rows, sequences.X(0, 1).size(2)), work,
             work_on(constants.device(), options.work));
  for (RowGradients& part : parts) {
    for (size_t i = 0; options.times_input && i < part.gradients.size(); ++i) {
      at::Tensor& gradient = part.gradients[i];
      gradient = gradient.defined() ? gradient * part.points[i].unsqueeze(-1) : gradient;
    }
  }
  return {join_rows(parts, &RowGradients::gradients), join_rows(parts, &RowGradients::f)};
}

}  // namespace

GradientResult gradients(const Graph& graph, Constants& constants, const Sequences& sequences,
                         const GradientOptions& options) {
  return averaged(graph, constants, sequences, options, 1, nullptr);
}

GradientResult smooth_gradients(const Graph& graph, Constants& constants,
                                const Sequences& sequences, const NoiseOptions& noise,
                                const GradientOptions& options) {
  const auto draw = [&](int64_t begin, int64_t end) {
    const int64_t length = sequences.X(begin, begin + 1).size(2);
    at::Tensor drawn = at::empty({end - begin, noise.samples, bases, length}, at::kDouble);
    for (int64_t i = begin; i < end; ++i) {
      RandomState random(noise.random_state + static_cast<uint32_t>(i));
      const at::Tensor own = drawn[i - begin];
      standard_normals(random, own.numel(), own.data_ptr<double>());
    }
    return drawn.mul_(noise.sd);
  };
  return averaged(graph, constants, sequences, options, noise.samples, draw);
}

}  // namespace seqlift
