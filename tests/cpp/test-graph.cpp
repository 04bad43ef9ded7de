// The graph of a model: where its operations stand, and what is left out.

#include "catch.h"
#include "core/model/graph.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

Part leaf(const std::string& class_name, const std::string& result) {
  Part part;
  part.class_name = class_name;
  part.source = "def forward(self, x: Tensor):\n    return " + result + "\n";
  return part;
}

// A trunk and two heads: a profile [n, 2, L] and a count [n, 1].
ModelPointer two_heads(const std::string& outputs = "p, c") {
  Part body;
  body.class_name = "models.Body";
  body.parts = {{"0", leaf("torch.nn.modules.activation.ReLU", "torch.relu(x)")},
                {"act", leaf("torch.nn.modules.activation.Tanh", "torch.tanh(x)")}};
  body.source =
      "def forward(self, x: Tensor):\n"
      "    return self.act.forward(getattr(self, \"0\").forward(x))\n";
  Part whole;
  whole.class_name = "models.TwoHeads";
  whole.parameters = {{"w", numbers({2, 4, 3}, 1)}, {"v", numbers({2, 2, 3}, 2)}};
  whole.parts = {{"body", body},
                 {"profile", leaf("models.Profile", "torch.exp(x) * 0.5")},
                 {"counts", leaf("models.Counts", "torch.sigmoid(x).mean([1, 2]).unsqueeze(1)")}};
  whole.source =
      "def forward(self, x: Tensor):\n"
      "    h = self.body.forward(torch.conv1d(x, self.w))\n"
      "    p = self.profile.forward(h)\n"
      "    c = self.counts.forward(h)\n"
      "    return " +
      outputs + "\n";
  return model(whole);
}

Settings selecting(int64_t index) {
  Settings settings;
  settings.select_output = index;
  return settings;
}

const nets::Step* find(const std::vector<nets::Step>& steps, const std::string& operation) {
  for (const nets::Step& step : steps) {
    if (step.operation == operation) {
      return &step;
    }
  }
  return nullptr;
}

}  // namespace

TEST_CASE("every operation knows the path, class and line of its module", "[graph]") {
  const auto steps = audited(two_heads(), given(2, 2, 9), selecting(1));
  const nets::Step* relu = find(steps, "relu");
  REQUIRE(relu);
  CHECK(relu->module == "body.0");
  CHECK(relu->class_name == "torch.nn.modules.activation.ReLU");
  CHECK(relu->source.find(':') != std::string::npos);
  const nets::Step* tanh = find(steps, "tanh");
  REQUIRE(tanh);
  CHECK(tanh->module == "body.act");
  const nets::Step* convolution = find(steps, "conv1d");
  REQUIRE(convolution);
  CHECK(convolution->module.empty());
  CHECK(convolution->class_name == "models.TwoHeads");
}

TEST_CASE("a head that the chosen output does not need is not evaluated", "[graph]") {
  const Given pairs = given(2, 2, 9);
  for (const char* outputs : {"p, c", "[p, c]", "{\"p\": p, \"c\": c}"}) {
    const auto net = two_heads(outputs);
    const auto counts = audited(net, pairs, selecting(1));
    CHECK(find(counts, "sigmoid"));
    CHECK(!find(counts, "exp"));
    Settings profile;
    profile.profile_score = true;
    const auto scored = audited(net, pairs, profile);
    CHECK(find(scored, "exp"));
    CHECK(!find(scored, "sigmoid"));
  }
}

TEST_CASE("a dictionary is its values, by their keys", "[graph]") {
  const auto plain = two_heads();
  const at::Tensor X = one_hot(3, 9, 1);
  const auto net = two_heads("{\"profile\": p, \"counts\": c}");
  const auto graph = seqlift::build_graph(net, {});
  CHECK(graph->outputs == 2);
  CHECK(graph->output_names == std::vector<std::string>{"profile", "counts"});
  CHECK(distance(predicted(net, X)[0], predicted(plain, X)[0]) == 0);
  CHECK(distance(predicted(net, X)[1], predicted(plain, X)[1]) == 0);
  const auto alone = two_heads("{\"counts\": c}");
  CHECK(distance(predicted(alone, X)[0], predicted(plain, X)[1]) == 0);
  // One that the model reads itself: what it does not read is left out.
  const auto read = two_heads("{\"profile\": p, \"counts\": c}[\"counts\"]");
  const Given pairs = given(2, 2, 9);
  CHECK(!find(audited(read, pairs), "exp"));
  CHECK(worst_delta(explain(read, pairs)) < 1e-12);
  // Keys that the code does not tell, or that stand there twice.
  for (const char* outputs :
       {"{\"n\" + str(x.size(0)): p, \"counts\": c}", "{\"counts\": p, \"counts\": c}"}) {
    CHECK(error_of([&]() { predicted(two_heads(outputs), X); }).find("output: The model returns") ==
          0);
  }
}

