// Products and running products of many values.
#include "catch.h"
#include "nets.h"

namespace nets {

std::vector<Case> reduce_cases() {
  return {
      {"prod", "y = torch.prod(h, 2)"},
      {"prod", "y = torch.prod(h, 1, True)"},
      {"prod", "y = torch.prod(h[:, :, 0:1], 2)"},
      {"prod", "y = torch.prod(h, -1, dtype=torch.float64)"},
      {"cumprod", "y = torch.cumprod(h, 2)"},
      {"cumprod", "y = torch.cumprod(torch.sigmoid(h), 1)"},
      {"logcumsumexp", "y = torch.logcumsumexp(h, 2)"},
      {"logcumsumexp", "y = torch.logcumsumexp(h * 300.0, 1)"},
      {"logaddexp", "y = torch.logaddexp(h, h.flip([2]))"},
      {"logaddexp", "y = torch.logaddexp(h * 500.0, self.a)", {{"a", numbers({4, 1}, 81)}}},
      {"logaddexp2", "y = torch.logaddexp2(h, h.mean(2, keepdim=True))"},
      {"einsum", "y = torch.einsum('ncl,ncl,ncl->nl', [h, h.exp(), h.tanh()])"},
      {"einsum",
       "y = torch.einsum('ncl,ndl,nde,nce->nl', [h, h.exp(), h @ h.transpose(1, 2), "
       "h.tanh() @ h.transpose(1, 2)])"},
      {"einsum", "y = torch.einsum('ncl,ncl,ncl,ncl,ncl->nc', [h, h, h, h, h])"},
      {"linalg_multi_dot",
       "y = torch.linalg_multi_dot([h.sum(2), self.a, self.b])",
       {{"a", numbers({4, 3}, 83)}, {"b", numbers({3, 2}, 84)}}},
      {"conv_tbc",
       "y = torch.conv_tbc(h.permute([2, 0, 1]).contiguous(), self.w, self.b, 1)"
       ".permute([1, 2, 0])",
       {{"w", numbers({3, 4, 2}, 85)}, {"b", numbers({2}, 86)}}},
      {"conv1d",
       "y = torch.conv1d(h.reshape(1, -1, 9), h[:, :, 0:3].reshape(-1, 4, 3), None, [1], [1], "
       "[1], h.size(0)).reshape(h.size(0), 1, 9)"},
      {"trapezoid", "y = torch.trapezoid(h, h.cumsum(2), dim=2)"},
      {"trapz", "y = torch.trapz(h, dim=2)"},
      {"cumulative_trapezoid", "y = torch.cumulative_trapezoid(h, h.exp(), dim=2)"},
  };
}

}  // namespace nets

using namespace nets;

TEST_CASE("products of many values keep summation to delta", "[rules]") {
  check_cases(reduce_cases());
}

TEST_CASE("a product of three numbers is shared by Shapley's value", "[rules]") {
  // 2 x 3 x 5 against 1 x 1 x 1. For the first: 1 x (15 / 3 + (3 + 5) / 6 + 1 / 3) = 20 / 3.
  const auto net =
      forward("return torch.einsum('n,n,n->n', [x[:, 0, 0], x[:, 0, 1], x[:, 0, 2]]).unsqueeze(1)");
  const auto m = multipliers_by_hand(net, {2, 3, 5}, {1, 1, 1});
  CHECK(m[0] == Approx(15.0 / 3 + 8.0 / 6 + 1.0 / 3).epsilon(1e-12));
  CHECK(m[1] == Approx(10.0 / 3 + 7.0 / 6 + 1.0 / 3).epsilon(1e-12));
  CHECK(m[2] == Approx(6.0 / 3 + 5.0 / 6 + 1.0 / 3).epsilon(1e-12));
}

TEST_CASE("a product over a dimension is a tree of pairs", "[rules]") {
  const Given pairs = given(3, 4, 9);
  CHECK(distance(explain(around("y = torch.prod(h, 1)"), pairs).values,
                 explain(around("y = (h[:, 0] * h[:, 2]) * (h[:, 1] * h[:, 3])"), pairs).values) <
        1e-12);
  CHECK(
      distance(explain(around("y = torch.cumprod(h, 1)[:, 0:2]"), pairs).values,
               explain(around("y = torch.stack([h[:, 0], h[:, 0] * h[:, 1]], 1)"), pairs).values) <
      1e-12);
  CHECK(distance(explain(around("y = torch.logcumsumexp(h, 1)[:, 1]"), pairs).values,
                 explain(around("y = torch.logsumexp(h[:, 0:2], [1])"), pairs).values) < 1e-12);
}

TEST_CASE("a product over all sequences is refused", "[rules]") {
  const auto net = around("y = h * torch.prod(h)");
  const std::string error = error_of([&]() { explain(net, given(2, 3, 9)); });
  CHECK(error.find("unsupported_operation: The operation aten::prod") == 0);
}
