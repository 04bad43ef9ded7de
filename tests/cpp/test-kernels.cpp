// The hand-vectorised passes against their slow twins.
#include <ATen/ATen.h>

#include "catch.h"
#include "core/kernels.h"
#include "core/loops.h"
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
        REQUIRE(seqlift::relu_is_fast(layout(x), layout(ref), batch));
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
  CHECK(seqlift::relu_is_fast(x, ref, batch));
  CHECK(!seqlift::relu_is_fast(x.transpose(1, 2).contiguous().transpose(1, 2), ref, batch));
  CHECK(!seqlift::relu_is_fast(x, ref.expand({6, 4, 6}).slice(2, 0, 6, 2), batch));
  CHECK(!seqlift::relu_is_fast(x.to(at::kFloat), ref, batch));
  CHECK(!seqlift::relu_is_fast(x, ref.narrow(0, 0, 4), batch));
  CHECK(!seqlift::relu_is_fast(x.narrow(1, 0, 1).expand({2, 4, 6}), ref, batch));
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