TEST_CASE("a dictionary that is filled line by line is its values, by their keys", "[graph]") {
  const at::Tensor X = one_hot(3, 9, 1);
  const auto filled = [](const std::string& lines) {
    Part part;
    part.source =
        "def forward(self, x: Tensor):\n"
        "    a = x.cumsum(2).sum([1, 2]).unsqueeze(1)\n"
        "    b = torch.relu(x[:, 0] - 0.3)\n" +
        indented(lines + "\nreturn heads");
    return model(part);
  };
  const at::Tensor a = X.cumsum(2).sum({1, 2}).unsqueeze(1);
  const at::Tensor b = at::relu(X.select(1, 0) - 0.3);
  const auto is = [&](const std::string& lines, const std::vector<std::string>& names,
                      const std::vector<at::Tensor>& values) {
    INFO(lines);
    const auto net = filled(lines);
    CHECK(seqlift::build_graph(net, {})->output_names == names);
    const auto found = predicted(net, X);
    REQUIRE(found.size() == values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      CHECK(distance(found[i], values[i]) == 0);
      Settings settings;
      settings.select_output = static_cast<int64_t>(i);
      CHECK(worst_delta(explain(net, given(2, 3, 9), settings)) < 1e-12);
    }
  };
  const std::string empty = "heads: Dict[str, Tensor] = {}\n";
  is(empty + "heads[\"a\"] = a\nheads[\"b\"] = b", {"a", "b"}, {a, b});
  is("heads = {\"b\": b}\nheads[\"a\"] = a", {"b", "a"}, {b, a});
  // What is written last counts, at its first place.
  is("heads = {\"b\": a, \"a\": a}\nheads[\"b\"] = b", {"b", "a"}, {b, a});
  // As a loop over named modules is written into the graph.
  is(empty + "t = \"one\"\nheads[t + \"_a\"] = a\nheads[t + \"_b\"] = b", {"one_a", "one_b"},
     {a, b});
  // What it reads itself is what was there then.
  is(empty +
         "heads[\"a\"] = a\nheads[\"b\"] = heads[\"a\"] * 2.0\nheads[\"c\"] = heads[\"a\"]\n"
         "heads[\"a\"] = heads[\"c\"] + heads[\"b\"]",
     {"a", "b", "c"}, {a + a * 2.0, a * 2.0, a});
  for (const std::string& lines :
       {empty + "heads[\"a\"] = a\nif x.size(2) > 3:\n    heads[\"b\"] = b",
        empty + "for i in range(2):\n    heads[\"a\" + str(i)] = a",
        empty + "heads[\"a\"] = a\nheads[\"n\"] = b * len(heads)"}) {
    INFO(lines);
    const std::string error = error_of([&]() { predicted(filled(lines), X); });
    CHECK(error.find("a dictionary whose keys the code computes, or that it fills in a branch") !=
          std::string::npos);
  }
}

TEST_CASE("lift(), which returns what it is given, is left out", "[graph]") {
  Part whole;
  whole.class_name = "models.Lifted";
  whole.parameters = {{"w", numbers({2, 4, 3}, 1)}};
  whole.source =
      "def forward(self, x: Tensor):\n"
      "    h = torch.relu(torch.lift(torch.conv1d(x, self.w)))\n"
      "    return torch.lift_fresh(h).sum(2)\n";
  const auto net = model(whole);
  const Given pairs = given(2, 2, 9);
  const auto steps = audited(net, pairs);
  CHECK(find(steps, "relu"));
  CHECK(!find(steps, "lift"));
  CHECK(!find(steps, "lift_fresh"));
  CHECK(distance(predicted(net, pairs.X)[0], interpreted(net, pairs.X)[0]) < 1e-14);
  CHECK(worst_delta(explain(net, pairs)) < 1e-10);
}

TEST_CASE("select_output is the output, and completes", "[graph]") {
  const auto net = two_heads();
  const Given pairs = given(3, 4, 9);
  const auto outputs = interpreted(net, pairs.X);
  for (const int64_t index : {0, 1}) {
    const auto chosen = predicted(net, pairs.X, {}, selecting(index));
    REQUIRE(chosen.size() == 1);
    CHECK(distance(chosen[0], outputs[index]) < 1e-14);
  }
  CHECK(worst_delta(explain(net, pairs, selecting(1))) < 1e-10);
}

TEST_CASE("the score of a profile is its centred logits weighted by their softmax", "[graph]") {
  const auto net = two_heads();
  const Given pairs = given(3, 4, 9);
  Settings settings;
  settings.profile_score = true;
  const at::Tensor logits = interpreted(net, pairs.X)[0].flatten(1);
  const at::Tensor centred = logits - logits.mean(1, true);
  const at::Tensor score = (centred * logits.softmax(1)).sum(1, true);
  CHECK(distance(predicted(net, pairs.X, {}, settings)[0], score) < 1e-12);
  const Explained result = explain(net, pairs, settings);
  CHECK(worst_delta(result) < 1e-10);
  CHECK(largest_change(result) > 1e-4);
}

TEST_CASE("several outputs must be chosen from, and only from those that exist", "[graph]") {
  const auto net = two_heads();
  const Given pairs = given(2, 2, 9);
  CHECK(error_of([&]() { explain(net, pairs); }) ==
        "output: The model has 2 outputs; choose one with select_output().");
  CHECK(error_of([&]() { explain(net, pairs, selecting(2)); }) ==
        "model: The model has 2 outputs, there is no output 3.");
  const auto single = forward("return torch.relu(x).sum(2)");
  CHECK(worst_delta(explain(single, pairs, selecting(0))) < 1e-12);
  CHECK(error_of([&]() { explain(single, pairs, selecting(1)); }) ==
        "model: The model has 1 output, there is no output 2.");
}

TEST_CASE("an output that is not one row of numbers per sequence is an error", "[graph]") {
  const Given pairs = given(2, 3, 9);
  const std::string profile = error_of([&]() { explain(two_heads(), pairs, selecting(0)); });
  CHECK(profile.find("output: The model must return one row of targets per sequence") == 0);
  const auto total = forward("return torch.relu(x).transpose(0, 1)");
  CHECK(error_of([&]() { explain(total, pairs); }).find("output: ") == 0);
  Settings settings;
  settings.targets = {4};
  CHECK(error_of([&]() { explain(forward("return x.sum(2)"), pairs, settings); }) ==
        "target: The model has 4 targets, there is no target 5.");
}
