// Conditions on X: comparisons, logic, and what is chosen by them.

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

namespace nets {

std::vector<Case> condition_cases() {
  const Tensors bounds{{"b", at::tensor({-0.5, 0.0, 0.5}, at::kDouble)},
                       {"half", at::tensor({0.5}, at::kDouble)}};
  return {
      {"where", "y = torch.where(h > 0, h, 0.1 * h)"},
      {"where", "y = torch.where(h > 0.2, h * h, torch.zeros_like(h) - 1.5)"},
      {"where", "y = torch.where(h.mean(2, keepdim=True) < 0, torch.exp(h), torch.sigmoid(h))"},
      {"where", "y = torch.where(torch.ones_like(h) > 0, h, -h)"},
      {"where", "y = torch.where(h > 0, 1.5, h)"},
      // What is not chosen may be infinite.
      {"where", "y = torch.where(h.abs() < 9, h, torch.full_like(h, -1e300) * 1e300).exp()"},
      {"gt", "y = h * (h > 0)"},
      {"gt", "y = h * torch.gt(h, h.flip([1]))"},
      {"ge", "y = h * (h >= 0.1).to(torch.float64)"},
      {"lt", "y = h + (h < -0.3).double()"},
      {"le", "y = h.exp() * (h.flip([2]) <= h).type_as(h)"},
      {"greater", "y = h * torch.greater(h, 0.2)"},
      {"greater_equal", "y = h * torch.greater_equal(h, h.flip([2]))"},
      {"less", "y = h * torch.less(h, 0.2)"},
      {"less_equal", "y = h * torch.less_equal(h.flip([1]), h)"},
      {"not_equal", "y = h * torch.not_equal(h > 0, h > 0.3)"},
      {"eq", "y = h * torch.eq(h > 0, h.flip([2]) > 0)"},
      {"ne", "y = h * ((h > 0) != (h.flip([2]) > 0.1))"},
      {"eq", "m = h == torch.relu(h)\ny = torch.where(m, h.exp(), h)"},
      {"isclose", "y = h * torch.isclose(h, torch.zeros_like(h), 0.1, 0.4)"},
      {"heaviside", "y = torch.heaviside(h, self.half) * h", bounds},
      {"logical_and", "m = torch.logical_and(h > 0, h < 1.0)\ny = torch.where(m, h * 2, h)"},
      {"logical_and", "y = h * torch.logical_and(h.trunc(), h > -1)"},
      {"logical_or", "y = h * torch.logical_or(h > 0.5, h < -0.5)"},
      {"logical_not", "y = h.masked_fill(torch.logical_not(h < 0.7), 3.0)"},
      {"logical_xor", "m = torch.logical_xor(h > 0, h.flip([2]) > 0.1)\ny = h + m"},
      {"__and__", "m = (h > 0) & (h < 1.0)\ny = torch.where(m, h * 2, h)"},
      {"__and__", "m = (h > 0) & (torch.arange(9) < 5)\ny = h * m"},
      {"__or__", "y = h * ((h < -0.5) | (h.flip([2]) > 0.3))"},
      {"__xor__", "m = (h > 0) ^ (h.flip([2]) > 0)\ny = h.masked_fill(m, -1.0)"},
      {"__iand__", "m = h > 0\nm &= h < 0.5\ny = h * m"},
      {"__ior__", "m = h > 0\nm |= h < -0.5\ny = h * m"},
      {"__ixor__", "m = h > 0\nm ^= h.flip([1]) > 0\ny = h * m"},
      {"bitwise_not", "y = h.masked_fill(~(h > 0), -1.0)"},
      {"bitwise_and", "y = h * torch.bitwise_and(h > 0, h < 1)"},
      {"bitwise_or", "y = h * torch.bitwise_or(h > 0.4, h < 0)"},
      {"bitwise_xor", "y = h * torch.bitwise_xor(h > 0.4, h.flip([2]) < 0)"},
      {"any", "y = torch.where((h > 0.8).any(2).unsqueeze(2), h, -h)"},
      {"all", "y = torch.where((h > -0.5).all(2, keepdim=True), h, h * h)"},
      {"isfinite", "y = torch.where(torch.isfinite(h), h, 2 * h)"},
      {"isnan", "y = torch.where(torch.isnan(h), h, 2 * h)"},
      {"isinf", "y = h + torch.isinf(h)"},
      {"isposinf", "y = h + torch.isposinf(h)"},
      {"isneginf", "y = h + torch.isneginf(h)"},
      {"signbit", "y = h * torch.signbit(h)"},
      {"bucketize", "y = h * torch.bucketize(h, self.b)", bounds},
      {"long", "y = h * h.long()"},
      {"int", "y = h * (3 * h).int()"},
      {"to", "y = h * (5 * h).to(torch.long)"},
      {"to", "m = (h > 0).to(torch.long)\ny = h * torch.where(m > 0, m, 3 * m + 2)"},
      {"type_as", "y = h * (h > 0).type_as(h)"},
      {"masked_fill", "y = h.masked_fill((h < -0.5) | torch.logical_not(h < 0.7), 3.0)"},
      {"masked_fill", "y = h * 2\ny.masked_fill_(h > 0.4, 0.25)"},
      {"index_put", "y = h.clone()\ny[y < 0] = 0.0"},
      {"index_put", "y = h * 1.0\ny[h.mean(2) < 0] = 0.5"},
      {"where", "y = torch.where(h > 0, h.abs().sqrt(), torch.zeros_like(h))"},
      {"where", "y = torch.where(h > -9, h, torch.log(h - 20))"},
      // Seen through views, joined, counted and passed in lists.
      {"expand",
       "m = (h > 0).unsqueeze(1).expand(-1, 2, -1, -1)\ny = torch.stack([h, h * h], 1) * m"},
      {"cat", "m = torch.cat([h > 0, h < 0.3], 1)\ny = torch.cat([h, h], 1) * m"},
      {"sum", "n = (h > 0).sum(2, keepdim=True)\ny = h / (1 + n)"},
      {"sum", "n = (h > 0).to(torch.long).sum(2).unsqueeze(2)\ny = h * n + torch.exp(-n.double())"},
      {"__getitem__", "m = [h > 0, h < -0.2]\ny = torch.where(m[0] | m[1], h, torch.tanh(h))"},
      {"where",
       "m = h > h.flip([1])\nif m.dim() == 3:\n    y = torch.where(m, h, h.flip([1]))\nelse:\n    "
       "y = h"},
      {"where",
       "y = torch.relu(h)\nk = 0\nwhile k < 2:\n    y = torch.where(y > 0.5, y, y * h)\n    k += "
       "1"},
  };
}

}  // namespace nets

