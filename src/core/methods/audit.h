// What each operation of a model is, where it stands, which rule it gets, and what it adds to the
// convergence delta.
#pragma once

#include <vector>

#include "core/methods/deep_lift_shap.h"

namespace seqlift {

struct AuditResult {
  std::vector<Step> steps;  // in the order of evaluation
  // [n, references]: convergence deltas of the target; undefined where the model does not return
  // one row of targets a sequence.
  at::Tensor deltas;
  at::Tensor changes;  // [n, references]: f(x) - f(ref)
};

// The operations that X reaches on the way to the graph's output; nothing is refused, what has no
// rule gets its ordinary gradient. The given sequences and references are evaluated in one batch,
// deltas are those of the first target.
AuditResult audit(const Graph& graph, Constants& constants, const Sequences& sequences,
                  const References& references, const DeepLiftShapOptions& options);

}  // namespace seqlift
