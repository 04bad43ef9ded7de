// The rescale rule on elementwise functions.
#include <cmath>

#include "catch.h"
#include "nets.h"

namespace nets {

namespace {

// torch.<op>(argument), the argument brought into the function's domain.
std::vector<Case> applied(const std::vector<std::string>& ops, const std::string& argument) {
  std::vector<Case> cases;
  for (const std::string& op : ops) {
    cases.push_back({op, "y = torch." + op + "(" + argument + ")"});
  }
  return cases;
}

void add(std::vector<Case>& all, const std::vector<Case>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

// Steps (sign, floor, round, ...) are put on four times h, so that some step is taken.
std::vector<Case> elementwise_cases() {
  std::vector<Case> all;
  add(all, applied({"relu",
                    "silu",
                    "mish",
                    "softplus",
                    "sigmoid",
                    "log_sigmoid",
                    "tanh",
                    "exp",
                    "exp2",
                    "expm1",
                    "square",
                    "sin",
                    "cos",
                    "atan",
                    "sinh",
                    "cosh",
                    "asinh",
                    "arctan",
                    "arcsinh",
                    "erf",
                    "erfc",
                    "sinc",
                    "i0",
                    "special_erf",
                    "special_erfc",
                    "special_expit",
                    "special_expm1",
                    "special_ndtr",
                    "special_log_ndtr",
                    "special_sinc",
                    "special_erfcx",
                    "special_i0",
                    "special_i0e",
                    "special_i1",
                    "special_i1e",
                    "special_exp2",
                    "deg2rad",
                    "rad2deg",
                    "relu6",
                    "elu",
                    "selu",
                    "celu",
                    "hardsigmoid",
                    "hardswish",
                    "hardshrink",
                    "softshrink",
                    "hardtanh",
                    "abs",
                    "absolute",
                    "nan_to_num",
                    "gelu",
                    "leaky_relu"},
                   "h"));
  add(all, applied({"log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "digamma",
                    "lgamma", "special_log1p", "special_entr"},
                   "h.abs() + 0.3"));
  add(all, applied({"acosh", "arccosh"}, "h.abs() + 1.2"));
  add(all, applied({"asin", "acos", "atanh", "arcsin", "arccos", "arctanh", "erfinv", "tan"},
                   "torch.tanh(h) * 0.9"));
  add(all, applied({"logit", "special_logit"}, "torch.sigmoid(h)"));
  add(all, applied({"sign", "sgn", "floor", "ceil", "round", "trunc", "fix", "frac"}, "h * 4.0"));
  add(all, {
               {"relu", "y = torch.relu_(h * 1.0)"},
               {"relu", "y = torch.relu(h.transpose(1, 2))"},
               {"gelu", "y = torch.gelu(h, approximate='tanh')"},
               {"softplus", "y = torch.softplus(h, 2.0, 0.5)"},
               {"elu", "y = torch.elu(h, 0.7, 1.3, 0.5)"},
               {"celu", "y = torch.celu(h, 0.3)"},
               {"leaky_relu", "y = torch.leaky_relu(h, 0.2)"},
               {"prelu", "y = torch.prelu(h, self.a)", {{"a", vector_of({0.1, 0.3, -0.2, 0.9})}}},
               {"prelu", "y = torch.prelu(h, self.a)", {{"a", vector_of({0.25})}}},
               {"hardtanh", "y = torch.hardtanh(h, -0.2, 0.3)"},
               {"hardshrink", "y = torch.hardshrink(h, 0.2)"},
               {"softshrink", "y = torch.softshrink(h, 0.1)"},
               {"threshold", "y = torch.threshold(h, 0.1, -3.0)"},
               {"rrelu", "y = torch.rrelu(h, 0.1, 0.3, False)"},
               {"clamp", "y = torch.clamp(h, -0.1, 0.4)"},
               {"clamp", "y = torch.clamp(h, min=0.1)"},
               {"clamp", "y = torch.clamp(h, self.a, self.a + 0.4)", {{"a", numbers({4, 1}, 4)}}},
               {"clip", "y = torch.clip(h, -0.1, 0.4)"},
               {"clamp_min", "y = torch.clamp_min(h, 0.1)"},
               {"clamp_max", "y = torch.clamp_max(h, 0.1)"},
               {"round", "y = torch.round(h, decimals=1)"},
               {"glu", "y = torch.glu(h, 1)"},
               {"glu", "y = torch.glu(h[:, :, 0:8], -1)"},
               {"pow", "y = h ** 2"},
               {"pow", "y = h ** 3.0"},
               {"pow", "y = torch.pow(h.abs() + 0.2, -1.5)"},
               {"pow", "y = torch.pow(2.0, h)"},
               {"pow", "y = torch.pow(self.a, h)", {{"a", vector_of({1.7})}}},
               {"pow", "y = torch.pow(h.abs() + 0.2, self.a)", {{"a", numbers({9}, 4)}}},
               {"pow", "y = torch.pow(h.abs() + 0.2, h.flip([2]))"},
               {"float_power", "y = torch.float_power(h, 2)"},
               {"softsign", "y = h / (1.0 + torch.abs(h))"},
           });
  return all;
}

}  // namespace nets

using namespace nets;

TEST_CASE("every elementwise function keeps summation to delta", "[rules]") {
  check_cases(elementwise_cases());
}

namespace {

using Twins = std::vector<std::pair<std::string, std::string>>;

// Two ways to write one model: same multipliers, same predictions, no delta.
void check_twins(const Twins& twins) {
  const Given pairs = given(3, 4, 9);
  for (const auto& twin : twins) {
    INFO(twin.first);
    std::string error;
    Explained in_place;
    try {
      in_place = explain(around(twin.first), pairs);
    } catch (const std::exception& caught) {
      error = std::string(caught.what()).substr(0, 300);
    }
    CHECK(error == "");
    if (error.empty()) {
      const Explained plain = explain(around(twin.second), pairs);
      CHECK(worst_delta(in_place) < 1e-10);
      CHECK(distance(in_place.values, plain.values) < 1e-12);
      CHECK(distance(in_place.predictions, plain.predictions) < 1e-12);
    }
  }
}

}  // namespace

TEST_CASE("in-place variants are the functions that they abbreviate", "[rules]") {
  check_twins({
      {"y = h * 1.0\ny.relu_()", "y = torch.relu(h)"},
      {"y = torch.relu_(h)", "y = torch.relu(h)"},
      {"h.sigmoid_()\ny = h", "y = torch.sigmoid(h)"},
      {"y = h.tanh_().exp_()", "y = h.tanh().exp()"},
      {"y = h * 1.0\ny.mul_(h)", "y = h * h"},
      {"y = h * 1.0\ny *= y", "y = h * h"},
      {"y = h * 1.0\ny.add_(h, alpha=2)\ny.sub_(1.5)", "y = h + 2 * h - 1.5"},
      {"y = h * 1.0\ny.div_(h.abs() + 1.0)", "y = h / (h.abs() + 1.0)"},
      {"y = h * 1.0\ny.clamp_(-0.1, 0.2)", "y = torch.clamp(h, -0.1, 0.2)"},
      {"y = torch.leaky_relu_(h, 0.3)", "y = torch.leaky_relu(h, 0.3)"},
      {"y = torch.elu_(h)", "y = torch.elu(h)"},
      {"y = torch.hardtanh_(h, -0.2, 0.2)", "y = torch.hardtanh(h, -0.2, 0.2)"},
      {"y = torch.dropout_(h, 0.5, False)", "y = h"},
      {"y = h * 1.0\ny.pow_(2)", "y = h * h"},
      {"y = h * 1.0\nv = y[:, 1]\nv.relu_()",
       "y = torch.cat([h[:, 0:1], torch.relu(h[:, 1:2]), h[:, 2:4]], 1)"},
      {"y = h * 1.0\nv = y[:, 1:3]\ny.exp_()\ny = v", "y = h.exp()[:, 1:3]"},
      {"y = h * 1.0\ny[:, 0] = torch.sigmoid(h[:, 1])",
       "y = torch.cat([torch.sigmoid(h[:, 1:2]), h[:, 1:4]], 1)"},
      {"y = torch.zeros_like(h)\ny.copy_(torch.tanh(h))", "y = torch.tanh(h)"},
      {"y = torch.zeros_like(h)\ny += torch.tanh(h)", "y = torch.tanh(h)"},
      {"y = h * 1.0\ny.masked_fill_(torch.arange(9) > 4, 0.0)", "y = h * (torch.arange(9) <= 4)"},
      {"y = h * 1.0\ny.zero_()\ny += h * h", "y = h * h"},
  });
}

TEST_CASE("in-place variants that change a shape are followed", "[rules]") {
  check_twins({
      {"y = h * 1.0\ny.transpose_(1, 2)\ny = y.exp()", "y = h.transpose(1, 2).exp()"},
      {"y = h * 1.0\ny.unsqueeze_(1)\ny = y.exp()", "y = h.unsqueeze(1).exp()"},
      {"y = h.sum(1, keepdim=True)\ny.squeeze_(1)\ny = y.exp()", "y = h.sum(1).exp()"},
  });
}

TEST_CASE("a value written to after an operation has used it leaves that use alone", "[rules]") {
  check_twins({
      {"a = torch.conv1d(h, self.w_in, padding=1)\nh += a\ny = h",
       "y = h + torch.conv1d(h, self.w_in, padding=1)"},
      {"a = torch.conv1d(h, self.w_in, padding=1)\nh.add_(a)\ny = h + a",
       "y = h + torch.conv1d(h, self.w_in, padding=1) * 2.0"},
      {"a = torch.conv1d(h, self.w_in, padding=1)\nh[:, 0] = a[:, 1]\ny = h + a",
       "a = torch.conv1d(h, self.w_in, padding=1)\n"
       "y = torch.cat([a[:, 1:2], h[:, 1:]], 1) + a"},
      {"a = h * h\nh.mul_(2.0)\ny = a + h", "y = h * h + h * 2.0"},
      {"a = torch.sigmoid(h)\nb = a * a\na.add_(1.0)\ny = a + b",
       "a = torch.sigmoid(h)\ny = a * a + a + 1.0"},
      {"a = torch.softmax(h, 1)\nb = a.exp()\na.zero_()\ny = a + b",
       "y = torch.softmax(h, 1).exp()"},
  });
}

TEST_CASE("a relu that crosses zero gets the quotient of differences", "[rules]") {
  const auto net = forward("return torch.relu(x[:, 0])");
  // relu(3) - relu(-1) = 3 over 4; relu(-1) - relu(3) the same; both above zero: 1; both below: 0.
  CHECK(multipliers_by_hand(net, {3}, {-1}) == std::vector<double>{0.75});
  CHECK(multipliers_by_hand(net, {-1}, {3}) == std::vector<double>{0.75});
  CHECK(multipliers_by_hand(net, {3}, {1}) == std::vector<double>{1});
  CHECK(multipliers_by_hand(net, {-3}, {-1}) == std::vector<double>{0});
}

TEST_CASE("equal inputs get the derivative", "[rules]") {
  CHECK(multipliers_by_hand(forward("return torch.relu(x[:, 0])"), {2}, {2}) ==
        std::vector<double>{1});
  CHECK(multipliers_by_hand(forward("return torch.relu(x[:, 0])"), {-2}, {-2}) ==
        std::vector<double>{0});
  const auto exponential = multipliers_by_hand(forward("return torch.exp(x[:, 0])"), {1}, {1});
  CHECK(exponential[0] == Approx(std::exp(1.0)).epsilon(1e-12));
  const auto cube = multipliers_by_hand(forward("return x[:, 0] ** 3"), {2}, {2});
  CHECK(cube[0] == Approx(12).epsilon(1e-12));
}

TEST_CASE("the multiplier of a smooth function passes into the derivative without a step",
          "[rules]") {
  // (log(1 + d) - log 1) / d = 1 - d/2 + d^2/3 - ...
  const auto net = forward("return torch.log(x[:, 0])");
  for (double d = 1e-1; d > 1e-14; d /= 2) {
    INFO("difference " << d);
    const double m = multipliers_by_hand(net, {1 + d}, {1})[0];
    const double change = (1 + d) - 1;
    CHECK(m == Approx(std::log1p(change) / change).epsilon(3e-11));
  }
}

TEST_CASE("an absolute value across zero, a square, a clamp and a root by hand", "[rules]") {
  // (|3| - |-1|) / 4 = 1/2; (9 - 1) / 2 = 4; (1 - (-1)) / (5 + 3) = 1/4; (3 - 2) / (9 - 4) = 1/5.
  CHECK(multipliers_by_hand(forward("return torch.abs(x[:, 0])"), {3}, {-1})[0] == Approx(0.5));
  CHECK(multipliers_by_hand(forward("return x[:, 0] ** 2"), {3}, {1})[0] == Approx(4));
  CHECK(multipliers_by_hand(forward("return torch.clamp(x[:, 0], -1, 1)"), {5}, {-3})[0] ==
        Approx(0.25));
  CHECK(multipliers_by_hand(forward("return torch.sqrt(x[:, 0])"), {9}, {4})[0] == Approx(0.2));
}

TEST_CASE("a step is shared over the difference that took it", "[rules]") {
  // sign(2) - sign(-2) = 2 over 4; no step between 1 and 3.
  const auto net = forward("return torch.sign(x[:, 0])");
  CHECK(multipliers_by_hand(net, {2}, {-2})[0] == Approx(0.5));
  CHECK(multipliers_by_hand(net, {3}, {1})[0] == 0);
}

TEST_CASE("a gated linear unit is its half times the sigmoid of the other, shared at the midpoint",
          "[rules]") {
  // a sigmoid(b): a gets (s + s') / 2, b gets (a + a') / 2 (s - s') / (b - b').
  const auto net = forward("return torch.glu(x[:, 0], 1)");
  const double s = 1 / (1 + std::exp(-1.0));
  const double t = 1 / (1 + std::exp(2.0));
  const auto m = multipliers_by_hand(net, {3, 1}, {1, -2});
  CHECK(m[0] == Approx((s + t) / 2).epsilon(1e-12));
  CHECK(m[1] == Approx(2 * (s - t) / 3).epsilon(1e-12));
}

TEST_CASE("a randomized leaky relu has its middle slope, even where a trace says training",
          "[rules]") {
  const Given pairs = given(2, 3, 9);
  const Explained training = explain(around("y = torch.rrelu(h, 0.1, 0.3, True)"), pairs);
  const Explained middle = explain(around("y = torch.leaky_relu(h, 0.2)"), pairs);
  CHECK(distance(training.values, middle.values) < 1e-12);
}

TEST_CASE("rescale is exact in float where inputs nearly agree", "[rules]") {
  Settings in_float;
  in_float.dtype = at::kFloat;
  for (const char* op : {"exp", "tanh", "sigmoid", "softplus", "gelu", "silu"}) {
    INFO(op);
    const auto net = forward("return torch." + std::string(op) + "(x[:, 0])");
    const double exact = multipliers_by_hand(net, {0.7500001}, {0.75})[0];
    const double fast = multipliers_by_hand(net, {0.7500001}, {0.75}, in_float)[0];
    CHECK(fast == Approx(exact).epsilon(1e-6));
  }
}
