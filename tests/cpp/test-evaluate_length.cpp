// Sequences that are too short for the model: the error says where nothing was left of them.

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string error_for(const std::string& body, int64_t length, bool module_mode = false) {
  Settings settings;
  settings.module_mode = module_mode;
  const Given pairs = given(2, 3, length);
  const std::string error = error_of([&]() { explain(forward(body), pairs, settings); });
  const std::string predicting = error_of([&]() { predicted(forward(body), pairs.X); });
  INFO(error << " | " << predicting);
  // Predictions and attributions agree on what is wrong.
  CHECK(error == predicting);
  return error;
}

}  // namespace

TEST_CASE("a mean over positions that a crop left none of names the crop", "[length]") {
  const std::string crop = "h = x[:, :, 4:x.size(2) - 4]\nreturn torch.relu(h).mean(2)";
  for (const bool module_mode : {false, true}) {
    CHECK(error_for(crop, 9, module_mode).empty());
    for (const int64_t length : {8, 5}) {
      const std::string error = error_for(crop, length, module_mode);
      INFO(error);
      CHECK(error.find("length: `X` is too short for the model. The operation aten::slice") == 0);
      CHECK(contains(error, "leaves nothing of 4 x " + std::to_string(length)));
      CHECK(contains(error, "aten::mean"));
    }
  }
}

TEST_CASE("so does an operation that LibTorch refuses on nothing", "[length]") {
  const std::string error = error_for("return x[:, :, 20:].amax(2)", 9);
  CHECK(error.find("length: ") == 0);
  CHECK(contains(error, "leaves nothing of 4 x 9. The operation aten::amax"));
}

TEST_CASE("a kernel or a pooling window wider than the sequence is too wide", "[length]") {
  const Tensors wide = {{"dtype_", numbers({1}, 0)}, {"w", numbers({2, 4, 11}, 1)}};
  const auto convolution = forward("return torch.conv1d(x, self.w).sum(2)", wide);
  const auto pool = forward("return torch.max_pool1d(x, [11]).sum(2)");
  for (const auto& net : {convolution, pool}) {
    CHECK(error_of([&]() { predicted(net, given(2, 3, 11).X); }).empty());
    for (const bool module_mode : {false, true}) {
      Settings settings;
      settings.module_mode = module_mode;
      const Given pairs = given(2, 3, 10);
      const std::string error = error_of([&]() { explain(net, pairs, settings); });
      INFO(error);
      CHECK(error.find("length: `X` is too short for the model. The operation aten::") == 0);
    }
  }
}

TEST_CASE("an output of nothing is an error, a part of nothing is not", "[length]") {
  const Given pairs = given(2, 3, 9);
  CHECK(error_of([&]() { predicted(forward("return x[:, :, 9:]"), pairs.X); }) ==
        "length: `X` is too short for the model. Its output holds no number: 4 x 0 per sequence.");
  // No channel behind the bases: their sum is zero, which is right.
  const auto channels = forward("return torch.relu(x).sum(2) + x[:, 4:].sum([1, 2]).unsqueeze(1)");
  CHECK(worst_delta(explain(channels, pairs)) < 1e-12);
  CHECK(distance(predicted(channels, pairs.X)[0], pairs.X.sum(2)) == 0);
}
