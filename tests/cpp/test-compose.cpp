// Models made of models, beside their parts. What users put together is tested in R; here is what a
// model's code may look like.

#include <cstdio>

#include "catch.h"
#include "core/model/compose.h"
#include "core/model/model.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;
using seqlift::Reversal;
using seqlift::ReverseComplementOptions;
using seqlift::Wrapper;

namespace {

ModelPointer saved(const torch::jit::Module& module) {
  const std::string path =
      "composed-" + std::to_string(reinterpret_cast<uintptr_t>(&module)) + ".pt";
  module.save(path);
  const auto model = seqlift::load_model(path);
  std::remove(path.c_str());
  return model;
}

ReverseComplementOptions automatic(size_t outputs) {
  ReverseComplementOptions options;
  options.outputs.assign(outputs, Reversal::automatic);
  return options;
}

// Outputs in a list, an input that may be missing, one with a default that is a number, a method
// that calls another.
Part unusual() {
  Part part;
  part.class_name = "models.Unusual";
  part.parameters = {{"a", numbers({2, 4, 3}, 1)}, {"b", numbers({2, 2, 1}, 2)}};
  part.source =
      "def forward(self, x: Tensor, track: Optional[Tensor]=None, times: float=2.0):\n"
      "    h = self.hidden(x)\n"
      "    if track is not None:\n"
      "        h = h + track[:, :, 1:-1]\n"
      "    return [torch.conv1d(h, self.b), times * h.mean([1, 2]).unsqueeze(1)]\n"
      "def hidden(self, x: Tensor):\n"
      "    return torch.relu(torch.conv1d(x, self.a))\n";
  return part;
}

}  // namespace

TEST_CASE("a wrapped module predicts and is explained as the wrapped graph", "[compose]") {
  const ModelPointer net = model(unusual());
  const Given pairs = given(2, 3, 14);
  for (const int64_t output : {0, 1}) {
    const ModelPointer wrapped =
        saved(seqlift::wrapped_module(net, {{Wrapper::Kind::select_output, output}}, {}));
    CHECK(wrapped->class_name == "models.Unusual");
    Settings settings;
    settings.select_output = output;
    CHECK(distance(predicted(wrapped, pairs.X)[0], predicted(net, pairs.X, {}, settings)[0]) <
          1e-14);
    CHECK(distance(interpreted(wrapped, pairs.X)[0], predicted(wrapped, pairs.X)[0]) < 1e-12);
    if (output == 1) {  // the other one is a profile
      CHECK(distance(explain(wrapped, pairs).values, explain(net, pairs, settings).values) < 1e-12);
    }
  }
  CHECK(error_of([&]() {
          seqlift::wrapped_module(net, {{Wrapper::Kind::select_output, 2}}, {});
        }).find("model: There is no output 3") == 0);
}

TEST_CASE("an input that may be missing is turned round where it is given", "[compose]") {
  const ModelPointer net = model(unusual());
  const ModelPointer average = saved(seqlift::reverse_complement_module(net, {}, automatic(2)));
  CHECK(average->argument_names == net->argument_names);
  const at::Tensor X = one_hot(3, 14, 5);
  const at::Tensor track = numbers({3, 2, 14}, 6);
  const auto turned = [](const at::Tensor& tensor) { return at::flip(tensor, {1, 2}); };
  const auto check = [&](const std::vector<at::Tensor>& args, const std::vector<at::Tensor>& back) {
    const auto ahead = predicted(net, X, args);
    const auto there = predicted(net, turned(X), back);
    const auto both = predicted(average, X, args);
    CHECK(distance(both.at(0), (ahead[0] + turned(there[0])) / 2) < 1e-12);
    CHECK(distance(both.at(1), (ahead[1] + there[1]) / 2) < 1e-12);
  };
  check({}, {});
  check({track}, {turned(track)});
  // Which is not what the tracks as they are would give.
  CHECK(distance(predicted(net, turned(X), {track})[0],
                 predicted(net, turned(X), {turned(track)})[0]) > 1e-2);
}

