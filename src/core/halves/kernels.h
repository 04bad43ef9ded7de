// Hand-vectorised passes over activations, and the tests whether they apply. Each has a slow twin
// made of ATen operations, which is its oracle in the tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>
#include <vector>

#include "core/halves/halves.h"

namespace seqlift {

// Whether the halves are real numbers and lie in memory so that one pass over both is possible.
bool lie_alike(const at::Tensor& x, const at::Tensor& ref, const BatchShape& batch);
// (x + ref) / 2 in the shape of ref, in one pass where they lie alike.
at::Tensor halfway(const at::Tensor& x, const at::Tensor& ref, const BatchShape& batch);
// relu(ref) and (relu(x) - relu(ref)) / (x - ref), in the memory order of ref.
std::tuple<at::Tensor, at::Tensor> relu_rescale(const at::Tensor& x, const at::Tensor& ref,
                                                const BatchShape& batch);

// x W^T for x [..., in] and W [out, in], by oneDNN where there is one: it knows every processor,
// OpenBLAS takes its slowest kernel on one that is newer than it. Without gradients.
at::Tensor times_weights(const at::Tensor& x, const at::Tensor& weight);

// Max-pooling along the last dimension with the rule of rules/max.cpp, in channels-last memory:
// [n, C, L], or [n, C, H, W] with windows of height one.
struct Pooling {
  std::vector<int64_t> kernel, stride, padding, dilation;
  bool ceil = false;
};
bool pooling_is_fast(const Pooling& pooling, const at::Tensor& x, const at::Tensor& ref);
Halves pool_with_credit(const Pooling& pooling, const Halves& input, const BatchShape& batch);

}  // namespace seqlift
