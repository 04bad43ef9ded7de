// Predictions, and how the methods get their input.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "core/halves/constants.h"
#include "core/halves/halves.h"
#include "core/model/graph.h"
#include "core/numeric/work.h"

namespace seqlift {

constexpr int64_t bases = 4;  // the channels that are letters come first

// Sequences arrive batch by batch, so that large sets can stay one byte a base on the caller's
// side.
struct Sequences {
  int64_t count = 0;
  // Sequences begin .. end - 1 as [end - begin, channels, length], one-hot, on the CPU.
  std::function<at::Tensor(int64_t begin, int64_t end)> X;
  std::vector<at::Tensor> args;  // further inputs of the model, first dimension `count`
};

struct References {
  int64_t count = 0;  // references of each sequence
  // References j_begin .. j_end - 1 of sequences i_begin .. i_end - 1, sequence by sequence:
  // [(i_end - i_begin) (j_end - j_begin), channels, length].
  std::function<at::Tensor(int64_t i_begin, int64_t i_end, int64_t j_begin, int64_t j_end)> get;
};

struct PredictOptions {
  int64_t batch_size = 32;  // sequences at a time
  WorkOptions work;
};

// One tensor per output of the graph, first dimension the sequences, on the CPU.
// Errors: as evaluate() and check_batch(), kind "length" also where no output holds a number; kind
// "output" where an output is not one row per sequence.
std::vector<at::Tensor> predict(const Graph& graph, Constants& constants,
                                const Sequences& sequences, const PredictOptions& options);

// How many of `batch_size` sequences go through the model together: on the CPU not more than a
// core's cache holds the activations of, by the number of positions, unless the weights are so
// large that reading them takes longer.
int64_t rows_at_once(int64_t batch_size, int64_t length, const Graph& graph,
                     const Constants& constants);

// One batch: X [n, C, L] in the dtype and on the device of the call.
std::vector<at::Tensor> predict_rows(const Graph& graph, Constants& constants, const at::Tensor& X,
                                     const std::vector<Value>& args,
                                     const std::atomic<bool>& cancelled);

// Rows begin .. end - 1 of the model's further inputs, in the dtype and on the device of the call.
std::vector<at::Tensor> arg_rows(const Sequences& sequences, Constants& constants, int64_t begin,
                                 int64_t end);
std::vector<Value> batch_of_args(const Sequences& sequences, Constants& constants, int64_t begin,
                                 int64_t end);
// Tensors as the values of a batch.
std::vector<Value> values_of(const std::vector<at::Tensor>& tensors);
// A one-hot batch in the dtype and on the device of the call.
at::Tensor to_compute(const at::Tensor& X, const Constants& constants);

}  // namespace seqlift
