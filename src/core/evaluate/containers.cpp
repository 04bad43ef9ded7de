// Attributes of the model's objects, and its lists, tuples and dictionaries, on both halves.

#include <algorithm>
#include <map>
#include <memory>

#include "core/base/error.h"
#include "core/evaluate/evaluation.h"
#include "core/halves/constants.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

using torch::jit::Node;

// `with torch.autocast(...)`: what LibTorch does inside depends on the device that the block is
// for. Switched off, or for another device, it changes nothing.
void Evaluation::enter_autocast(const Node* node) {
  const Value autocast = value(node->input());
  values_[node->output()] = autocast;
  const auto object = autocast.x.toObject();
  const auto attribute = [&](const char* name) {
    const auto set = attributes_.find({object.get(), name});
    return set == attributes_.end() ? object->getAttr(name) : set->second.x;
  };
  const std::string device = attribute("device").toStringRef();
  const bool here = (device == "cpu") == constants_.device().is_cpu();
  if (attribute("_enabled").toBool() && here) {
    const auto dtype = static_cast<at::ScalarType>(attribute("fast_dtype").toInt());
    throw Error("model", "The model computes in mixed precision (`with autocast` to " +
                             std::string(dtype == at::kBFloat16 ? "bfloat16" : "float16") + " on " +
                             device + ", " + place(node) +
                             "), where attributions mean little. Export it without that block, or "
                             "with `enabled=False`.");
  }
}

// An object of a class of the model's code. What is set on it is kept beside it, by its address: it
// lives as long as the evaluation.
void Evaluation::create_object(const Node* node) {
  const auto type = node->output()->type()->expect<c10::ClassType>();
  Value result;
  result.x = c10::ivalue::Object::create(c10::StrongTypePtr(type->compilation_unit(), type),
                                         type->numAttributes());
  objects_.push_back(result.x);
  values_[node->output()] = result;
}

void Evaluation::get_attribute(const Node* node) {
  const auto object = value(node->input()).x.toObject();
  const std::string& name = node->s(c10::attr::name);
  const auto overlaid = attributes_.find({object.get(), name});
  if (overlaid != attributes_.end()) {
    values_[node->output()] = overlaid->second;
    set_row_by_row(node->output(), false);
    return;
  }
  Value result;
  result.x = object->getAttr(name);
  note_constant(node->output(), result.x);
  if (result.x.isTensor() && result.x.toTensor().defined()) {
    const at::Tensor tensor = constants_.convert(result.x.toTensor());
    result.x = tensor;
    if (graph_.written_attributes.count(node->output()) > 0) {
      // The model is never written to: what an operation writes into is a copy, one for the
      // evaluation.
      result.x = tensor.clone();
      if (options_.two_halves()) {
        result.set_ref(tensor.clone());
      }
      attributes_[{object.get(), name}] = result;
    }
  } else if (result.x.isList() || result.x.isGenericDict() || result.x.isTuple()) {
    const bool written = graph_.written_attributes.count(node->output()) > 0;
    if (written || holds_tensor(result.x)) {
      const c10::IValue original = result.x;
      std::map<const void*, c10::IValue> unshared;
      result.x = own_copy(original, written, written ? copies_of_x_ : unshared);
      if (written && options_.two_halves()) {
        result.set_ref(own_copy(original, true, copies_of_ref_));
      }
    }
    if (written) {
      attributes_[{object.get(), name}] = result;
    }
  }
  values_[node->output()] = result;
}

// A list, dictionary or tuple with its tensors as the call needs them (nn.LSTM and its kin keep
// their weights in a list). What is written to is a copy, and one for all of its names.
c10::IValue Evaluation::own_copy(const c10::IValue& value, bool written,
                                 std::map<const void*, c10::IValue>& copies) const {
  if (value.isTensor()) {
    if (!value.toTensor().defined()) {
      return value;
    }
    const void* key = value.toTensor().unsafeGetTensorImpl();
    const auto known = copies.find(key);
    if (known != copies.end()) {
      return known->second;
    }
    const at::Tensor tensor = constants_.convert(value.toTensor());
    return copies[key] = written ? tensor.clone() : tensor;
  }
  if (!value.isList() && !value.isGenericDict() && !value.isTuple()) {
    return value;
  }
  const void* key = value.internalToPointer();
  const auto known = copies.find(key);
  if (known != copies.end()) {
    return known->second;
  }
  if (value.isTuple()) {
    std::vector<c10::IValue> elements;
    for (const c10::IValue& element : value.toTupleRef().elements()) {
      elements.push_back(own_copy(element, written, copies));
    }
    const auto type = value.toTuple()->type();
    c10::IValue& copy = copies[key];
    if (type->name()) {
      copy = c10::ivalue::Tuple::createNamed(std::move(elements), type);
    } else {
      copy = c10::ivalue::Tuple::create(std::move(elements));
    }
    return copy;
  }
  if (value.isGenericDict()) {
    const c10::impl::GenericDict given = value.toGenericDict();
    c10::impl::GenericDict copy(given.keyType(), given.valueType());
    for (const auto& entry : given) {
      copy.insert(entry.key(), own_copy(entry.value(), written, copies));
    }
    return copies[key] = copy;
  }
  c10::impl::GenericList copy(value.toList().elementType());
  for (const c10::IValue& element : value.toListRef()) {
    copy.push_back(own_copy(element, written, copies));
  }
  return copies[key] = copy;
}

