// Convolutions by the Fourier transform against ATen's own in float64.

#include <cmath>
#include <limits>

#include "catch.h"
#include "core/halves/constants.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/transformed_convolution.h"
#include "nets.h"

using namespace nets;

namespace {

struct Layer {
  at::Tensor x;       // [rows, length, in]
  at::Tensor weight;  // [out, in, kernel]
  at::Tensor bias;
  seqlift::LineConvolution line;
};

Layer layer_of(int64_t rows, int64_t in, int64_t out, int64_t kernel, int64_t padding,
               int64_t length) {
  Layer layer;
  layer.x = numbers({rows, length, in}, 1).relu().to(at::kFloat);
  layer.weight = numbers({out, in, kernel}, 2).to(at::kFloat);
  layer.bias = numbers({out}, 3).to(at::kFloat);
  layer.line.in = in;
  layer.line.out = out;
  layer.line.kernel = kernel;
  layer.line.padding = padding;
  layer.line.rows = rows;
  layer.line.length = length;
  return layer;
}

at::Tensor by_transform(const Layer& layer, int64_t points) {
  return seqlift::transformed_convolution(
      layer.line, layer.x, seqlift::transformed_weights(layer.weight, points), layer.bias, points);
}

// In the number type of `like`, channels last.
at::Tensor directly(const Layer& layer, at::ScalarType type) {
  return at::conv1d(layer.x.transpose(1, 2).to(type), layer.weight.to(type),
                    layer.bias.defined() ? layer.bias.to(type) : layer.bias, {1},
                    {layer.line.padding})
      .transpose(1, 2);
}

double largest_of(const at::Tensor& value) { return value.abs().max().item<double>(); }

}  // namespace

TEST_CASE("transformed convolutions equal direct ones in float64 to rounding",
          "[transformed_convolution]") {
  for (const int64_t kernel : {5, 6, 8, 11, 15, 16, 25}) {
    for (const int64_t padding : {int64_t{0}, kernel / 2, kernel + 3}) {
      for (const int64_t length : {25, 47, 101}) {
        for (const int64_t rows : {1, 2, 5}) {
          const Layer layer =
              layer_of(rows, rows == 2 ? 70 : 19, rows == 5 ? 33 : 64, kernel, padding, length);
          const at::Tensor exact = directly(layer, at::kDouble);
          for (const int64_t points : {16, 32}) {
            if (points < kernel) {
              continue;
            }
            INFO("kernel " << kernel << ", padding " << padding << ", length " << length
                           << ", rows " << rows << ", points " << points);
            const at::Tensor found = by_transform(layer, points);
            REQUIRE(found.sizes() == exact.sizes());
            CHECK(distance(found.to(at::kDouble), exact) < 1e-6 * largest_of(exact));
          }
        }
      }
    }
  }
}

TEST_CASE("a layer of many channels keeps float32's accuracy", "[transformed_convolution]") {
  Layer layer = layer_of(3, 300, 200, 11, 0, 194);
  layer.bias = at::Tensor();
  const at::Tensor exact = directly(layer, at::kDouble);
  for (const int64_t points : {16, 32}) {
    const double error = distance(by_transform(layer, points).to(at::kDouble), exact);
    CHECK(error < 1.2e-6 * largest_of(exact));
  }
}

TEST_CASE("a sequence's transform does not depend on those beside it",
          "[transformed_convolution]") {
  // Wide enough for several blocks.
  const Layer many = layer_of(40, 200, 64, 9, 4, 500);
  const at::Tensor whole = by_transform(many, 32);
  for (const int64_t row : {0, 17, 39}) {
    Layer one = many;
    one.line.rows = 1;
    one.x = many.x.narrow(0, row, 1).contiguous();
    CHECK(distance(by_transform(one, 32), whole.narrow(0, row, 1)) < 1e-6 * largest_of(whole));
  }
  CHECK(distance(whole.to(at::kDouble), directly(many, at::kDouble)) < 1e-6 * largest_of(whole));
}

TEST_CASE("an infinity or a NaN is left to the direct convolution", "[transformed_convolution]") {
  for (const double value : {std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity(), std::nan("")}) {
    Layer layer = layer_of(2, 20, 20, 8, 0, 60);
    layer.x[1][59][3] = value;
    CHECK(!by_transform(layer, 16).defined());
  }
}

