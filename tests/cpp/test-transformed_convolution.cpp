// Convolutions in transformed tiles against ATen's own in float64.

#include <cmath>
#include <limits>

#include "catch.h"
#include "core/halves/constants.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/tile_matrices.h"
#include "core/numeric/transformed_convolution.h"
#include "nets.h"

using namespace nets;

namespace {

using seqlift::TileTransform;
using Kind = TileTransform::Kind;

const TileTransform short_tiles = {Kind::fourier, 16};
const TileTransform long_tiles = {Kind::fourier, 32};
const TileTransform polynomials = {Kind::polynomial, 6};

struct Layer {
  at::Tensor x;       // [rows, length, in]
  at::Tensor weight;  // [out, in, kernel]
  at::Tensor bias;
  seqlift::LineConvolution line;
};

Layer layer_of(int64_t rows, int64_t in, int64_t out, int64_t kernel, int64_t padding,
               int64_t length, int64_t dilation = 1) {
  Layer layer;
  layer.x = numbers({rows, length, in}, 1).relu().to(at::kFloat);
  layer.weight = numbers({out, in, kernel}, 2).to(at::kFloat);
  layer.bias = numbers({out}, 3).to(at::kFloat);
  layer.line.in = in;
  layer.line.out = out;
  layer.line.kernel = kernel;
  layer.line.padding = padding;
  layer.line.dilation = dilation;
  layer.line.rows = rows;
  layer.line.length = length;
  return layer;
}

at::Tensor by_transform(const Layer& layer, const TileTransform& transform) {
  return seqlift::transformed_convolution(layer.line, layer.x,
                                          seqlift::transformed_weights(layer.weight, transform),
                                          layer.bias, transform);
}

// In the number type of `like`, channels last.
at::Tensor directly(const Layer& layer, at::ScalarType type) {
  return at::conv1d(layer.x.transpose(1, 2).to(type), layer.weight.to(type),
                    layer.bias.defined() ? layer.bias.to(type) : layer.bias, {1},
                    {layer.line.padding}, {layer.line.dilation})
      .transpose(1, 2);
}

double largest_of(const at::Tensor& value) { return value.abs().max().item<double>(); }

}  // namespace

TEST_CASE("transformed convolutions equal direct ones in float64 to rounding",
          "[transformed_convolution]") {
  // Every kernel with every padding and length, and with each number of rows and channels.
  int64_t turn = 0;
  for (const int64_t kernel : {5, 6, 8, 11, 15, 16, 25}) {
    for (const int64_t padding : {int64_t{0}, kernel / 2, kernel + 3}) {
      ++turn;
      for (const int64_t length : {25, 47, 101}) {
        const int64_t rows = std::vector<int64_t>{1, 2, 5}[++turn % 3];
        const Layer layer =
            layer_of(rows, rows == 2 ? 70 : 19, rows == 5 ? 33 : 64, kernel, padding, length);
        const at::Tensor exact = directly(layer, at::kDouble);
        for (const TileTransform& transform : {short_tiles, long_tiles}) {
          if (transform.points < kernel) {
            continue;
          }
          INFO("kernel " << kernel << ", padding " << padding << ", length " << length << ", rows "
                         << rows << ", " << transform.name());
          const at::Tensor found = by_transform(layer, transform);
          REQUIRE(found.sizes() == exact.sizes());
          CHECK(distance(found.to(at::kDouble), exact) < 1e-6 * largest_of(exact));
        }
      }
    }
  }
}

TEST_CASE("dilated convolutions by values of polynomials equal direct ones to rounding",
          "[transformed_convolution]") {
  for (const int64_t dilation : {1, 2, 3, 8, 23, 40}) {
    for (const int64_t padding : {int64_t{0}, dilation, 2 * dilation + 1}) {
      for (const int64_t length : {81, 95, 203}) {
        for (const int64_t rows : {1, 5}) {
          const Layer layer = layer_of(rows, rows == 1 ? 70 : 19, rows == 5 ? 33 : 64, 3, padding,
                                       length, dilation);
          INFO("dilation " << dilation << ", padding " << padding << ", length " << length
                           << ", rows " << rows);
          const at::Tensor exact = directly(layer, at::kDouble);
          const at::Tensor found = by_transform(layer, polynomials);
          REQUIRE(found.sizes() == exact.sizes());
          CHECK(distance(found.to(at::kDouble), exact) < 2e-6 * largest_of(exact));
        }
      }
    }
  }
}

// By hand: x = 1, 2, 3, 4, 5, 6 and taps 1, 10, 100 give 321, 432, 543 and 654.
TEST_CASE("six positions and three taps give four outputs", "[transformed_convolution]") {
  const seqlift::PolynomialMatrices matrices = seqlift::polynomial_matrices(6, 3);
  const double taps[] = {1, 10, 100};
  const double expected[] = {321, 432, 543, 654};
  for (int p = 0; p < 4; ++p) {
    double y = 0;
    for (int i = 0; i < 6; ++i) {
      double value = 0;
      double tap = 0;
      for (int j = 0; j < 6; ++j) {
        value += matrices.in[i * 6 + j] * (j + 1);
      }
      for (int j = 0; j < 3; ++j) {
        tap += matrices.taps[i * 3 + j] * taps[j];
      }
      y += matrices.out[p * 6 + i] * value * tap;
    }
    CHECK(y == Approx(expected[p]).epsilon(1e-14));
  }
}

