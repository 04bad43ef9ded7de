#include "evaluate.h"

#include <torch/csrc/jit/ir/constants.h>

#include "error.h"
#include "evaluation.h"
#include "tensor_functions.h"

namespace seqlift {

using torch::jit::Block;
using torch::jit::Node;

void visit_tensors(const c10::IValue& value, const std::function<void(const at::Tensor&)>& visit) {
  if (value.isTensor()) {
    visit(value.toTensor());
  } else if (value.isTensorList()) {
    for (const at::Tensor& tensor : value.toTensorVector()) {
      visit(tensor);
    }
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) {
      visit_tensors(element, visit);
    }
  } else if (value.isTuple()) {
    for (const c10::IValue& element : value.toTupleRef().elements()) {
      visit_tensors(element, visit);
    }
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) {
      visit_tensors(entry.value(), visit);
    }
  }
}

namespace {

bool has_gradient(const c10::IValue& value) {
  bool found = false;
  visit_tensors(value, [&](const at::Tensor& tensor) {
    found = found || (tensor.defined() && tensor.requires_grad());
  });
  return found;
}

bool same(const c10::IValue& a, const c10::IValue& b) {
  if (a.isTensor() && b.isTensor()) {
    return a.toTensor().is_same(b.toTensor());
  }
  const bool scalars = (a.isInt() || a.isDouble() || a.isBool() || a.isString() || a.isNone() ||
                        a.isDevice() || a.isIntList()) &&
                       a.tagKind() == b.tagKind();
  return scalars && a == b;
}

}  // namespace

std::vector<Value> Evaluation::run(const std::vector<Value>& inputs) {
  const Block* block = graph_.graph->block();
  Value self;
  self.x = graph_.self;
  values_[block->inputs()[0]] = self;
  for (size_t i = 0; i + 1 < block->inputs().size(); ++i) {
    Value given;
    if (i < inputs.size()) {
      given = inputs[i];
    } else if (graph_.model && graph_.model->argument_has_default.at(i)) {
      given.x = graph_.model->argument_defaults[i];
    } else {
      throw Error("args", "The model's input `" + block->inputs()[i + 1]->debugNameBase() +
                              "` was not given.");
    }
    values_[block->inputs()[i + 1]] = given;
  }
  run_block(block);
  std::vector<Value> outputs;
  const Value whole = values_.at(block->outputs()[0]);
  if (whole.parts) {
    return *whole.parts;
  }
  if (whole.x.isTuple() || whole.x.isList()) {
    const auto part = [](const c10::IValue& value, size_t i) {
      return value.isTuple() ? value.toTupleRef().elements()[i] : value.toListRef()[i];
    };
    const size_t count =
        whole.x.isTuple() ? whole.x.toTupleRef().elements().size() : whole.x.toListRef().size();
    for (size_t i = 0; i < count; ++i) {
      const c10::IValue x = part(whole.x, i);
      outputs.push_back(
          finish(x, whole.paired ? part(whole.ref, i) : x, whole.paired, whole.tainted));
    }
  } else {
    outputs.push_back(whole);
  }
  return outputs;
}

Value Evaluation::finish(c10::IValue x, c10::IValue ref, bool paired, bool tainted) const {
  Value result;
  result.paired = paired && !same(x, ref);
  result.depends = has_gradient(result.paired ? ref : x);
  result.tainted = tainted && !result.depends;
  result.x = std::move(x);
  if (result.paired) {
    result.ref = std::move(ref);
  }
  return result;
}

void Evaluation::run_block(const Block* block) {
  for (const Node* node : block->nodes()) {
    if (options_.cancelled && options_.cancelled->load(std::memory_order_relaxed)) {
      throw Error("interrupt", "The evaluation was interrupted.");
    }
    run_node(node);
    const auto last = graph_.last_uses.find(node);
    if (last != graph_.last_uses.end()) {
      for (const torch::jit::Value* done : last->second) {
        values_.erase(done);
      }
    }
  }
}

void Evaluation::run_node(const Node* node) {
  const auto layer = graph_.layers.find(node);
  if (layer != graph_.layers.end() && options_.layer) {
    values_[node->output()] = options_.layer(layer->second, value(node->input()));
    return;
  }
  switch (node->kind()) {
    case c10::prim::Constant: {
      Value result;
      result.x = node->mustBeNone() ? c10::IValue() : *torch::jit::toIValue(node->output());
      if (result.x.isTensor()) {
        result.x = constants_.convert(result.x.toTensor());
      }
      values_[node->output()] = result;
      return;
    }
    case c10::prim::GetAttr:
      return get_attribute(node);
    case c10::prim::SetAttr:
      attributes_[{value(node->input(0)).x.toObject().get(), node->s(c10::attr::name)}] =
          value(node->input(1));
      return;
    case c10::prim::CreateObject:
      return create_object(node);
    case c10::prim::If:
      return run_if(node);
    case c10::prim::Loop:
      return run_loop(node);
    case c10::prim::ListConstruct:
    case c10::prim::TupleConstruct:
    case c10::prim::DictConstruct:
      return construct(node);
    case c10::prim::TupleUnpack:
    case c10::prim::ListUnpack:
      return unpack(node);
    case c10::prim::RaiseException:
      // `assert` and `raise` in the model's code.
      throw Error("evaluation", "The model's own code refuses this input (" + place(node) +
                                    "): " + value(node->input(0)).x.toStringRef());
    case c10::prim::Uninitialized:
      values_[node->output()] = Value();
      return;
    default:
      return run_operation(node);
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
    return;
  }
  Value result;
  result.x = object->getAttr(name);
  if (result.x.isTensor() && result.x.toTensor().defined()) {
    const at::Tensor tensor = constants_.convert(result.x.toTensor());
    result.x = tensor;
    if (graph_.written_attributes.count(node->output()) > 0) {
      // The model is never written to: what an operation writes into is a copy, one for the
      // evaluation.
      result.x = tensor.clone();
      if (options_.pairs) {
        result.ref = tensor.clone();
        result.paired = true;
      }
      attributes_[{object.get(), name}] = result;
    }
  } else if (result.x.isTensorList()) {
    // nn.LSTM and its kin keep their weights in a list.
    std::vector<at::Tensor> tensors = result.x.toTensorVector();
    for (at::Tensor& tensor : tensors) {
      tensor = tensor.defined() ? constants_.convert(tensor) : tensor;
    }
    result.x = tensors;
  }
  values_[node->output()] = result;
}

