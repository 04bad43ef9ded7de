// Gradients averaged on the straight line from a reference to a sequence, times the difference of
// the two: integrated gradients (Sundararajan 2017), which by the fundamental theorem of calculus
// sum to the change of the output, and expected gradients (Erion 2021), their estimate from one
// random point for each reference.
#pragma once

#include <vector>

#include "core/methods/deep_lift_shap.h"
#include "core/methods/gradients.h"
#include "core/numeric/quadrature.h"

namespace seqlift {

struct PathOptions {
  Quadrature quadrature;  // the points between the ends, and what each counts
  // Instead: one point for each pair, uniform on [0, 1); sequence i draws those of its references
  // from a stream of seed random_state + i.
  bool random_points = false;
  uint32_t random_state = 0;  // see above
  // The model's other inputs at the reference's end (with gradients.args): as Sequences::args.
  std::vector<at::Tensor> reference_args;
  GradientOptions gradients;
};

struct PathResult {
  // As GradientResult::values: means over the references of (x - reference) times the average
  // gradient. Where the graph has layers, the line is one between the layers' outputs.
  std::vector<at::Tensor> values;
  // [n, references, targets]: sum of a pair's attributions (over X and args) less f(x) -
  // f(reference); one for each layer where there are layers.
  std::vector<at::Tensor> deltas;
  at::Tensor predictions;            // [n, targets]
  at::Tensor reference_predictions;  // [n, references, targets]
};

// Errors: as gradients().
PathResult path_gradients(const Graph& graph, Constants& constants, const Sequences& sequences,
                          const References& references, const PathOptions& options);

}  // namespace seqlift
