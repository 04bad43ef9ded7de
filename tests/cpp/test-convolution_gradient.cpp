// Gradients of convolutions in single precision, of every shape that oneDNN was found wrong in and
// others.
#include "catch.h"
#include "core/numeric/convolution_gradient.h"
#include "core/numeric/tensor_functions.h"
#include "inputs.h"
#include "nets.h"

using namespace nets;
using seqlift::convolution_input_gradient;
using seqlift::ConvolutionShape;

TEST_CASE("gradients of convolutions in float are those in double, whoever computes them",
          "[convolution_gradient]") {
  int compared = 0;
  for (const int64_t channels : {4, 12, 16}) {
    for (const int64_t groups : {int64_t{1}, int64_t{4}, channels}) {
      for (const int64_t kernel : {1, 2, 3}) {
        for (const int64_t stride : {1, 2}) {
          for (const int64_t dilation : {1, 3}) {
            for (const bool transposed : {false, true}) {
              for (const bool last : {false, true}) {
                constexpr int64_t length = 9;
                ConvolutionShape shape{{1, stride}, {0, 1}, {1, dilation},
                                       transposed,  {0, 0}, groups};
                const int64_t reach = dilation * (kernel - 1) + 1;
                if (length + 2 < reach) {
                  continue;
                }
                const int64_t made = transposed ? (length - 1) * stride - 2 + reach
                                                : (length + 2 - reach) / stride + 1;
                if (made < 1) {
                  continue;
                }
                const at::Tensor weight = numbers({channels, channels / groups, 1, kernel}, 1);
                const at::Tensor grad = numbers({2, channels, 1, made}, 2);
                const auto in_float = [&](const at::Tensor& all) {
                  return all.to(at::kFloat)
                      .contiguous(last ? at::MemoryFormat::ChannelsLast
                                       : at::MemoryFormat::Contiguous);
                };
                const std::vector<int64_t> sizes{2, channels, 1, length};
                INFO(channels << " channels, " << groups << " groups, kernel " << kernel
                              << ", stride " << stride << ", dilation " << dilation
                              << ", transposed " << transposed << ", last " << last);
                const at::Tensor found =
                    convolution_input_gradient(in_float(grad), sizes, in_float(weight), shape);
                const at::Tensor exact = convolution_input_gradient(grad, sizes, weight, shape);
                CHECK(found.scalar_type() == at::kFloat);
                CHECK(distance(found.to(at::kDouble), exact) < 2e-5);
                ++compared;
              }
            }
          }
        }
      }
    }
  }
  CHECK(compared > 300);
}

TEST_CASE("the gradient of a convolution is that of its sum", "[convolution_gradient]") {
  // y_p = 2 x_p + 3 x_{p + 1}
  const at::Tensor weight = at::tensor({2.0, 3.0}).view({1, 1, 2});
  const at::Tensor grad = at::tensor({1.0, 10.0}).view({1, 1, 2});
  const at::Tensor expected = at::tensor({2.0, 23.0, 30.0}).view({1, 1, 3});
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor found = convolution_input_gradient(grad.to(type), {1, 1, 3}, weight.to(type),
                                                        {{1}, {0}, {1}, false, {}, 1});
    CHECK(distance(found.to(at::kDouble), expected.to(at::kDouble)) < 1e-6);
  }
}
