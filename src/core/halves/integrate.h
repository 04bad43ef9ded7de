// The multiplier of an operation that has no rule: the path integral of its gradient.
#pragma once

#include <vector>

#include "core/halves/halves.h"

namespace seqlift {

// Several outputs of one function of several operands.
using MultiOutput = std::function<std::vector<at::Tensor>(const Operands&)>;

// The outputs on both halves; the multiplier of each operand is the mean of the gradient on the
// straight way from the reference to the sequence (integrated gradients, Sundararajan 2017), by
// Gauss and Legendre's rule. Without a number of nodes they are doubled until every pair's
// contributions sum to the change of the output.
std::vector<Halves> integrate(const OnHalves<MultiOutput>& function,
                              const std::vector<Halves>& operands, const BatchShape& batch,
                              int64_t nodes = 0);

}  // namespace seqlift