TEST_CASE("outputs keep their names in the file and through what is put around", "[compose]") {
  using Names = std::vector<std::string>;
  Part part;
  part.source =
      "def forward(self, x: Tensor):\n    return (x.mean(1), x.sum([1, 2]).unsqueeze(1))\n";
  CHECK(model(part)->output_names.empty());
  part.output_names = {"profile", "counts"};
  const ModelPointer named = model(part);
  CHECK(named->output_names == Names{"profile", "counts"});
  CHECK(saved(seqlift::wrapped_module(named, {}, {}))->output_names == named->output_names);
  CHECK(saved(seqlift::reverse_complement_module(named, {}, automatic(2)))->output_names ==
        named->output_names);
  CHECK(
      saved(seqlift::ensemble_module({{named, {}, {}, 0.5}, {named, {}, {}, 0.5}}))->output_names ==
      named->output_names);
  part.output_names = {"counts", "profile"};
  const ModelPointer other = model(part);
  CHECK(saved(seqlift::ensemble_module({{named, {}, {}, 0.5}, {other, {}, {}, 0.5}}))
            ->output_names.empty());
  // By that name a model of somebody else's may have anything.
  part.output_names.clear();
  auto module = seqlift::build_module(part);
  module.register_attribute("seqlift_output_names", c10::IntType::get(), int64_t{3});
  CHECK(saved(module)->output_names.empty());
  seqlift::name_outputs(module, {"profile", "counts"});
  CHECK(saved(module)->output_names.empty());
}

TEST_CASE("three strands are refused in words", "[compose]") {
  const ModelPointer net =
      forward("return torch.conv1d(x, self.a)", {{"a", numbers({3, 4, 3}, 1)}});
  const ModelPointer average = saved(seqlift::reverse_complement_module(net, {}, automatic(1)));
  CHECK(error_of([&]() { predicted(average, one_hot(1, 9, 1)); }).find("more than two strands") !=
        std::string::npos);
}

TEST_CASE("an ensemble's members keep their own inputs", "[compose]") {
  const ModelPointer net = model(unusual());
  const ModelPointer both =
      saved(seqlift::ensemble_module({{net, {}, {"track"}, 0.75}, {net, {}, {"track"}, 0.25}}));
  const std::vector<std::string> names{"x", "model_1_track", "model_2_track", "times"};
  CHECK(both->argument_names == names);
  const at::Tensor X = one_hot(3, 14, 5);
  const at::Tensor one = numbers({3, 2, 14}, 6);
  const at::Tensor two = numbers({3, 2, 14}, 7);
  const auto given = predicted(both, X, {one, two});
  const auto first = predicted(net, X, {one});
  const auto second = predicted(net, X, {two});
  for (size_t i = 0; i < 2; ++i) {
    CHECK(distance(given.at(i), 0.75 * first[i] + 0.25 * second[i]) < 1e-12);
  }
  CHECK(error_of([&]() {
          seqlift::ensemble_module({{net, {}, {}, 0.5}, {net, {}, {"track"}, 0.5}});
        }).find("model: The inputs of model 2") == 0);
  CHECK(error_of([&]() {
          seqlift::ensemble_module(
              {{net, {{Wrapper::Kind::select_output, 0}}, {"track", "times"}, 0.5},
               {net, {}, {"track", "times"}, 0.5}});
        }).find("model: Model 2 of the ensemble has 2 outputs") == 0);
}

TEST_CASE("a number fills every position", "[compose]") {
  const ModelPointer net = model(unusual());
  seqlift::FilledInput track{"track", at::full({1, 2, 1}, 0.25, at::kDouble), true};
  const ModelPointer filled = saved(seqlift::wrapped_module(net, {}, {track}));
  for (const int64_t length : {9, 14}) {
    const at::Tensor X = one_hot(2, length, 3);
    const auto expected = predicted(net, X, {at::full({2, 2, length}, 0.25, at::kDouble)});
    CHECK(distance(predicted(filled, X)[0], expected[0]) < 1e-14);
  }
}
