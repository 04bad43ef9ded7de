// Rules on halves that are made of those in halves.h and that other rules are made of.
#pragma once

#include "halves.h"

namespace seqlift {

// The exact softmax of rules_softmax.cpp. What is masked with -Inf on both halves gets zero.
Halves softmax(const Halves& input, int64_t dim, const BatchShape& batch);
// Over the last `dims` dimensions (rules_normalisation.cpp). Weight and bias may be undefined.
Halves layer_norm(const Halves& input, int64_t dims, const at::Tensor& weight,
                  const at::Tensor& bias, double eps, const BatchShape& batch);

}  // namespace seqlift
