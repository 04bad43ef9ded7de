#include "core/evaluate/evaluate.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/changes/change.h"
#include "core/changes/shapes_alone.h"
#include "core/evaluate/evaluation.h"
#include "core/model/graph_outputs.h"
#include "core/model/operation_table.h"
#include "core/model/random_operations.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

using torch::jit::Block;
using torch::jit::Node;

namespace {

// Whether the model returned anything that can be looked at further.
bool holds_tensor(const c10::IValue& value) {
  bool found = false;
  visit_tensors(value, [&](const at::Tensor& tensor) { found = found || tensor.defined(); });
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
  if (!options_.observe && !plainly_ && !constants_.conduct().random_state) {
    refuse_random(graph_);
  }
  given_ = inputs;
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
  keep_inputs(inputs);
  for (size_t i = 1; i < block->inputs().size(); ++i) {
    note_constant(block->inputs()[i], values_[block->inputs()[i]].x);
  }
  if (options_.cuts.empty()) {
    run_block(block);
  } else {
    run_in_parts(block);
  }
  std::vector<Value> outputs;
  const Value whole = values_.at(block->outputs()[0]);
  if (graph_.model && !holds_tensor(whole.x)) {
    refuse_output(whole.x);
  }
  if (whole.parts()) {
    return *whole.parts();
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
          finish(x, whole.paired() ? part(whole.ref(), i) : x, whole.paired(), whole.tainted));
    }
  } else {
    outputs.push_back(whole);
  }
  const auto step = steps_.find(block->outputs()[0]);
  if (step != steps_.end()) {
    refuse_step(step->second);
  }
  return outputs;
}

Value Evaluation::finish(c10::IValue x, c10::IValue ref, bool paired, bool tainted) const {
  Value result;
  const bool differ = paired && !same(x, ref);
  result.depends = has_gradient(differ ? ref : x);
  result.tainted = tainted && !result.depends;
  result.x = std::move(x);
  if (differ) {
    result.set_ref(std::move(ref));
  }
  return result;
}

void Evaluation::run_block(const Block* block) {
  for (const Node* node : block->nodes()) {
    run_and_free(node);
    if (options_.footprint && block == graph_.graph->block()) {
      weigh_alive();
    }
  }
}

// A node, and what it is the last to need.
void Evaluation::run_and_free(const Node* node) {
  if (options_.cancelled && options_.cancelled->load(std::memory_order_relaxed)) {
    throw Error("interrupt", "The evaluation was interrupted.");
  }
  run_node(node);
  stop_recording(node);
  const auto last = graph_.last_uses.find(node);
  if (last != graph_.last_uses.end()) {
    for (const torch::jit::Value* done : last->second) {
      values_.erase(done);
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
      note_constant(node->output(), result.x);
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
    case c10::prim::Enter:
      return enter_autocast(node);
    case c10::prim::Exit:
      values_[node->output()] = Value();
      return;
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
      break;
  }
  // Whether gradients are recorded is ours to say, and what the model asks for is told to itself
  // alone.
  static const c10::Symbol set_grad = c10::Symbol::fromQualString("aten::set_grad_enabled");
  static const c10::Symbol is_grad = c10::Symbol::fromQualString("aten::is_grad_enabled");
  static const std::string profiler = "profiler";
  if (node->kind() == c10::aten::warn || node->kind().ns().toUnqualString() == profiler) {
    // Nothing is computed, and nobody looks at the profile.
    for (const torch::jit::Value* output : node->outputs()) {
      values_[output] = Value();
    }
  } else if (node->kind() == set_grad) {
    grad_enabled_ = value(node->input(0)).x.toBool();
  } else if (node->kind() == is_grad) {
    Value result;
    result.x = grad_enabled_;
    values_[node->output()] = result;
  } else {
    run_operation(node);
  }
}

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

bool Evaluation::condition(const Value& given, const Node* node) {
  const Value value = in_full(given);
  if (value.paired() && value.x.isTensor() && options_.changes() &&
      options_.changes()->shapes_alone) {
    throw NotMeasurable();
  }
  const bool x = value.x.isTensor() ? value.x.toTensor().item<bool>() : value.x.toBool();
  if (!value.paired()) {
    return x;
  }
  const c10::IValue& other = value.ref();
  const bool ref = other.isTensor() ? other.toTensor().item<bool>() : other.toBool();
  if (x != ref) {
    if (options_.batch().references > 1 && !value.tainted) {
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
  const Steps steps = steps_of(taken->return_node());
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    values_[node->outputs()[i]] = value(taken->outputs()[i]);
    set_row_by_row(node->outputs()[i], row_by_row_.count(taken->outputs()[i]) > 0);
    mark_step(node->outputs()[i], steps[i]);
  }
}

void Evaluation::run_loop(const Node* node) {
  const Value& limit = value(node->input(0));
  if (limit.paired()) {
    throw BatchMoved();
  }
  const int64_t count = limit.x.toInt();
  bool going = condition(value(node->input(1)), node);
  std::vector<Value> carried;
  std::vector<bool> row_by_row;
  for (size_t i = 2; i < node->inputs().size(); ++i) {
    carried.push_back(value(node->input(i)));
    row_by_row.push_back(row_by_row_.count(node->input(i)) > 0);
  }
  const Block* body = node->blocks()[0];
  Steps steps = steps_of(node);
  steps.erase(steps.begin());
  for (int64_t i = 0; i < count && going; ++i) {
    Value index;
    index.x = i;
    values_[body->inputs()[0]] = index;
    for (size_t j = 0; j < carried.size(); ++j) {
      values_[body->inputs()[j + 1]] = carried[j];
      set_row_by_row(body->inputs()[j + 1], row_by_row[j]);
      mark_step(body->inputs()[j + 1], steps[j + 1]);
    }
    run_block(body);
    going = condition(value(body->outputs()[0]), node);
    steps = steps_of(body->return_node());
    for (size_t j = 0; j < carried.size(); ++j) {
      carried[j] = value(body->outputs()[j + 1]);
      row_by_row[j] = row_by_row_.count(body->outputs()[j + 1]) > 0;
    }
  }
  for (size_t j = 0; j < carried.size(); ++j) {
    values_[node->outputs()[j]] = carried[j];
    set_row_by_row(node->outputs()[j], row_by_row[j]);
    mark_step(node->outputs()[j], steps[j + 1]);
  }
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

std::string Evaluation::place(const Node* node) const {
  const auto known = graph_.provenance.find(node);
  const Provenance provenance = known == graph_.provenance.end() ? Provenance() : known->second;
  std::string text = provenance.module.empty() ? "the model itself" : provenance.module;
  return provenance.source.empty() ? text : text + ", " + provenance.source;
}

BatchShape EvaluateOptions::batch() const {
  if (const auto* edits = std::get_if<Edits>(&mode)) {
    return {1, edits->copies, edits->memo};
  }
  if (const auto* pairs = std::get_if<Pairs>(&mode)) {
    return pairs->batch;
  }
  const auto* gradients = std::get_if<Gradients>(&mode);
  return gradients ? gradients->batch : BatchShape();
}

ChangeLog* EvaluateOptions::changes() const {
  const auto* edits = std::get_if<Edits>(&mode);
  return edits ? edits->log : nullptr;
}

std::vector<Value> evaluate(const Graph& graph, Constants& constants,
                            const std::vector<Value>& inputs, const EvaluateOptions& options) {
  return Evaluation(graph, constants, options).run(inputs);
}

}  // namespace seqlift
