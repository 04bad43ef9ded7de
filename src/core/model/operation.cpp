#include "core/model/operation.h"

#include <ATen/core/Tensor.h>

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
  return {x, value.paired ? value.ref.toTensor() : x};
}

std::string Call::where() const {
  return "The operation " + place_of(node, *provenance) + (provenance->source.empty() ? "" : ",");
}

Value to_value(const c10::IValue& x, const c10::IValue& ref) {
  Value value;
  value.x = x;
  value.paired = true;
  value.ref = ref;
  const bool tensor = ref.isTensor() && ref.toTensor().defined();
  value.depends = tensor && ref.toTensor().requires_grad();
  return value;
}

Value to_value(const Halves& halves) { return to_value(halves.x, halves.ref); }

Value to_value(const Halves& halves, at::ScalarType shown) {
  Value value = to_value(halves);
  value.shown = shown;
  return value;
}

}  // namespace seqlift
