// Products and quotients of values that depend on X: the gradient at the midpoint.
#include "catch.h"
#include "nets.h"

namespace nets {

std::vector<Case> product_cases() {
  const Tensors a{{"a", numbers({4, 3}, 21)}, {"b", numbers({3}, 22)}};
  const Tensors square{{"a", numbers({4, 4}, 23)}};
  return {
      {"mul", "y = h * h.flip([2])"},
      {"mul", "y = h * h"},
      {"mul", "y = h * 3.0 * h.size(1)"},
      {"mul", "y = h * h.sum(2, keepdim=True)"},
      {"multiply", "y = torch.multiply(h, h.mean([1, 2], keepdim=True))"},
      {"matmul", "y = torch.matmul(h.transpose(1, 2), self.a)", a},
      {"matmul", "y = torch.matmul(self.a, h)", square},
      {"matmul", "y = torch.matmul(h, h.transpose(1, 2))"},
      {"matmul", "y = h @ h.flip([1]).transpose(1, 2)"},
      {"mm", "y = torch.mm(h.sum(2), self.a)", a},
      {"bmm", "y = torch.bmm(h, h.transpose(1, 2))"},
      {"mv", "y = torch.mv(h.sum(2), self.a).unsqueeze(1)", {{"a", numbers({4}, 24)}}},
      {"linear", "y = torch.linear(h.sum(2), self.a.t(), self.b)", a},
      {"linear", "y = torch.linear(h.transpose(1, 2), self.a.t())", a},
      {"linear", "y = torch.linear(h[:, :, 0:4], self.a)", square},
      {"addmm", "y = torch.addmm(self.b, h.sum(2), self.a)", a},
      {"addmm", "y = torch.addmm(h[:, 0:3, 1], h.sum(2), self.a, beta=0.5, alpha=2)", a},
      {"baddbmm", "y = torch.baddbmm(h[:, :, 0:4], h, h.transpose(1, 2), beta=0.5, alpha=0.3)"},
      {"addmv",
       "y = torch.addmv(h[:, 0, 0], h.sum(2), self.a).unsqueeze(1)",
       {{"a", numbers({4}, 24)}}},
      {"addcmul", "y = torch.addcmul(h, h.flip([2]), h.flip([1]), value=0.7)"},
      {"addcdiv",
       "y = torch.addcdiv(h, h.flip([2]), self.a, value=0.7)",
       {{"a", numbers({9}, 25, 1, 2)}}},
      {"einsum", "y = torch.einsum('ncl,ck->nkl', [h, self.a])", a},
      {"einsum", "y = torch.einsum('ncl,ndl->ncd', [h, h])"},
      {"einsum", "y = torch.einsum('ncl,ncl->nl', [h, h.exp()])"},
      {"einsum", "p = [h]\np.append(h.exp())\ny = torch.einsum('ncl,ncl->nl', p)"},
      {"tensordot", "y = torch.tensordot(h, self.a, [1], [0])", a},
      {"kron", "y = torch.kron(h, self.a)", {{"a", numbers({2, 3}, 26)}}},
      {"lerp", "y = torch.lerp(h, h.flip([2]), 0.3)"},
      {"lerp", "y = torch.lerp(h, h.flip([2]), torch.sigmoid(h))"},
      {"cross", "y = torch.cross(h[:, 0:3], h[:, 1:4].flip([2]), 1)"},
      {"linalg_cross", "y = torch.linalg_cross(h[:, 0:3], h[:, 1:4].flip([2]), dim=1)"},
      {"bilinear",
       "y = torch.bilinear(h[:, :, 0:3], h[:, :, 3:5], self.k, None)",
       {{"k", numbers({2, 3, 2}, 27)}}},
      {"mse_loss", "y = torch.mse_loss(h, torch.zeros_like(h) + 0.3, 0)"},
      {"mse_loss", "y = torch.mse_loss(h, h.flip([2]), 0)"},
      {"linalg_matmul", "y = torch.linalg_matmul(h, h.transpose(1, 2))"},
      {"linalg_vecdot", "y = torch.linalg_vecdot(h, h.exp(), dim=1)"},
      {"inner", "y = torch.inner(h, self.a)", {{"a", numbers({9}, 28)}}},
      {"inner", "y = torch.inner(h, self.a)", {{"a", numbers({2, 9}, 28)}}},
      {"chain_matmul", "y = torch.chain_matmul([h.sum(2), self.a])", a},
      {"div", "y = h / 2.5"},
      {"div", "y = h / (h.abs().sum(1, keepdim=True) + 0.5)"},
      {"div", "y = 1.5 / (h.abs() + 0.5)"},
      {"div", "y = self.a / (h.abs() + 0.5)", {{"a", numbers({4, 1}, 29)}}},
      {"div", "y = torch.div(h * 5.0, 2.0, rounding_mode='floor')"},
      {"divide", "y = torch.divide(h, h.exp())"},
      {"true_divide", "y = torch.true_divide(h, h.exp())"},
  };
}

}  // namespace nets

