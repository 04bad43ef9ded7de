// Modules as R's torch traces them: a class for each module and each trace, whose name ends in
// random letters, the modules' weights read by one `forward` that calls nothing.

#include <torch/csrc/jit/api/module.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "catch.h"
#include "core/import/traced/traced_module.h"
#include "core/model/graph.h"
#include "core/model/model.h"
#include "core/model/modules.h"
#include "core/model/trace_letters.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;
using seqlift::TracedModuleOptions;

namespace {

const char* const letters = "abcdefghijklmnopqrstuvwx";

std::string number_text(int64_t number) { return std::to_string(number); }

Part leaf(const std::string& class_name, const Tensors& parameters) {
  Part part;
  part.class_name = class_name;
  part.parameters = parameters;
  part.source = "def unused(self):\n    return 1\n";
  return part;
}

// As traced with n sequences, in classes whose names end in `ending`. Two modules of one class.
void save_trace(const std::string& path, int64_t n, const std::string& ending,
                const std::string& scale) {
  Part part;
  part.class_name = "Net_" + ending;
  part.parts = {
      {"conv1", leaf("nn_conv1d_" + ending, {{"weight", numbers({6, 4, 3}, 1)}})},
      {"conv2", leaf("nn_conv1d_" + ending + "_two", {{"weight", numbers({6, 6, 3}, 2)}})},
      {"fc", leaf("nn_linear_" + ending, {{"weight", numbers({2, 48}, 3)}})},
  };
  part.parts[1].second.class_name = "nn_conv1d_" + std::string(ending.rbegin(), ending.rend());
  part.buffers = {{"shift", numbers({1}, 4)}};
  part.source =
      "def forward(self, x: Tensor, track: Tensor):\n"
      "    h = torch.relu(torch.conv1d(x, self.conv1.weight))\n"
      "    h = torch.conv1d(h, self.conv2.weight) + torch.zeros([" +
      number_text(n) + ", 1, 1])\n    h = h.view([" + number_text(n) +
      ", -1]) + self.shift\n"
      "    return {\"main\": h.matmul(self.fc.weight.t()) / " +
      scale + " * " + scale + ", \"other\": track * 2}\n";
  seqlift::build_module(part).save(path);
}

struct Files {
  std::vector<std::string> paths = {"traced-2.pt", "traced-3.pt", "traced-5.pt"};
  ~Files() {
    for (const std::string& path : paths) {
      std::remove(path.c_str());
    }
    std::remove("traced.pt");
    std::remove("traced-folder/model.pt");
  }
};

TracedModuleOptions traced(const Files& files, const std::string& ending,
                           const std::string& fixed_scale = "") {
  TracedModuleOptions options;
  const std::vector<int64_t> sequences{2, 3, 5};
  for (size_t i = 0; i < sequences.size(); ++i) {
    // Another ending in each trace.
    std::string own = ending;
    own[0] = static_cast<char>('a' + i);
    save_trace(files.paths[i], sequences[i], own,
               fixed_scale.empty() ? number_text(sequences[i]) : fixed_scale);
    options.traces.push_back({files.paths[i], sequences[i]});
  }
  options.argument_names = {"sequences", "control.track"};
  return options;
}

std::string bytes_of(torch::jit::Module module) {
  module.save("traced.pt");
  std::ifstream file("traced.pt", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// By LibTorch's own interpreter.
std::vector<at::Tensor> heads(const ModelPointer& net, const at::Tensor& X,
                              const at::Tensor& track) {
  torch::jit::Module module = net->module;
  const auto named = module.forward({X, track}).toGenericDict();
  return {named.at("main").toTensor(), named.at("other").toTensor()};
}

seqlift::TraceCheck asked(double factor) {
  save_trace("asked.pt", 5, letters, "5");
  const ModelPointer net = seqlift::load_model("asked.pt");
  std::remove("asked.pt");
  seqlift::TraceCheck check;
  check.inputs = {one_hot(5, 12, 3).to(at::kDouble), numbers({5, 3}, 4)};
  check.outputs = heads(net, check.inputs[0], check.inputs[1]);
  check.outputs[0] = check.outputs[0] * factor;
  return check;
}

}  // namespace

TEST_CASE("a traced module is the same file whatever its classes were called", "[traced_module]") {
  const Files files;
  const std::string one = bytes_of(seqlift::make_traced_module(traced(files, letters)));
  const std::string other =
      bytes_of(seqlift::make_traced_module(traced(files, "zyxwvutsrqponmlkjihgfedc")));
  CHECK(one.size() > 1000);
  CHECK((one == other));
  CHECK(one.find(std::string(letters).substr(1)) == std::string::npos);
}

TEST_CASE("its classes and arguments have the names that the module gives them",
          "[traced_module]") {
  const Files files;
  bytes_of(seqlift::make_traced_module(traced(files, letters)));
  ModelPointer model = seqlift::load_model("traced.pt");
  CHECK(model->class_name == "Net");
  CHECK(model->module_paths == std::vector<std::string>{"", "conv1", "conv2", "fc"});
  CHECK(model->module_classes ==
        std::vector<std::string>{"Net", "nn_conv1d", "nn_conv1d", "nn_linear"});
  CHECK(model->argument_names == std::vector<std::string>{"sequences", "control_track"});
  CHECK(seqlift::build_graph(model, {})->output_names == std::vector<std::string>{"main", "other"});
  auto options = traced(files, letters);
  options.classes = {{"", "Wheat Net"}, {"conv1", "nn_conv1d"}, {"conv2", "Own.Conv"}};
  bytes_of(seqlift::make_traced_module(options));
  model = seqlift::load_model("traced.pt");
  CHECK(model->module_classes ==
        std::vector<std::string>{"Wheat_Net", "nn_conv1d", "Own.Conv", "nn_linear"});
}

TEST_CASE("it predicts for every number of sequences as a trace for that number",
          "[traced_module]") {
  const Files files;
  auto options = traced(files, letters);
  options.check = asked(1);
  bytes_of(seqlift::make_traced_module(options));
  const ModelPointer model = seqlift::load_model("traced.pt");
  for (const int64_t n : {1, 2, 6}) {
    save_trace(files.paths[0], n, letters, number_text(n));
    const ModelPointer meant = seqlift::load_model(files.paths[0]);
    const at::Tensor X = one_hot(n, 12, 9);
    const std::vector<at::Tensor> args{numbers({n, 3}, 8)};
    const auto found = predicted(model, X, args);
    const auto expected = heads(meant, X.to(at::kDouble), args[0]);
    REQUIRE(found.size() == 2);
    CHECK(distance(found[0], expected[0]) < 1e-12);
    CHECK(distance(found[1], expected[1]) < 1e-12);
  }
}

TEST_CASE("one that does not give what the module gives is refused by the operation",
          "[traced_module]") {
  const Files files;
  auto options = traced(files, letters);
  options.check = asked(1.5);
  const std::string all = error_of([&] { seqlift::make_traced_module(options); });
  CHECK_THAT(all, Catch::Contains("trace: For 5 sequences the converted module gives ") &&
                      Catch::Contains("it draws random numbers"));
  // A number that the traces have in common but the module has not: here that of two sequences,
  // as if its code had asked what it is given only once.
  options = traced(files, letters, "2");
  save_trace(files.paths[2], 5, letters, "2 + 3 * (track.size(0) // 5)");
  options.traces.resize(2);
  options.traces.push_back({files.paths[2], 5});
  const std::string shape = error_of([&] { seqlift::make_traced_module(options); });
  CHECK_THAT(shape, Catch::Contains("trace: The module runs other operations"));
}

TEST_CASE("random letters are taken off the end of a class, nothing else", "[traced_module]") {
  const std::string plain = "nn_conv1d";
  CHECK(seqlift::without_trace_letters(plain + "_" + letters) == plain);
  CHECK(seqlift::plain_class_name("__torch__.nn_lstm_" + std::string(letters)) == "nn_lstm");
  for (const std::string& name :
       {plain, std::string(letters), "_" + std::string(letters), plain + letters,
        plain + "_" + std::string(letters).substr(1), plain + "_a" + letters,
        plain + "_" + std::string(letters).substr(1) + "A"}) {
    CHECK(seqlift::without_trace_letters(name) == name);
  }
  CHECK(seqlift::identifier("control.track") == "control_track");
  CHECK(seqlift::identifier("2nd") == "_2nd");
  CHECK(seqlift::identifier("in") == "in_");
}

TEST_CASE("a script with classes of R's torch gets plain ones, another stays as it is",
          "[traced_module]") {
  const Files files;
  save_trace(files.paths[0], 2, letters, "2");
  seqlift::convert_script_module(files.paths[0], "traced.pt");
  CHECK(seqlift::load_model("traced.pt")->module_classes[1] == "nn_conv1d");
  Part part;
  part.class_name = "models.Net";
  part.source = "def forward(self, x: Tensor):\n    return x.sum(2)\n";
  seqlift::build_module(part).save(files.paths[0]);
  seqlift::convert_script_module(files.paths[0], "traced.pt");
  const auto read = [](const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  };
  CHECK((read(files.paths[0]) == read("traced.pt")));
}