bool Evaluation::condition(const Value& given, const Node* node) {
  const Value value = settle(given);
  const bool x = value.x.isTensor() ? value.x.toTensor().item<bool>() : value.x.toBool();
  if (!value.paired) {
    return x;
  }
  const bool ref = value.ref.isTensor() ? value.ref.toTensor().item<bool>() : value.ref.toBool();
  if (x != ref) {
    if (options_.batch.references > 1 && !value.tainted) {
      throw BatchMoved();
    }
    throw Error("unsupported_operation",
                "A branch of the model's code is taken for a sequence and not for its reference (" +
                    place(node) + "): no rule shares out such a step.");
  }
  return x;
}

void Evaluation::run_if(const Node* node) {
  const Block* taken = node->blocks()[condition(value(node->input()), node) ? 0 : 1];
  run_block(taken);
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    values_[node->outputs()[i]] = value(taken->outputs()[i]);
  }
}

void Evaluation::run_loop(const Node* node) {
  const Value& limit = value(node->input(0));
  if (limit.paired) {
    throw BatchMoved();
  }
  const int64_t count = limit.x.toInt();
  bool going = condition(value(node->input(1)), node);
  std::vector<Value> carried;
  for (size_t i = 2; i < node->inputs().size(); ++i) {
    carried.push_back(value(node->input(i)));
  }
  const Block* body = node->blocks()[0];
  for (int64_t i = 0; i < count && going; ++i) {
    Value index;
    index.x = i;
    values_[body->inputs()[0]] = index;
    for (size_t j = 0; j < carried.size(); ++j) {
      values_[body->inputs()[j + 1]] = carried[j];
    }
    run_block(body);
    going = condition(value(body->outputs()[0]), node);
    for (size_t j = 0; j < carried.size(); ++j) {
      carried[j] = value(body->outputs()[j + 1]);
    }
  }
  for (size_t j = 0; j < carried.size(); ++j) {
    values_[node->outputs()[j]] = carried[j];
  }
}

void Evaluation::construct(const Node* node) {
  std::vector<Value> given;
  at::ScalarType shown = at::ScalarType::Undefined;
  for (const torch::jit::Value* input : node->inputs()) {
    given.push_back(value(input));
    shown = given.back().typed() ? given.back().shown : shown;
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
    part = in_parts ? part : settle(part);
    part = shown == at::ScalarType::Undefined ? concrete(part) : part;
    paired = paired || part.paired;
    tainted = tainted || part.tainted;
  }
  const auto build = [&](bool ref) {
    std::vector<c10::IValue> parts;
    for (const Value& part : given) {
      parts.push_back(ref && part.paired ? part.ref : part.x);
    }
    return assemble(node, std::move(parts));
  };
  const auto& type = node->output()->type();
  const bool numbers =
      type->cast<c10::ListType>() &&
      !type->expectRef<c10::ListType>().getElementType()->isSubtypeOf(*c10::TensorType::get());
  paired = options_.pairs && (paired || (node->kind() != c10::prim::TupleConstruct && !numbers));
  const c10::IValue x = build(false);
  if (in_parts) {
    Value result;
    result.x = x;
    result.paired = true;
    result.parts = std::make_shared<std::vector<Value>>(std::move(given));
    values_[node->output()] = result;
    return;
  }
  values_[node->output()] = finish(x, paired ? build(true) : x, paired, tainted);
  values_[node->output()].shown = shown;
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
  if (whole.parts) {
    for (size_t i = 0; i < node->outputs().size(); ++i) {
      values_[node->outputs()[i]] = whole.parts->at(i);
    }
    return;
  }
  const auto parts = [](const c10::IValue& value) {
    return value.isTuple() ? value.toTupleRef().elements().vec() : value.toListRef().vec();
  };
  const std::vector<c10::IValue> x = parts(whole.x);
  const std::vector<c10::IValue> ref = whole.paired ? parts(whole.ref) : x;
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    Value part = finish(x.at(i), ref.at(i), whole.paired, whole.tainted);
    part.shown = whole.typed() && x[i].isTensor() && x[i].toTensor().is_floating_point()
                     ? whole.shown
                     : at::ScalarType::Undefined;
    values_[node->outputs()[i]] = part;
  }
}

std::string Evaluation::place(const Node* node) const {
  const auto known = graph_.provenance.find(node);
  const Provenance provenance = known == graph_.provenance.end() ? Provenance() : known->second;
  std::string text = provenance.module.empty() ? "the model itself" : provenance.module;
  return provenance.source.empty() ? text : text + ", " + provenance.source;
}

std::vector<Value> evaluate(const Graph& graph, Constants& constants,
                            const std::vector<Value>& inputs, const EvaluateOptions& options) {
  return Evaluation(graph, constants, options).run(inputs);
}

}  // namespace seqlift
