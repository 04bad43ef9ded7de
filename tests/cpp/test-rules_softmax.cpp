// softmax, log_softmax and logsumexp: exact for each pair, whatever stands beside it in the batch.
#include <cmath>

#include "catch.h"
#include "nets.h"

namespace nets {

std::vector<Case> softmax_cases() {
  const std::string mask =
      "m = torch.arange(9) > 4\n"
      "q = h.masked_fill(m, float('-inf'))\n";
  return {
      {"softmax", "y = torch.softmax(h, 1)"},
      {"softmax", "y = torch.softmax(h, -1)"},
      {"softmax", "y = torch.softmax(h.flatten(1), 1)"},
      {"softmax", "y = torch.softmax(h * 300.0, 1)"},
      {"softmax", "y = torch.softmax(h, 1, torch.float64)"},
      {"softmax", mask + "y = torch.softmax(q, 2)"},
      {"log_softmax", "y = torch.log_softmax(h, 1)"},
      {"log_softmax", "y = torch.log_softmax(h, -1)"},
      {"log_softmax", "y = torch.log_softmax(h * 300.0, 1)"},
      {"log_softmax", mask + "y = torch.log_softmax(q, 2)[:, :, 0:4]"},
      {"logsumexp", "y = torch.logsumexp(h, 1)"},
      {"logsumexp", "y = torch.logsumexp(h, [1, 2], True)"},
      {"logsumexp", "y = torch.logsumexp(h, [-1])"},
      {"logsumexp", mask + "y = torch.logsumexp(q, 2)"},
      {"_softmax", "y = torch._softmax(h, 1, False)"},
      {"_log_softmax", "y = torch._log_softmax(h, 1, False)"},
  };
}

}  // namespace nets

using namespace nets;

TEST_CASE("every softmax keeps summation to delta", "[rules]") { check_cases(softmax_cases()); }

TEST_CASE("softmax is exact over every dimension of every rank", "[rules]") {
  const Given pairs = given(2, 3, 8);
  const std::vector<std::pair<std::string, int>> shapes{
      {"", 3}, {".view(h.size(0), 2, 2, 8)", 4}, {".view(h.size(0), 2, 2, 4, 2)", 5}};
  for (const auto& shape : shapes) {
    for (const int dim : {1, 2, 3, 4, -1, -2}) {
      for (const char* op : {"softmax", "log_softmax", "logsumexp"}) {
        if (dim < shape.second) {
          check_case({op,
                      "q = h.contiguous()" + shape.first + "\ny = torch." + op + "(q, " +
                          std::to_string(dim) + ")",
                      {}},
                     pairs);
        }
      }
    }
  }
}

TEST_CASE("no rule sees which dimension a softmax goes over", "[rules]") {
  const Given pairs = given(2, 3, 8);
  const std::vector<std::pair<std::string, std::string>> calls{
      {"torch.softmax(", ")"},         {"torch.log_softmax(", ")"},
      {"torch._softmax(", ", False)"}, {"torch._log_softmax(", ", False)"},
      {"torch.logsumexp(", ", True)"}, {"torch.logcumsumexp(", ")"}};
  for (const auto& call : calls) {
    for (const std::string dim : {"1", "-2", "3"}) {
      const std::string start = "q = h.contiguous().view(h.size(0), 2, 2, 8)\ny = ";
      const std::string turned = ".transpose(" + dim + ", -1)";
      const std::string end = "\ny = torch.tanh(y)";
      INFO(call.first << " over " << dim);
      const auto direct = around(start + call.first + "q, " + dim + call.second + end);
      const auto last =
          around(start + call.first + "q" + turned + ", -1" + call.second + turned + end);
      const Explained one = explain(direct, pairs);
      CHECK(worst_delta(one) < 1e-10);
      CHECK(distance(one.values, explain(last, pairs).values) < 1e-10);
      for (const std::string rule : {"rescale", "reveal_cancel"}) {
        for (const std::string output : {"multipliers", "positive_multipliers"}) {
          if (rule == "rescale" && output != "multipliers") {
            continue;  // it has one for both signs
          }
          Settings settings;
          settings.output = output;
          const Explained split = deep_lifted(direct, pairs, rule, settings);
          CHECK(distance(split.values, deep_lifted(last, pairs, rule, settings).values) < 1e-10);
        }
        CHECK(worst_delta(deep_lifted(direct, pairs, rule)) < 1e-10);
      }
    }
  }
}

TEST_CASE("a shift that softmax ignores has bounded multipliers that sum to nothing", "[rules]") {
  // x = reference + 5: softmax stays at (1/2, 1/2); its Jacobian row is (1/4, -1/4).
  const auto net = forward("return torch.softmax(x[:, 0], 1)");
  const auto m = multipliers_by_hand(net, {5, 5}, {0, 0});
  CHECK(m[0] == Approx(0.25).epsilon(1e-12));
  CHECK(m[1] == Approx(-0.25).epsilon(1e-12));
  // However far the shift, and however uneven the probabilities.
  const auto far = multipliers_by_hand(net, {501, 500}, {1, 0});
  const double p = 1 / (1 + std::exp(-1.0));
  CHECK(far[0] == Approx(p * (1 - p)).epsilon(1e-9));
  CHECK(far[1] == Approx(-p * (1 - p)).epsilon(1e-9));
}

TEST_CASE("logsumexp by hand", "[rules]") {
  // l(x) with x = (1, 0) against (0, 0): e - 1 over 1 for the first, exp'(0) = 1 for the second,
  // both times (l - l') / (s - s') with s = e + 1 and s' = 2. The first alone changes: its
  // multiplier is l - l'.
  const auto net = forward("return torch.logsumexp(x[:, 0], [1])");
  const double change = std::log(std::exp(1.0) + 1) - std::log(2.0);
  const auto m = multipliers_by_hand(net, {1, 0}, {0, 0});
  CHECK(m[0] == Approx(change).epsilon(1e-12));
  CHECK(m[1] == Approx(change / (std::exp(1.0) - 1)).epsilon(1e-12));
}

TEST_CASE("softmax of a pair does not depend on the batch around it", "[rules]") {
  const auto net = around("y = torch.softmax(h * 3.0, 2)");
  const Given many = given(3, 4, 9);
  const Given one{many.X.narrow(0, 1, 1), many.references.narrow(0, 1, 1).narrow(1, 2, 1), {}};
  const Explained all = explain(net, many);
  const Explained alone = explain(net, one);
  CHECK(distance(all.values.narrow(0, 1, 1).narrow(1, 2, 1), alone.values) < 1e-14);
}

TEST_CASE("softmax in float is as exact as its inputs are", "[rules]") {
  Settings in_float;
  in_float.dtype = at::kFloat;
  const Given pairs = given(3, 4, 9);
  for (const char* scale : {"0.001", "1.0", "30.0"}) {
    INFO("scale " << scale);
    const auto net = around("y = torch.softmax(h * " + std::string(scale) + ", 2)");
    const Explained exact = explain(net, pairs);
    const Explained fast = explain(net, pairs, in_float);
    CHECK(distance(fast.values, exact.values) <
          3e-5 * (1e-3 + exact.values.abs().max().item<double>()));
  }
}
