// The score of a profile, put around a model, beside the same written into the model.

#include <set>

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

Part logit_scaling() {
  Part softmax;
  softmax.class_name = "torch.nn.modules.activation.Softmax";
  softmax.source = "def forward(self, x: Tensor):\n    return torch.softmax(x, 1)\n";
  Part scaling;
  scaling.class_name = "models.LogitScaling";
  scaling.parts = {{"softmax", softmax}};
  scaling.source = "def forward(self, x: Tensor):\n    return x * self.softmax.forward(x)\n";
  return scaling;
}

// Convolutions and a ReLU module that end in a profile [n, 2, L - 4], or in its score.
ModelPointer profile_net(bool scored) {
  Part relu;
  relu.class_name = "torch.nn.modules.activation.ReLU";
  relu.source = "def forward(self, x: Tensor):\n    return torch.relu(x)\n";
  Part whole;
  whole.parameters = {{"a", numbers({6, 4, 3}, 1)}, {"b", numbers({2, 6, 3}, 2)}};
  whole.parts = {{"relu", relu}, {"scaling", logit_scaling()}};
  whole.source =
      "def forward(self, x: Tensor):\n"
      "    h = self.relu.forward(torch.conv1d(x, self.a))\n"
      "    profile = torch.conv1d(h, self.b)\n";
  whole.source += scored ? "    flat = profile.flatten(1)\n"
                           "    centred = flat - flat.mean(1, keepdim=True)\n"
                           "    return self.scaling.forward(centred).sum(1, keepdim=True)\n"
                         : "    return profile\n";
  return model(whole);
}

Settings settings(bool module_mode, const std::map<std::string, std::string>& registered = {}) {
  Settings result;
  result.module_mode = module_mode;
  result.registered = registered;
  return result;
}

Settings scored(Settings settings) {
  settings.profile_score = true;
  return settings;
}

}  // namespace

TEST_CASE("profile_score() is explained as if the model's author had written it",
          "[profile_score]") {
  const Given pairs = given(3, 4, 15);
  const std::map<std::string, std::string> scaling{{"LogitScaling", "rescale"}};
  const std::map<std::string, std::string> softmax{{"Softmax", "gradient"}};
  for (const bool module_mode : {false, true}) {
    for (const auto& registered : {std::map<std::string, std::string>(), scaling, softmax}) {
      const Settings chosen = settings(module_mode, registered);
      const Explained inside = explain(profile_net(true), pairs, chosen);
      const Explained around = explain(profile_net(false), pairs, scored(chosen));
      CHECK(distance(inside.values, around.values) < 1e-14);
      CHECK(distance(inside.predictions, around.predictions) < 1e-14);
      CHECK(largest_change(around) > 1e-2);
    }
  }
}

TEST_CASE("module mode needs LogitScaling registered, operator mode needs nothing",
          "[profile_score]") {
  const auto net = profile_net(false);
  const Given pairs = given(3, 4, 15);
  CHECK(worst_delta(explain(net, pairs, scored(settings(true)))) > 1e-2);
  for (const char* key : {"LogitScaling", "seqlift.LogitScaling", "profile_score().scaling"}) {
    CHECK(worst_delta(explain(net, pairs, scored(settings(true, {{key, "rescale"}})))) < 1e-9);
  }
  CHECK(worst_delta(explain(net, pairs, scored(settings(false)))) < 1e-12);
}

TEST_CASE("ProfileScore changes its shape and cannot be rescaled", "[profile_score]") {
  const auto net = profile_net(false);
  for (const bool module_mode : {false, true}) {
    const Settings whole = scored(settings(module_mode, {{"ProfileScore", "rescale"}}));
    const std::string error = error_of([&]() { explain(net, given(2, 2, 15), whole); });
    CHECK(error.find("registration: seqlift.ProfileScore (profile_score()) turns 2 x 11 into 1") ==
          0);
  }
}

TEST_CASE("every operation of the score knows its module", "[profile_score]") {
  std::map<std::string, std::set<std::string>> operations;
  for (const nets::Step& step :
       audited(profile_net(false), given(2, 2, 15), scored(settings(false)))) {
    operations[step.module + " " + step.class_name].insert(step.operation);
  }
  using Names = std::set<std::string>;
  CHECK(operations["profile_score() seqlift.ProfileScore"] ==
        Names{"flatten", "mean", "sub", "sum"});
  CHECK(operations["profile_score().scaling seqlift.LogitScaling"] == Names{"mul"});
  CHECK(operations["profile_score().scaling.softmax torch.nn.modules.activation.Softmax"] ==
        Names{"softmax"});
}
