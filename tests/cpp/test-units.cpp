// Registered classes as one unit, in operator mode and in module mode (the peers' formulas).

#include <cmath>

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

Part of_class(const std::string& class_name, const std::string& result,
              const Tensors& parameters = {}) {
  Part part;
  part.class_name = class_name;
  part.parameters = parameters;
  part.source = "def forward(self, x: Tensor):\n    return " + result + "\n";
  return part;
}

Part relu() { return of_class("torch.nn.modules.activation.ReLU", "torch.relu(x)"); }

// A model with one module `act`, called as the body says.
ModelPointer around_module(const Part& act, const std::string& body) {
  Part whole;
  whole.parameters = {{"dtype_", numbers({1}, 0)}};
  whole.parts = {{"act", act}};
  whole.source = "def forward(self, x: Tensor):\n" + indented(body);
  return model(whole);
}

Settings module_mode(const std::map<std::string, std::string>& registered = {}) {
  Settings settings;
  settings.module_mode = true;
  settings.registered = registered;
  return settings;
}

Settings registered(const std::string& class_name, const std::string& rule) {
  Settings settings;
  settings.registered = {{class_name, rule}};
  return settings;
}

// x sigmoid(1.702 x), a class that no peer knows.
Part swish() { return of_class("models.Swish", "x * torch.sigmoid(x * 1.702)"); }

double swish_of(double x) { return x / (1 + std::exp(-1.702 * x)); }

}  // namespace

TEST_CASE("module mode rescales a registered ReLU", "[units]") {
  const auto net = around_module(relu(), "return self.act.forward(x[:, 0])");
  // relu(3) - relu(-1) = 3 over 4.
  CHECK(multipliers_by_hand(net, {3}, {-1}, module_mode())[0] == Approx(0.75));
}

TEST_CASE("module mode takes the derivative at x below the peers' threshold", "[units]") {
  const Part cube = of_class("models.Cube", "x * x * x");
  const auto net = around_module(cube, "return self.act.forward(x[:, 0])");
  const Settings settings = module_mode({{"Cube", "rescale"}});
  // Below 1e-6: 3 x^2 at x, exactly; above: the quotient, which is halfway to the reference.
  CHECK(multipliers_by_hand(net, {2}, {2 - 5e-7}, settings)[0] == Approx(12).epsilon(1e-14));
  CHECK(multipliers_by_hand(net, {2}, {1}, settings)[0] == Approx(7).epsilon(1e-12));
}

TEST_CASE("module mode gives a functional relu its ordinary gradient at x", "[units]") {
  const auto net = forward("return torch.relu(x[:, 0])");
  CHECK(multipliers_by_hand(net, {3}, {-1}, module_mode())[0] == 1);
  CHECK(multipliers_by_hand(net, {-1}, {3}, module_mode())[0] == 0);
  const Explained result = explain(net, by_hand({3}, {-1}), module_mode());
  // 1 x (3 + 1) - (3 - 0): the delta tells.
  CHECK(result.deltas.item<double>() == Approx(1));
}

TEST_CASE("module mode shows a high delta for an unregistered layer and a low one once registered",
          "[units]") {
  const auto net = around_module(swish(), "return self.act.forward(x).flatten(1).sum(1, True)");
  const Given pairs = given(3, 4, 9);
  CHECK(worst_delta(explain(net, pairs, module_mode())) > 1e-2);
  CHECK(worst_delta(explain(net, pairs, module_mode({{"Swish", "rescale"}}))) < 1e-9);
}

