// The lists come of a walk through LibTorch's registry of operators (1.13 to 2.14, tests/cpp/
// test-effects.cpp): every namespace that computes only, and in those the operations that do more.
#include "core/files/effects.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <vector>

#include "core/base/error.h"

namespace seqlift {

namespace {

const std::map<std::string, std::string>& effects() {
  static const std::map<std::string, std::string> all{
      {"save", "writes a file"},
      {"load", "reads a file"},
      {"from_file", "reads or writes a file"},
      {"read_file", "reads a file"},
      {"write_file", "writes a file"},
      {"manual_seed", "sets the random numbers of the whole process"},
      {"seed", "sets the random numbers of the whole process"},
      {"TimePoint", "reads the clock"},
      {"AddStatValue", "writes into the statistics of the whole process"},
      {"PythonOp", "calls Python"},
      {"rpc_async", "talks to other processes"},
      {"rpc_sync", "talks to other processes"},
      {"rpc_remote", "talks to other processes"},
      {"to_here", "talks to other processes"},
      {"get_gradients", "talks to other processes"},
      {"set_num_threads", "sets the threads of the whole process"},
      {"_cufft_set_plan_cache_max_size", "changes what the whole process shares"},
      {"_cufft_clear_plan_cache", "changes what the whole process shares"},
      {"_set_deterministic_algorithms", "changes what the whole process shares"},
      {"_set_cudnn_enabled", "changes what the whole process shares"}};
  return all;
}

bool is_letter(char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; }

// The words and signs of TorchScript, as LibTorch's lexer (torch/csrc/jit/frontend/lexer.h) tells
// texts and comments from them.
std::vector<std::string> tokens_of(const std::string& source) {
  std::vector<std::string> tokens;
  const auto quotes = [&](size_t at, char quote, size_t count) {
    return source.compare(at, count, std::string(count, quote)) == 0;
  };
  size_t at = 0;
  while (at < source.size()) {
    const char c = source[at];
    if (c == '#') {
      at = std::min(source.find('\n', at), source.size());
      continue;
    }
    if (c == '"' || c == '\'') {
      const size_t width = quotes(at, c, 3) ? 3 : 1;
      size_t end = at + width;
      while (end < source.size() && !quotes(end, c, width) && (width == 3 || source[end] != '\n')) {
        end += source[end] == '\\' ? 2 : 1;
      }
      const bool closed = end < source.size() && quotes(end, c, width);
      at = closed ? end + width : at + 1;
      tokens.emplace_back("\"");
      continue;
    }
    if (is_letter(c)) {
      const size_t begin = at;
      while (at < source.size() && is_letter(source[at])) {
        ++at;
      }
      tokens.push_back(source.substr(begin, at - begin));
      continue;
    }
    if (std::isspace(static_cast<unsigned char>(c)) == 0) {
      tokens.emplace_back(1, c);
    }
    ++at;
  }
  return tokens;
}

}  // namespace

void refuse_effect(const std::string& place, const std::string& what, const std::string& effect) {
  throw Error("code", place + " calls " + what + ", which " + effect +
                          ". A model computes with what it is given; nothing of this one was run.");
}

std::string effect_of(const std::string& space, const std::string& name) {
  static const std::set<std::string> computing{
      "aten",     "prim",      "quantized",      "_quantized",          "quantization", "sparse",
      "profiler", "prepacked", "mkldnn",         "mkldnn_prepacked",    "xnnpack",      "onnx",
      "onednn",   "prims",     "static_runtime", "quantized_decomposed"};
  if (computing.count(space) == 0) {
    return "belongs to a library of its own (" + space + ")";
  }
  const auto found = effects().find(name);
  return found == effects().end() ? "" : found->second;
}

std::string effect_of_class(const std::string& space) {
  static const std::set<std::string> computing{"quantized", "rnn",     "sparse",
                                               "mkldnn",    "xnnpack", "profiler"};
  return computing.count(space) > 0 ? "" : "is no class of numbers";
}

void check_code(const std::string& source, const std::string& place) {
  const std::vector<std::string> tokens = tokens_of(source);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool first = i == 0 || tokens[i - 1] != ".";
    const bool operations = tokens[i] == "torch" || tokens[i] == "ops";
    if (!first || !(operations || tokens[i] == "__torch__")) {
      continue;
    }
    std::vector<std::string> names{tokens[i]};
    while (i + 2 < tokens.size() && tokens[i + 1] == "." && is_letter(tokens[i + 2][0])) {
      names.push_back(tokens[i + 2]);
      i += 2;
    }
    std::string whole = names[0];
    for (size_t j = 1; j < names.size(); ++j) {
      whole += "." + names[j];
    }
    if (operations && names.size() < (names[0] == "ops" ? 3 : 2)) {
      refuse_effect(place, "`" + whole + "` by another name", "hides what is called");
    }
    const std::string space = names[0] == "ops" ? names[1] : "aten";
    for (size_t j = names[0] == "ops" ? 2 : 1; operations && j < names.size(); ++j) {
      const std::string effect = effect_of(space, names[j]);
      if (!effect.empty()) {
        refuse_effect(place, whole, effect);
      }
    }
    for (size_t j = 1; j + 2 < names.size(); ++j) {
      const bool library = names[j] == "torch" && names[j + 1] == "classes";
      if (library && !effect_of_class(names[j + 2]).empty()) {
        refuse_effect(place, whole, effect_of_class(names[j + 2]));
      }
    }
  }
}

void check_pickled_classes(const char* data, size_t size, const std::string& place) {
  static const std::string library = "torch.classes.";
  const char* end = data + size;
  const char* at = data;
  while ((at = std::search(at, end, library.begin(), library.end())) != end) {
    at += library.size();
    const char* last = std::find_if_not(at, end, is_letter);
    const std::string space(at, last);
    if (!effect_of_class(space).empty()) {
      refuse_effect(place, library + space, effect_of_class(space));
    }
  }
}

}  // namespace seqlift
