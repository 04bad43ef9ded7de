// Operations of the program, and their arguments as it holds them.
#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/import/exported/names.h"
#include "core/import/exported/operations.h"
#include "core/import/keras/build.h"
#include "core/import/onnx/build.h"
#include "core/import/onnx/fold.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

void Builder::push(ExportedNode node) {
  if (node_) {
    node.file = file_;
    node.line = number_;
    node.code = place_of(*node_);
  }
  if (!path_.empty()) {
    node.modules.push_back({path_, path_, ""});
  }
  program_.nodes.push_back(std::move(node));
}

ExportedArgument Builder::tensor_argument(const ProgramValue& value, const char* role) {
  ExportedArgument argument;
  argument.kind = ArgumentKind::value;
  if (!value.name.empty()) {
    argument.text = value.name;
    return argument;
  }
  if (!value.constant) {
    // A list of whole numbers that something wants as a tensor.
    ExportedNode node;
    node.target = "seqlift.lines";
    std::string list;
    for (size_t i = 0; i < value.wholes->size(); ++i) {
      list += (i ? ", {" : "{") + std::to_string(i + 1) + "}";
    }
    node.lines = {"{=0} = torch.tensor(" + (value.rank() == 0 ? list : "[" + list + "]") +
                  ", dtype=" + std::to_string(static_cast<int64_t>(value.dtype)) + ", device={0})"};
    ExportedArgument device;
    device.kind = ArgumentKind::value;
    device.text = exported_device;
    node.inputs.emplace_back("device", device);
    for (const Whole& one : *value.wholes) {
      node.inputs.emplace_back("size", exported(Argument(one), "size"));
    }
    argument.text = new_value();
    node.outputs = {argument.text};
    program_.sizes[argument.text] = value.sizes;
    push(std::move(node));
    return argument;
  }
  Constant& constant = *value.constant;
  if (constant.value.empty()) {
    constant.value = new_value();
    const bool statistics =
        std::string(role) == "running_mean" || std::string(role) == "running_var";
    const bool weight =
        constant.parameter && value.is_float() && value.rank() > 0 && !statistics &&
        !constant.tensor.eq(-std::numeric_limits<double>::infinity()).any().item<bool>();
    ExportedInput input;
    input.kind = weight ? ExportedInput::Kind::parameter : ExportedInput::Kind::buffer;
    input.value = constant.value;
    const std::string before = path_.empty() ? "" : path_ + ".";
    input.name = before + role;
    for (int i = 2; program_.weights.count(input.name) > 0; ++i) {
      input.name = before + role + "_" + std::to_string(i);
    }
    program_.weights[input.name] = constant.tensor.contiguous();
    program_.sizes[constant.value] = value.sizes;
    program_.inputs.push_back(input);
  }
  argument.text = constant.value;
  return argument;
}

ExportedArgument Builder::exported(const Argument& given, const char* role) {
  using Kind = Argument::Kind;
  ExportedArgument argument;
  const auto of_whole = [](const Whole& whole) {
    ExportedArgument one;
    one.kind = whole.known() ? ArgumentKind::integer : ArgumentKind::value;
    one.integer = whole.number;
    one.text = whole.value;
    return one;
  };
  switch (given.kind) {
    case Kind::none:
      return argument;
    case Kind::tensor:
      return tensor_argument(given.tensors[0], role);
    case Kind::tensors:
      argument.kind = ArgumentKind::list;
      argument.tensors = true;
      for (const ProgramValue& one : given.tensors) {
        argument.items.push_back(tensor_argument(one, role));
      }
      return argument;
    case Kind::whole:
      return of_whole(given.wholes[0]);
    case Kind::wholes:
      argument.kind = ArgumentKind::list;
      for (const Whole& one : given.wholes) {
        argument.items.push_back(of_whole(one));
      }
      return argument;
    case Kind::number:
      argument.kind = ArgumentKind::number;
      argument.number = given.number;
      return argument;
    case Kind::boolean:
      argument.kind = ArgumentKind::boolean;
      argument.integer = given.number != 0 ? 1 : 0;
      return argument;
    case Kind::text:
      argument.kind = ArgumentKind::text;
      argument.text = given.text;
      return argument;
    case Kind::dtype:
      argument.kind = ArgumentKind::dtype;
      argument.integer = static_cast<int64_t>(given.number);
      return argument;
  }
  return argument;
}

}  // namespace onnx
}  // namespace seqlift