TEST_CASE("module mode's softmax subtracts the mean over the whole batch", "[units]") {
  const Part softmax = of_class("torch.nn.modules.activation.Softmax", "torch.softmax(x, 1)");
  const auto net = around_module(softmax, "return self.act.forward(x[:, 0])");
  // x = (1, 0), reference (0, 0). The first output's gradient is (1, 0); the quotient of the first
  // is q = (p - 1/2) / 1; the second does not change, so it keeps its ordinary gradient, at x in
  // the first half of the batch and at the reference in the second: -p (1 - p) and -1/4. In the
  // second half the gradient of the output is 1 as well. The mean is over all four.
  const double p = std::exp(1.0) / (std::exp(1.0) + 1);
  const double q = p - 0.5;
  const double mean = (q - p * (1 - p) + q - 0.25) / 4;
  const auto m = multipliers_by_hand(net, {1, 0}, {0, 0}, module_mode());
  CHECK(m[0] == Approx(q - mean).epsilon(1e-12));
  CHECK(m[1] == Approx(-p * (1 - p) - mean).epsilon(1e-12));
}

TEST_CASE("module mode's max-pooling puts rise and fall by position", "[units]") {
  const Part pool = of_class("torch.nn.modules.pooling.MaxPool1d",
                             "torch.max_pool1d(x, [2], [2], [0], [1], False)");
  const auto net = around_module(pool, "return self.act.forward(x)[:, 0].sum(1, keepdim=True)");
  // Window (1, 5) against (2, 0): both maxima 5 and 2; top 5: rise 3 where x has its maximum (0.6
  // per unit), fall 0. Window (2, 0) against (1, 5): fall 3 where the reference has it: -3 / -5.
  const auto m = multipliers_by_hand(net, {1, 5, 2, 0}, {2, 0, 1, 5}, module_mode());
  CHECK(m[0] == Approx(0).margin(1e-14));
  CHECK(m[1] == Approx(0.6));
  CHECK(m[2] == Approx(0).margin(1e-14));
  CHECK(m[3] == Approx(0.6));
}

TEST_CASE("in module mode the last call of a module used twice decides for all", "[units]") {
  // y = relu(x) + relu(-2 x): the second call has inputs -2 and 4 for x = 1 and -2: its quotient is
  // (0 - 4) / (-2 - 4) = 2/3, and it is what both calls get: 2/3 - 2 x 2/3.
  const auto net =
      around_module(relu(), "return self.act.forward(x[:, 0]) + self.act.forward(x[:, 0] * -2.0)");
  CHECK(multipliers_by_hand(net, {1}, {-2}, module_mode())[0] == Approx(-2.0 / 3));
  // Operator mode knows both: 1/3 - 2 x 2/3.
  CHECK(multipliers_by_hand(net, {1}, {-2})[0] == Approx(-1));
}

TEST_CASE("only PyTorch's own classes are the peers', not a user's of the same name", "[units]") {
  const auto net =
      around_module(of_class("models.ReLU", "torch.relu(x)"), "return self.act.forward(x[:, 0])");
  CHECK(multipliers_by_hand(net, {3}, {-1}, module_mode())[0] == 1);
}

TEST_CASE("a class under rescale is one unit in operator mode", "[units]") {
  const auto net = around_module(swish(), "return self.act.forward(x[:, 0])");
  const double quotient = (swish_of(3) - swish_of(-1)) / 4;
  const Settings settings = registered("Swish", "rescale");
  CHECK(multipliers_by_hand(net, {3}, {-1}, settings)[0] == Approx(quotient).epsilon(1e-12));
  // By full class name and by path too.
  for (const char* key : {"models.Swish", "act"}) {
    CHECK(multipliers_by_hand(net, {3}, {-1}, registered(key, "rescale"))[0] ==
          Approx(quotient).epsilon(1e-12));
  }
  CHECK(worst_delta(explain(around_module(swish(), "return self.act.forward(x).sum(2)"),
                            given(3, 4, 9), settings)) < 1e-10);
}

TEST_CASE("a unit can be called often, each call by its own inputs", "[units]") {
  const auto net = around_module(swish(),
                                 "h = self.act.forward(x * 3.0)\n"
                                 "return self.act.forward(h - 0.5).sum(2)");
  CHECK(worst_delta(explain(net, given(3, 4, 9), registered("Swish", "rescale"))) < 1e-10);
}