void Evaluation::construct(const Node* node) {
  note_list(node);
  std::vector<Value> given;
  at::ScalarType shown = at::ScalarType::Undefined;
  for (const torch::jit::Value* input : node->inputs()) {
    given.push_back(value(input));
    shown = given.back().typed() ? given.back().shown : shown;
  }
  if (options_.before) {
    options_.before(node, given);
  }
  if (options_.letters) {
    Steps steps = steps_of(node);
    read_letters(node, given, steps, operation_of(node));
    const auto step = std::find_if(steps.begin(), steps.end(), [](const Node* one) { return one; });
    mark_step(node->output(), step == steps.end() ? nullptr : *step);
  }
  // A list of truth values, or of whole numbers, keeps their gradients; a mixture does not.
  for (const Value& part : given) {
    const bool tensor = part.x.isTensor() && part.x.toTensor().defined();
    const bool differs = tensor && !part.typed() && part.x.toTensor().scalar_type() != shown;
    const bool list = node->kind() == c10::prim::ListConstruct;
    shown = !list || differs || (part.typed() && part.shown != shown) ? at::ScalarType::Undefined
                                                                      : shown;
  }
  const bool in_parts = kept_in_parts(node, given);
  bool paired = false;
  bool tainted = false;
  for (Value& part : given) {
    part = in_parts ? part : in_full(part);
    part = shown == at::ScalarType::Undefined ? concrete(part) : part;
    paired = paired || part.paired();
    tainted = tainted || part.tainted;
  }
  const auto build = [&](bool ref) {
    std::vector<c10::IValue> parts;
    for (const Value& part : given) {
      parts.push_back(part.half(ref));
    }
    return assemble(node, std::move(parts));
  };
  const auto& type = node->output()->type();
  const bool numbers =
      type->cast<c10::ListType>() &&
      !type->expectRef<c10::ListType>().getElementType()->isSubtypeOf(*c10::TensorType::get());
  const bool written = graph_.written_results.count(node) > 0;
  paired = options_.two_halves() &&
           (paired || written || (node->kind() != c10::prim::TupleConstruct && !numbers));
  const c10::IValue x = build(false);
  if (in_parts) {
    Value result;
    result.x = x;
    result.set_parts(std::make_shared<std::vector<Value>>(std::move(given)));
    values_[node->output()] = result;
    return;
  }
  Value& result = values_[node->output()];
  const c10::IValue ref = paired ? build(true) : x;
  result = finish(x, ref, paired, tainted);
  result.shown = shown;
  if (written && paired) {
    result.set_ref(ref);
  }
}

c10::IValue Evaluation::assemble(const Node* node, std::vector<c10::IValue> parts) {
  if (node->kind() == c10::prim::TupleConstruct) {
    const auto type = node->output()->type()->expect<c10::TupleType>();
    return type->name() ? c10::ivalue::Tuple::createNamed(std::move(parts), type)
                        : c10::ivalue::Tuple::create(std::move(parts));
  }
  if (node->kind() == c10::prim::DictConstruct) {
    const auto type = node->output()->type()->expect<c10::DictType>();
    c10::impl::GenericDict dict(type->getKeyType(), type->getValueType());
    for (size_t i = 0; i + 1 < parts.size(); i += 2) {
      dict.insert_or_assign(parts[i], parts[i + 1]);
    }
    return dict;
  }
  c10::impl::GenericList list(node->output()->type()->expect<c10::ListType>()->getElementType());
  for (c10::IValue& part : parts) {
    list.push_back(std::move(part));
  }
  return list;
}

void Evaluation::unpack(const Node* node) {
  const Value whole = value(node->input());
  if (options_.letters) {
    for (const torch::jit::Value* part : node->outputs()) {
      mark_step(part, steps_of(node)[0]);
    }
  }
  if (whole.parts()) {
    for (size_t i = 0; i < node->outputs().size(); ++i) {
      values_[node->outputs()[i]] = whole.parts()->at(i);
    }
    return;
  }
  const auto parts = [](const c10::IValue& value) {
    return value.isTuple() ? value.toTupleRef().elements().vec() : value.toListRef().vec();
  };
  const std::vector<c10::IValue> x = parts(whole.x);
  const std::vector<c10::IValue> ref = whole.paired() ? parts(whole.ref()) : x;
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    Value part = finish(x.at(i), ref.at(i), whole.paired(), whole.tainted);
    part.shown = whole.typed() && x[i].isTensor() && x[i].toTensor().is_floating_point()
                     ? whole.shown
                     : at::ScalarType::Undefined;
    values_[node->outputs()[i]] = part;
  }
}

}  // namespace seqlift
