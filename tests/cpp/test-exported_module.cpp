// Archives that PyTorch's torch.export wrote (tests/models/export_models.py), against what PyTorch
// itself predicted and against the same networks as TorchScript.
#include <torch/csrc/jit/runtime/operator.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "catch.h"
#include "core/base/error.h"
#include "core/import/exported/module.h"
#include "core/model/model.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace seqlift;

namespace {

const std::string folder = std::string(SEQLIFT_SOURCE) + "/tests/testthat/models/export/";

nets::ModelPointer converted(const std::string& name) {
  std::string to = "/tmp/seqlift-export-XXXXXX";
  close(mkstemp(&to[0]));
  convert_exported_program(folder + name + ".pt2", to);
  const auto model = load_model(to);
  std::remove(to.c_str());
  return model;
}

at::Tensor sequences() {
  const std::vector<std::string> all = {"ACGTTGCATTAGCAGT", "TTTACGGATCCAGGCA", "GATTACAGATTACAGA"};
  at::Tensor X = at::zeros({3, 4, 16});
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t j = 0; j < 16; ++j) {
      X[i][static_cast<int64_t>(std::string("ACGT").find(all[i][j]))][j] = 1;
    }
  }
  return X;
}

at::Tensor control() {
  return at::arange(3 * 2 * 16).remainder(5).reshape({3, 2, 16}).to(at::kFloat);
}

// All numbers of all outputs, one after the other.
std::vector<double> expected(const std::string& name) {
  std::ifstream file(folder + "expected.tsv");
  std::string line;
  std::vector<double> values;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string model, output, index;
    double value = 0;
    if (fields >> model >> output >> index >> value && model == name) {
      values.push_back(value);
    }
  }
  return values;
}

double from_expected(const std::string& name, const std::string& row, const at::Tensor& X,
                     const std::vector<at::Tensor>& args = {}) {
  nets::Settings settings;
  settings.dtype = at::kFloat;
  std::vector<at::Tensor> flat;
  for (const at::Tensor& output : nets::predicted(converted(name), X, args, settings)) {
    flat.push_back(output.flatten().to(at::kDouble));
  }
  return nets::distance(at::cat(flat), nets::vector_of(expected(row)));
}

bool has_rms_norm() {
  return !torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString("aten::rms_norm")).empty();
}

nets::Given pairs(bool with_control) {
  nets::Given given = nets::given(2, 3, 16);
  if (with_control) {
    given.args = {control().narrow(0, 0, 2)};
  }
  return given;
}

}  // namespace

TEST_CASE("networks of torch.export predict what PyTorch predicts") {
  for (const char* name :
       {"net", "net_core", "transformer", "recurrent", "shared", "heads", "heads_fixed"}) {
    INFO(name);
    CHECK(from_expected(name, name, sequences()) < 1e-6);
  }
  CHECK(from_expected("bpnet", "bpnet", sequences(), {control()}) < 1e-5);
  for (const char* name : {"net", "shared"}) {
    INFO(name);
    CHECK(from_expected(std::string(name) + "_torch_2_6", name, sequences()) < 1e-6);
  }
}

TEST_CASE("they are explained exactly, and as their TorchScript is") {
  for (const char* name : {"net", "net_core", "net_fixed", "net_torch_2_6", "transformer", "bpnet",
                           "recurrent", "shared", "heads", "heads_fixed"}) {
    INFO(name);
    const auto given = pairs(std::string(name) == "bpnet");
    nets::Settings settings;
    settings.select_output = std::string(name) == "bpnet"    ? 1
                             : std::string(name) == "shared" ? 0
                                                             : -1;
    const auto explained = nets::explain(converted(name), given, settings);
    CHECK(nets::largest_change(explained) > 1e-3);
    CHECK(nets::worst_delta(explained) < 1e-10);
    const std::string stem = std::string(name).substr(0, std::string(name).find('_'));
    if (stem == "net" || stem == "recurrent" || stem == "heads") {
      const auto twin = nets::explain(load_model(folder + stem + ".pt"), given);
      CHECK(nets::distance(explained.values, twin.values) < 1e-10);
      CHECK(nets::distance(explained.predictions, twin.predictions) < 1e-10);
    }
  }
}

TEST_CASE("module rules find the classes, and give what they give for TorchScript") {
  nets::Settings settings;
  settings.module_mode = true;
  for (const char* name : {"net", "net_fixed", "net_torch_2_6"}) {
    INFO(name);
    const auto explained = nets::explain(converted(name), pairs(false), settings);
    const auto twin = nets::explain(load_model(folder + "net.pt"), pairs(false), settings);
    CHECK(nets::distance(explained.values, twin.values) < 1e-10);
    const auto plain = nets::explain(converted(name), pairs(false));
    CHECK(nets::distance(explained.values, plain.values) > 1e-6);
  }
  settings.module_mode = false;
  settings.select_output = 0;
  nets::Settings plainly = settings;
  settings.registered = {{"ReLU", "gradient"}};
  const auto registered = nets::explain(converted("shared"), pairs(false), settings);
  const auto plain = nets::explain(converted("shared"), pairs(false), plainly);
  CHECK(nets::distance(registered.values, plain.values) > 1e-6);
}

TEST_CASE("the audit names modules, classes and the user's own lines") {
  const auto model = converted("net");
  CHECK(model->class_name == "Net");
  CHECK(model->argument_names == std::vector<std::string>{"x"});
  CHECK(model->parameters == load_model(folder + "net.pt")->parameters);
  std::map<std::string, nets::Step> by_module;
  for (const auto& step : nets::audited(model, pairs(false))) {
    CHECK(step.supported);
    by_module[step.module] = step;
  }
  REQUIRE(by_module.count("features.2") == 1);
  CHECK(by_module["features.2"].operation == "relu");
  CHECK(by_module["features.2"].class_name == "torch.nn.modules.activation.ReLU");
  CHECK(by_module["features.0"].source.rfind("export_models.py:", 0) == 0);
  CHECK(by_module["features.3"].kind == "max");
  const std::vector<std::string> paths = {"",           "features",   "features.0",
                                          "features.1", "features.2", "features.3",
                                          "dense",      "act",        "out"};
  CHECK(model->module_paths == paths);
}

TEST_CASE("what cannot be a model is refused by name") {
  const auto error = [](const std::string& name) {
    return nets::error_of([&] { converted(name); });
  };
  const auto has = [](const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
  };
  CHECK(has(error("branching"), "model: The operation torch.ops.higher_order.cond"));
  CHECK(has(error("branching"), "export_models.py:"));
  CHECK(has(error("batch_fixed"), "model: The model was exported with a fixed number of seq"));
  // LibTorch has rms_norm since 2.4.
  if (!has_rms_norm()) {
    CHECK(has(error("rms_norm"),
              "model: The operation torch.ops.aten.rms_norm.default (in norm, export_models.py:"));
    CHECK(has(error("rms_norm"), "is not in LibTorch"));
  } else {
    CHECK(from_expected("rms_norm", "rms_norm", sequences()) < 1e-6);
  }
}