TEST_CASE("a layer of many channels keeps float32's accuracy", "[transformed_convolution]") {
  for (const int64_t dilation : {1, 16}) {
    const Layer dilated = layer_of(3, 512, 512, 3, dilation, 194, dilation);
    const at::Tensor outputs = directly(dilated, at::kDouble);
    const at::Tensor found = by_transform(dilated, polynomials).to(at::kDouble);
    CHECK(distance(found, outputs) < 2e-6 * largest_of(outputs));
  }
  Layer layer = layer_of(3, 300, 200, 11, 0, 194);
  layer.bias = at::Tensor();
  const at::Tensor exact = directly(layer, at::kDouble);
  for (const TileTransform& transform : {short_tiles, long_tiles}) {
    const double error = distance(by_transform(layer, transform).to(at::kDouble), exact);
    CHECK(error < 1.2e-6 * largest_of(exact));
  }
}

TEST_CASE("a sequence's transform does not depend on those beside it",
          "[transformed_convolution]") {
  // Wide enough for several blocks.
  const Layer many = layer_of(40, 200, 64, 9, 4, 500);
  const at::Tensor whole = by_transform(many, long_tiles);
  for (const int64_t row : {0, 17, 39}) {
    Layer one = many;
    one.line.rows = 1;
    one.x = many.x.narrow(0, row, 1).contiguous();
    CHECK(distance(by_transform(one, long_tiles), whole.narrow(0, row, 1)) <
          1e-6 * largest_of(whole));
  }
  CHECK(distance(whole.to(at::kDouble), directly(many, at::kDouble)) < 1e-6 * largest_of(whole));
}

TEST_CASE("an infinity or a NaN is left to the direct convolution", "[transformed_convolution]") {
  for (const double value : {std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity(), std::nan("")}) {
    Layer layer = layer_of(2, 20, 20, 8, 0, 60);
    layer.x[1][59][3] = value;
    CHECK(!by_transform(layer, short_tiles).defined());
    for (int64_t at = 0; at < 60; ++at) {
      Layer small = layer_of(2, 20, 20, 3, 2, 60, 2);
      small.x[1][at][3] = value;
      CHECK(!by_transform(small, polynomials).defined());
    }
  }
}

TEST_CASE("transforms are chosen where they save multiplications", "[transformed_convolution]") {
  const auto points = [](int64_t rows, int64_t in, int64_t out, int64_t kernel, int64_t length,
                         int64_t dilation = 1) {
    return seqlift::cheapest_transform(layer_of(rows, in, out, kernel, 0, length, dilation).line)
        .points;
  };
  if (!at::hasMKLDNN()) {
    CHECK(points(27, 300, 200, 11, 194) == 0);
    return;
  }
  CHECK(points(27, 300, 200, 11, 194) == 32);
  CHECK(points(8, 640, 640, 8, 500) == 16);   // 32 points would take 77 MB
  CHECK(points(8, 2000, 1000, 8, 500) == 0);  // and here 16 would take 184 MB
  CHECK(points(27, 32, 32, 3, 500) == 0);
  CHECK(points(8, 512, 512, 3, 2114) == 6);
  CHECK(points(8, 512, 512, 3, 2114, 64) == 6);
  CHECK(points(8, 300, 200, 11, 2114, 2) == 0);  // frequencies are for dilation 1 alone
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
  REQUIRE(seqlift::cheapest_transform(there.line).points == (at::hasMKLDNN() ? 32 : 0));
  REQUIRE(seqlift::cheapest_transform(back.line).points == (at::hasMKLDNN() ? 32 : 0));
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

TEST_CASE("models with dilated layers predict and attribute by values of polynomials as in float64",
          "[transformed_convolution]") {
  const Given pairs = given(2, 12, 120);
  const Layer there = layer_of(24, 384, 384, 3, 4, 120, 4);
  REQUIRE(seqlift::cheapest_transform(there.line).points == (at::hasMKLDNN() ? 6 : 0));
  Settings in_float;
  in_float.dtype = at::kFloat;
  const at::Tensor up = numbers({384, 4, 3}, 4) / 2;
  const at::Tensor bias = numbers({384}, 6);
  const char* const lines[] = {
      "y = u + torch.relu(torch.conv1d(u, self.k, self.b, [1], [4], [4]))",
      "y = torch.relu(torch.conv1d(u, self.k, self.b))",
      "y = torch.relu(torch.conv1d(u, self.k, self.b, [1], 'same', [9]))",
  };
  const at::Tensor weight = numbers({384, 384, 3}, 5) / 40;
  for (const char* line : lines) {
    INFO(line);
    const auto model = around_x("u = torch.relu(torch.conv1d(h, self.up))\n" + std::string(line),
                                {{"up", up}, {"k", weight}, {"b", bias}});
    const Explained exact = explain(model, pairs);
    const Explained fast = explain(model, pairs, in_float);
    CHECK(distance(fast.values, exact.values) < 1e-4 * (1 + largest_of(exact.values)));
    CHECK(distance(fast.predictions, exact.predictions) <
          1e-5 * (1 + largest_of(exact.predictions)));
    CHECK(worst_delta(fast) < 1e-3 * (1 + largest_of(exact.predictions)));
  }
}

TEST_CASE("only what is made of the model's own weights is kept", "[transformed_convolution]") {
  seqlift::Constants constants(at::kFloat, at::kFloat, at::kCPU);
  const at::Tensor weight = numbers({2, 3, 4}, 1).to(at::kFloat);
  CHECK(!constants.keeps(weight));
  CHECK(constants.keeps(constants.convert(weight)));
  CHECK(!constants.keeps(weight.clone()));
}
