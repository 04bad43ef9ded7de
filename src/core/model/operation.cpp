#include "core/model/operation.h"

#include <ATen/core/Tensor.h>

#include "core/model/operation_table.h"

namespace seqlift {

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::shape:
      return "shape";
    case Kind::linear:
      return "linear";
    case Kind::elementwise:
      return "elementwise";
    case Kind::product:
      return "product";
    case Kind::max:
      return "max";
    case Kind::softmax:
      return "softmax";
    case Kind::normalisation:
      return "normalisation";
    case Kind::condition:
      return "condition";
    case Kind::recurrent:
      return "recurrent";
    case Kind::attention:
      return "attention";
    case Kind::random:
      return "random";
    case Kind::other:
      break;
  }
  return "unsupported";
}

std::vector<int64_t> per_dimension(const c10::IValue& argument, int64_t dims) {
  std::vector<int64_t> numbers =
      argument.isInt() ? std::vector<int64_t>{argument.toInt()} : argument.toIntVector();
  if (numbers.size() == 1) {
    numbers.resize(dims, numbers[0]);
  }
  return numbers;
}

bool Call::is(Trait trait) const { return row->is(trait); }

int Call::find(const std::string& name) const {
  const auto* schema = node->maybeSchema();
  if (!schema) {
    return -1;
  }
  const auto position = schema->argumentIndexWithName(name);
  return position ? *position : -1;
}

std::vector<int> Call::dependent() const {
  std::vector<int> found;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].depends) {
      found.push_back(static_cast<int>(i));
    }
  }
  return found;
}

Halves Call::halves(int input) const {
  const Value& value = inputs[input];
  const at::Tensor x = value.x.toTensor();
  return {x, value.half(true).toTensor()};
}

std::vector<c10::IValue> Call::stack(bool of_references) const {
  std::vector<c10::IValue> values;
  for (const Value& input : inputs) {
    values.push_back(input.half(of_references));
  }
  return values;
}

std::string plain_name(const torch::jit::Node* node) {
  std::string name = node->kind().toUnqualString();
  if (name.size() > 1 && name.back() == '_' && name[name.size() - 2] != '_') {
    name.pop_back();
  }
  return name;
}

const Operation& operation_of(const torch::jit::Node* node) {
  return operation_of(plain_name(node));
}

std::string Call::where() const {
  return "The operation " + place_of(node, *provenance) + (provenance->source.empty() ? "" : ",");
}

Value to_value(const c10::IValue& x, const c10::IValue& ref) {
  Value value;
  value.x = x;
  value.set_ref(ref);
  value.depends = has_gradient(ref);
  return value;
}

Value to_value(const Halves& halves) { return to_value(halves.x, halves.ref); }

Value to_value(const Halves& halves, at::ScalarType shown) {
  Value value = to_value(halves);
  value.shown = shown;
  return value;
}

}  // namespace seqlift