TEST_CASE("transforms are chosen where they save multiplications", "[transformed_convolution]") {
  const auto points = [](int64_t rows, int64_t in, int64_t out, int64_t kernel, int64_t length) {
    return seqlift::tile_points(layer_of(rows, in, out, kernel, 0, length).line);
  };
  if (!at::hasMKLDNN()) {
    CHECK(points(27, 300, 200, 11, 194) == 0);
    return;
  }
  CHECK(points(27, 300, 200, 11, 194) == 32);
  CHECK(points(8, 640, 640, 8, 500) == 16);   // 32 points would take 77 MB
  CHECK(points(8, 2000, 1000, 8, 500) == 0);  // and here 16 would take 184 MB
  CHECK(points(27, 64, 64, 3, 500) == 0);
  CHECK(points(27, 4, 300, 19, 600) == 0);
  CHECK(points(1, 300, 200, 11, 30) == 0);
  CHECK(points(27, 300, 200, 33, 500) == 0);
  CHECK(points(27, 300, 200, 11, 5) == 0);
}

TEST_CASE("models with long kernels predict and attribute by transform as in float64",
          "[transformed_convolution]") {
  const Given pairs = given(2, 12, 120);
  const Layer there = layer_of(24, 96, 80, 12, 0, 118);
  const Layer back = layer_of(24, 80, 96, 12, 11, 107);
  REQUIRE(seqlift::tile_points(there.line) == (at::hasMKLDNN() ? 32 : 0));
  REQUIRE(seqlift::tile_points(back.line) == (at::hasMKLDNN() ? 32 : 0));
  Settings in_float;
  in_float.dtype = at::kFloat;
  const at::Tensor up = numbers({96, 4, 3}, 4);
  const at::Tensor bias = numbers({80}, 6);
  struct {
    const char* lines;
    at::Tensor weight;
  } const nets[] = {
      {"y = torch.conv1d(u, self.k, self.b)", numbers({80, 96, 12}, 5) / 30},
      {"y = torch.conv1d(u, self.k, self.b, [1], [3])", numbers({80, 96, 12}, 5) / 30},
      {"y = torch.conv1d(u, self.k, self.b, [1], 'same')", numbers({80, 96, 11}, 5) / 30},
      {"y = torch.conv1d(u, self.k, self.b, [1], 'same')", numbers({80, 96, 12}, 5) / 30},
      {"y = torch.conv2d(u.reshape(u.size(0), 96, 2, -1), self.k, self.b, [1, 1], [0, 5])",
       numbers({80, 96, 1, 12}, 5) / 30},
  };
  for (const auto& net : nets) {
    INFO(net.lines);
    const auto model = around_x("u = torch.relu(torch.conv1d(h, self.up))\n" +
                                    std::string(net.lines) + "\ny = torch.relu(y)",
                                {{"up", up}, {"k", net.weight}, {"b", bias}});
    const Explained exact = explain(model, pairs);
    const Explained fast = explain(model, pairs, in_float);
    const double scale = 1 + largest_of(exact.values);
    CHECK(distance(fast.values, exact.values) < 1e-4 * scale);
    CHECK(distance(fast.predictions, exact.predictions) <
          1e-5 * (1 + largest_of(exact.predictions)));
    CHECK(worst_delta(fast) < 1e-4);
    const at::Tensor X = one_hot(20, 120, 7);
    const at::Tensor expected = predicted(model, X)[0];
    const at::Tensor found = predicted(model, X, {}, in_float)[0];
    CHECK(distance(found.to(at::kDouble), expected) < 1e-5 * (1 + largest_of(expected)));
  }
}

TEST_CASE("only what is made of the model's own weights is kept", "[transformed_convolution]") {
  seqlift::Constants constants(at::kFloat, at::kFloat, at::kCPU);
  const at::Tensor weight = numbers({2, 3, 4}, 1).to(at::kFloat);
  CHECK(!constants.keeps(weight));
  CHECK(constants.keeps(constants.convert(weight)));
  CHECK(!constants.keeps(weight.clone()));
}
