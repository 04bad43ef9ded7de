// Convolutions: linear in their input, over every stride, padding, dilation and grouping, on ATen's
// path (float64) and on the channels-last path (float32).

#include <cmath>

#include "catch.h"
#include "core/evaluate/evaluate.h"
#include "core/halves/constants.h"
#include "core/numeric/tensor_functions.h"
#include "inputs.h"
#include "nets.h"

namespace nets {

std::vector<Case> convolution_cases() {
  const std::string square_image = "q = h[:, :, 0:8].reshape(h.size(0), 4, 2, 4)\n";
  const std::string cube = "q = h[:, :, 0:8].reshape(h.size(0), 4, 2, 2, 2)\n";
  const Tensors one{{"k", numbers({6, 2, 3}, 7)}, {"b", numbers({6}, 8)}};
  const Tensors two{{"k", numbers({3, 4, 2, 3}, 7)}, {"b", numbers({3}, 8)}};
  const Tensors three{{"k", numbers({3, 4, 2, 2, 1}, 7)}, {"b", numbers({3}, 8)}};
  return {
      {"conv1d", "y = torch.conv1d(h, self.k, self.b, [2], [1], [1], 2)", one},
      {"conv1d", "y = torch.conv1d(h, self.k, None, [1], 'same', [3], 2)", one},
      {"conv1d", "y = torch.conv1d(h, self.k[:, :, 0:2], self.b, [1], 'same', [1], 2)", one},
      {"conv1d", "y = torch.conv1d(h, self.k, self.b, [1], 'valid', [2], 2)", one},
      {"conv2d", square_image + "y = torch.conv2d(q, self.k, self.b, [1, 2], [1, 1])", two},
      {"conv2d", square_image + "y = torch.conv2d(q, self.k, self.b, [1, 1], 'same')", two},
      {"conv3d", cube + "y = torch.conv3d(q, self.k, self.b, padding=[1, 0, 0])", three},
      {"conv3d", cube + "y = torch.conv3d(q, self.k, self.b, padding='same')", three},
      {"conv_transpose1d",
       "y = torch.conv_transpose1d(h, self.k, None, [2], [1], [1], 1, [1])",
       {{"k", numbers({4, 3, 3}, 7)}}},
      {"conv_transpose1d",
       "y = torch.conv_transpose1d(h, self.k, self.b, [3], [0], [0], 2, [2])",
       {{"k", numbers({4, 3, 3}, 7)}, {"b", numbers({6}, 9)}}},
      {"conv_transpose2d",
       square_image + "y = torch.conv_transpose2d(q, self.k, None, [2, 1], [0, 1])",
       {{"k", numbers({4, 3, 2, 3}, 7)}}},
      {"conv_transpose3d",
       cube + "y = torch.conv_transpose3d(q, self.k)",
       {{"k", numbers({4, 2, 2, 1, 2}, 7)}}},
      {"_convolution",
       "y = torch._convolution(h, self.k, self.b, [1], [1], [1], False, [0], 2, False, False, "
       "True, True)",
       one},
      {"_convolution",
       "y = torch._convolution(h, self.k, None, [2], [1], [1], True, [1], 1, False, False, "
       "True, True)",
       {{"k", numbers({4, 3, 3}, 7)}}},
      {"convolution", "y = torch.convolution(h, self.k, self.b, [1], [1], [2], False, [0], 2)",
       one},
      {"_convolution_mode", "y = torch._convolution_mode(h, self.k, self.b, [1], 'same', [1], 2)",
       one},
  };
}

}  // namespace nets

using namespace nets;

namespace {

struct Shape {
  int kernel, stride, dilation, groups, out;
  std::string padding;
};

std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (const int kernel : {1, 2, 3, 5}) {
    for (const int stride : {1, 2, 3}) {
      for (const int dilation : {1, 2}) {
        for (const int groups : {1, 2, 4}) {
          for (const char* padding : {"[0]", "[2]", "'same'", "'valid'"}) {
            if (padding[1] == 's' && stride > 1) {
              continue;  // PyTorch itself allows "same" for a stride of 1 alone
            }
            all.push_back({kernel, stride, dilation, groups, 4, padding});
          }
        }
      }
    }
  }
  return all;
}

std::string call_of(const Shape& shape, const std::string& input) {
  return "torch.conv1d(" + input + ", self.k, self.b, [" + std::to_string(shape.stride) + "], " +
         shape.padding + ", [" + std::to_string(shape.dilation) + "], " +
         std::to_string(shape.groups) + ")";
}

Tensors weights_of(const Shape& shape, int64_t in) {
  return {{"k", numbers({shape.out, in / shape.groups, shape.kernel}, shape.kernel)},
          {"b", numbers({shape.out}, 3)}};
}

}  // namespace

