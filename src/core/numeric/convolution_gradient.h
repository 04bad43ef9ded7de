// The gradient of convolutions in single precision, which LibTorch leaves to oneDNN. Some of its
// versions are wrong: that of Debian 13 (3.7, with LibTorch 2.6) takes the first tap of a kernel
// alone where there are few channels or each has its own, on processors with AVX-512.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace seqlift {

// Whether it was right for small convolutions of the kinds that were found wrong, tried once a
// process.
bool float_convolution_gradients_hold();

struct ConvolutionShape {
  std::vector<int64_t> stride, padding, dilation;
  bool transposed = false;
  std::vector<int64_t> output_padding;  // of transposed ones
  int64_t groups = 1;
};

// d output / d input for an input of these sizes that lies in memory as the gradient does; in
// double where single precision is wrong.
at::Tensor convolution_input_gradient(const at::Tensor& grad, const std::vector<int64_t>& sizes,
                                      const at::Tensor& weight, const ConvolutionShape& shape);

}  // namespace seqlift
