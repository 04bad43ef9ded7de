// The JSON inside torch.export's archives, taken apart with every type checked. Included by the
// files that parse it alone: nlohmann's header compiles slowly.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/files/mapped_file.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

using nlohmann::json;

class ExportedJson {
 public:
  // `name`: of the file, for messages.
  explicit ExportedJson(std::string name) : name_(std::move(name)) {}

 protected:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error("file", "\"" + name_ + "\" is not a graph of torch.export: " + what + ".");
  }

  static const json* find(const json& object, const char* key) {
    if (!object.is_object()) {
      return nullptr;
    }
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
  }
  const json& member(const json& object, const char* key) const {
    const json* found = find(object, key);
    if (!found) {
      fail(std::string("it has no `") + key + "` where there must be one");
    }
    return *found;
  }
  const json& array(const json& value) const {
    if (!value.is_array()) {
      fail("something that must be a list is not");
    }
    return value;
  }
  const json& object(const json& value) const {
    if (!value.is_object()) {
      fail("something that must be an object is not");
    }
    return value;
  }
  std::string text(const json& value) const {
    if (!value.is_string()) {
      fail("something that must be a text is not");
    }
    return value.get<std::string>();
  }
  int64_t integer(const json& value) const {
    const bool fits =
        value.is_number_integer() &&
        !(value.is_number_unsigned() &&
          value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
    if (!fits) {
      fail("something that must be a whole number is not");
    }
    return value.get<int64_t>();
  }
  bool boolean(const json& value) const {
    if (!value.is_boolean()) {
      fail("something that must be true or false is not");
    }
    return value.get<bool>();
  }
  // Infinity and NaN are not JSON: PyTorch writes them as texts, or as they are, see quote_numbers.
  double number(const json& value) const {
    if (value.is_string()) {
      const std::string word = text(value);
      const double infinity = std::numeric_limits<double>::infinity();
      if (word == "Infinity" || word == "-Infinity") {
        return word[0] == '-' ? -infinity : infinity;
      }
      if (word == "NaN") {
        return std::numeric_limits<double>::quiet_NaN();
      }
    }
    if (!value.is_number()) {
      fail("something that must be a number is not");
    }
    return value.get<double>();
  }

  // The one member of a union.
  std::pair<std::string, const json*> only(const json& value) const {
    if (object(value).size() != 1) {
      fail("a union with " + std::to_string(value.size()) + " members");
    }
    return {value.begin().key(), &value.begin().value()};
  }

  at::ScalarType dtype(const json& value) const {
    // The file counts from 1 in LibTorch's order as far as bfloat16; complex numbers are in
    // between.
    const at::ScalarType types[] = {
        at::kByte,          at::kChar,  at::kShort,   at::kInt,         at::kLong,
        at::kHalf,          at::kFloat, at::kDouble,  at::kComplexHalf, at::kComplexFloat,
        at::kComplexDouble, at::kBool,  at::kBFloat16};
    const int64_t number = integer(value);
    if (number < 1 || number > 13) {
      throw Error("model", "\"" + name_ + "\" holds numbers of a type that is not read (" +
                               std::to_string(number) + " in torch.export's count).");
    }
    return types[number - 1];
  }

  std::vector<int64_t> sizes(const json& list) const {
    std::vector<int64_t> result;
    for (const json& size : array(list)) {
      const auto [kind, value] = only(size);
      result.push_back(kind == "as_int" ? integer(*value) : -1);
    }
    return result;
  }

  const std::string name_;
};

// The names of the tensors that a model returns in a dictionary, from torch.export's description of
// what it returns: [1, {"type": "builtins.dict", "context": "[\"a\", \"b\"]", "children_spec":
// [...]}] as text. What is nested in it is counted: "a.1", "a.2". Empty for a model that returns
// something else, and where a key is no text.
std::vector<std::string> exported_output_names(const std::string& description);

// Errors: kind "file" where it is not JSON.
json parse_exported_json(const char* text, size_t size, const std::string& name);

}  // namespace seqlift
