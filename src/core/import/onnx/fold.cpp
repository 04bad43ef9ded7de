#include "core/import/onnx/fold.h"

#include <ATen/core/List.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/jit_type.h>
#include <ATen/core/stack.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <functional>

#include "core/base/error.h"
#include "core/import/exported/writer.h"

namespace seqlift {
namespace onnx {

namespace {

using Known = std::function<at::Tensor(const ProgramValue&)>;

const c10::Type* inner_of(const c10::Type* type) {
  const bool optional = type->kind() == c10::TypeKind::OptionalType;
  return optional ? type->containedTypes()[0].get() : type;
}

c10::IValue list_of(const Argument& argument, const c10::Type* type) {
  const auto& inside = type->containedTypes();
  if (!inside.empty() && inside[0]->kind() == c10::TypeKind::FloatType) {
    std::vector<double> numbers;
    for (const Whole& one : argument.wholes) {
      numbers.push_back(static_cast<double>(one.number));
    }
    return numbers;
  }
  std::vector<int64_t> numbers;
  for (const Whole& one : argument.wholes) {
    numbers.push_back(one.number);
  }
  return numbers;
}

c10::IValue tensors_of(const Argument& argument, const c10::Type* type, const Known& known) {
  const auto& inside = type->containedTypes();
  if (!inside.empty() && inside[0]->kind() == c10::TypeKind::OptionalType) {
    c10::impl::GenericList list(c10::OptionalType::ofTensor());
    for (const ProgramValue& one : argument.tensors) {
      list.push_back(c10::IValue(known(one)));
    }
    return list;
  }
  std::vector<at::Tensor> list;
  for (const ProgramValue& one : argument.tensors) {
    list.push_back(known(one));
  }
  return list;
}

c10::IValue value_of(const Argument& argument, const c10::Type* given, const Known& known) {
  const c10::Type* type = inner_of(given);
  using Kind = Argument::Kind;
  switch (argument.kind) {
    case Kind::none:
      return {};
    case Kind::tensor:
      return known(argument.tensors[0]);
    case Kind::tensors:
      return tensors_of(argument, type, known);
    case Kind::whole: {
      const int64_t number = argument.wholes[0].number;
      if (type->kind() == c10::TypeKind::ListType) {
        return std::vector<int64_t>{number};
      }
      return type->kind() == c10::TypeKind::FloatType ? c10::IValue(static_cast<double>(number))
                                                      : c10::IValue(number);
    }
    case Kind::wholes:
      return list_of(argument, type);
    case Kind::number:
      return argument.number;
    case Kind::boolean:
      return argument.number != 0;
    case Kind::text:
      return argument.text;
    case Kind::dtype:
      return static_cast<int64_t>(argument.number);
  }
  return {};
}

}  // namespace

std::vector<at::Tensor> run_operation(const std::string& target, const Arguments& arguments,
                                      const Known& known) {
  const size_t dot = target.find('.');
  const std::string overload = dot == std::string::npos ? "" : target.substr(dot + 1);
  const auto symbol = c10::Symbol::fromQualString("aten::" + target.substr(0, dot));
  for (const auto& candidate : torch::jit::getAllOperatorsFor(symbol)) {
    const c10::FunctionSchema& schema = candidate->schema();
    if (schema.overload_name() != overload) {
      continue;
    }
    torch::jit::Stack stack;
    for (const c10::Argument& wanted : schema.arguments()) {
      const auto found = std::find_if(arguments.begin(), arguments.end(),
                                      [&](const auto& one) { return wanted.name() == one.first; });
      if (found != arguments.end()) {
        stack.push_back(value_of(found->second, wanted.type().get(), known));
      } else {
        stack.push_back(wanted.default_value() ? *wanted.default_value() : c10::IValue());
      }
    }
    const at::NoGradGuard guard;
    try {
      candidate->getOperation()(stack);
    } catch (const c10::Error& error) {
      const std::string why = error.what_without_backtrace();
      throw Error("model", "LibTorch says: " + why.substr(0, why.find('\n')));
    }
    std::vector<at::Tensor> results;
    for (const c10::IValue& one : stack) {
      if (one.isTensorList()) {
        for (const at::Tensor& tensor : one.toTensorVector()) {
          results.push_back(tensor);
        }
      } else {
        results.push_back(one.toTensor());
      }
    }
    return results;
  }
  throw Error("model", "this LibTorch has no operation " + target);
}

}  // namespace onnx
}  // namespace seqlift
