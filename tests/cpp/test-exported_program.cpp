// Archives and graphs that are damaged, by accident and on purpose.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "catch.h"
#include "core/base/error.h"
#include "core/files/zip_reader.h"
#include "core/import/exported/json.h"
#include "core/import/exported/module.h"
#include "core/import/exported/program.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"
#include "torch/csrc/jit/api/module.h"

using namespace seqlift;

namespace {

const std::string folder = std::string(SEQLIFT_SOURCE) + "/tests/testthat/models/export/";

std::string member(const std::string& file, const std::string& name) {
  const ZipReader archive(folder + file);
  const Bytes bytes = archive.read(name);
  return std::string(bytes.data, bytes.size);
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// "" where the graph becomes a module, with weights of the right sizes.
std::string outcome(const std::string& text) {
  return nets::error_of([&] {
    ExportedProgram program = parse_exported_program(text.data(), text.size(), "net.pt2");
    for (const ExportedInput& input : program.inputs) {
      int64_t count = 1;
      std::vector<int64_t> sizes = program.sizes[input.value];
      for (int64_t& size : sizes) {
        size = size < 0 || size > 100 || count > 10000 ? 1 : size;
        count *= size;
      }
      program.weights[input.name] = at::ones(sizes);
    }
    make_exported_module(std::move(program));
  });
}

bool begins(const std::string& text, const std::string& with) {
  INFO(text);
  return text.rfind(with, 0) == 0;
}

}  // namespace

TEST_CASE("a graph of another version or form is refused") {
  const std::string graph = member("net.pt2", "net/models/model.json");
  CHECK(outcome(graph).empty());
  CHECK(begins(outcome(graph.substr(0, graph.size() / 2)), "file: "));
  CHECK(begins(outcome(""), "file: "));
  CHECK(begins(outcome("[]"), "file: "));
  CHECK(begins(outcome(with(graph, "\"major\": 8", "\"major\": 99")), "file: "));
  CHECK(begins(outcome(with(graph, "\"graph\"", "\"grap\"")), "file: "));
  CHECK(begins(outcome(std::string(1000000, '[')), "file: "));
}

TEST_CASE("the names of outputs are the keys of a dictionary, or there are none") {
  using Names = std::vector<std::string>;
  const std::string leaf = R"({"type": null, "context": null, "children_spec": []})";
  const auto described = [](const std::string& type, const std::string& context,
                            const std::string& children) {
    return R"({"type": ")" + type + R"(", "context": )" + context + R"(, "children_spec": [)" +
           children + "]}";
  };
  const auto names = [](const std::string& part) {
    return exported_output_names("[1, " + part + "]");
  };
  const std::string keys = R"("[\"a\", \"b\"]")";
  const std::string pair = described("builtins.tuple", "\"null\"", leaf + ", " + leaf);
  CHECK(names(described("builtins.dict", keys, leaf + ", " + leaf)) == Names{"a", "b"});
  CHECK(names(described("builtins.dict", keys, pair + ", " + leaf)) == Names{"a.1", "a.2", "b"});
  const std::string inner = described("builtins.dict", keys, leaf + ", " + leaf);
  CHECK(names(described("builtins.dict", keys, leaf + ", " + inner)) == Names{"a", "b.a", "b.b"});
  CHECK(names(pair).empty());
  CHECK(names(leaf).empty());
  CHECK(names(described("builtins.dict", keys, leaf)).empty());
  CHECK(names(described("builtins.dict", R"("[\"a\", 1]")", leaf + ", " + leaf)).empty());
  CHECK(names(described("builtins.dict", "null", leaf)).empty());
  std::string deep = leaf;
  for (int i = 0; i < 2000; ++i) {
    deep = described("builtins.dict", R"("[\"a\"]")", deep);
  }
  for (const std::string& damaged : {deep, std::string("3"), std::string("{}"), std::string("")}) {
    CHECK(names(damaged).empty());
  }
  CHECK(exported_output_names("not JSON").empty());
}

TEST_CASE("operations that are not PyTorch's, or in training mode, are refused by name") {
  const std::string graph = member("net.pt2", "net/models/model.json");
  const std::string custom = outcome(with(graph, "torch.ops.aten.relu.default", "my.op"));
  CHECK(begins(custom, "model: The operation my.op (in features.2, export_models.py:"));
  const std::string missing =
      outcome(with(graph, "torch.ops.aten.relu.default", "torch.ops.aten.relu.nonesuch"));
  CHECK(begins(missing, "model: The operation torch.ops.aten.relu.nonesuch (in features.2,"));
  const std::string training = outcome(with(graph, "\"training\", \"arg\": {\"as_bool\": false",
                                            "\"training\", \"arg\": {\"as_bool\": true"));
  CHECK(begins(training, "model: The operation torch.ops.aten.batch_norm.default"));
  CHECK(training.find("model.eval()") != std::string::npos);
  // Names cannot become code.
  const std::string name = outcome(with(graph, "\"parameter_name\": \"dense.bias\"",
                                        "\"parameter_name\": \"dense.b=1;import os\""));
  CHECK(begins(name, "model: The model has a module or weight named"));
}

TEST_CASE("a graph damaged anywhere gives a module or an error of its own, never a crash") {
  const std::string sources[] = {member("net.pt2", "net/models/model.json"),
                                 member("heads_fixed.pt2", "heads_fixed/models/model.json"),
                                 member("shared.pt2", "shared/models/model.json")};
  std::mt19937 random(1);
  int errors = 0;
  for (int i = 0; i < 10000; ++i) {
    std::string text = sources[i % 3];
    const int changes = 1 + static_cast<int>(random() % 3);
    for (int change = 0; change < changes; ++change) {
      const size_t at = random() % text.size();
      const std::string letters = "0123456789-{}[]\",:.enatrul_";
      switch (random() % 4) {
        case 0:
          text[at] = letters[random() % letters.size()];
          break;
        case 1:
          text.erase(at, 1 + random() % 20);
          break;
        case 2:
          text.insert(at, text.substr(random() % text.size(), random() % 50));
          break;
        default: {  // another number, where there is one
          const size_t digit = text.find_first_of("0123456789", at);
          if (digit != std::string::npos) {
            text.replace(digit, 1, random() % 2 ? "99999999999" : "-1");
          }
        }
      }
    }
    const std::string error = outcome(text);
    errors += !error.empty();
    const bool known = error.empty() || begins(error, "file: ") || begins(error, "model: ");
    if (!known) {
      CAPTURE(i, error);
      CHECK(known);
    }
  }
  CHECK(errors > 4000);
}

TEST_CASE("an archive damaged anywhere gives an error, never a crash") {
  std::ifstream file(folder + "net.pt2", std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  const std::string whole = content.str();
  std::mt19937 random(2);
  std::string path = "/tmp/seqlift-archive-XXXXXX";
  close(mkstemp(&path[0]));
  int errors = 0;
  for (int i = 0; i < 10000; ++i) {
    std::string text = whole;
    if (i % 10 == 0) {
      text.resize(random() % text.size());
    } else {
      text[random() % text.size()] ^= static_cast<char>(1 << random() % 8);
    }
    std::ofstream(path, std::ios::binary) << text;
    const std::string error =
        nets::error_of([&] { make_exported_module(read_exported_program(path)); });
    errors += !error.empty();
    CHECK((error.empty() || begins(error, "file: ") || begins(error, "model: ")));
  }
  std::remove(path.c_str());
  CHECK(errors > 5000);
}
