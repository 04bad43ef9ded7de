// Hand-vectorised passes over activations, and the tests whether they apply. Each has a slow twin
// made of ATen operations, which is its oracle in the tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>

#include "halves.h"

namespace seqlift {

// Whether the halves lie in memory so that one pass over both is possible.
bool relu_is_fast(const at::Tensor& x, const at::Tensor& ref, const BatchShape& batch);
// relu(ref) and (relu(x) - relu(ref)) / (x - ref), in the memory order of ref.
std::tuple<at::Tensor, at::Tensor> relu_rescale(const at::Tensor& x, const at::Tensor& ref,
                                                const BatchShape& batch);

}  // namespace seqlift
