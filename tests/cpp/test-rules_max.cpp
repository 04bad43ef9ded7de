// Maxima: the rise is credited to the maximum of x, the fall to the reference's, and windows that
// overlap add.
#include "catch.h"
#include "nets.h"

namespace nets {

std::vector<Case> max_cases() {
  const std::string image = "q = h[:, :, 0:8].reshape(h.size(0), 4, 2, 4)\n";
  const std::string cube = "q = h[:, :, 0:8].reshape(h.size(0), 4, 2, 2, 2)\n";
  return {
      {"max_pool1d", "y = torch.max_pool1d(h, [3], [2], [1], [1], True)"},
      {"max_pool1d", "y = torch.max_pool1d(h, [3])"},
      {"max_pool2d", image + "y = torch.max_pool2d(q, [2, 3], [1, 1], [1, 1], [1, 1], False)"},
      {"max_pool2d", image + "y = torch.max_pool2d(q, 2)"},
      {"max_pool3d", cube + "y = torch.max_pool3d(q, [2, 1, 2], [1, 1, 1], [1, 0, 0])"},
      {"max_pool1d_with_indices", "y, i = torch.max_pool1d_with_indices(h, [3], [1])"},
      {"max_pool2d_with_indices", image + "y, i = torch.max_pool2d_with_indices(q, [2, 2])"},
      {"max_pool3d_with_indices", cube + "y, i = torch.max_pool3d_with_indices(q, [1, 2, 2])"},
      {"adaptive_max_pool1d", "y, i = torch.adaptive_max_pool1d(h, [4])"},
      {"adaptive_max_pool1d", "y, i = torch.adaptive_max_pool1d(h, [1])"},
      {"adaptive_max_pool2d", image + "y, i = torch.adaptive_max_pool2d(q, [2, 3])"},
      {"adaptive_max_pool3d", cube + "y, i = torch.adaptive_max_pool3d(q, [1, 2, 1])"},
      {"max", "y, i = torch.max(h, 2)"},
      {"max", "y = torch.max(h, dim=1, keepdim=True)[0]"},
      {"max", "y = torch.max(h, h.flip([2]))"},
      {"max", "y = torch.max(h, self.a)", {{"a", numbers({4, 1}, 31, -0.3, 0.3)}}},
      {"min", "y, i = h.min(-1)"},
      {"min", "y = torch.min(h, h.flip([2]))"},
      {"aminmax", "a, b = torch.aminmax(h, dim=2, keepdim=True)\ny = a * 0.5 + b"},
      {"amax", "y = torch.amax(h, 2)"},
      {"amax", "y = torch.amax(h, [1, 2], keepdim=True)"},
      {"amax", "y = torch.amax(h.unsqueeze(1), [-1, 2])"},
      {"amin", "y = torch.amin(h, [1], keepdim=False)"},
      {"maximum", "y = torch.maximum(h, h.flip([2]))"},
      {"maximum", "y = torch.maximum(self.a, h)", {{"a", numbers({4, 1}, 31, -0.3, 0.3)}}},
      {"minimum", "y = torch.minimum(h, h.flip([1]) * 0.5)"},
      {"fmax", "y = torch.fmax(h, h.flip([2]))"},
      {"fmin", "y = torch.fmin(h, h.flip([2]))"},
  };
}

}  // namespace nets

using namespace nets;

TEST_CASE("every maximum keeps summation to delta", "[rules]") { check_cases(max_cases()); }

TEST_CASE("max pools of every kernel, stride, padding, dilation and ceil mode are exact",
          "[rules]") {
  const Given pairs = given(2, 3, 13);
  const auto text = [](int number) { return std::to_string(number); };
  for (const int kernel : {1, 2, 3, 4}) {
    for (const int stride : {1, 2, 3}) {
      for (const int padding : {0, kernel / 2}) {
        for (const int dilation : {1, 2}) {
          for (const char* ceil : {"True", "False"}) {
            check_case({"max_pool1d",
                        "y = torch.max_pool1d(h, [" + text(kernel) + "], [" + text(stride) +
                            "], [" + text(padding) + "], [" + text(dilation) + "], " + ceil + ")",
                        {}},
                       pairs);
          }
        }
      }
    }
  }
}

