#include "core/import/traced/trace_names.h"

#include "core/numeric/tensor_functions.h"

namespace seqlift {

using torch::jit::Node;
using JitValue = torch::jit::Value;

namespace {

// "lstm.weight" for an attribute access, by the chain that leads to it.
std::string attribute_path(const JitValue* value) {
  const Node* node = value->node();
  if (node->kind() != c10::prim::GetAttr) {
    return "";
  }
  const std::string holder = attribute_path(node->input());
  return (holder.empty() ? "" : holder + ".") + node->s(c10::attr::name);
}

// The module whose weights an operation reads, or "".
std::string module_of(const Node* node) {
  for (const JitValue* input : node->inputs()) {
    const std::string path = attribute_path(input);
    const size_t dot = path.rfind('.');
    if (dot != std::string::npos) {
      return path.substr(0, dot);
    }
  }
  return "";
}

}  // namespace

std::string name_of_operation(const Node* node) {
  const bool returns = node->kind() == c10::prim::Return;
  std::string name = returns ? "its end" : "`" + std::string(node->kind().toUnqualString()) + "`";
  // A trace has no lines of the module's code.
  for (const Node* one = node; one->kind() != c10::prim::Param; one = one->prev()) {
    const std::string module = one == node && returns ? "" : module_of(one);
    if (!module.empty()) {
      return name + (one == node ? " (in `" : " (after `") + module + "`)";
    }
  }
  return name;
}

std::string value_text(const c10::IValue& value) {
  if (value.isInt()) {
    return std::to_string(value.toInt());
  }
  if (value.isDouble()) {
    std::string text = std::to_string(value.toDouble());
    text.erase(text.find_last_not_of('0') + 1);
    return text.back() == '.' ? text + "0" : text;
  }
  if (value.isTensor()) {
    std::string text;
    for (const int64_t size : value.toTensor().sizes()) {
      text += (text.empty() ? "" : " x ") + std::to_string(size);
    }
    const std::string numbers =
        value.toTensor().numel() == 1
            ? " " + value_text(c10::IValue(value.toTensor().to(at::kDouble).item<double>()))
            : "";
    return "a tensor " + (numbers.empty() ? "[" + text + "]" : "of" + numbers);
  }
  if (value.isIntList()) {
    std::string text;
    for (const int64_t item : value.toIntVector()) {
      text += (text.empty() ? "" : ", ") + std::to_string(item);
    }
    return "[" + text + "]";
  }
  return value.tagKind();
}

}  // namespace seqlift
