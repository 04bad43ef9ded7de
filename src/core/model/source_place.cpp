#include "core/model/source_place.h"

#include <algorithm>
#include <iterator>

#include "core/model/graph.h"
#include "core/model/model.h"

namespace seqlift {

using torch::jit::Node;

namespace {

bool is_torch_file(const std::string& file) {
  // What the library holds, beside the folders that packages are installed in: it may lie anywhere.
  static const char* const own[] = {
      "site-packages/torch/", "dist-packages/torch/", "torch/nn/",        "torch/jit/",
      "torch/autograd/",      "torch/functional.py",  "torch/_tensor.py", "torch/_jit_internal.py",
      "torch/overrides.py",   "torch/_ops.py",        "torch/fx/",        "torch/ao/",
      "torch/quantization/",  "torch/distributions/", "torch/export/",    "torch/_refs/",
      "torch/utils/",         "torch/onnx/",          "torch/special/",   "torch/_dynamo/"};
  return std::any_of(std::begin(own), std::end(own), [&](const std::string& part) {
    const auto at = file.find(part);
    return at != std::string::npos && (at == 0 || file[at - 1] == '/');
  });
}

SourcePlace place_in(std::string file, const std::string& line) {
  std::replace(file.begin(), file.end(), '\\', '/');
  const auto slash = file.rfind('/');
  return {(slash == std::string::npos ? file : file.substr(slash + 1)) + ":" + line,
          is_torch_file(file)};
}

// Tracing writes all calls that led to an operation, the innermost first, a line
// "/home/me/model.py(34): forward" for each. The first one outside of PyTorch; else the innermost;
// "" where `text` is no such list.
SourcePlace traced_place(const std::string& text) {
  SourcePlace innermost;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    const auto close = line.rfind("): ");
    const auto open = close == std::string::npos ? close : line.rfind('(', close);
    const bool frame = open != std::string::npos && open > 0 && close > open + 1 &&
                       line.find_first_not_of("0123456789", open + 1) == close;
    if (!frame) {
      return innermost;
    }
    const std::string file = line.substr(0, open);
    // Code that Python made up has no file: only what was typed into a session is an author's.
    if (file[0] == '<' && file.rfind("<stdin", 0) != 0 && file.rfind("<ipython", 0) != 0) {
      continue;
    }
    const SourcePlace place = place_in(file, line.substr(open + 1, close - open - 1));
    if (!place.of_torch) {
      return place;
    }
    innermost = innermost.text.empty() ? place : innermost;
  }
  return innermost;
}

}  // namespace

SourcePlace source_place(const Node* node) {
  // The user's own file where the archive remembers it, else the code that TorchScript wrote.
  const auto original = node->sourceRange().findSourceRangeThatGenerated();
  if (original && original->source()) {
    const SourcePlace traced = traced_place(original->source()->text_str().str());
    if (!traced.text.empty()) {
      return traced;
    }
  }
  // Operators such as `3 * x` come from code of TorchScript's own, "<string>"; calls of functions
  // whose line was not kept from no file.
  using Line = decltype(node->sourceRange().file_line_col());
  const auto is_file = [](const Line& line) {
    return line && !std::get<0>(*line).empty() && std::get<0>(*line)[0] != '<';
  };
  auto place = (original ? *original : node->sourceRange()).file_line_col();
  if (original && !is_file(place)) {
    place = node->sourceRange().file_line_col();
  }
  if (!is_file(place)) {
    return {};
  }
  return place_in(std::get<0>(*place), std::to_string(std::get<1>(*place)));
}

std::string source_of(const Node* node) { return source_place(node).text; }

std::string place_of(const Node* node, const Provenance& provenance) {
  const std::string space = node->kind().ns().toUnqualString();
  std::string text = space + "::" + node->kind().toUnqualString();
  const std::string& module = provenance.module;
  text += module.empty() ? " of the model itself" : " in " + module;
  if (!provenance.class_name.empty() && !module.empty()) {
    text += " (" + short_class_name(provenance.class_name) + ")";
  }
  return provenance.source.empty() ? text : text + ", " + provenance.source;
}

std::string place_of(const Node* node, const Graph& graph) {
  const auto known = graph.provenance.find(node);
  return place_of(node, known == graph.provenance.end() ? Provenance() : known->second);
}

}  // namespace seqlift