// Sequences are one-hot, so maxima over them tie all the time.
TEST_CASE("ties of the maximum keep summation to delta", "[rules]") {
  const Given pairs = given(3, 5, 9);
  for (const char* lines : {"y = torch.max_pool1d(h, [3], [1])", "y = torch.amax(h, [2])",
                            "y = torch.amin(h, [1, 2], True)", "y, i = torch.max(h, 1)",
                            "y = torch.maximum(h, h.flip([2]))"}) {
    INFO(lines);
    const auto net = around_x(lines);
    CHECK(worst_delta(explain(net, pairs)) < 1e-12);
  }
}

TEST_CASE("a rise is due to the position of the maximum in x", "[rules]") {
  // max(1, 5) against max(2, 0): 3 by the second, which rose by 5.
  const auto net = forward("return torch.max_pool1d(x, [2])[:, 0]");
  CHECK(multipliers_by_hand(net, {1, 5}, {2, 0}) == std::vector<double>{0, 0.6});
}

TEST_CASE("a fall is due to the position of the reference's maximum", "[rules]") {
  // max(2, 0) against max(1, 5): -3 by the second, which fell by 5.
  const auto net = forward("return torch.max_pool1d(x, [2])[:, 0]");
  CHECK(multipliers_by_hand(net, {2, 0}, {1, 5}) == std::vector<double>{0, 0.6});
  CHECK(multipliers_by_hand(forward("return torch.amax(x[:, 0], 1)"), {2, 0}, {1, 5}) ==
        std::vector<double>{0, 0.6});
}

TEST_CASE("a maximum that stays has the derivative where its position stays too", "[rules]") {
  const auto net = forward("return torch.amax(x[:, 0], 1)");
  // The first position is the maximum of both.
  CHECK(multipliers_by_hand(net, {4, 1}, {4, 2}) == std::vector<double>{1, 0});
  // The maximum is 4 on both sides, at different positions: nothing changed, nobody is credited.
  const auto moved = multipliers_by_hand(net, {4, 1}, {1, 4});
  CHECK(moved == std::vector<double>{0, 0});
}

TEST_CASE("windows that overlap add", "[rules]") {
  // Windows (0, 3) and (3, 1) against (0, 0) and (0, 0): both rise by 3 because of the middle.
  const auto net = forward("return torch.max_pool1d(x, [2], [1]).sum(2)[:, 0:1]");
  CHECK(multipliers_by_hand(net, {0, 3, 1}, {0, 0, 0}) == std::vector<double>{0, 2, 0});
}

TEST_CASE("a minimum mirrors the maximum", "[rules]") {
  // min(1, 5) against min(2, 0): 1 - 0 by the second, which rose by 5.
  CHECK(multipliers_by_hand(forward("return torch.amin(x[:, 0], 1)"), {1, 5}, {2, 0}) ==
        std::vector<double>{0, 0.2});
}

TEST_CASE("the maximum of two is one of them plus a relu of the difference", "[rules]") {
  // max(5, 1) against max(0, 2): the difference goes from -2 to 4, its relu by 4, slope 2/3:
  // a gets 2/3, b 1/3: 5 x 2/3 - 1 x 1/3 = 3 = 5 - 2.
  const auto net = forward("return torch.maximum(x[:, 0, 0:1], x[:, 0, 1:2])");
  const auto m = multipliers_by_hand(net, {5, 1}, {0, 2});
  CHECK(m[0] == Approx(2.0 / 3).epsilon(1e-12));
  CHECK(m[1] == Approx(1.0 / 3).epsilon(1e-12));
}

TEST_CASE("a maximum over all sequences at once is refused", "[rules]") {
  const Given pairs = given(2, 2, 9);
  const std::string all = error_of([&]() { explain(around("y = h / torch.max(h)"), pairs); });
  CHECK(all.find("unsupported_operation: The operation aten::max") == 0);
}

TEST_CASE("a maximum beside masked positions is exact", "[rules]") {
  const Given pairs = given(3, 4, 9);
  check_case({"amax",
              "m = torch.arange(9) > 4\n"
              "y = torch.amax(h.masked_fill(m, float('-inf')), 2)",
              {}},
             pairs);
  check_case({"max_pool1d",
              "m = torch.arange(9) > 6\n"
              "y = torch.max_pool1d(h.masked_fill(m, float('-inf')), [3], [2])",
              {}},
             pairs);
}