TEST_CASE("a class under linear or gradient keeps its ordinary gradient", "[units]") {
  const auto net = around_module(swish(), "return self.act.forward(x[:, 0])");
  // The references' half carries the gradient: d/dx at -1.
  const double s = 1 / (1 + std::exp(1.702));
  const double slope = s + -1 * 1.702 * s * (1 - s);
  for (const char* rule : {"linear", "gradient"}) {
    CHECK(multipliers_by_hand(net, {3}, {-1}, registered("Swish", rule))[0] ==
          Approx(slope).epsilon(1e-12));
  }
}

TEST_CASE("a user's function gives the multiplier from matched rows", "[units]") {
  const auto net = around_module(swish(), "return self.act.forward(x).flatten(1).sum(1, True)");
  const Given pairs = given(3, 4, 9);
  for (const bool peers : {false, true}) {
    INFO("module mode " << peers);
    Settings settings = registered("Swish", "function");
    settings.module_mode = peers;
    settings.function = [](const at::Tensor& x, const at::Tensor& x_ref, const at::Tensor& y,
                           const at::Tensor& y_ref, const at::Tensor& grad) {
      REQUIRE(x.sizes() == x_ref.sizes());
      REQUIRE(y.sizes() == grad.sizes());
      const at::Tensor change = x - x_ref;
      return at::where(change.abs() < 1e-9, at::zeros_like(grad), grad * (y - y_ref) / change);
    };
    CHECK(worst_delta(explain(net, pairs, settings)) < 1e-9);
    settings.function = [](const at::Tensor&, const at::Tensor&, const at::Tensor&,
                           const at::Tensor&, const at::Tensor& grad) { return grad * 7.0; };
    const Explained result = explain(net, pairs, settings);
    CHECK(distance(result.values, at::full_like(result.values, 7.0)) == 0);
  }
}

TEST_CASE("a class that changes its shape cannot be rescaled", "[units]") {
  const auto net = around_module(of_class("models.Half", "x[:, :, 0:4] * 2.0"),
                                 "return self.act.forward(x).sum(2)");
  for (const bool peers : {false, true}) {
    Settings settings = registered("Half", "rescale");
    settings.module_mode = peers;
    const std::string error = error_of([&]() { explain(net, given(2, 2, 9), settings); });
    INFO(error);
    CHECK(error.find("registration: models.Half (act) turns 4 x 9 into 4 x 4") == 0);
  }
}

TEST_CASE("a class of several inputs that depend on X cannot be registered", "[units]") {
  Part two;
  two.class_name = "models.Gate";
  two.source = "def forward(self, x: Tensor, y: Tensor):\n    return x * torch.sigmoid(y)\n";
  const auto net = around_module(two, "return self.act.forward(x, x * 2.0).sum(2)");
  const std::string error =
      error_of([&]() { explain(net, given(2, 2, 9), registered("Gate", "rescale")); });
  CHECK(error.find("registration: models.Gate (act) takes several inputs that depend on X") == 0);
}

TEST_CASE("a registered softmax is exact in operator mode and the peers' in module mode",
          "[units]") {
  const Part scaling = of_class("models.Scaling", "torch.softmax(x, 2)");
  const auto net = around_module(scaling, "return self.act.forward(x * 2.0).cumsum(2).sum(2)");
  Settings settings = registered("Scaling", "softmax");
  CHECK(worst_delta(explain(net, given(3, 4, 9), settings)) < 1e-10);
  settings.module_mode = true;
  CHECK(worst_delta(explain(net, given(3, 4, 9), settings)) > 1e-6);
}

