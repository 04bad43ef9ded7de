// Elementwise functions of several values that depend on X.
#include "catch.h"
#include "nets.h"

namespace nets {

std::vector<Case> several_cases() {
  const Tensors a{{"a", numbers({4, 9}, 91, 0.5, 1.5)}};
  return {
      {"atan2", "y = torch.atan2(h, h.flip([2]).exp())"},
      {"atan2", "y = torch.atan2(h, h.flip([1]))"},
      {"atan2", "y = torch.atan2(self.a, h)", a},
      {"xlogy", "y = torch.xlogy(h, h.flip([2]).exp())"},
      {"xlogy", "y = torch.xlogy(torch.relu(h), torch.relu(h) + 1.0)"},
      {"special_xlogy", "y = torch.special_xlogy(h, h.exp().mean(2, keepdim=True))"},
      {"special_xlog1py", "y = torch.special_xlog1py(h, h.exp())"},
      {"hypot", "y = torch.hypot(h, h.flip([2]))"},
      {"hypot", "y = torch.hypot(h, self.a)", a},
      {"fmod", "y = torch.fmod(h * 5.0, h.exp())"},
      {"fmod", "y = torch.fmod(h * 5.0, 1.5)"},
      {"remainder", "y = torch.remainder(h * 5.0, h.exp())"},
      {"remainder", "y = torch.remainder(3.0, h.exp())"},
      {"remainder", "y = (h * 5.0) % 1.5"},
      {"floor_divide", "y = torch.floor_divide(h * 5.0, h.exp())"},
      {"floor_divide", "y = (h * 5.0) // 0.7"},
      {"div", "y = torch.div(h * 5.0, h.exp(), rounding_mode='trunc')"},
      {"div", "y = torch.div(h * 5.0, h.exp(), rounding_mode='floor')"},
      {"copysign", "y = torch.copysign(h, h.flip([2]))"},
      {"copysign", "y = torch.copysign(self.a, h)", a},
      {"ldexp", "y = torch.ldexp(h, h.flip([2]))"},
      {"prelu", "y = torch.prelu(h, self.p)", {{"p", numbers({4}, 92)}}},
      {"addcdiv", "y = torch.addcdiv(h, h.flip([2]), h.exp(), value=0.7)"},
      {"clamp", "y = torch.clamp(h, h.flip([2]), h.exp())"},
      {"clamp", "y = torch.clamp(h, None, h.flip([2]))"},
      {"clamp", "y = torch.clamp(h, self.a, h.flip([2]) + 1.0)", a},
      {"clamp_min", "y = torch.clamp_min(h, h.flip([2]))"},
      {"clamp_max", "y = torch.clamp_max(h, h.flip([2]).mean(2, keepdim=True))"},
      {"polygamma", "y = torch.polygamma(1, h.exp())"},
      {"mvlgamma", "y = torch.mvlgamma(h.exp() + 2.0, 3)"},
      {"float_power", "y = torch.float_power(h.exp(), 1.5)"},
      {"float_power", "y = torch.float_power(h.exp(), h.flip([2]))"},
      {"special_gammaln", "y = torch.special_gammaln(h.exp())"},
      {"special_polygamma", "y = torch.special_polygamma(2, h.exp())"},
      {"special_multigammaln", "y = torch.special_multigammaln(h.exp() + 2.0, 2)"},
      {"special_digamma", "y = torch.special_digamma(h.exp())"},
      {"special_psi", "y = torch.special_psi(h.exp())"},
      {"special_erfinv", "y = torch.special_erfinv(h.tanh())"},
      {"special_round", "y = torch.special_round(h * 5.0)"},
      {"special_softmax", "y = torch.special_softmax(h, 1)"},
      {"special_log_softmax", "y = torch.special_log_softmax(h, 1, dtype=torch.float64)"},
      {"special_logsumexp", "y = torch.special_logsumexp(h, [1], True)"},
      {"arctan2", "y = torch.arctan2(h, h.exp())"},
      {"special_ndtri", "y = torch.special_ndtri(torch.sigmoid(h))"},
      {"maximum", "y = torch.maximum(h, h.mean(2, keepdim=True))"},
      {"minimum", "y = torch.minimum(h, self.a)", a},
  };
}

}  // namespace nets

using namespace nets;

TEST_CASE("elementwise functions of several values keep summation to delta", "[rules]") {
  check_cases(several_cases());
}

TEST_CASE("a function of two values shares its change as Shapley's value does", "[rules]") {
  // The remainder 7 % 4 = 3 against 5 % 3 = 2, with 7 % 3 = 1 and 5 % 4 = 1:
  // the dividend adds (3 - 1 + 1 - 2) / 2 = 1/2, the divisor (3 - 1 + 1 - 2) / 2 = 1/2.
  const auto net = forward("return torch.remainder(x[:, 0, 0:1], x[:, 0, 1:2])");
  const auto m = multipliers_by_hand(net, {7, 4}, {5, 3});
  CHECK(m[0] == Approx(0.25).epsilon(1e-12));
  CHECK(m[1] == Approx(0.5).epsilon(1e-12));
}

TEST_CASE("bounds that depend on X are a minimum of a maximum", "[rules]") {
  const Given pairs = given(3, 4, 9);
  CHECK(distance(explain(around("y = torch.clamp(h, h.flip([2]), h.exp())"), pairs).values,
                 explain(around("y = torch.minimum(torch.maximum(h, h.flip([2])), h.exp())"), pairs)
                     .values) < 1e-12);
  CHECK(distance(explain(around("y = torch.hypot(h, h.flip([2]))"), pairs).values,
                 explain(around("y = torch.sqrt(h * h + h.flip([2]) ** 2)"), pairs).values) <
        1e-10);
}
