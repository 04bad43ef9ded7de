// The hand-vectorised passes against their slow twins.

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "catch.h"
#include "core/halves/kernels.h"
#include "core/halves/times.h"
#include "core/numeric/loops.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

// The formula, in ATen: the quotient of differences, the derivative where x = ref.
at::Tensor slope_of(const at::Tensor& x, const at::Tensor& ref) {
  const at::Tensor change = x - ref;
  const at::Tensor quotient = (x.relu() - ref.relu()) / change;
  return at::where(change == 0, (x > 0).to(x.scalar_type()), quotient);
}

}  // namespace

TEST_CASE("the fused relu equals its formula in every number type and layout", "[kernels]") {
  const seqlift::BatchShape batch{3, 4};
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const int64_t length : {1, 7, 64, 129}) {
      at::Tensor x = numbers({3, 5, length}, 1).to(type);
      at::Tensor ref = numbers({12, 5, length}, 2).to(type);
      // Rows that agree with their sequence, and zeros on either side.
      ref.select(0, 1).copy_(x.select(0, 0));
      ref.select(0, 6).zero_();
      x.select(0, 2).select(0, 1).zero_();
      for (const bool channels_last : {false, true}) {
        const auto layout = [&](const at::Tensor& value) {
          return channels_last ? value.transpose(1, 2).contiguous().transpose(1, 2) : value;
        };
        INFO("length " << length << ", channels last " << channels_last);
        REQUIRE(seqlift::lie_alike(layout(x), layout(ref), batch));
        const auto found = seqlift::relu_rescale(layout(x), layout(ref), batch);
        CHECK(at::equal(std::get<0>(found), ref.relu()));
        CHECK(distance(std::get<1>(found), slope_of(x.repeat_interleave(4, 0), ref)) == 0);
        CHECK(std::get<1>(found).strides() == layout(ref).strides());
      }
    }
  }
}

TEST_CASE("the fused relu declines what it cannot pass over in memory order", "[kernels]") {
  const seqlift::BatchShape batch{2, 3};
  const at::Tensor x = numbers({2, 4, 6}, 1);
  const at::Tensor ref = numbers({6, 4, 6}, 2);
  CHECK(seqlift::lie_alike(x, ref, batch));
  CHECK(!seqlift::lie_alike(x.transpose(1, 2).contiguous().transpose(1, 2), ref, batch));
  CHECK(!seqlift::lie_alike(x, ref.expand({6, 4, 6}).slice(2, 0, 6, 2), batch));
  CHECK(!seqlift::lie_alike(x.to(at::kFloat), ref, batch));
  CHECK(!seqlift::lie_alike(x, ref.narrow(0, 0, 4), batch));
  CHECK(!seqlift::lie_alike(x.narrow(1, 0, 1).expand({2, 4, 6}), ref, batch));
}

TEST_CASE("taps are shifted and added to where they came from", "[kernels]") {
  for (const int64_t kernel : {1, 2, 3, 5}) {
    for (const int64_t stride : {1, 2, 3}) {
      for (const int64_t dilation : {1, 2, 4}) {
        for (const int64_t padding : {0, 1, 4}) {
          for (const int64_t channels : {1, 4}) {
            const int64_t length = 23;
            const int64_t reach = length + 2 * padding - dilation * (kernel - 1) - 1;
            const int64_t length_in = reach / stride + 1;
            const at::Tensor taps = numbers({length_in, kernel, channels}, 1).to(at::kFloat);
            at::Tensor fast = at::zeros({length, channels}, at::kFloat);
            seqlift::loops::shift_add(taps.data_ptr<float>(), fast.data_ptr<float>(), length_in,
                                      kernel, channels, length, stride, dilation, padding);
            at::Tensor slow = at::zeros({length, channels}, at::kFloat);
            for (int64_t p = 0; p < length_in; ++p) {
              for (int64_t k = 0; k < kernel; ++k) {
                const int64_t where = p * stride + k * dilation - padding;
                if (where >= 0 && where < length) {
                  slow[where] += taps[p][k];
                }
              }
            }
            INFO(kernel << " " << stride << " " << dilation << " " << padding);
            CHECK(distance(fast, slow) < 1e-5);
          }
        }
      }
    }
  }
}

TEST_CASE("products by oneDNN are matrix products", "[kernels]") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const int64_t rows : {1, 16, 300}) {
      const at::Tensor x = numbers({2, rows, 33}, 1).to(type);
      const at::Tensor weight = numbers({65, 33}, 2).to(type);
      const at::Tensor expected = at::matmul(x, weight.t());
      const at::Tensor found = seqlift::times_weights(x, weight);
      CHECK(found.sizes() == expected.sizes());
      CHECK(distance(found, expected) < (type == at::kFloat ? 1e-5 : 1e-13));
      // Views that are not contiguous.
      const at::Tensor turned = numbers({33, 65}, 2).to(type).t();
      CHECK(distance(seqlift::times_weights(x.transpose(0, 1), turned),
                     at::matmul(x.transpose(0, 1), turned.t())) < 1e-5);
    }
  }
}

