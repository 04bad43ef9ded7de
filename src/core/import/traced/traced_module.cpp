#include "core/import/traced/traced_module.h"

#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/function_impl.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <set>
#include <unordered_map>

#include "core/base/error.h"
#include "core/import/traced/traced_batch.h"
#include "core/model/model.h"
#include "core/model/trace_letters.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

using torch::jit::Block;
using torch::jit::Module;
using torch::jit::Node;

namespace {

std::string forward_name(const Module& module) {
  return module.find_method("forward") ? "forward" : "evalforward";
}

std::shared_ptr<torch::jit::Graph> forward_graph(const Module& module) {
  return torch::jit::toGraphFunction(module.get_method(forward_name(module)).function()).graph();
}

std::string class_of(const Module& module) {
  return module.type()->name() ? module.type()->name()->qualifiedName() : "Net";
}

// Class by class -----------------------------------------------------------------------------

class PlainClasses {
 public:
  explicit PlainClasses(const std::map<std::string, std::string>& classes)
      : classes_(classes), unit_(std::make_shared<torch::jit::CompilationUnit>()) {}

  Module copy(const Module& original, const std::string& path) {
    const auto type = original.type();
    const auto named = classes_.find(path);
    const std::string name =
        named == classes_.end() ? plain_class_name(class_of(original)) : named->second;
    Module made(c10::QualifiedName("__torch__." + safe_class(name)), unit_, true);
    for (size_t i = 0; i < type->numAttributes(); ++i) {
      const std::string& attribute = type->getAttributeName(i);
      const c10::IValue& value = original._ivalue()->getSlot(i);
      if (value.isModule()) {
        made.register_module(attribute, copy(value.toModule(), inside(path, attribute)));
      } else {
        made.register_attribute(attribute, type->getAttribute(i), value, type->is_parameter(i),
                                type->is_buffer(i));
      }
    }
    for (size_t i = 0; i < type->numConstants(); ++i) {
      made.type()->addConstant(type->getConstantName(i), type->getConstant(i));
    }
    const std::string forward = original.find_method("forward") ? "forward" : "evalforward";
    for (const torch::jit::Function* method : type->methods()) {
      add(made, *method, method->name() == forward ? "forward" : method->name());
    }
    return made;
  }

 private:
  static std::string inside(const std::string& path, const std::string& name) {
    return path.empty() ? name : path + "." + name;
  }

  static std::string safe_class(const std::string& name) {
    std::string safe;
    std::string part;
    for (const char letter : name + ".") {
      if (letter != '.') {
        part += letter;
      } else if (!part.empty()) {
        safe += (safe.empty() ? "" : ".") + identifier(part);
        part.clear();
      }
    }
    return safe.empty() ? "Net" : safe;
  }

  void add(Module& made, const torch::jit::Function& method, const std::string& name) {
    auto graph = torch::jit::toGraphFunction(method).graph()->copy();
    graph->inputs()[0]->setType(made.type());
    retype(graph->block());
    torch::jit::Function* function =
        unit_->create_function(c10::QualifiedName(*made.type()->name(), name), std::move(graph));
    made.type()->addMethod(function);
  }

  // Modules inside have other classes now. A trace calls none of their methods.
  void retype(Block* block) {
    for (Node* node : block->nodes()) {
      node->setSourceRange(torch::jit::SourceRange());
      const bool access = node->kind() == c10::prim::GetAttr || node->kind() == c10::prim::SetAttr;
      if (access) {
        const auto holder = node->input(0)->type()->cast<c10::ClassType>();
        if (holder && node->kind() == c10::prim::GetAttr) {
          node->output()->setType(holder->getAttribute(node->s(c10::attr::name)));
        }
      }
      for (Block* inner : node->blocks()) {
        retype(inner);
      }
    }
  }

