#include "core/model/modules.h"

#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/resolver.h>
#include <torch/csrc/jit/frontend/sugared_value.h>
#include <torch/csrc/jit/ir/ir.h>

#include <memory>

#include "core/base/error.h"

namespace seqlift {

namespace {

const char* const names_attribute = "seqlift_output_names";

// What LibTorch knows only where it reads a file: annotate(List[Optional[Tensor]], [...]).
struct SourceResolver : public torch::jit::Resolver {
  std::shared_ptr<torch::jit::SugaredValue> resolveValue(
      const std::string& name, torch::jit::GraphFunction& method,
      const torch::jit::SourceRange& place) override {
    if (name == "annotate") {
      return torch::jit::SpecialFormValue::create(torch::jit::prim::annotate);
    }
    return torch::jit::nativeResolver()->resolveValue(name, method, place);
  }
};

torch::jit::Module build(const ModulePart& part,
                         const std::shared_ptr<torch::jit::CompilationUnit>& unit, bool training) {
  torch::jit::Module module(c10::QualifiedName("__torch__." + part.class_name), unit, true);
  module.register_attribute("training", c10::BoolType::get(), training);
  for (const auto& parameter : part.parameters) {
    module.register_parameter(parameter.first, parameter.second, false);
  }
  for (const auto& buffer : part.buffers) {
    module.register_buffer(buffer.first, buffer.second);
  }
  for (const auto& inner : part.parts) {
    module.register_module(inner.first, build(inner.second, unit, training));
  }
  try {
    module.define(part.source, std::make_shared<SourceResolver>());
  } catch (const std::exception& error) {
    throw Error("model", "The source of " + part.class_name +
                             " is not TorchScript: " + std::string(error.what()));
  }
  return module;
}

}  // namespace

torch::jit::Module build_module(const ModulePart& part, bool training) {
  auto module = build(part, std::make_shared<torch::jit::CompilationUnit>(), training);
  if (!part.output_names.empty()) {
    name_outputs(module, part.output_names);
  }
  return module;
}

// A graph takes no module for a constant. It does take an object of another class, so the module is
// an attribute of one.
torch::jit::Value* call_module(torch::jit::Graph& graph, const torch::jit::Module& module,
                               const std::string& path, torch::jit::Value* input,
                               torch::jit::Value*& holder) {
  const auto unit = std::make_shared<torch::jit::CompilationUnit>();
  const auto type = c10::ClassType::create(c10::QualifiedName("__torch__.seqlift.Wrapper"), unit);
  type->addAttribute(path, module.type());
  const auto object = c10::ivalue::Object::create(c10::StrongTypePtr(unit, type), 1);
  object->setSlot(0, module._ivalue());

  torch::jit::Node* constant = graph.create(c10::prim::Constant);
  constant->ival_(c10::attr::value, object);
  constant->output()->setType(type);
  holder = graph.insertNode(constant)->output();
  torch::jit::Value* part = graph.insertGetAttr(holder, path);
  torch::jit::Node* call = graph.create(c10::prim::CallMethod, {part, input});
  call->s_(c10::attr::name, "forward");
  call->output()->setType(c10::TensorType::get());
  return graph.insertNode(call)->output();
}

void name_outputs(torch::jit::Module& module, const std::vector<std::string>& names) {
  const c10::List<std::string> list(names);
  if (!module.hasattr(names_attribute)) {
    module.register_attribute(names_attribute, c10::ListType::ofStrings(), list);
  } else if (*module.type()->getAttribute(names_attribute) == *c10::ListType::ofStrings()) {
    module.setattr(names_attribute, list);
  }
}

std::vector<std::string> output_names(const torch::jit::Module& module) {
  std::vector<std::string> names;
  const c10::IValue value = module.attr(names_attribute, c10::IValue());
  // A file may have anything by that name.
  if (value.isList()) {
    for (const c10::IValue& name : value.toListRef()) {
      if (!name.isString()) {
        return {};
      }
      names.push_back(name.toStringRef());
    }
  }
  return names;
}

}  // namespace seqlift