namespace {

// y(x + d) - y(x) of windows, number type by number type: what the changes' loops give, beside
// what ATen gives of the whole.
template <typename T>
void check_changes(at::ScalarType type, double rounding) {
  const int64_t length = 23;
  const int64_t channels = 5;
  const at::Tensor x = numbers({length, channels}, 1).to(type);
  const int64_t start = 6;
  const int64_t width = 4;
  const at::Tensor d = numbers({width, channels}, 2).to(type);
  const at::Tensor moved = x.clone();
  moved.narrow(0, start, width).add_(d);

  const at::Tensor change = at::empty_like(d);
  seqlift::loops::relu_change(x.data_ptr<T>() + start * channels, d.data_ptr<T>(),
                              change.data_ptr<T>(), width * channels);
  CHECK(distance(change, (moved.relu() - x.relu()).narrow(0, start, width)) < rounding);

  for (const int64_t padding : {0, 1}) {
    for (const int64_t stride : {1, 2, 3}) {
      const auto pool = [&](const at::Tensor& rows) {
        return at::max_pool1d(rows.t().unsqueeze(0), {3}, {stride}, {padding}, {1}, false)[0].t();
      };
      const at::Tensor y = pool(x).contiguous();
      const at::Tensor expected = pool(moved) - y;
      seqlift::loops::Window window;
      window.kernel = 3;
      window.stride = stride;
      window.padding = padding;
      window.length = length;
      window.channels = channels;
      const at::Tensor found = at::empty_like(y);
      seqlift::loops::maximum_change(window, x.data_ptr<T>(), y.data_ptr<T>(), d.data_ptr<T>(),
                                     start, width, 0, y.size(0), found.data_ptr<T>());
      INFO("padding " << padding << ", stride " << stride);
      CHECK(distance(found, expected) < rounding);
      CHECK(expected.abs().max().item<double>() > 0.1);
    }
  }
}

}  // namespace

TEST_CASE("changes of a relu and of a maximum are those of the whole", "[kernels]") {
  check_changes<float>(at::kFloat, 1e-6);
  check_changes<double>(at::kDouble, 1e-15);
  // A NaN stays one.
  const double x = 1;
  const double d = std::nan("");
  double change = 0;
  seqlift::loops::relu_change(&x, &d, &change, 1);
  CHECK(std::isnan(change));
}

TEST_CASE("halfway between the halves in one pass is what ATen gives", "[kernels]") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const int64_t length : {1, 7, 129, 40000}) {
      const at::Tensor x = numbers({2, 3, length}, 1).to(type);
      const at::Tensor ref = numbers({8, 3, length}, 2).to(type);
      const at::Tensor expected = (x.repeat_interleave(4, 0) + ref) / 2;
      CHECK(at::equal(seqlift::halfway(x, ref, {2, 4}), expected));
      // Not alike in memory: by ATen.
      const at::Tensor turned = x.transpose(1, 2).contiguous().transpose(1, 2);
      CHECK(at::equal(seqlift::halfway(turned, ref, {2, 4}), expected));
    }
  }
}

// By hand: 3 x 5 against 1 x 2 changes by 13; halfway are 2 and 3.5, and 3.5 (3 - 1) + 2 (5 - 2)
// is 13.
TEST_CASE("a product's multipliers are the other factor halfway", "[kernels]") {
  const auto number = [](double value) { return at::full({1, 1}, value, at::kDouble); };
  at::Tensor a = number(1).requires_grad_();
  at::Tensor b = number(2).requires_grad_();
  const seqlift::Halves product =
      seqlift::times({number(3), a}, {number(5), b}, seqlift::BatchShape{1, 1});
  CHECK(product.x.item<double>() == 15);
  CHECK(product.ref.item<double>() == 2);
  const auto multipliers = torch::autograd::grad({product.ref.sum()}, {a, b});
  CHECK(multipliers[0].item<double>() == 3.5);
  CHECK(multipliers[1].item<double>() == 2);
}

TEST_CASE("products without autograd equal the gradient halfway to the last bit", "[kernels]") {
  const seqlift::Nary product = [](const seqlift::Operands& factors) {
    return factors[0] * factors[1];
  };
  struct Shapes {
    std::vector<int64_t> a, b;  // of a row
  };
  const Shapes rows[] = {{{5, 7}, {5, 7}}, {{5, 7}, {5, 1}}, {{1, 7}, {5, 7}}, {{7}, {7}}};
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const Shapes& shapes : rows) {
      for (const int64_t r : {1, 4}) {
        for (const bool same : {false, true}) {
          const auto half = [&](std::vector<int64_t> row, int64_t n, int64_t seed) {
            row.insert(row.begin(), n);
            return numbers(row, seed).to(type);
          };
          at::Tensor a = half(shapes.a, 2 * r, 1).requires_grad_();
          at::Tensor b = same ? a : half(shapes.b, 2 * r, 2).requires_grad_();
          const at::Tensor of_a = half(shapes.a, 2, 3);
          const at::Tensor of_b = same ? of_a : half(shapes.b, 2, 4);
          const seqlift::BatchShape batch{2, r};
          const std::vector<at::Tensor> leaves =
              same ? std::vector<at::Tensor>{a} : std::vector<at::Tensor>{a, b};
          const auto results = [&](const seqlift::Halves& halves) {
            std::vector<at::Tensor> all = torch::autograd::grad(
                {(halves.ref * numbers(halves.ref.sizes().vec(), 5).to(type)).sum()}, leaves);
            all.push_back(halves.x);
            all.push_back(halves.ref.detach());
            return all;
          };
          const auto found = results(seqlift::times({of_a, a}, {of_b, b}, batch));
          const auto expected = results(seqlift::midpoint(product, {{of_a, a}, {of_b, b}}, batch));
          for (size_t i = 0; i < found.size(); ++i) {
            INFO("references " << r << ", same " << same << ", result " << i);
            CHECK(at::equal(found[i], expected[i]));
          }
        }
      }
    }
  }
}
