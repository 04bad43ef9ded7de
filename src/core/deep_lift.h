// The methods of the DeepLIFT package on sequence-reference pairs: Rescale, RevealCancel and the
// genomics default, with the multipliers of positive and of negative differences apart. See
// reveal_cancel.h for the rules. (DeepLIFT/SHAP in deep_lift_shap.h is Rescale, faster.)
#pragma once

#include "deep_lift_shap.h"
#include "reveal_cancel.h"

namespace seqlift {

struct DeepLiftOptions {
  enum class Output {
    multipliers,           // of the sign of each input's difference, the mean of both where it is 0
    positive_multipliers,  // of a positive difference
    negative_multipliers,  // of a negative difference
    contributions          // multipliers x (x - reference)
  };
  Output output = Output::contributions;
  NonlinearRule rule = NonlinearRule::reveal_cancel;
  std::vector<int64_t> targets{0};  // columns of the model's output, from 0
  bool mean_normalise = false;      // explain a column less the mean of all columns
  int64_t batch_size = 32;          // sequence-reference pairs at a time
  WorkOptions work;
};

// values [n, references, 4, L, targets]; the rest as there. Errors: as deep_lift_shap().
DeepLiftShapResult deep_lift(const Graph& graph, Constants& constants, const Sequences& sequences,
                             const References& references, const DeepLiftOptions& options);

}  // namespace seqlift
