// Files: what is read, what is refused, and that no call changes a model.
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>

#include "catch.h"
#include "core/model/model.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

struct File {
  explicit File(const std::string& content) : path("/tmp/seqlift-file-XXXXXX") {
    const int file = mkstemp(&path[0]);
    REQUIRE(file >= 0);
    close(file);
    std::ofstream(path, std::ios::binary) << content;
  }
  ~File() { std::remove(path.c_str()); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  std::string path;
};

std::string error_of_file(const std::string& path) {
  return error_of([&]() { seqlift::load_model(path); });
}

Part small() {
  Part part;
  part.class_name = "models.Small";
  part.parameters = {{"weight", numbers({3, 4, 3}, 1)}};
  part.buffers = {{"offset", numbers({3, 1}, 2)}};
  part.source =
      "def forward(self, x: Tensor, control: Tensor, scale: float = 1.5):\n"
      "    return (torch.conv1d(x, self.weight) + self.offset).sum(2) * scale + control\n";
  return part;
}

std::vector<at::Tensor> tensors_of(const ModelPointer& net) {
  std::vector<at::Tensor> all;
  for (const at::Tensor& tensor : net->module.parameters()) {
    all.push_back(tensor.clone());
  }
  for (const at::Tensor& tensor : net->module.buffers()) {
    all.push_back(tensor.clone());
  }
  return all;
}

}  // namespace

TEST_CASE("a model tells its inputs, class, type and size", "[model]") {
  const auto net = model(small());
  CHECK(net->class_name == "models.Small");
  CHECK(net->dtype == at::kDouble);
  CHECK(net->parameters == 36);
  CHECK(net->argument_names == std::vector<std::string>{"x", "control", "scale"});
  CHECK(net->argument_has_default == std::vector<bool>{false, false, true});
  CHECK(net->argument_defaults[2].toDouble() == 1.5);
  CHECK(net->not_finite.empty());
}

TEST_CASE("a model saved in training mode is read in evaluation mode", "[model]") {
  for (const bool training : {true, false}) {
    CHECK(!model(small(), training)->module.is_training());
  }
}

TEST_CASE("weights that are not numbers are told by name", "[model]") {
  Part part = small();
  part.parameters[0].second[0][0][0] = std::nan("");
  CHECK(model(part)->not_finite == std::vector<std::string>{"weight"});
  Part mask = small();
  mask.buffers[0].second[0][0] = -HUGE_VAL;
  CHECK(model(mask)->not_finite.empty());
  mask.buffers[0].second[0][0] = std::nan("");
  CHECK(model(mask)->not_finite == std::vector<std::string>{"offset"});
}

TEST_CASE("class names lose TorchScript's prefix and mangling", "[model]") {
  CHECK(
      seqlift::plain_class_name("__torch__.torch.nn.modules.activation.___torch_mangle_12.ReLU") ==
      "torch.nn.modules.activation.ReLU");
  CHECK(seqlift::plain_class_name("__torch__.Net") == "Net");
  CHECK(seqlift::short_class_name("__torch__.models.___torch_mangle_3.Net") == "Net");
  CHECK(seqlift::short_class_name("Net") == "Net");
}

TEST_CASE("what is not a TorchScript file is told apart", "[model]") {
  CHECK(error_of_file("/no/such/file.pt") == "file: There is no file \"/no/such/file.pt\".");
  CHECK(error_of_file("/tmp") == "file: \"/tmp\" is a directory, not a TorchScript file.");
  const File empty("");
  CHECK(error_of_file(empty.path).find("too short to be a TorchScript file") != std::string::npos);
  const File text("this is a text\n");
  CHECK(error_of_file(text.path) == "file: \"" + text.path + "\" is not a TorchScript file.");
  const File pickle(std::string("\x80\x02}q\x00.", 6));
  CHECK(error_of_file(pickle.path).find("it is a Python pickle") != std::string::npos);
  const File keras("\x89HDF\r\n\x1a\n");
  CHECK(error_of_file(keras.path).find("it is an HDF5 file") != std::string::npos);
  const File zip("PK\x03\x04 and nothing behind it");
  const std::string broken = error_of_file(zip.path);
  CHECK(broken.find("file: \"" + zip.path + "\" could not be read as a zip archive: ") == 0);
  CHECK(broken.find('\n') == std::string::npos);
}

TEST_CASE("a truncated file is an error of the file", "[model]") {
  const File whole("");
  model(small())->module.deepcopy().save(whole.path);
  std::ifstream in(whole.path, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(in)), {});
  REQUIRE(content.size() > 1000);
  const File half(content.substr(0, content.size() / 2));
  CHECK(error_of_file(half.path).find("it was cut short") != std::string::npos);
}

TEST_CASE("a model without a forward or without an input is an error of the model", "[model]") {
  Part none = small();
  none.source = "def other(self, x: Tensor):\n    return x * self.weight\n";
  CHECK(error_of([&]() { model(none); }).find("model: The model in ") == 0);
  Part no_input = small();
  no_input.source = "def forward(self):\n    return self.weight\n";
  CHECK(error_of([&]() { model(no_input); }) == "model: The model's `forward` takes no input.");
}

TEST_CASE("R torch's evalforward serves where there is no forward", "[model]") {
  Part part = small();
  part.source =
      "def evalforward(self, x: Tensor):\n"
      "    return (torch.conv1d(x, self.weight) + self.offset).sum(2)\n";
  const auto net = model(part);
  CHECK(predicted(net, one_hot(2, 9, 1))[0].sizes() == std::vector<int64_t>{2, 3});
  CHECK(worst_delta(explain(net, given(2, 2, 9))) < 1e-12);
}

TEST_CASE("no call changes a model: every bit of it is as it was loaded", "[model]") {
  Part part;
  part.parameters = {{"w", numbers({4, 4, 3}, 1)}};
  part.buffers = {{"mean", numbers({4}, 2)},
                  {"var", numbers({4}, 3, 0.5, 1.0)},
                  {"count", at::zeros({1}, at::kDouble)}};
  part.source =
      "def forward(self, x: Tensor):\n"
      "    self.count.add_(1.0)\n"
      "    h = torch.conv1d(x, self.w)\n"
      "    h = torch.batch_norm(h, None, None, self.mean, self.var, self.training, 0.1, 1e-5, "
      "False)\n"
      "    self.mean.mul_(0.9)\n"
      "    return torch.relu(h).sum(2)\n";
  const auto net = model(part, true);
  const auto before = tensors_of(net);
  const Given pairs = given(2, 3, 9);
  predicted(net, pairs.X);
  explain(net, pairs);
  Settings others;
  others.module_mode = true;
  others.dtype = at::kFloat;
  explain(net, pairs, others);
  audited(net, pairs);
  const auto after = tensors_of(net);
  REQUIRE(before.size() == after.size());
  for (size_t i = 0; i < before.size(); ++i) {
    CHECK(at::equal(before[i], after[i]));
    CHECK(!after[i].requires_grad());
  }
  CHECK(!net->module.is_training());
  CHECK(at::equal(predicted(net, pairs.X)[0], predicted(net, pairs.X)[0]));
}
