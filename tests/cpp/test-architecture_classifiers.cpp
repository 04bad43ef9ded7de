// Each network against its arithmetic, written here with LibTorch's functions.
#include "core/import/architectures/architectures.h"
#include "core/model/model.h"
#include "state_dicts.h"

using namespace seqlift;
using nets::StateDict;

namespace {

// The layer under `key` in one dimension: the dimension of height one is left out.
at::Tensor convolved(const StateDict& dict, const std::string& key, const at::Tensor& h,
                     int64_t across) {
  return at::conv1d(h, dict[key + ".weight"].squeeze(across), dict[key + ".bias"]);
}

at::Tensor dense(const StateDict& dict, const std::string& key, const at::Tensor& h) {
  return at::linear(h, dict[key + ".weight"], dict[key + ".bias"]);
}

at::Tensor batch_normed(const StateDict& dict, const std::string& key, const at::Tensor& h) {
  return at::batch_norm(h, dict[key + ".weight"], dict[key + ".bias"], dict[key + ".running_mean"],
                        dict[key + ".running_var"], false, 0.1, 1e-5, false);
}

at::Tensor agct(const at::Tensor& X) {
  return at::stack({X.select(1, 0), X.select(1, 2), X.select(1, 1), X.select(1, 3)}, 1);
}

StateDict tiny_beluga() {
  StateDict dict;
  dict.layer("model.0.0", {3, 4, 1, 4});
  dict.layer("model.0.2", {3, 3, 1, 2});
  dict.layer("model.0.6", {4, 3, 1, 2});
  dict.layer("model.0.8", {4, 4, 1, 2});
  dict.layer("model.0.12", {5, 4, 1, 2});
  dict.layer("model.0.14", {5, 5, 1, 1});
  dict.layer("model.1.2.1", {6, 5});
  dict.layer("model.1.4.1", {2, 6});
  return dict;
}

ClassifierOptions reading(const std::string& alphabet, bool logits = false) {
  ClassifierOptions options;
  options.alphabet = alphabet;
  options.logits = logits;
  return options;
}

}  // namespace

TEST_CASE("basset() is three blocks of convolution, batch norm and pooling, then dense layers") {
  StateDict dict;
  dict.layer("0", {3, 4, 5, 1});
  dict.batch_norm("1", 3);
  dict.layer("4", {4, 3, 3, 1});
  dict.batch_norm("5", 4);
  dict.layer("8", {5, 4, 2, 1});
  dict.batch_norm("9", 5);
  dict.layer("13.1", {6, 5});
  dict.batch_norm("14", 6);
  dict.layer("17.1", {4, 6});
  dict.batch_norm("18", 4);
  dict.layer("21.1", {2, 4});
  const nets::Given input = nets::given(2, 3, 76);
  at::Tensor h = input.X;
  const int64_t pools[] = {3, 4, 4};
  for (int64_t i = 0; i < 3; ++i) {
    h = convolved(dict, std::to_string(4 * i), h, 3);
    h = at::max_pool1d(at::relu(batch_normed(dict, std::to_string(4 * i + 1), h)), pools[i],
                       pools[i]);
  }
  h = at::relu(batch_normed(dict, "14", dense(dict, "13.1", h.flatten(1))));
  h = dense(dict, "21.1", at::relu(batch_normed(dict, "18", dense(dict, "17.1", h))));
  nets::check_architecture(basset(dict.tensors, reading("ACGT", true)), {h}, input);
  nets::check_architecture(basset(dict.tensors), {at::sigmoid(h)}, input);
}

TEST_CASE("deepsea() has thresholds of 1e-6 and reads its bases in the order it is told") {
  StateDict dict;
  dict.layer("0", {3, 4, 1, 4});
  dict.layer("4", {4, 3, 1, 3});
  dict.layer("8", {5, 4, 1, 1});
  dict.layer("12.1", {6, 5});
  dict.layer("14.1", {2, 6});
  const nets::Given input = nets::given(2, 3, 27);
  const auto threshold = [](const at::Tensor& h) {
    return at::where(h > 0, h, at::scalar_tensor(1e-6, at::kDouble));
  };
  at::Tensor h = at::max_pool1d(threshold(convolved(dict, "0", agct(input.X), 2)), 4, 4);
  h = at::max_pool1d(threshold(convolved(dict, "4", h, 2)), 4, 4);
  h = threshold(convolved(dict, "8", h, 2)).flatten(1);
  h = dense(dict, "14.1", threshold(dense(dict, "12.1", h)));
  nets::check_architecture(deepsea(dict.tensors, reading("AGCT")), {at::sigmoid(h)}, input);
}

TEST_CASE("beluga() is pairs of convolutions, then dense layers") {
  const StateDict dict = tiny_beluga();
  const nets::Given input = nets::given(2, 3, 44);
  at::Tensor h = agct(input.X);
  for (const int i : {0, 6, 12}) {
    h = at::relu(convolved(dict, "model.0." + std::to_string(i), h, 2));
    h = at::relu(convolved(dict, "model.0." + std::to_string(i + 2), h, 2));
    h = i < 12 ? at::max_pool1d(h, 4, 4) : h;
  }
  h = dense(dict, "model.1.4.1", at::relu(dense(dict, "model.1.2.1", h.flatten(1))));
  nets::check_architecture(beluga(dict.tensors, reading("AGCT", true)), {h}, input);
  nets::check_architecture(beluga(dict.tensors, reading("AGCT")), {at::sigmoid(h)}, input);
  const auto model = nets::model(beluga(dict.tensors));
  CHECK(model->class_name == "Beluga");
  CHECK(model->module_paths[2] == "model.0");
  CHECK(model->module_classes[3] == "torch.nn.modules.conv.Conv2d");
}

TEST_CASE("an alphabet of other letters, and features that are no whole window, are errors") {
  StateDict dict = tiny_beluga();
  CHECK(nets::error_of([&] { beluga(dict.tensors, reading("ACGU")); }) ==
        "argument: `alphabet` must hold the letters A, C, G and T once each, not \"ACGU\".");
  dict.replace("model.1.2.1.weight", nets::numbers({6, 7}, 1));
  CHECK(nets::error_of([&] {
          beluga(dict.tensors);
        }).find("`model.1.2.1.weight` takes 7 features, not a multiple of the 5 channels") !=
        std::string::npos);
}
