// The path integral of a gradient, for what has no rule.

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

TEST_CASE("a smooth operation is integrated to summation-to-delta", "[integrate]") {
  Settings fallback;
  fallback.integrate = true;
  const Given pairs = given(3, 4, 9);
  const std::vector<std::string> bodies{
      "a = torch.matmul(h, h.transpose(1, 2)) + 4 * torch.eye(4, dtype=torch.float64)\n"
      "y = torch.linalg_inv(a)",
      "a = torch.matmul(h, h.transpose(1, 2)) + 4 * torch.eye(4, dtype=torch.float64)\n"
      "y = torch.linalg_solve(a, h.exp())",
      "a = torch.matmul(h, h.transpose(1, 2)) + 4 * torch.eye(4, dtype=torch.float64)\n"
      "s, d = torch.linalg_slogdet(a)\ny = (d * d).unsqueeze(1)"};
  for (const std::string& body : bodies) {
    INFO(body);
    const auto net = around(body);
    CHECK(error_of([&]() { explain(net, pairs); }).find("unsupported_operation") == 0);
    const Explained result = explain(net, pairs, fallback);
    CHECK(worst_delta(result) < 1e-10);
    CHECK(largest_change(result) > 1e-3);
    REQUIRE(result.integrated.size() == 1);
    CHECK(result.integrated.begin()->find("aten::linalg") != std::string::npos);
  }
}

TEST_CASE("the integral of x^2 y is what the paper says", "[integrate]") {
  // f = x^2 y from (0, 0) to (1, 2): on the way t (1, 2), df/dx = 2 x y = 4 t^2, df/dy = x^2 = t^2;
  // their means are 4/3 and 1/3, and 4/3 1 + 1/3 2 = 2 = f(1, 2).
  Part cube;
  cube.class_name = "Cube";
  cube.source =
      "def forward(self, x: Tensor):\n    return x[:, 0, 0:1] * x[:, 0, 0:1] * x[:, 0, 1:2]\n";
  Part whole;
  whole.parameters = {{"w", numbers({1}, 1)}};
  whole.source = "def forward(self, x: Tensor):\n    return self.cube.forward(x)\n";
  whole.parts = {{"cube", cube}};
  Settings registered;
  registered.registered = {{"Cube", "integrate"}};
  const auto m = multipliers_by_hand(model(whole), {1, 2}, {0, 0}, registered);
  CHECK(m[0] == Approx(4.0 / 3).epsilon(1e-12));
  CHECK(m[1] == Approx(1.0 / 3).epsilon(1e-12));
  registered.module_mode = true;
  const auto stacked = multipliers_by_hand(model(whole), {1, 2}, {0, 0}, registered);
  CHECK(stacked[0] == Approx(4.0 / 3).epsilon(1e-12));
  CHECK(stacked[1] == Approx(1.0 / 3).epsilon(1e-12));
}

TEST_CASE("what has no gradient is refused even with the fallback", "[integrate]") {
  Settings fallback;
  fallback.integrate = true;
  const Given pairs = given(2, 3, 9);
  for (const char* body : {"y = torch.bernoulli(torch.sigmoid(h))",
                           "y = torch.masked_select(h, h > -9).reshape(h.size(0), 4, 9)"}) {
    INFO(body);
    const auto net = around(body);
    const std::string error = error_of([&]() { explain(net, pairs, fallback); });
    CHECK((error.find("unsupported_operation") == 0 || error.find("random: ") == 0));
  }
}
