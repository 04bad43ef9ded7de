// The methods of the DeepLIFT package on sequence-reference pairs: Rescale, RevealCancel and the
// genomics default, with the multipliers of positive and of negative differences apart. See
// reveal_cancel.h for the rules. (DeepLIFT/SHAP in deep_lift_shap.h is Rescale, faster.)
#pragma once

#include "core/evaluate/reveal_cancel.h"
#include "core/methods/deep_lift_shap.h"

namespace seqlift {

struct DeepLiftOptions {
  enum class Output {
    attributions,          // mean over references of the contributions: [n, ...]
    contributions,         // multipliers x difference, part by part: [n, references, ...]
    multipliers,           // of the difference's sign, the mean of both where it is zero
    positive_multipliers,  // of a positive difference
    negative_multipliers   // of a negative difference
  };
  Output output = Output::contributions;              // see above
  NonlinearRule rule = NonlinearRule::reveal_cancel;  // of all that is not linear
  std::vector<int64_t> targets{0};                    // columns of the model's output, from 0
  bool mean_normalise = false;  // explain a column less the mean of all columns
  int64_t batch_size = 32;      // sequence-reference pairs at a time
  WorkOptions work;
};

// values [n, references, 4, L, targets] (attributions without the references), or layers with the
// shape of each module's output in place of 4, L; the rest as there. A unit inside the model has
// differences of both signs at once, whose multipliers are not one number: Output::multipliers is
// for the sequences alone. Errors: as deep_lift_shap(); kind "layer" as Layers.
DeepLiftShapResult deep_lift(const Graph& graph, Constants& constants, const Sequences& sequences,
                             const References& references, const DeepLiftOptions& options);

}  // namespace seqlift
