#include "core/methods/path_gradients.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/methods/batch_check.h"
#include "core/methods/chunks.h"
#include "core/numeric/tensor_functions.h"
#include "core/sequences/random.h"

namespace seqlift {

namespace {

struct PathInputs {
  const Graph& graph;
  const PathOptions& options;
  int64_t references;
};

at::Tensor rows_of(const at::Tensor& tensor, const at::Tensor& index) {
  return tensor.index_select(0, index.to(tensor.device()));
}

// Where each pair of the chunk's sequences begin .. end - 1 has its point: [pairs, nodes].
at::Tensor positions(const PathOptions& options, int64_t begin, int64_t end, int64_t references) {
  const int64_t pairs = (end - begin) * references;
  if (!options.random_points) {
    return at::tensor(options.quadrature.nodes, at::kDouble).unsqueeze(0).expand({pairs, -1});
  }
  at::Tensor drawn = at::empty({pairs, 1}, at::kDouble);
  auto* values = drawn.data_ptr<double>();
  for (int64_t i = begin; i < end; ++i) {
    RandomState random(options.random_state + static_cast<uint32_t>(i));
    for (int64_t j = 0; j < references; ++j) {
      values[(i - begin) * references + j] = random.uniform();
    }
  }
  return drawn;
}

at::Tensor between(const at::Tensor& ref, const at::Tensor& x, const at::Tensor& share) {
  std::vector<int64_t> sizes(x.dim(), 1);
  sizes[0] = -1;
  return ref + (x - ref) * share.to(x.device(), x.scalar_type()).view(sizes);
}

bool is_explained(const PathOptions& options, const at::Tensor& arg) {
  return options.gradients.args && at::isFloatingType(arg.scalar_type());
}

// The part of a result that one chunk gives: PathResult for its sequences.
PathResult run_chunk(const PathInputs& in, const GradientEvaluator& evaluator, const at::Tensor& X,
                     const at::Tensor& references, const std::vector<at::Tensor>& args,
                     const std::vector<at::Tensor>& reference_args, const at::Tensor& share) {
  const int64_t n = X.size(0);
  const int64_t r = in.references;
  const bool by_layer = !in.graph.layer_paths.empty();
  const at::Tensor sequence_of = at::floor_divide(at::arange(n * r, at::kLong), r);
  std::vector<at::Tensor> args_of_pairs;
  for (size_t k = 0; k < args.size(); ++k) {
    args_of_pairs.push_back(rows_of(reference_args[k], sequence_of));
  }
  const RowGradients x = evaluator.forward(X, args);
  const RowGradients ref = evaluator.forward(references, args_of_pairs);

  const at::Tensor weights = in.options.random_points
                                 ? at::ones({1}, at::kDouble)
                                 : at::tensor(in.options.quadrature.weights, at::kDouble);
  const RowGradients sums =
      evaluator.sum(n * r, weights, [&](const at::Tensor& pair, const at::Tensor& place) {
        const at::Tensor i = sequence_of.index_select(0, pair);
        const at::Tensor at = share.index({pair, place});
        GradientRows rows;
        rows.between = true;
        rows.X = by_layer ? rows_of(X, i) : between(rows_of(references, pair), rows_of(X, i), at);
        for (size_t k = 0; k < args.size(); ++k) {
          rows.args.push_back(is_explained(in.options, args[k])
                                  ? between(rows_of(reference_args[k], i), rows_of(args[k], i), at)
                                  : rows_of(args[k], i));
        }
        for (size_t k = 0; by_layer && k < in.graph.layer_paths.size(); ++k) {
          rows.layers.push_back(between(rows_of(ref.points[k], pair), rows_of(x.points[k], i), at));
        }
        return rows;
      });

  const at::Tensor f_x = rows_of(x.f, sequence_of);
  const at::Tensor change = f_x - ref.f;
  PathResult result;
  result.predictions = x.f;
  result.reference_predictions = ref.f.unflatten(0, {n, r});
  at::Tensor total = at::zeros_like(change);
  for (size_t k = 0; k < sums.gradients.size(); ++k) {
    if (!sums.gradients[k].defined()) {
      result.values.emplace_back();
      continue;
    }
    const auto in_double = [](const at::Tensor& rows) { return rows.cpu().to(at::kDouble); };
    const at::Tensor difference =
        rows_of(in_double(x.points[k]), sequence_of) - in_double(ref.points[k]);
    const at::Tensor shares = sums.gradients[k] * difference.unsqueeze(-1);
    const at::Tensor own = shares.flatten(1, -2).sum(1);
    result.values.push_back(shares.unflatten(0, {n, r}).mean(1));
    total = total + own;
    if (by_layer) {
      result.deltas.push_back((own - change).unflatten(0, {n, r}));
    }
  }
  if (!by_layer) {
    result.deltas.push_back((total - change).unflatten(0, {n, r}));
  }
  return result;
}

}  // namespace

PathResult path_gradients(const Graph& graph, Constants& constants, const Sequences& sequences,
                          const References& references, const PathOptions& options) {
  const GradientOptions& own = options.gradients;
  check_batch(graph, constants, sequences, own.batch_size);
  const int64_t r = references.count;
  const int64_t nodes =
      options.random_points ? 1 : static_cast<int64_t>(options.quadrature.nodes.size());
  // Whole sequences with all their pairs, so that sums do not depend on the threads.
  const int64_t size = std::max<int64_t>(1, own.batch_size / (r * nodes));
  const int64_t chunks = (sequences.count + size - 1) / size;
  const PathInputs inputs{graph, options, r};
  Sequences at_references = sequences;
  if (own.args && !options.reference_args.empty()) {
    at_references.args = options.reference_args;
  }
  std::vector<PathResult> parts(chunks);
  Batches batches(constants.device(), batches_of(own));
  const Chunk work = [&](int64_t chunk, const std::atomic<bool>& cancelled) {
    const GradientEvaluator evaluator(graph, constants, own, batches, cancelled);
    const int64_t begin = chunk * size;
    const int64_t end = std::min(begin + size, sequences.count);
    parts[chunk] = run_chunk(inputs, evaluator, to_compute(sequences.X(begin, end), constants),
                             to_compute(references.get(begin, end, 0, r), constants),
                             arg_rows(sequences, constants, begin, end),
                             arg_rows(at_references, constants, begin, end),
                             positions(options, begin, end, r));
  };
  const int64_t rows = std::min(size * r * nodes, own.batch_size);
  run_chunks(chunks_of(chunks, graph, passes * rows, sequences.X(0, 1).size(2)), work,
             work_on(constants.device(), own.work));
  PathResult result;
  result.values = join_rows(parts, &PathResult::values);
  result.deltas = join_rows(parts, &PathResult::deltas);
  result.predictions = join_rows(parts, &PathResult::predictions);
  result.reference_predictions = join_rows(parts, &PathResult::reference_predictions);
  return result;
}

}  // namespace seqlift