TEST_CASE("module mode equals operator mode where every bend is a registered ReLU", "[units]") {
  Part whole;
  whole.parameters = {{"a", numbers({6, 4, 3}, 1)}, {"b", numbers({3, 6, 3}, 2)}};
  whole.parts = {{"first", relu()}, {"second", relu()}};
  whole.source =
      "def forward(self, x: Tensor):\n"
      "    h = self.first.forward(torch.conv1d(x, self.a))\n"
      "    h = self.second.forward(torch.conv1d(h, self.b))\n"
      "    return h.flatten(1).sum(1, keepdim=True)\n";
  const auto net = model(whole);
  const Given pairs = given(3, 4, 9);
  const Explained operators = explain(net, pairs);
  const Explained modules = explain(net, pairs, module_mode());
  CHECK(distance(operators.values, modules.values) < 1e-9);
  CHECK(distance(operators.predictions, modules.predictions) < 1e-12);
}

// The hooks of the peers remember a module's last call. Where its numbers broadcast they are used
// for the calls before it too. x = (3, 1), reference (-1, 2): the last input, mean(relu(x)) - 1.5,
// goes from -0.5 to 0.5 and its relu from 0 to 0.5, so both calls have the factor 1/2.
TEST_CASE("module mode has the last call's numbers for a module used at two shapes", "[units]") {
  const auto net = around_module(relu(),
                                 "h = self.act.forward(x[:, :1])\n"
                                 "h = self.act.forward(h.mean(2, keepdim=True) - 1.5)\n"
                                 "return h.squeeze(2)");
  const auto m = multipliers_by_hand(net, {3, 1}, {-1, 2}, module_mode());
  CHECK(m[0] == Approx(0.125));
  CHECK(m[1] == Approx(0.125));
}

// The means are 2 and 0.5, so the first call goes from -0.5 to 1 and its relu from 0 to 1: 2/3. The
// second is the larger one: the hook would give the first a larger gradient than its input is.
// 2 x - 3 h goes from (-2, 4) to (3, -1) and its relu from (0, 4) to (3, 0): 3/5 and 4/5.
TEST_CASE("module mode has each call's own numbers where the last call's fit not all", "[units]") {
  const auto net = around_module(relu(),
                                 "h = self.act.forward(x[:, :1].mean(2, keepdim=True) - 1.0)\n"
                                 "return self.act.forward(x[:, :1] * 2.0 - h * 3.0).sum(2)");
  const auto m = multipliers_by_hand(net, {3, 1}, {-1, 2}, module_mode());
  CHECK(m[0] == Approx(2 * 0.6 - 3 * 1.4 * (2.0 / 3) / 2));
  CHECK(m[1] == Approx(2 * 0.8 - 3 * 1.4 * (2.0 / 3) / 2));
}

// The windows' maxima are (5, 2) and (2, 3), theirs 5 and 3: the rise 2 is the first's, over its
// change 3. Of that the second letter has all, a rise 3 x 2/3 over its change 5.
TEST_CASE("module mode has each call's own numbers for a max-pooling of what it has pooled",
          "[units]") {
  const Part pool = of_class("torch.nn.modules.pooling.MaxPool1d",
                             "torch.max_pool1d(x, [2], [2], [0], [1], False)");
  const auto net = around_module(pool,
                                 "h = self.act.forward(self.act.forward(x))\n"
                                 "return h[:, 0]");
  const auto m = multipliers_by_hand(net, {1, 5, 2, 0}, {2, 0, 1, 3}, module_mode());
  CHECK(m[0] == Approx(0).margin(1e-14));
  CHECK(m[1] == Approx(0.4));
  CHECK(m[2] == Approx(0).margin(1e-14));
  CHECK(m[3] == Approx(0).margin(1e-14));
}