using namespace nets;

TEST_CASE("every product keeps summation to delta", "[rules]") { check_cases(product_cases()); }

TEST_CASE("a product is shared at the midpoint of its factors", "[rules]") {
  // 4 x 5 against 2 x 1: 18 = (5 + 1) / 2 x 2 + (4 + 2) / 2 x 4.
  const auto net = forward("return x[:, 0, 0:1] * x[:, 0, 1:2]");
  CHECK(multipliers_by_hand(net, {4, 5}, {2, 1}) == std::vector<double>{3, 3});
  // A factor that does not change gets the mean of the other: 4 x 5 against 4 x 1.
  CHECK(multipliers_by_hand(net, {4, 5}, {4, 1}) == std::vector<double>{3, 4});
}

TEST_CASE("a square written as a product is the square", "[rules]") {
  // 9 - 1 over 2.
  CHECK(multipliers_by_hand(forward("return x[:, 0] * x[:, 0]"), {3}, {1})[0] == 4);
}

TEST_CASE("a quotient is a product with the reciprocal", "[rules]") {
  // 6 / 3 against 2 / 1: the reciprocal's multiplier is (1/3 - 1) / (3 - 1) = -1/3; a gets the mean
  // reciprocal 2/3, b the mean numerator 4 times -1/3. Sum: 4 x 2/3 - 2 x 4/3 = 0 = 2 - 2.
  const auto net = forward("return x[:, 0, 0:1] / x[:, 0, 1:2]");
  const auto m = multipliers_by_hand(net, {6, 3}, {2, 1});
  CHECK(m[0] == Approx(2.0 / 3).epsilon(1e-12));
  CHECK(m[1] == Approx(-4.0 / 3).epsilon(1e-12));
  const auto constant = multipliers_by_hand(forward("return 6.0 / x[:, 0]"), {3}, {1});
  CHECK(constant[0] == Approx(-2).epsilon(1e-12));
}

TEST_CASE("a power of two that depend on X is exp(b log a)", "[rules]") {
  const auto net = forward("return torch.pow(x[:, 0, 0:1], x[:, 0, 1:2])");
  const auto m = multipliers_by_hand(net, {4, 2}, {1, 3});
  // 4^2 - 1^3 = 15 = 3 m0 - m1.
  CHECK(3 * m[0] - m[1] == Approx(15).epsilon(1e-12));
  // log: ln 4 / 3; product: a's log gets (2 + 3) / 2, b gets ln 4 / 2; exp: 15 / (2 ln 4).
  CHECK(m[0] == Approx(2.5 / 3 * 15 / 2).epsilon(1e-12));
  CHECK(m[1] == Approx(15.0 / 4).epsilon(1e-12));
}

TEST_CASE("attention written out keeps summation to delta", "[rules]") {
  const Tensors weights{{"wq", numbers({4, 6}, 1)},
                        {"wk", numbers({4, 6}, 2)},
                        {"wv", numbers({4, 6}, 3)},
                        {"mask", numbers({9, 9}, 4)}};
  const std::string projected =
      "t = h.transpose(1, 2)\n"
      "q = torch.matmul(t, self.wq)\n"
      "k = torch.matmul(t, self.wk)\n"
      "v = torch.matmul(t, self.wv)\n";
  const std::string heads =
      "q = q.view(q.size(0), 9, 2, 3).transpose(1, 2)\n"
      "k = k.view(k.size(0), 9, 2, 3).transpose(1, 2)\n"
      "v = v.view(v.size(0), 9, 2, 3).transpose(1, 2)\n";
  const std::string attend = "s = torch.matmul(q, k.transpose(-2, -1)) / 1.7\n";
  const std::string finish = "y = torch.matmul(torch.softmax(s, -1), v)\n";
  const std::string upper = "m = torch.full([9, 9], float('-inf'), dtype=torch.float64).triu(1)\n";
  const Given pairs = given(3, 4, 9);
  for (const std::string& split : {std::string(), heads}) {
    for (const std::string& mask :
         {std::string(), std::string("s = s + self.mask\n"), upper + "s = s + m\n",
          std::string("s = s.masked_fill(self.mask > 0.5, float('-inf'))\n"),
          std::string("s = torch.softmax(s * 2.0, -1).log()\n")}) {
      check_case({"attention", projected + split + attend + mask + finish, weights}, pairs);
    }
  }
}
