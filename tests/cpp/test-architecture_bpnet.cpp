// Each network against its arithmetic, written here with LibTorch's functions.
#include "core/import/architectures/architectures.h"
#include "core/model/model.h"
#include "state_dicts.h"

using namespace seqlift;
using nets::StateDict;

namespace {

// Two residual layers, three filters; a head five wide.
StateDict tiny_bpnet(int64_t tracks, int64_t strands, const std::string& prefix = "") {
  StateDict dict;
  dict.layer(prefix + "iconv", {3, 4, 5});
  dict.layer(prefix + "rconvs.0", {3, 3, 3});
  dict.layer(prefix + "rconvs.1", {3, 3, 3});
  dict.layer(prefix + "fconv", {strands, 3 + tracks, 5});
  dict.layer(prefix + "linear", {1, 3 + (tracks > 0)});
  return dict;
}

at::Tensor body(const StateDict& dict, const at::Tensor& X, const std::string& prefix = "") {
  at::Tensor h = at::relu(at::conv1d(X, dict[prefix + "iconv.weight"], dict[prefix + "iconv.bias"],
                                     1, at::IntArrayRef{2}));
  h = h + at::relu(at::conv1d(h, dict[prefix + "rconvs.0.weight"], dict[prefix + "rconvs.0.bias"],
                              1, at::IntArrayRef{2}, 2));
  return h + at::relu(at::conv1d(h, dict[prefix + "rconvs.1.weight"],
                                 dict[prefix + "rconvs.1.bias"], 1, at::IntArrayRef{4}, 4));
}

constexpr int64_t length = 100;

// Without control tracks: `trimming` bases less at each end, counts over `beyond` more.
std::vector<at::Tensor> by_hand(const StateDict& dict, const at::Tensor& X,
                                const std::string& prefix = "", int64_t trimming = 40,
                                int64_t beyond = 37) {
  const at::Tensor h = body(dict, X, prefix);
  const auto window = [&](int64_t more) {
    return h.slice(2, trimming - more, X.size(2) - trimming + more);
  };
  return {at::conv1d(window(2), dict[prefix + "fconv.weight"], dict[prefix + "fconv.bias"]),
          at::linear(window(beyond).mean(2), dict[prefix + "linear.weight"],
                     dict[prefix + "linear.bias"])};
}

BpnetOptions trimmed(int64_t bases) {
  BpnetOptions options;
  options.trimming = bases;
  return options;
}

}  // namespace

TEST_CASE("bpnet() is residual layers, a profile head beside the control, and a counts head") {
  const StateDict dict = tiny_bpnet(2, 2);
  nets::Given input = nets::given(2, 3, length);
  const at::Tensor control = nets::numbers({2, 2, length}, 5, 0, 3);
  input.args = {control};
  const at::Tensor h = body(dict, input.X);
  const at::Tensor window = at::cat({h, control}, 1).narrow(2, 38, 24);
  const at::Tensor log_control = at::log(1 + control.narrow(2, 3, 94).sum({1, 2})).unsqueeze(1);
  const at::Tensor profile = at::conv1d(window, dict["fconv.weight"], dict["fconv.bias"]);
  const at::Tensor counts = at::linear(at::cat({h.narrow(2, 3, 94).mean(2), log_control}, 1),
                                       dict["linear.weight"], dict["linear.bias"]);
  CHECK(profile.sizes() == at::IntArrayRef({2, 2, 20}));
  nets::check_architecture(bpnet(dict.tensors, trimmed(40)), {profile, counts}, input);
}

TEST_CASE("bpnet() without control tracks takes sequences alone, and heads without bias") {
  StateDict dict = tiny_bpnet(0, 1);
  const nets::Given input = nets::given(2, 3, length);
  nets::check_architecture(bpnet(dict.tensors, trimmed(40)), by_hand(dict, input.X), input);
  dict.replace("fconv.bias", at::zeros({1}, at::kDouble));
  dict.replace("linear.bias", at::zeros({1}, at::kDouble));
  const std::vector<at::Tensor> expected = by_hand(dict, input.X);
  dict.remove("fconv.bias");
  dict.remove("linear.bias");
  nets::check_architecture(bpnet(dict.tensors, trimmed(40)), expected, input);
}

