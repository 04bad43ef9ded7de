#include "core/rules/operands.h"

#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

bool in_list(const Slot& slot) { return slot.element >= 0; }

}  // namespace

std::vector<Slot> dependent_slots(const Call& call) {
  std::vector<Slot> slots;
  for (const int input : call.dependent()) {
    const c10::IValue& ref = call.inputs[input].half(true);
    if (ref.isTensor()) {
      slots.push_back({input, -1});
      continue;
    }
    const std::vector<at::Tensor> elements = ref.toTensorVector();
    for (size_t i = 0; i < elements.size(); ++i) {
      if (has_gradient(elements[i])) {
        slots.push_back({input, static_cast<int>(i)});
      }
    }
  }
  return slots;
}

Halves slot_halves(const Call& call, const Slot& slot) {
  if (!in_list(slot)) {
    return call.halves(slot.input);
  }
  return {call.inputs[slot.input].x.toTensorVector()[slot.element],
          call.inputs[slot.input].ref().toTensorVector()[slot.element]};
}

MultiOutput function_of(const Call& call, const std::vector<Slot>& slots, bool ref) {
  std::vector<c10::IValue> inputs = call.stack(ref);
  for (c10::IValue& input : inputs) {
    // A list of the model's may be appended to later, with what comes of this very operation.
    if (input.isTensorList()) {
      std::vector<at::Tensor> elements = input.toTensorVector();
      for (at::Tensor& element : elements) {
        element = element.detach();
      }
      input = elements;
    }
  }
  for (const Slot& slot : slots) {
    if (!in_list(slot)) {
      inputs[slot.input] = c10::IValue();  // an operand, filled in at each call
    }
  }
  return [inputs, slots, evaluate = call.evaluate](const Operands& operands) {
    std::vector<c10::IValue> stack = inputs;
    for (c10::IValue& value : stack) {
      if (value.isTensorList()) {
        value = value.toTensorVector();
      }
    }
    for (size_t i = 0; i < slots.size(); ++i) {
      if (in_list(slots[i])) {
        stack[slots[i].input].toTensorList().set(slots[i].element, operands[i]);
      } else {
        stack[slots[i].input] = operands[i];
      }
    }
    std::vector<at::Tensor> outputs;
    const std::vector<c10::IValue> results = evaluate(std::move(stack));
    for (const c10::IValue& output : results) {
      outputs.push_back(output.isTensor() ? output.toTensor() : at::Tensor());
    }
    return outputs;
  };
}

Nary function_in_type(const Call& call, const std::vector<int>& positions, bool ref) {
  std::vector<c10::IValue> inputs = call.stack(ref);
  // The operands take their places: converting those for each piece of a tensor would take longer
  // than the piece.
  for (const int position : positions) {
    inputs[position] = c10::IValue();
  }
  return [inputs, positions, evaluate = call.evaluate](const Operands& operands) {
    std::vector<c10::IValue> stack = inputs;
    for (c10::IValue& input : stack) {
      if (input.isTensor() && input.toTensor().defined() &&
          at::isFloatingType(input.toTensor().scalar_type())) {
        input = input.toTensor().to(operands[0].scalar_type());
      }
    }
    for (size_t i = 0; i < positions.size(); ++i) {
      stack[positions[i]] = operands[i];
    }
    return evaluate(std::move(stack))[0].toTensor();
  };
}

}  // namespace seqlift
