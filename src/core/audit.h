// What each operation of a model is, where it stands, and which rule it gets.
#pragma once

#include <vector>

#include "deep_lift_shap.h"

namespace seqlift {

// The operations that X reaches on the way to the graph's output, in the order of evaluation, with
// the rule that each would get; nothing is refused. The given sequences and references are
// evaluated in one batch.
std::vector<Step> audit(const Graph& graph, Constants& constants, const Sequences& sequences,
                        const References& references, const DeepLiftShapOptions& options);

}  // namespace seqlift