  const std::map<std::string, std::string>& classes_;
  std::shared_ptr<torch::jit::CompilationUnit> unit_;
};

void name_arguments(Module& module, const std::vector<std::string>& names) {
  const auto graph = forward_graph(module);
  std::set<std::string> taken;
  for (size_t i = 0; i < names.size() && i + 1 < graph->inputs().size(); ++i) {
    const std::string name = identifier(names[i]);
    if (taken.insert(name).second) {
      graph->inputs()[i + 1]->setDebugName(name);
    }
  }
}

// Beside the module itself -------------------------------------------------------------------

void flatten(const c10::IValue& value, std::vector<at::Tensor>& tensors) {
  if (value.isTensor()) {
    tensors.push_back(value.toTensor());
  } else if (value.isTuple()) {
    for (const c10::IValue& element : value.toTupleRef().elements()) {
      flatten(element, tensors);
    }
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) {
      flatten(element, tensors);
    }
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) {
      flatten(entry.value(), tensors);
    }
  }
}

torch::jit::Stack stack_of(const Module& module, const std::vector<at::Tensor>& inputs) {
  torch::jit::Stack stack{module._ivalue()};
  for (const at::Tensor& input : inputs) {
    stack.emplace_back(input.clone());
  }
  return stack;
}

// Of two runs in float32, added up in another order.
bool close(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) {
    return false;
  }
  const at::Tensor x = a.to(at::kDouble);
  const at::Tensor y = b.to(at::kDouble);
  const bool exact = a.scalar_type() == at::kDouble && b.scalar_type() == at::kDouble;
  const at::Tensor finite = at::where(at::isfinite(y), y, at::zeros_like(y));
  const double scale = y.numel() == 0 ? 0 : finite.abs().max().item<double>();
  return at::allclose(x, y, 0, (exact ? 1e-8 : 1e-4) * scale + 1e-30, true);
}

bool close(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) {
    same = close(a[i], b[i]);
  }
  return same;
}

// All tensors that a graph makes, in its order, by the operations that make them.
std::vector<std::pair<const Node*, at::Tensor>> all_tensors(const Module& module,
                                                            const std::vector<at::Tensor>& inputs) {
  const auto graph = forward_graph(module)->copy();
  std::vector<Node*> made;
  std::vector<torch::jit::Value*> values;
  for (Node* node : graph->nodes()) {
    const bool operation = node->kind().is_aten() && node->outputs().size() == 1;
    if (operation && node->output()->type()->isSubtypeOf(*c10::TensorType::get())) {
      made.push_back(node);
      values.push_back(node->output());
    }
  }
  if (made.empty()) {
    return {};
  }
  torch::jit::Value* all = nullptr;
  {
    torch::jit::WithInsertPoint guard(graph->block()->return_node());
    all = graph->insertNode(graph->createList(c10::TensorType::get(), values))->output();
  }
  graph->block()->replaceOutput(0, all);
  torch::jit::CompilationUnit unit;
  torch::jit::Stack stack = stack_of(module, inputs);
  unit.create_function("probe", graph->copy())->run(stack);
  std::vector<at::Tensor> tensors;
  flatten(stack.back(), tensors);
  // The nodes of the module's own graph live as long as it does.
  std::vector<std::pair<const Node*, at::Tensor>> result;
  size_t i = 0;
  for (Node* node : forward_graph(module)->nodes()) {
    const bool operation = node->kind().is_aten() && node->outputs().size() == 1;
    if (operation && node->output()->type()->isSubtypeOf(*c10::TensorType::get())) {
      result.emplace_back(node, tensors.at(i++));
    }
  }
  return result;
}

std::string numbers_of(const std::vector<at::Tensor>& given, const std::vector<at::Tensor>& other) {
  for (size_t i = 0; i < given.size() && i < other.size(); ++i) {
    if (close(given[i], other[i])) {
      continue;
    }
    if (given[i].sizes() != other[i].sizes()) {
      const auto text = [](const at::Tensor& tensor) {
        std::string sizes;
        for (const int64_t size : tensor.sizes()) {
          sizes += (sizes.empty() ? "" : " x ") + std::to_string(size);
        }
        return "[" + sizes + "]";
      };
      return "a tensor " + text(given[i]) + " where the module gives " + text(other[i]);
    }
    const at::Tensor x = given[i].to(at::kDouble).flatten();
    const at::Tensor y = other[i].to(at::kDouble).flatten();
    const int64_t worst = (x - y).abs().argmax().item<int64_t>();
    return std::to_string(x[worst].item<double>()) + " where the module gives " +
           std::to_string(y[worst].item<double>());
  }
  return std::to_string(given.size()) + " outputs where the module gives " +
         std::to_string(other.size());
}

