// The audit tells every operation's rule, and refuses nothing.

#include <cmath>
#include <set>

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

const nets::Step* find(const std::vector<nets::Step>& steps, const std::string& operation) {
  for (const nets::Step& step : steps) {
    if (step.operation == operation) {
      return &step;
    }
  }
  return nullptr;
}

ModelPointer net() {
  return around(
      "a = torch.relu(h)\n"
      "b = torch.max_pool1d(a, [3], [1])\n"
      "c = b * b.mean(2, keepdim=True)\n"
      "d = c * 0.5\n"
      "e, i = torch.mode(d, 2, True)\n"
      "y = torch.softmax(e, 2)");
}

}  // namespace

TEST_CASE("the audit gives each operation its kind and rule", "[audit]") {
  const auto steps = audited(net(), given(2, 3, 9));
  const std::vector<std::vector<std::string>> expected{{"conv1d", "linear"},
                                                       {"relu", "elementwise"},
                                                       {"max_pool1d", "max"},
                                                       {"mean", "linear"},
                                                       {"softmax", "softmax"}};
  for (const auto& row : expected) {
    INFO(row[0]);
    const nets::Step* step = find(steps, row[0]);
    REQUIRE(step);
    CHECK(step->kind == row[1]);
    CHECK(step->supported);
    CHECK(step->faithful);
    CHECK(!step->rule.empty());
    CHECK(!step->source.empty());
  }
}

TEST_CASE("the audit tells a product from a scaling", "[audit]") {
  const auto steps = audited(net(), given(2, 3, 9));
  std::vector<std::string> kinds;
  for (const nets::Step& step : steps) {
    if (step.operation == "mul") {
      kinds.push_back(step.kind);
    }
  }
  REQUIRE(kinds.size() >= 2);
  CHECK(kinds[0] == "product");
  CHECK(kinds[1] == "linear");
}

TEST_CASE("what would be refused is told, and what comes after it too", "[audit]") {
  const auto steps = audited(net(), given(2, 3, 9));
  const nets::Step* mode = find(steps, "mode");
  REQUIRE(mode);
  CHECK(!mode->supported);
  CHECK(!mode->faithful);
  CHECK(mode->rule == "none");
  CHECK(find(steps, "softmax"));
}

TEST_CASE("a mask that depends on X is told of, however many rows it leaves", "[audit]") {
  // As the published inverse of Borzoi's squashed scale writes it.
  const ModelPointer masked = around(
      "c = torch.ones_like(h) * 0.1\n"
      "m = h > c\n"
      "y = h.clone()\n"
      "y[m] = (y[m] - c[m]) ** 2 + c[m]");
  for (const int64_t references : {1, 3}) {
    const auto steps = audited(masked, given(2, references, 9));
    const nets::Step* index = find(steps, "index");
    REQUIRE(index);
    CHECK(!index->supported);
    CHECK(find(steps, "conv1d"));
  }
}

TEST_CASE("the audit tells each operation once, in the order of evaluation", "[audit]") {
  const auto steps =
      audited(around("y = h\nfor i in range(3):\n    y = torch.tanh(y)"), given(2, 3, 9));
  int tanh = 0;
  for (const nets::Step& step : steps) {
    tanh += step.operation == "tanh" ? 1 : 0;
  }
  CHECK(tanh == 1);
  CHECK(steps.front().operation == "conv1d");
}

TEST_CASE("in module mode the audit says what keeps only its ordinary gradient", "[audit]") {
  Part act;
  act.class_name = "torch.nn.modules.activation.ReLU";
  act.source = "def forward(self, x: Tensor):\n    return torch.relu(x)\n";
  Part whole;
  whole.parameters = {{"w", numbers({4, 4, 3}, 1)}};
  whole.parts = {{"act", act}};
  whole.source =
      "def forward(self, x: Tensor):\n"
      "    return torch.exp(self.act.forward(torch.conv1d(x, self.w))).sum(2)\n";
  Settings settings;
  settings.module_mode = true;
  const auto steps = audited(model(whole), given(2, 3, 9), settings);
  const nets::Step* unit = find(steps, "module");
  REQUIRE(unit);
  CHECK(unit->module == "act");
  CHECK(unit->rule == "rescale");
  CHECK(unit->faithful);
  const nets::Step* exponential = find(steps, "exp");
  REQUIRE(exponential);
  CHECK(!exponential->faithful);
  CHECK(exponential->rule == "ordinary gradient");
}

TEST_CASE("a model that moves its batch dimension is audited too", "[audit]") {
  const auto steps =
      audited(around("y = torch.relu(h.transpose(0, 1)).transpose(0, 1)"), given(2, 3, 9));
  CHECK(find(steps, "relu"));
}

TEST_CASE("local deltas add up to the convergence delta, and name what is to blame", "[audit]") {
  // Module mode: exp keeps its ordinary gradient, everything else is linear.
  Part whole;
  whole.parameters = {{"w", numbers({4, 4, 3}, 1)}};
  whole.source =
      "def forward(self, x: Tensor):\n"
      "    h = torch.conv1d(x, self.w)\n"
      "    parts = [h]\n"
      "    parts.append(torch.exp(h))\n"
      "    return torch.cat(parts, 1).sum([1, 2]).unsqueeze(1)\n";
  const Given pairs = given(2, 3, 9);
  Settings module;
  module.module_mode = true;
  const auto net = model(whole);
  const auto steps = audited(net, pairs, module);
  const Explained explained = explain(net, pairs, module);
  const double mean = explained.deltas.abs().mean().item<double>();
  REQUIRE(mean > 1e-2);
  for (const nets::Step& step : steps) {
    INFO(step.operation);
    CHECK(step.delta == Approx(step.operation == "exp" ? mean : 0).margin(1e-10));
  }
  for (const nets::Step& step : audited(net, pairs)) {
    INFO(step.operation);
    CHECK(std::abs(step.delta) < 1e-10);
  }
}

TEST_CASE("local deltas are measured behind every rule", "[audit]") {
  const Given pairs = given(2, 3, 9);
  for (const char* lines : {"y = torch.softmax(h, 2) * h", "y = torch.max_pool1d(h, [3], [1])",
                            "y = torch.where(h > 0, h, torch.tanh(h))", "y = torch.sort(h, 2)[0]",
                            "y = h.clone()\ny.mul_(h)\ny = torch.relu_(y)",
                            "a, b = h.chunk(2, 1)\ny = torch.matmul(a.transpose(1, 2), b)",
                            "y = torch.layer_norm(h, [9])"}) {
    INFO(lines);
    for (const nets::Step& step : audited(around(lines), pairs)) {
      INFO(step.operation);
      CHECK(std::abs(step.delta) < 1e-10);
    }
  }
}

TEST_CASE("an output that is no row of targets has no local deltas", "[audit]") {
  const auto net =
      forward("return torch.relu(torch.conv1d(x, self.w))", {{"w", numbers({4, 4, 3}, 1)}});
  for (const nets::Step& step : audited(net, given(2, 3, 9))) {
    CHECK(std::isnan(step.delta));
  }
}