TEST_CASE("every kind of convolution keeps summation to delta", "[rules]") {
  check_cases(convolution_cases());
}

TEST_CASE("convolutions of every kernel, stride, dilation, grouping and padding are exact",
          "[rules]") {
  const Given pairs = given(2, 3, 13);
  for (const Shape& shape : shapes()) {
    check_case({"conv1d", "y = " + call_of(shape, "h"), weights_of(shape, 4)}, pairs);
  }
}

TEST_CASE("transposed convolutions of every stride, padding and dilation are exact", "[rules]") {
  const Given pairs = given(2, 3, 7);
  for (const int kernel : {1, 2, 4}) {
    for (const int stride : {1, 2, 3}) {
      for (const int padding : {0, 1}) {
        for (const int dilation : {1, 3}) {
          for (const int groups : {1, 2}) {
            if (padding >= kernel) {
              continue;
            }
            const auto text = [](int number) { return std::to_string(number); };
            const std::string lines = "y = torch.conv_transpose1d(h, self.k, None, [" +
                                      text(stride) + "], [" + text(padding) + "], [" +
                                      text(stride > 1 ? 1 : 0) + "], " + text(groups) + ", [" +
                                      text(dilation) + "])";
            check_case({"conv_transpose1d", lines, {{"k", numbers({4, 2, kernel}, 5)}}}, pairs);
          }
        }
      }
    }
  }
}

// The channels-last path, its input gradient by taps (few channels) or by oneDNN (many), against
// the same net in float64 on ATen's own path.
TEST_CASE("float convolutions equal ATen's in float64 to rounding", "[kernels]") {
  const Given pairs = given(2, 3, 13);
  for (const Shape& shape : shapes()) {
    // Each kernel, stride, dilation, grouping and padding comes with few channels and with many.
    const auto sum = static_cast<size_t>(shape.kernel + shape.stride + shape.dilation);
    const int64_t channels = (sum + shape.padding.size()) % 2 == 0 ? 4 : 12;
    INFO(call_of(shape, "h") << ", " << channels << " channels");
    Tensors parameters = weights_of(shape, channels);
    parameters.emplace_back("up", numbers({channels, 4, 1}, 11));
    const auto net =
        around_x("u = torch.conv1d(h, self.up)\ny = " + call_of(shape, channels == 4 ? "h" : "u"),
                 parameters);
    Settings in_float;
    in_float.dtype = at::kFloat;
    const Explained exact = explain(net, pairs);
    const Explained fast = explain(net, pairs, in_float);
    CHECK(at::equal(fast.values, fast.values.to(at::kFloat).to(at::kDouble)));
    CHECK(distance(fast.values, exact.values) <
          2e-6 * (1 + exact.values.abs().max().item<double>()));
    CHECK(distance(fast.predictions, exact.predictions) < 2e-5);
    CHECK(worst_delta(fast) < 2e-5);
  }
}

// Padding wider than oneDNN's direct kernels take is written beside the input on some processors:
// the net of the same weights in float64 pads in ATen's own way.
TEST_CASE("wide paddings give in float what they give in float64", "[kernels]") {
  const Given pairs = given(2, 3, 40);
  struct {
    const char* lines;
    std::vector<int64_t> kernel;
  } const rows[] = {
      {"y = torch.conv1d(u, self.k, self.b, [1], [3])", {6, 12, 7}},
      {"y = torch.conv1d(u, self.k, self.b, [1], [4])", {6, 12, 9}},
      {"y = torch.conv1d(u, self.k, self.b, [1], [8], [8])", {12, 12, 3}},
      {"y = torch.conv1d(u, self.k, None, [1], [16], [16])", {12, 12, 3}},
      {"y = torch.conv1d(u, self.k, self.b, [1], 'same')", {1, 12, 25}},
      {"y = torch.conv1d(u, self.k, self.b, [1], 'same', [3])", {6, 12, 4}},
      {"y = torch.conv1d(u, self.k, self.b, [2], [5])", {6, 12, 8}},
      {"y = torch.conv1d(u, self.k, self.b, [3], [9], [2])", {6, 12, 5}},
      {"y = torch.conv1d(u, self.k, self.b, [1], [6], [2], 3)", {6, 4, 5}},
      {"y = torch.conv1d(u, self.k, self.b, [1], [45])",
       {6, 12, 3}},  // none but padding at the ends
      {"y = torch.conv1d(h, self.k, self.b, [1], [10])", {6, 4, 21}},
      {"q = u.reshape(u.size(0), 12, 4, 10)\n"
       "y = torch.conv2d(q, self.k, self.b, [1, 1], [1, 6], [1, 3])",
       {6, 12, 3, 5}},
      {"q = u.reshape(u.size(0), 12, 4, 10)\n"
       "y = torch.conv2d(q, self.k, self.b, [2, 2], [5, 4])",
       {6, 12, 4, 3}},
  };
  for (const auto& row : rows) {
    INFO(row.lines);
    const auto net = around_x("u = torch.conv1d(h, self.up)\n" + std::string(row.lines),
                              {{"up", numbers({12, 4, 1}, 11)},
                               {"k", numbers(row.kernel, 5)},
                               {"b", numbers({row.kernel[0]}, 3)}});
    Settings in_float;
    in_float.dtype = at::kFloat;
    const Explained exact = explain(net, pairs);
    const Explained fast = explain(net, pairs, in_float);
    CHECK(worst_delta(exact) < 1e-10);
    CHECK(distance(fast.values, exact.values) <
          2e-6 * (1 + exact.values.abs().max().item<double>()));
    CHECK(distance(fast.predictions, exact.predictions) <
          2e-6 * (1 + exact.predictions.abs().max().item<double>()));
  }
}