namespace {

// A net whose calls `self.act` are all of one module, and the same with a module for each.
struct Shared {
  const char* name;
  Part act;
  std::string body;
  bool adds_up = true;  // as modules of their own, in module mode
};

std::vector<Shared> shared_at_shapes() {
  const Part pool = of_class("torch.nn.modules.pooling.MaxPool1d",
                             "torch.max_pool1d(x, [2], [2], [0], [1], False)");
  const Part pool_2d = of_class("torch.nn.modules.pooling.MaxPool2d",
                                "torch.max_pool2d(x, [1, 2], [1, 2], [0, 0], [1, 1], False)");
  const Part softmax = of_class("torch.nn.modules.activation.Softmax", "torch.softmax(x, -1)");
  const Part sigmoid = of_class("torch.nn.modules.activation.Sigmoid", "torch.sigmoid(x)");
  return {
      {"larger last", relu(),
       "h = self.act.forward(x.mean(2, keepdim=True) - 0.3)\n"
       "return self.act.forward(x * 2.0 - h).sum(2)"},
      {"other lengths", relu(),
       "h = self.act.forward(x[:, :, :5] - 0.3).sum(2)\n"
       "return self.act.forward(x[:, :3] * 2.0 - 0.5).sum(2) + h[:, :3]"},
      {"the first shape once more, last", relu(),
       "h = self.act.forward(x * 2.0 - 0.7)\n"
       "h = h + self.act.forward(h[:, :3, :6] - 0.2).sum(2).sum(1).view(-1, 1, 1)\n"
       "return self.act.forward(h.flip([2]) - 1.1).sum(2)"},
      {"letters, then channels, then units", relu(),
       "h = self.act.forward(x * 2.0 - 0.7)\n"
       "h = self.act.forward(h[:, :2].cumsum(2) - 1.0)\n"
       "return self.act.forward(h.flatten(1) - 0.4)"},
      {"pooled twice", pool, "return self.act.forward(self.act.forward(x * 3.0)).sum(2)"},
      {"pooled twice in two dimensions", pool_2d,
       "h = self.act.forward(x.cumsum(2).unsqueeze(2))\n"
       "return self.act.forward(h).flatten(1)"},
      {"gates of two widths", sigmoid,
       "a = x[:, :3].cumsum(2)\nb = x[:, 2:]\n"
       "return (self.act.forward(a) * a).sum(2) + (self.act.forward(b) * b).sum(2).sum(1, True)",
       false},
      {"softmax of two widths", softmax,
       "a = self.act.forward(x * 2.0)\nreturn self.act.forward(a[:, :, :4] * 3.0).flatten(1)",
       false},
  };
}

ModelPointer as_modules_of_their_own(const Shared& net) {
  Part whole;
  whole.parameters = {{"dtype_", numbers({1}, 0)}};
  std::string body = net.body;
  for (size_t at = body.find("self.act."); at != std::string::npos; at = body.find("self.act.")) {
    const std::string name = "act_" + std::to_string(whole.parts.size());
    body.replace(at, 9, "self." + name + ".");
    whole.parts.push_back({name, net.act});
  }
  whole.source = "def forward(self, x: Tensor):\n" + indented(body);
  return model(whole);
}

}  // namespace

TEST_CASE("a module at shapes that the peers' hooks fail on is as many modules in module mode",
          "[units]") {
  const Given pairs = given(3, 4, 8);
  for (const Shared& net : shared_at_shapes()) {
    INFO(net.name);
    const auto shared = around_module(net.act, net.body);
    CHECK(worst_delta(explain(shared, pairs)) < 1e-10);
    const Explained own = explain(shared, pairs, module_mode());
    CHECK(distance(own.values,
                   explain(as_modules_of_their_own(net), pairs, module_mode()).values) == 0);
    if (net.adds_up) {
      CHECK(worst_delta(own) < 1e-10);
    }
  }
}

