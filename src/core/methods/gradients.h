// Ordinary gradients of a model's output: with respect to the sequences, to its other inputs or to
// the outputs of inner modules; as they are, or averaged over noisy copies (SmoothGrad, Smilkov
// 2017). At a relu the gradient may be that of guided backpropagation or of a deconvolution net.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/methods/predict.h"
#include "core/numeric/device.h"

namespace seqlift {

struct GradientOptions {
  // What passes back through aten::relu: the gradient where the input is positive; that where it is
  // positive itself (guided backpropagation, Springenberg 2015); or the positive gradient wherever
  // it is (deconvolution, Zeiler 2014).
  enum class Relu { ordinary, guided, deconvolution };
  Relu relu = Relu::ordinary;       // which of these
  std::vector<int64_t> targets{0};  // columns of the model's output, from 0; none: all of them
  bool mean_normalise = false;      // explain a column less the mean of all columns
  bool args = false;                // explain the model's other floating-point inputs too
  bool times_input = false;         // gradient times what it was taken with respect to
  // The gradients of the four bases less their mean at each position (Majdandzic 2023): what of
  // them lies on the simplex of one-hot columns, where all sequences are.
  bool simplex = false;
  int64_t batch_size = 32;  // sequences (or points on a path) at a time
  WorkOptions work;
};

struct GradientResult {
  // Of X [n, channels, length, targets], or where the graph has layers of each of these instead
  // [n, ..., targets]; then with `args` of each further input, undefined for whole numbers.
  // Float64.
  std::vector<at::Tensor> values;
  at::Tensor predictions;  // [n, targets], float64
};

// Errors: as evaluate(); kind "output", "target" as deep_lift_shap(); "layer" as Layers.
GradientResult gradients(const Graph& graph, Constants& constants, const Sequences& sequences,
                         const GradientOptions& options);

struct NoiseOptions {
  int64_t samples = 50;       // noisy copies of each sequence
  double sd = 0.1;            // of the normal noise on the four bases of every position
  uint32_t random_state = 0;  // sequence i draws from a stream of seed random_state + i
};

// The mean of the gradients at `samples` copies of each sequence with noise; `predictions` is the
// mean of theirs.
GradientResult smooth_gradients(const Graph& graph, Constants& constants,
                                const Sequences& sequences, const NoiseOptions& noise,
                                const GradientOptions& options);

// ---- what the methods on gradients share -----------------------------------------------

// Rows to evaluate.
struct GradientRows {
  at::Tensor X;                    // [rows, channels, length]
  std::vector<at::Tensor> args;    // of the model's other inputs
  std::vector<at::Tensor> layers;  // in place of the layers' own outputs, or none
  bool between = false;            // X lies between sequences (Letters)
};

// What came out, for the same rows: tensors that are explained (X or layers, then args).
struct RowGradients {
  std::vector<at::Tensor> points;     // [rows, ...]
  std::vector<at::Tensor> gradients;  // [rows, ..., targets]; none where not asked for
  at::Tensor f;                       // [rows, targets], float64
};

class GradientEvaluator {
 public:
  // `batches` of options.batch_size rows.
  GradientEvaluator(const Graph& graph, Constants& constants, const GradientOptions& options,
                    Batches& batches, const std::atomic<bool>& cancelled)
      : graph_(graph),
        constants_(constants),
        options_(options),
        batches_(batches),
        cancelled_(cancelled) {}

  RowGradients run(const GradientRows& rows, bool backward = true) const;
  // Forward alone, batch by batch; `f` on the CPU.
  RowGradients forward(const at::Tensor& X, const std::vector<at::Tensor>& args) const;
  // For each of `count` sequences, or pairs, with a point for each weight: the weighted sums over
  // its points, batch by batch. `rows` makes the points number `place` [rows] of the sequences or
  // pairs `which` [rows]. Float64.
  RowGradients sum(int64_t count, const at::Tensor& weights,
                   const std::function<GradientRows(const at::Tensor& which,
                                                    const at::Tensor& place)>& rows) const;

 private:
  RowGradients run_as_given(const GradientRows& rows, bool backward) const;

  const Graph& graph_;
  Constants& constants_;
  const GradientOptions& options_;
  Batches& batches_;
  const std::atomic<bool>& cancelled_;
};

// Those of a call.
BatchOptions batches_of(const GradientOptions& options);

}  // namespace seqlift
