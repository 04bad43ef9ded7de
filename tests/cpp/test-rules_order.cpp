// What is ordered by its size, and what is looked up by an index that depends on X.

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

namespace nets {

std::vector<Case> order_cases() {
  const Tensors table{{"t", numbers({9, 3}, 41)}};
  const std::string image = "q = h[:, :, 0:8].reshape(h.size(0), 4, 2, 4)\n";
  return {
      {"sort", "y, i = torch.sort(h, 2)"},
      {"sort", "y, i = torch.sort(h, 1, descending=True)"},
      {"sort", "y, i = torch.sort(h, 2)\ny = y * i"},
      {"topk", "y, i = torch.topk(h, 3, 2)"},
      {"topk", "y, i = torch.topk(h, 2, 1, False)\ny = y + 0.5 * i"},
      {"kthvalue", "y, i = torch.kthvalue(h, 4, 2)"},
      {"median", "y, i = torch.median(h, 2)"},
      {"median", "y, i = torch.median(h, 1, keepdim=True)"},
      {"cummax", "y, i = torch.cummax(h, 2)"},
      {"cummin", "y, i = torch.cummin(h, 2)\ny = y + 0.25 * i"},
      {"argsort", "y = torch.gather(h.exp(), 2, torch.argsort(h, 2, True))"},
      {"argmax", "y = torch.gather(h, 2, torch.argmax(h, 2, keepdim=True))"},
      {"argmin", "y = torch.gather(h.flip([1]), 1, torch.argmin(h, 1, True))"},
      {"max", "v, i = torch.max(h, 2)\ny = v + i"},
      {"min", "v, i = torch.min(h, 1)\ny = v * i"},
      {"gather",
       "y = torch.gather(torch.arange(36.0).reshape(1, 4, 9).to(torch.float64).expand("
       "h.size(0), 4, 9), 2, torch.argmax(h, 2, True))"},
      {"take_along_dim", "y = torch.take_along_dim(h, torch.argsort(h.flip([2]), 2), 2)"},
      {"index",
       "i = torch.argmax(h[:, 0], 1)\n"
       "y = h[:, 1][torch.arange(h.size(0)), i].unsqueeze(1)"},
      {"embedding", "y = torch.embedding(self.t, torch.argmax(h, 2))", table},
      {"one_hot", "y = torch.one_hot(torch.argmax(h, 2), 9) * h"},
      {"max_pool1d_with_indices", "v, i = torch.max_pool1d_with_indices(h, [3], [1])\ny = v * i"},
      {"max_pool2d_with_indices",
       image + "v, i = torch.max_pool2d_with_indices(q, [2, 2])\ny = v + 0.5 * i"},
  };
}

}  // namespace nets

using namespace nets;

TEST_CASE("order statistics, indices and what they look up keep summation-to-delta", "[order]") {
  check_cases(order_cases());
}

TEST_CASE("a statistic's change is credited to a value that crossed it", "[order]") {
  // The median of (1, 2, x) moves from 1 to 2 as x moves from 0 to 3: neither of the two that are
  // the median moved, x did, by 3.
  const auto median = forward("return torch.median(x[:, 0, 0:3], 1, True)[0]");
  const auto m = multipliers_by_hand(median, {1, 2, 3}, {1, 2, 0});
  CHECK(m[0] == 0);
  CHECK(m[1] == 0);
  CHECK(m[2] == Approx(1.0 / 3));
}

TEST_CASE("an index's change is shared out over the values that changed places", "[order]") {
  // argmax of (x0, x1) from (2, 0) to (1, 4): the index moves by 1 as x1 - x0 moves from -2 to 3.
  const auto argmax = forward("return torch.argmax(x[:, 0, 0:2], 1, True).to(torch.float64)");
  const auto m = multipliers_by_hand(argmax, {1, 4}, {2, 0});
  CHECK(m[0] == Approx(-0.2));
  CHECK(m[1] == Approx(0.2));
}

TEST_CASE("looking up the largest value is the maximum", "[order]") {
  const Given pairs = given(3, 4, 9);
  const auto looked_up = explain(around("y = torch.gather(h, 2, torch.argmax(h, 2, True))"), pairs);
  const auto maximum = explain(around("y = torch.amax(h, [2], True)"), pairs);
  CHECK(distance(looked_up.predictions, maximum.predictions) == 0);
  CHECK(worst_delta(looked_up) < 1e-10);
}
