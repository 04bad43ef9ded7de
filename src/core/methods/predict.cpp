#include "core/methods/predict.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/evaluate/evaluate.h"
#include "core/methods/batch_check.h"
#include "core/methods/chunks.h"
#include "core/model/graph_outputs.h"
#include "core/numeric/device.h"
#include "core/numeric/shape_text.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

int64_t rows_at_once(int64_t batch_size, int64_t length, const Graph& graph,
                     const Constants& constants) {
  constexpr int64_t positions = 1 << 14;
  constexpr int64_t many_weights = 10000000;
  if (!constants.device().is_cpu() || (graph.model && graph.model->parameters > many_weights)) {
    return batch_size;
  }
  return std::clamp<int64_t>(positions / std::max<int64_t>(length, 1), 1, batch_size);
}

at::Tensor to_compute(const at::Tensor& X, const Constants& constants) {
  return X.to(constants.device(), constants.compute());
}

std::vector<at::Tensor> arg_rows(const Sequences& sequences, Constants& constants, int64_t begin,
                                 int64_t end) {
  std::vector<at::Tensor> all;
  for (const at::Tensor& arg : sequences.args) {
    const at::Tensor rows = arg.narrow(0, begin, end - begin);
    all.push_back(at::isFloatingType(rows.scalar_type()) ? to_compute(rows, constants)
                                                         : rows.to(constants.device()));
  }
  return all;
}

std::vector<Value> batch_of_args(const Sequences& sequences, Constants& constants, int64_t begin,
                                 int64_t end) {
  return values_of(arg_rows(sequences, constants, begin, end));
}

std::vector<Value> values_of(const std::vector<at::Tensor>& tensors) {
  std::vector<Value> values(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    values[i].x = tensors[i];
  }
  return values;
}

namespace {

// Numbers as R knows them.
at::Tensor plain_output(const at::Tensor& output) {
  if (output.is_complex()) {
    throw Error("output",
                "The model's output is complex. Return its real numbers: torch.view_as_real(y) for "
                "both parts, y.real, or y.abs().");
  }
  const at::Tensor numbers = output.is_quantized() ? output.dequantize() : output;
  return (numbers.layout() == at::kStrided ? numbers : numbers.to_dense()).detach().cpu();
}

std::vector<at::Tensor> run_batch(const Graph& graph, Constants& constants, const at::Tensor& X,
                                  const std::vector<Value>& args,
                                  const std::atomic<bool>& cancelled) {
  EvaluateOptions options;
  options.cancelled = &cancelled;
  std::vector<Value> inputs(1);
  // A copy: a model may write into its input.
  inputs[0].x = X.clone();
  inputs.insert(inputs.end(), args.begin(), args.end());
  std::vector<at::Tensor> outputs;
  for (const Value& value : evaluate(graph, constants, inputs, options)) {
    if (!value.x.isTensor()) {
      refuse_output(value.x);
    }
    outputs.push_back(plain_output(value.x.toTensor()));
  }
  return outputs;
}

}  // namespace

// Every output must have a row for each sequence. A model that treats a single one specially (it
// squeezes, and loses the row) is asked about two.
std::vector<at::Tensor> predict_rows(const Graph& graph, Constants& constants, const at::Tensor& X,
                                     const std::vector<Value>& args,
                                     const std::atomic<bool>& cancelled) {
  const int64_t rows = X.size(0);
  const bool special = rows == 1 && graph.findings->alone_differs;
  std::vector<at::Tensor> outputs;
  if (!special) {
    outputs = run_batch(graph, constants, X, args, cancelled);
  }
  const auto has_rows = [&](const at::Tensor& output) {
    return output.dim() > 0 && output.size(0) == rows;
  };
  if (special || (rows == 1 && !std::all_of(outputs.begin(), outputs.end(), has_rows))) {
    std::vector<Value> args_twice = args;
    for (Value& arg : args_twice) {
      arg.x = twice(arg.x.toTensor());
    }
    outputs = run_batch(graph, constants, twice(X), args_twice, cancelled);
    for (at::Tensor& output : outputs) {
      output = output.dim() > 0 && output.size(0) == 2 ? output.narrow(0, 0, 1) : output;
    }
  }
  for (const at::Tensor& output : outputs) {
    if (!has_rows(output)) {
      throw Error("output", "The model's output is not one row per sequence: for " +
                                std::to_string(rows) + " sequences it returns " +
                                shape_text(output) + ".");
    }
  }
  const auto is_empty = [](const at::Tensor& output) { return output.numel() == 0; };
  if (std::all_of(outputs.begin(), outputs.end(), is_empty)) {
    throw Error("length", "`X` is too short for the model. Its output holds no number: " +
                              shape_text(outputs[0][0]) + " per sequence.");
  }
  return outputs;
}

std::vector<at::Tensor> predict(const Graph& graph, Constants& constants,
                                const Sequences& sequences, const PredictOptions& options) {
  if (sequences.count == 0) {
    return {};
  }
  check_batch(graph, constants, sequences, options.batch_size);
  const int64_t length = sequences.X(0, 1).size(2);
  const bool joint = constants.conduct().joint;
  const int64_t together =
      joint ? options.batch_size : rows_at_once(options.batch_size, length, graph, constants);
  // Each `batch_size` sequences are cut alike, wherever they stand: a call on a part of the
  // sequences that is whole batches (BPPARAM in R) gives the same bits.
  std::vector<int64_t> starts;
  for (int64_t batch = 0; batch < sequences.count; batch += options.batch_size) {
    const int64_t end = std::min(batch + options.batch_size, sequences.count);
    for (int64_t first = batch; first < end; first += together) {
      starts.push_back(first);
    }
  }
  const auto chunks = static_cast<int64_t>(starts.size());
  starts.push_back(sequences.count);
  BatchOptions batch_options;
  batch_options.most = together;
  batch_options.least = joint ? together : 1;
  Batches batches(constants.device(), batch_options);
  std::vector<std::vector<at::Tensor>> parts(chunks);
  const Chunk work = [&](int64_t chunk, const std::atomic<bool>& cancelled) {
    const at::NoGradGuard guard;
    std::vector<std::vector<at::Tensor>> batched;
    batches.run(starts[chunk], starts[chunk + 1], [&](int64_t begin, int64_t end) {
      const at::Tensor X = to_compute(sequences.X(begin, end), constants);
      const std::vector<Value> args = batch_of_args(sequences, constants, begin, end);
      batched.push_back(predict_rows(graph, constants, X, args, cancelled));
    });
    parts[chunk] = batched.size() == 1 ? batched[0] : join_rows(batched);
  };
  const int64_t rows = std::min(together, sequences.count);
  run_chunks(chunks_of(chunks, graph, rows, length), work,
             work_on(constants.device(), options.work));
  return join_rows(parts);
}

}  // namespace seqlift