// The first operation that gives something else in the trace made with those sequences.
std::string first_difference(const Module& module, const Module& trace,
                             const std::vector<at::Tensor>& inputs) {
  try {
    const auto here = all_tensors(module, inputs);
    const auto there = all_tensors(trace, inputs);
    for (size_t i = 0, j = 0; i < here.size() && j < there.size(); ++i, ++j) {
      // Operations that took the place of a number.
      while (i < here.size() && here[i].first->kind() != there[j].first->kind()) {
        ++i;
      }
      if (i < here.size() && !close(here[i].second, there[j].second)) {
        return "The first operation that differs is " + name_of_operation(there[j].first) + ".";
      }
    }
  } catch (const std::exception& error) {
    const std::string why = error.what();
    return "It fails for them: " + why.substr(0, why.find('\n'));
  }
  return "Each of its operations gives the same as in a trace for that number, so the module does "
         "something else each time: it draws random numbers, or computes outside of tensors.";
}

void compare(const Module& module, const Module& trace, const TraceCheck& check) {
  const at::NoGradGuard guard;
  std::vector<at::Tensor> outputs;
  std::string why;
  try {
    torch::jit::Stack stack = stack_of(module, check.inputs);
    module.get_method("forward").function().run(stack);
    flatten(stack.back(), outputs);
    if (close(outputs, check.outputs)) {
      return;
    }
    why = "gives " + numbers_of(outputs, check.outputs);
  } catch (const std::exception&) {
    why = "fails";
  }
  throw Error("trace", "For " + std::to_string(check.inputs[0].size(0)) +
                           " sequences the converted module " + why + ". " +
                           first_difference(module, trace, check.inputs));
}

// R's torch writes classes without a package; Python's are never so.
bool has_traced_classes(const Module& module) {
  for (const Module& inner : module.modules()) {
    const std::string name = class_of(inner);
    if (without_trace_letters(name) != name || name.rfind("__torch__", 0) != 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string identifier(const std::string& name) {
  static const std::set<std::string> reserved = {
      "False",  "None",     "True",   "and",  "as",   "assert", "async",    "await", "break",
      "class",  "continue", "def",    "del",  "elif", "else",   "except",   "for",   "from",
      "global", "if",       "import", "in",   "is",   "lambda", "nonlocal", "not",   "or",
      "pass",   "raise",    "return", "self", "try",  "while",  "with",     "yield", "torch"};
  std::string safe;
  for (const char letter : name) {
    const bool plain = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                       (letter >= '0' && letter <= '9') || letter == '_';
    safe += plain ? letter : '_';
  }
  if (safe.empty() || (safe[0] >= '0' && safe[0] <= '9')) {
    safe = "_" + safe;
  }
  return reserved.count(safe) > 0 ? safe + "_" : safe;
}

Module with_plain_classes(const Module& original,
                          const std::map<std::string, std::string>& classes) {
  return PlainClasses(classes).copy(original, "");
}

Module make_traced_module(const TracedModuleOptions& options) {
  std::vector<Module> loaded;
  for (const TraceFile& trace : options.traces) {
    loaded.push_back(load_model(trace.path)->module);
  }
  // The module may hold tensors of the model that was read, which nothing writes to.
  Module module = with_plain_classes(loaded.at(0), options.classes);
  std::vector<BatchTrace> traces;
  for (size_t i = 0; i < loaded.size(); ++i) {
    traces.push_back({options.traces[i].sequences, forward_graph(i == 0 ? module : loaded[i])});
  }
  free_traced_batch(traces);
  name_arguments(module, options.argument_names);
  if (!options.check.inputs.empty()) {
    compare(module, loaded.back(), options.check);
  }
  return module;
}

void convert_script_module(const std::string& path, const std::string& to) {
  const Module module = load_model(path)->module;
  if (has_traced_classes(module)) {
    with_plain_classes(module).save(to);
    return;
  }
  std::ifstream from(path, std::ios::binary);
  std::ofstream copy(to, std::ios::binary);
  copy << from.rdbuf();
  if (!copy.flush()) {
    throw Error("file", "The file \"" + to + "\" could not be written.");
  }
}

}  // namespace seqlift