// The neighbours by which a model is tried hold no number: what is left out of the convolution must
// be what it would have given, padding that no number reaches included.
TEST_CASE("rows without numbers give what ATen gives, and the others what they give alone",
          "[kernels]") {
  const at::Tensor weight = numbers({6, 4, 5}, 1).to(at::kFloat);
  const at::Tensor bias = numbers({6}, 2).to(at::kFloat);
  struct {
    int64_t stride, padding, dilation;
  } const rows[] = {{1, 0, 1}, {1, 2, 1}, {1, 7, 1}, {3, 4, 1}, {1, 4, 2}, {1, 8, 3}, {1, 9, 2}};
  for (const auto& row : rows) {
    const std::string code = "return torch.conv1d(x, self.w, self.b, [" +
                             std::to_string(row.stride) + "], [" + std::to_string(row.padding) +
                             "], [" + std::to_string(row.dilation) + "])\n";
    INFO(code);
    const auto graph = graph_of(forward(code, {{"w", weight}, {"b", bias}}));
    seqlift::Constants constants(at::kFloat, at::kFloat, at::Device(at::kCPU));
    for (const int64_t without : {0, 1, 2}) {
      at::Tensor X = numbers({3, 4, 23}, 3).to(at::kFloat);
      X[without].fill_(std::nan(""));
      seqlift::Value input;
      input.x = X;
      const at::Tensor found =
          seqlift::evaluate(*graph, constants, {input}, seqlift::EvaluateOptions())[0].x.toTensor();
      const at::Tensor expected =
          at::conv1d(X, weight, bias, {row.stride}, {row.padding}, {row.dilation});
      CHECK(at::equal(found.isnan(), expected.isnan()));
      CHECK(distance(found.nan_to_num(0), expected.nan_to_num(0)) < 1e-5);
    }
  }
}

TEST_CASE("float convolutions over two dimensions equal ATen's in float64 to rounding",
          "[kernels]") {
  const Given pairs = given(2, 3, 12);
  for (const char* call :
       {"torch.conv2d(q, self.k, self.b)", "torch.conv2d(q, self.k, self.b, [2, 1], [1, 1])",
        "torch.conv2d(q, self.k, self.b, [1, 1], 'same')",
        "torch.conv2d(q, self.k, self.b, [1, 2], [0, 2], [2, 1])"}) {
    INFO(call);
    const auto net = around_x("q = h.reshape(h.size(0), 4, 3, 4)\ny = " + std::string(call),
                              {{"k", numbers({5, 4, 2, 2}, 1)}, {"b", numbers({5}, 2)}});
    Settings in_float;
    in_float.dtype = at::kFloat;
    const Explained exact = explain(net, pairs);
    const Explained fast = explain(net, pairs, in_float);
    CHECK(distance(fast.values, exact.values) < 1e-5);
    CHECK(worst_delta(fast) < 2e-5);
  }
}

TEST_CASE("a convolution whose weights depend on X shares its change with them", "[rules]") {
  // y = x1 w x2 as a convolution of one position: the product of 2 and 3 against 1 and 1 changes by
  // 5, shared as (3 + 1) / 2 for x1 and (2 + 1) / 2 for x2.
  const auto net = forward(
      "a = x[:, 0, 0:1].reshape(1, -1, 1)\n"
      "k = x[:, 0, 1:2].reshape(-1, 1, 1)\n"
      "return torch.conv1d(a, k, None, [1], [0], [1], x.size(0)).reshape(-1, 1)");
  CHECK(multipliers_by_hand(net, {2, 3}, {1, 1}) == std::vector<double>{2, 1.5});
}
