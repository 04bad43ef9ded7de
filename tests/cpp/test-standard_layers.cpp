// Each layer against LibTorch's own function on the same weights, called from C++.

#include "catch.h"
#include "core/base/error.h"
#include "core/model/model.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace seqlift;
using nets::numbers;

namespace {

at::Tensor run(const ModulePart& part, const at::Tensor& input) {
  return nets::model(part)->module.get_method("forward")({input}).toTensor();
}

}  // namespace

TEST_CASE("a convolution layer is conv1d and conv2d with its strides, padding and groups") {
  const at::Tensor x = numbers({2, 4, 11}, 1);
  const at::Tensor w = numbers({6, 2, 3}, 2);
  const at::Tensor b = numbers({6}, 3);
  CHECK(at::equal(
      run(convolution_layer(w, b, {{2}, {1}, {2}, 2}), x),
      at::conv1d(x, w, b, at::IntArrayRef{2}, at::IntArrayRef{1}, at::IntArrayRef{2}, 2)));
  CHECK(at::equal(
      run(convolution_layer(w, {}, {{1}, {0}, {1}, 2}), x),
      at::conv1d(x, w, {}, at::IntArrayRef{1}, at::IntArrayRef{0}, at::IntArrayRef{1}, 2)));
  const at::Tensor image = numbers({2, 3, 7, 5}, 4);
  const at::Tensor w2 = numbers({4, 3, 3, 2}, 5);
  CHECK(at::equal(run(convolution_layer(w2, {}, {{2, 1}, {1, 0}, {1, 2}, 1}), image),
                  at::conv2d(image, w2, {}, {2, 1}, {1, 0}, {1, 2})));
}

TEST_CASE("linear, batch norm and pooling layers are LibTorch's") {
  const at::Tensor x = numbers({3, 4, 12}, 1);
  CHECK(at::equal(run(linear_layer(numbers({5, 12}, 2), numbers({5}, 3)), x),
                  at::linear(x, numbers({5, 12}, 2), numbers({5}, 3))));
  const at::Tensor mean = numbers({4}, 4);
  const at::Tensor variance = numbers({4}, 5, 0.5, 2);
  const double eps = 0.00123456789012345;
  CHECK(at::equal(run(batch_norm_layer(mean, variance, mean, variance, {1, eps}), x),
                  at::batch_norm(x, mean, variance, mean, variance, false, 0.1, eps, false)));
  CHECK(at::equal(run(pool_layer({"max", {3}, {2}, {1}}), x), at::max_pool1d(x, 3, 2, 1)));
  CHECK(at::equal(run(pool_layer({"average", {3}, {}, {0}}), x), at::avg_pool1d(x, 3, 3)));
}

TEST_CASE("a sequential numbers its layers, which keep PyTorch's names and classes") {
  const at::Tensor x = numbers({2, 4, 12}, 1);
  const ModulePart part = sequential({convolution_layer(numbers({3, 4, 3}, 2), numbers({3}, 3)),
                                      activation_layer("ReLU", "torch.relu(input)"),
                                      convolution_layer(numbers({2, 3, 3}, 4), {})});
  const auto model = nets::model(part);
  const at::Tensor h = at::relu(at::conv1d(x, numbers({3, 4, 3}, 2), numbers({3}, 3)));
  CHECK(at::equal(model->module.get_method("forward")({x}).toTensor(),
                  at::conv1d(h, numbers({2, 3, 3}, 4))));
  CHECK(model->class_name == "torch.nn.modules.container.Sequential");
  CHECK(model->module_paths == std::vector<std::string>{"", "0", "1", "2"});
  CHECK(model->module_classes[3] == "torch.nn.modules.conv.Conv1d");
  std::vector<std::string> names;
  for (const auto& parameter : model->module.named_parameters()) {
    names.push_back(parameter.name);
  }
  CHECK(names == std::vector<std::string>{"0.weight", "0.bias", "2.weight"});
}

TEST_CASE("a source that is not TorchScript is an error of kind model") {
  ModulePart part;
  part.class_name = "Broken";
  part.source = "def forward(self, x: Tensor):\n    return nothing(x)\n";
  try {
    nets::model(part);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == "model");
    CHECK(std::string(error.what()).find("Broken") != std::string::npos);
  }
}