TEST_CASE("where the hooks fail on one module every call of the model is explained by its own",
          "[units]") {
  // `act` alone would have its last call's numbers for both calls.
  const std::string twice = "y = (self.act.forward(x) + self.act.forward(x * -2.0 + 0.7)).sum(2)\n";
  Part whole;
  whole.parameters = {{"dtype_", numbers({1}, 0)}};
  whole.parts = {{"act", relu()}, {"other", relu()}};
  const auto net = [&](const std::string& result) {
    whole.source = "def forward(self, x: Tensor):\n" + indented(twice + "return " + result);
    return model(whole);
  };
  const Given pairs = given(3, 4, 8);
  const auto delta = [&](const std::string& result) {
    return worst_delta(explain(net(result), pairs, module_mode()));
  };
  CHECK(delta("y + self.other.forward(x - 0.5).sum(2)") > 1e-2);
  CHECK(delta("y + self.other.forward(self.other.forward(x - 0.5).mean(2, keepdim=True)).sum(2)") >
        1e-2);
  CHECK(delta("y + self.other.forward(self.other.forward(x - 0.5)[:, :, :3] - 0.1).sum(2)") <
        1e-10);
}

// The last input is -x: x = (1, 5) has its maximum -1 first, the reference (2, 0) its maximum 0
// last. The change -1 of the maximum is the reference's, over the change -5 there: 1/5 for the
// first call, and 10 times that, with the sign of -x, for the last.
TEST_CASE("module mode has the last call's numbers for a max-pooling used twice", "[units]") {
  const Part pool = of_class("torch.nn.modules.pooling.MaxPool1d",
                             "torch.max_pool1d(x, [2], [2], [0], [1], False)");
  const auto net = around_module(pool,
                                 "h = x[:, :1]\n"
                                 "a = self.act.forward(h)\n"
                                 "return (a + self.act.forward(-h) * 10.0).squeeze(2)");
  const auto m = multipliers_by_hand(net, {1, 5}, {2, 0}, module_mode());
  CHECK(m[0] == Approx(0).margin(1e-12));
  CHECK(m[1] == Approx(0.2 - 2));
}

TEST_CASE("a registered class that nothing of X reaches is evaluated as it is", "[units]") {
  const auto net = around_module(
      relu(),
      "k = self.act.forward(torch.arange(8).to(torch.float64).expand([x.size(0), 4, 8]))\n"
      "return (self.act.forward(x * 2.0 - 1.5) * k).sum(2)");
  const Given pairs = given(2, 3, 8);
  const Explained steps = explain(net, pairs);
  CHECK(distance(explain(net, pairs, registered("ReLU", "rescale")).values, steps.values) < 1e-9);
  CHECK(explain(net, pairs, module_mode()).values.isfinite().all().item<bool>());
}

// GELU's gradient in LibTorch reads one that does not lie as the input does for another.
TEST_CASE("a registered class whose result nobody takes is no unit", "[units]") {
  // So it stands in a trace of a model with several heads.
  Part head = of_class("torch.nn.modules.activation.Softplus", "");
  head.source =
      "def forward(self, x: Tensor) -> None:\n    h = torch.softplus(x)\n    return None\n";
  const auto net = around_module(head,
                                 "self.act.forward(x)\n"
                                 "return torch.relu(x - 0.3).sum(2)");
  const Given pairs = given(2, 3, 8);
  CHECK(worst_delta(explain(net, pairs)) < 1e-9);
  CHECK(worst_delta(explain(net, pairs, registered("Softplus", "rescale"))) < 1e-9);
  CHECK(error_of([&]() { explain(net, pairs, module_mode()); }) == "");
}

TEST_CASE("module mode has GELU's derivative whatever way gradients lie in memory", "[units]") {
  const Part gelu = of_class("torch.nn.modules.activation.GELU", "torch.gelu(x)");
  const auto net =
      around_module(gelu,
                    "h = self.act.forward(x * 0.7)\n"
                    "w = torch.arange(36).to(torch.float64).view(9, 4).sin()\n"
                    "return (h.transpose(1, 2).contiguous() * w).flatten(1).sum(1, keepdim=True)");
  const Given pairs = given(4, 3, 9);
  Settings single = module_mode();
  single.dtype = at::kFloat;
  CHECK(distance(explain(net, pairs, single).values.to(at::kDouble),
                 explain(net, pairs, module_mode()).values) < 1e-5);
}