using namespace nets;

TEST_CASE("conditions on X keep summation-to-delta", "[condition]") {
  const Given pairs = given(3, 4, 9);
  double most = 0;
  for (const Case& one : condition_cases()) {
    most = std::max(most, check_case(one, pairs));
  }
  CHECK(most > 0.1);
}

TEST_CASE("a condition is a step of what it compares", "[condition]") {
  // y = [x0 > 1]: from 0 to 3 it rises by 1 on the way of 3.
  const auto step = forward("return (x[:, 0, 0:1] > 1.0).to(torch.float64)");
  CHECK(multipliers_by_hand(step, {3}, {0})[0] == Approx(1.0 / 3));
  // y = x1 where x0 > 0, else 5: (x0, x1) from (-1, 2) to (1, 4). The condition is true on half the
  // way, so x1 earns 1 / 2; the condition earns the middle of x1 - 5, -2, over the change of x0, 2.
  const auto choice = forward(
      "return torch.where(x[:, 0, 0:1] > 0, x[:, 0, 1:2], torch.full([1], 5.0, "
      "dtype=torch.float64))");
  const auto m = multipliers_by_hand(choice, {1, 4}, {-1, 2});
  CHECK(m[0] == Approx(-1.0));
  CHECK(m[1] == Approx(0.5));
}

TEST_CASE("functions written with conditions have the multipliers of the functions",
          "[condition]") {
  const std::vector<std::pair<std::string, std::string>> twins{
      {"y = torch.where(h > 0, h, torch.zeros_like(h))", "y = torch.relu(h)"},
      {"y = h * (h > 0)", "y = torch.relu(h)"},
      {"y = torch.where(h > 0, h, 0.01 * h)", "y = torch.leaky_relu(h, 0.01)"},
      {"y = h.masked_fill(h < 0, 0.0)", "y = torch.relu(h)"},
      {"y = h.clone()\ny[h < 0] = 0.0", "y = torch.relu(h)"},
      {"y = torch.where(h < 0, -h, h)", "y = torch.abs(h)"},
      {"y = torch.where(h > 1, torch.ones_like(h), torch.where(h < -1, -torch.ones_like(h), h))",
       "y = torch.clamp(h, -1.0, 1.0)"},
      {"y = torch.max(h, 2)[0]", "y = torch.amax(h, [2])"},
      {"y = torch.min(h, 2)[0]", "y = torch.amin(h, [2])"},
  };
  for (const auto& twin : twins) {
    INFO(twin.first);
    const auto one = explain(around(twin.first), given(2, 3, 9)).values;
    const auto other = explain(around(twin.second), given(2, 3, 9)).values;
    CHECK(distance(one, other) < 1e-12);
  }
}

TEST_CASE("what no rule covers of conditions is refused", "[condition]") {
  const Given pairs = given(2, 3, 9);
  const Tensors b{{"b", at::tensor({-0.5, 0.0, 0.5}, at::kDouble)}};
  for (const Case& one : std::vector<Case>{
           {"masked_select", "y = torch.masked_select(h, h > -9).reshape(h.size(0), 4, 9)"},
           {"index", "y = h[h > -9].reshape(h.size(0), 4, 9)"},
           {"add", "y = h * ((h > 0) + (h > 0.2))"},  // truth values: an or
           {"__and__", "y = h * (h.long() & 1)"},
           {"index_put", "y = h.clone()\ny[h > 0] = h[h > 0]"},
           {"isfinite", "y = torch.where(torch.isfinite(torch.sqrt(h)), h, 2 * h)"},
           {"where", "y = torch.where(h > 0, h, torch.full_like(h, -1e300) * 1e300).exp()"},
           {"bucketize", "y = h * torch.bucketize(self.b, h[0, 0].sort()[0])[0]", b}}) {
    INFO(one.lines);
    const std::string error =
        error_of([&]() { explain(around(one.lines, one.parameters), pairs); });
    CHECK(error.find("unsupported_operation: ") == 0);
  }
}
