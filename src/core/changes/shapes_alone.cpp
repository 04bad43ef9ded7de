#include "core/changes/shapes_alone.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <optional>

#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

using Stack = std::vector<c10::IValue>;

// Neither 0 nor 1: what is divided by it or whose logarithm is taken stays finite.
constexpr double stand_in = 0.5;

// One channel tells the length of all.
std::optional<Stack> convolution(const Call& call, const Stack& stack) {
  const int groups = call.find("groups");
  if (stack.size() < 3 || groups < 0 || !stack[0].isTensor() || !stack[1].isTensor()) {
    return std::nullopt;
  }
  const at::Tensor x = stack[0].toTensor();
  const at::Tensor weight = stack[1].toTensor();
  if (x.dim() != weight.dim() || x.dim() < 3 || x.numel() == 0 || weight.numel() == 0) {
    return std::nullopt;
  }
  const int flag = call.find("transposed");
  const bool transposed = flag >= 0 ? stack[flag].toBool() : call.is(Trait::transposed);
  const int64_t channels = transposed ? weight.size(1) * stack[groups].toInt() : weight.size(0);
  Stack one = stack;
  one[0] = x.narrow(1, 0, 1);
  one[1] = weight.narrow(0, 0, 1).narrow(1, 0, 1);
  one[2] = c10::IValue();
  one[groups] = int64_t{1};
  const at::Tensor result = call.evaluate(std::move(one))[0].toTensor();
  std::vector<int64_t> sizes = result.sizes().vec();
  sizes[1] = channels;
  return Stack{shape_alone(sizes, result.options())};
}

c10::IValue without_memory(const c10::IValue& value) {
  if (value.isTensor() && value.toTensor().defined() && value.toTensor().dim() > 0) {
    const at::Tensor tensor = value.toTensor();
    return at::empty(tensor.sizes(), tensor.options().device(at::kMeta));
  }
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) {
      list.push_back(without_memory(tensor).toTensor());
    }
    return list;
  }
  return value;
}

std::optional<Stack> by_meta(const Call& call, const Stack& stack, const at::Device& device) {
  Stack inputs;
  for (const c10::IValue& value : stack) {
    inputs.push_back(without_memory(value));
  }
  try {
    Stack outputs = call.evaluate(std::move(inputs));
    for (c10::IValue& output : outputs) {
      if (output.isTensor() && output.toTensor().defined()) {
        const at::Tensor tensor = output.toTensor();
        output = shape_alone(tensor.sizes(), tensor.options().device(device));
      }
    }
    return outputs;
  } catch (const c10::Error&) {
    return std::nullopt;
  }
}

// As the operation itself does it, of numbers that stand for others.
Stack computed(const Call& call, Stack stack) {
  if (!stack.empty() && stack[0].isTensor() && stack[0].toTensor().defined()) {
    stack[0] = stack[0].toTensor().contiguous();  // some write there
  }
  return call.evaluate(std::move(stack));
}

Stack shapes(const Call& call, const Stack& stack) {
  const bool tensor = !stack.empty() && stack[0].isTensor() && stack[0].toTensor().defined();
  // What the table does not know (unique, bincount) may count numbers too.
  if (call.row->shape == ShapeBy::numbers || call.row->name[0] == '\0') {
    throw NotMeasurable();
  }
  if (tensor && call.row->shape == ShapeBy::input) {
    const at::Tensor x = stack[0].toTensor();
    return {shape_alone(x.sizes(), x.options())};
  }
  std::optional<Stack> outputs;
  if (tensor && call.is(Trait::convolves)) {
    outputs = convolution(call, stack);
  } else if (tensor && call.row->shape == ShapeBy::meta) {
    outputs = by_meta(call, stack, stack[0].toTensor().device());
  }
  return outputs ? *outputs : computed(call, stack);
}

bool is_number(const c10::IValue& value) { return value.isScalar() || value.isBool(); }

// Truth values as an index pick as many entries as are true.
bool is_choice(const Call& call) {
  const int indices = call.find("indices");
  if (indices < 0 || !call.inputs[indices].x.isList()) {
    return false;
  }
  for (const c10::IValue& index : call.inputs[indices].x.toListRef()) {
    if (index.isTensor() && index.toTensor().defined() &&
        index.toTensor().scalar_type() == at::kBool) {
      return call.inputs[indices].paired();
    }
  }
  return false;
}

}  // namespace

at::Tensor shape_alone(at::IntArrayRef sizes, const at::TensorOptions& options) {
  return at::empty({}, options).fill_(stand_in).expand(sizes);
}

void evaluate_shapes(Call& call) {
  const bool of_numbers =
      std::any_of(call.inputs.begin(), call.inputs.end(),
                  [](const Value& input) { return input.paired() && input.x.isTensor(); });
  if (!of_numbers && !call.inputs.empty() &&
      std::none_of(call.inputs.begin(), call.inputs.end(),
                   [](const Value& input) { return input.paired() && input.x.isTensorList(); })) {
    return;
  }
  if (is_choice(call)) {
    throw NotMeasurable();
  }
  const Call own = call;
  call.evaluate = [own](Stack stack) {
    Stack outputs = shapes(own, stack);
    if (std::any_of(outputs.begin(), outputs.end(), is_number)) {
      throw NotMeasurable();
    }
    return outputs;
  };
}

}  // namespace seqlift