TEST_CASE("trimming is what the convolutions see unless it is given, and covers the head's half") {
  const StateDict dict = tiny_bpnet(0, 1);
  const auto model = nets::model(bpnet(dict.tensors));
  const at::Tensor X = nets::one_hot(1, 120, 3);
  CHECK(nets::interpreted(model, X)[0].size(2) == 120 - 2 * (47 + 2 + 4));
  CHECK(nets::error_of([&] { bpnet(dict.tensors, trimmed(1)); }) ==
        "argument: `trimming` must be at least 2, half the width of `fconv`, not 1.");
}

TEST_CASE("procapnet() cuts one window for both heads, and its own trimming is always 557") {
  StateDict dict = tiny_bpnet(0, 2);
  const nets::Given input = nets::given(2, 3, length);
  nets::check_architecture(procapnet(dict.tensors, trimmed(40)), by_hand(dict, input.X, "", 40, 2),
                           input);
  // Counts for each strand.
  dict.replace("linear.weight", nets::numbers({2, 3}, 7));
  dict.replace("linear.bias", nets::numbers({2}, 8));
  const std::vector<at::Tensor> expected = by_hand(dict, input.X, "", 40, 2);
  CHECK(expected[1].sizes() == at::IntArrayRef({2, 2}));
  nets::check_architecture(procapnet(dict.tensors, trimmed(40)), expected, input);
  const auto model = nets::model(procapnet(dict.tensors));
  CHECK(nets::interpreted(model, nets::one_hot(1, 1120, 3))[0].size(2) == 1120 - 2 * 557);
}

TEST_CASE("chrombpnet() pools each model's counts over its own window") {
  StateDict dict = tiny_bpnet(0, 1, "bias.");
  for (const auto& entry : tiny_bpnet(0, 1, "accessibility.").tensors) {
    dict.tensors.emplace_back(entry.first, entry.second.flip(0) * 1.25 - 0.05);
  }
  const nets::Given input = nets::given(2, 3, length);
  BpnetOptions options = trimmed(45);
  options.bias_trimming = 41;
  const auto bias = by_hand(dict, input.X, "bias.", 41);
  const auto accessibility = by_hand(dict, input.X, "accessibility.", 45);
  nets::check_architecture(
      chrombpnet(dict.tensors, options),
      {accessibility[0] + bias[0].narrow(2, 4, 10), at::logaddexp(bias[1], accessibility[1])},
      input);
  options.trimming = 40;
  CHECK(nets::error_of([&] { chrombpnet(dict.tensors, options); }) ==
        "argument: `bias_trimming` (41) must be at most `trimming` (40): the bias's profile must "
        "cover the accessibility's.");
}

TEST_CASE("chrombpnet() adds the bias model's logits, and its counts before the logarithm") {
  StateDict dict = tiny_bpnet(0, 1, "bias.");
  StateDict second = tiny_bpnet(0, 1, "accessibility.");
  for (auto& entry : second.tensors) {
    dict.tensors.emplace_back(entry.first, entry.second.flip(0) * 1.25 - 0.05);
  }
  const nets::Given input = nets::given(2, 3, length);
  BpnetOptions options = trimmed(40);
  options.bias_trimming = 40;
  const auto bias = by_hand(dict, input.X, "bias.");
  const auto accessibility = by_hand(dict, input.X, "accessibility.");
  nets::check_architecture(chrombpnet(dict.tensors, options),
                           {bias[0] + accessibility[0], at::logaddexp(bias[1], accessibility[1])},
                           input);
  const auto model = nets::model(chrombpnet(dict.tensors, options));
  CHECK(model->class_name == "ChromBPNet");
  const auto& paths = model->module_paths;
  const auto place = std::find(paths.begin(), paths.end(), "accessibility.rconvs.1");
  REQUIRE(place != paths.end());
  CHECK(model->module_classes[static_cast<size_t>(place - paths.begin())] ==
        "torch.nn.modules.conv.Conv1d");
}
