#include "core/import/exported/json.h"

namespace seqlift {

namespace {

constexpr int deepest_output = 8;

// False where the names cannot be told. `name`: of the part, "" of the whole.
bool add_names(const json& part, const std::string& name, int depth,
               std::vector<std::string>& names) {
  if (depth > deepest_output || !part.is_object() || !part.contains("type") ||
      !part.contains("children_spec") || !part["children_spec"].is_array()) {
    return false;
  }
  if (part["type"].is_null()) {
    names.push_back(name);
    return depth > 0;
  }
  const json& children = part["children_spec"];
  const bool dictionary = part["type"] == "builtins.dict";
  json keys;
  if (dictionary) {
    const bool told = part.contains("context") && part["context"].is_string();
    keys = told ? json::parse(part["context"].get<std::string>(), nullptr, false) : json();
    if (!keys.is_array() || keys.size() != children.size()) {
      return false;
    }
  } else if (depth == 0) {
    return false;
  }
  for (size_t i = 0; i < children.size(); ++i) {
    if (dictionary && !keys[i].is_string()) {
      return false;
    }
    const std::string own = dictionary ? keys[i].get<std::string>() : std::to_string(i + 1);
    if (!add_names(children[i], name.empty() ? own : name + "." + own, depth + 1, names)) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::vector<std::string> exported_output_names(const std::string& description) {
  const json parsed = json::parse(description, nullptr, false);
  std::vector<std::string> names;
  const bool told = parsed.is_array() && parsed.size() == 2 && add_names(parsed[1], "", 0, names);
  return told ? names : std::vector<std::string>();
}

}  // namespace seqlift
