// DeepLIFT/SHAP (Shrikumar 2017; Lundberg 2017): multipliers that share out the difference of a
// prediction between a sequence and each of its references.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/evaluate/units.h"
#include "core/methods/predict.h"

namespace seqlift {

struct DeepLiftShapOptions {
  enum class Output {
    attributions,  // hypothetical scores of the letters that are there: [n, 4, L]
    hypothetical,  // mean over references of m - sum_c(ref_c m_c): [n, 4, L]
    multipliers,   // [n, references, 4, L]
    contributions  // multipliers x (X - reference): [n, references, 4, L]
  };
  Output output = Output::attributions;  // which of these
  std::vector<int64_t> targets{0};       // columns of the model's output, from 0
  // The targets are the positions of a profile (PISA): of an output [n, strands, K] those of the
  // first strand come first, and their dimension stands before those of the sequence.
  bool profile = false;
  bool mean_normalise = false;  // explain a column less the mean of all columns
  // Of the means over references (attributions, hypothetical); takes two references at least.
  bool standard_errors = false;
  int64_t batch_size = 32;  // sequence-reference pairs at a time
  // The peers' rules (one batch of sequences and references, module classes overridden) instead of
  // the operation table's.
  bool module_mode = false;
  Registrations registrations;  // modules that are units of a rule of their own
  // Operations without a rule get the path integral of their gradient (operator mode).
  bool integrate = false;
  // Where values and standard errors come to lie, asked for on the calling thread before work
  // starts; empty: LibTorch's memory. Not for layers.
  std::function<at::Tensor(const std::vector<int64_t>& sizes)> space;
  WorkOptions work;
};

struct DeepLiftShapResult {
  at::Tensor values;  // float64, as Output says, with a last dimension for the targets ([n,
                      // targets, 4, L] and [n, references, targets, 4, L] for a profile)
  at::Tensor standard_errors;  // sd over references / sqrt(references), shape of `values`, or none
  // In place of `values` where the graph has layers, one for each: mean over references of the
  // contributions m (layer(x) - layer(ref)) [n, ..., targets], or contributions or multipliers [n,
  // references, ..., targets]; there are no hypothetical scores. Their deltas are as below.
  std::vector<at::Tensor> layers;
  std::vector<at::Tensor> layer_deltas;
  at::Tensor deltas;       // [n, references, targets]: sum(m (x - ref)) - (f(x) - f(ref)), float64
  at::Tensor predictions;  // [n, targets], float64
  at::Tensor reference_predictions;  // [n, references, targets], float64
  std::set<std::string> integrated;  // the operations that were integrated, by name and place
};

// Errors: as evaluate(); kind "output" where the model does not return [n, targets]; "target" where
// there is no such column.
DeepLiftShapResult deep_lift_shap(const Graph& graph, Constants& constants,
                                  const Sequences& sequences, const References& references,
                                  const DeepLiftShapOptions& options);

// The projection m - sum_c(ref_c m_c) over the four bases, of [..., C, L] multipliers.
at::Tensor hypothetical_attributions(const at::Tensor& multipliers, const at::Tensor& references);

}  // namespace seqlift
