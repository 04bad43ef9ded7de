#include "core/numeric/convolution_gradient.h"

#include <ATen/core/grad_mode.h>

#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// As LibTorch computes it. Only sizes and layout of the input are looked at, never its memory.
at::Tensor as_given(const at::Tensor& grad, const std::vector<int64_t>& sizes,
                    const at::Tensor& weight, const ConvolutionShape& shape) {
  const at::Tensor input = at::empty(sizes, grad.options(), grad.suggest_memory_format());
  const std::vector<int64_t> none(shape.stride.size(), 0);
  const auto gradients = at::convolution_backward(
      grad, input, weight, at::OptionalIntArrayRef(), shape.stride, shape.padding, shape.dilation,
      shape.transposed, shape.output_padding.empty() ? none : shape.output_padding, shape.groups,
      {true, false, false});
  return std::get<0>(gradients);
}

// Numbers without a pattern, the same in every process.
at::Tensor some_numbers(const std::vector<int64_t>& sizes) {
  int64_t count = 1;
  for (const int64_t size : sizes) {
    count *= size;
  }
  return ((at::arange(count, at::kLong) * 37).remainder(101).to(at::kDouble) / 101 - 0.47)
      .view(sizes);
}

bool holds(int64_t channels, int64_t groups, int64_t dilation, int64_t stride, bool channels_last) {
  constexpr int64_t kernel = 3;
  constexpr int64_t outputs = 5;
  constexpr double rounding = 1e-4;
  const int64_t length = stride * (outputs - 1) + dilation * (kernel - 1) + 1;
  const at::Tensor weight = some_numbers({channels, channels / groups, 1, kernel});
  const at::Tensor grad = some_numbers({2, channels, 1, outputs});
  ConvolutionShape shape;
  shape.stride = {1, stride};
  shape.padding = {0, 0};
  shape.dilation = {1, dilation};
  shape.groups = groups;
  const std::vector<int64_t> sizes{2, channels, 1, length};
  const auto in_float = [&](const at::Tensor& numbers) {
    return numbers.to(at::kFloat)
        .contiguous(channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  };
  const at::Tensor found = as_given(in_float(grad), sizes, in_float(weight), shape);
  const at::Tensor expected = as_given(grad, sizes, weight, shape);
  // NaN is no small difference.
  return (found.to(at::kDouble) - expected).abs().le(rounding).all().item<bool>();
}

}  // namespace

bool float_convolution_gradients_hold() {
  static const bool all = [] {
    const at::NoGradGuard guard;
    for (const int64_t channels : {4, 12}) {
      for (const int64_t groups : {int64_t{1}, channels}) {
        for (const int64_t dilation : {1, 2}) {
          for (const int64_t stride : {1, 2}) {
            if (!holds(channels, groups, dilation, stride, false) ||
                !holds(channels, groups, dilation, stride, true)) {
              return false;
            }
          }
        }
      }
    }
    return true;
  }();
  return all;
}

at::Tensor convolution_input_gradient(const at::Tensor& grad, const std::vector<int64_t>& sizes,
                                      const at::Tensor& weight, const ConvolutionShape& shape) {
  const bool wrong =
      grad.scalar_type() == at::kFloat && grad.is_cpu() && !float_convolution_gradients_hold();
  if (!wrong) {
    return as_given(grad, sizes, weight, shape);
  }
  return as_given(grad.to(at::kDouble), sizes, weight.to(at::kDouble), shape).to(at::kFloat);
}

}  // namespace seqlift
