#include "core/halves/derivatives.h"

#include <ATen/ScalarOps.h>
#include <ATen/core/grad_mode.h>

#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace derivatives {

// [n, g, C / g, ...] with the two dimensions of the channels changed about.
Stack channel_shuffle(const Stack& stack) {
  const at::Tensor x = stack[0].toTensor();
  const int64_t groups = stack[1].toInt();
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes[1] = groups;
  sizes.insert(sizes.begin() + 2, x.size(1) / groups);
  return {x.reshape(sizes).transpose(1, 2).reshape(x.sizes())};
}

Stack aminmax(const Stack& stack) {
  const at::Tensor x = stack[0].toTensor();
  std::vector<int64_t> dims;
  if (!stack[1].isNone()) {
    dims.push_back(stack[1].toInt());
  }
  const bool keep = stack[2].toBool();
  return {x.amin(dims, keep), x.amax(dims, keep)};
}

// Steps: flat wherever they have a slope.
Stack floor_divide(const Stack& stack) {
  const at::NoGradGuard guard;
  const at::Tensor x = stack[0].toTensor();
  return {stack[1].isTensor() ? x.div(stack[1].toTensor(), "floor")
                              : x.div(stack[1].toScalar(), "floor")};
}

Stack heaviside(const Stack& stack) {
  const at::NoGradGuard guard;
  const at::Tensor x = stack[0].toTensor();
  const at::Tensor middle = stack[1].toTensor();
  return {at::where(x == 0, middle, (x > 0).to(x.scalar_type()))};
}

// LibTorch's gradient of a tensor that does not lie in order is put into it in the order of memory.
Stack masked_select(const Stack& stack) {
  const std::vector<at::Tensor> both =
      at::broadcast_tensors({stack[0].toTensor(), stack[1].toTensor()});
  return {both[0].contiguous().masked_select(both[1].contiguous())};
}

// LibTorch's own derivative views the incoming gradient, which fails where it lies in another
// order.
Stack conv_tbc(const Stack& stack) {
  const at::Tensor x = stack[0].toTensor().permute({1, 2, 0});
  const at::Tensor weight = stack[1].toTensor().permute({2, 1, 0});
  return {at::conv1d(x, weight, stack[2].toTensor(), {1}, {stack[3].toInt()}).permute({2, 0, 1})};
}

// LibTorch's gradient of it takes an input that lies in order alone.
Stack nll_loss(const Stack& stack) {
  const auto weight = stack[2].isNone() ? c10::optional<at::Tensor>() : stack[2].toTensor();
  return {at::nll_loss_nd(stack[0].toTensor().contiguous(), stack[1].toTensor(), weight,
                          stack[3].toInt(), stack[4].toInt())};
}

// Newer ones have no derivative where the first of the two is a number by itself.
Stack remainder(const Stack& stack) {
  if (stack[0].isTensor() && !stack[1].isTensor()) {
    return {stack[0].toTensor().remainder(stack[1].toScalar())};
  }
  const at::Tensor x = stack[0].isTensor() ? stack[0].toTensor()
                                           : at::native::wrapped_scalar_tensor(stack[0].toScalar());
  return {x.remainder(stack[1].toTensor())};
}

}  // namespace derivatives
}  // namespace seqlift
