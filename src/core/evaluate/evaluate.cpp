#include "core/evaluate/evaluate.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/changes/change.h"
#include "core/changes/shapes_alone.h"
#include "core/evaluate/evaluation.h"
#include "core/evaluate/positions.h"
#include "core/model/graph_outputs.h"
#include "core/model/operation_table.h"
#include "core/model/random_operations.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

using torch::jit::Block;
using torch::jit::Node;

namespace {

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

bool holds_tensor(const c10::IValue& value) {
  bool found = false;
  visit_tensors(value, [&](const at::Tensor& tensor) { found = found || tensor.defined(); });
  return found;
}

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
  if (options_.footprint && !inputs.empty() && inputs[0].x.isTensor()) {
    const at::Tensor X = inputs[0].x.toTensor();
    positions_ = std::make_shared<PositionLog>();
    positions_->given(X, positions_of(X));
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
      weigh_alive(node);
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

bool Evaluation::condition(const Value& given, const Node* node) {
  const Value value = in_full(given);
  if (value.paired() && value.x.isTensor() && options_.changes() &&
      options_.changes()->shapes_alone) {
    throw NotMeasurable();
  }
  const bool x = value.x.isTensor() ? value.x.toTensor().item<bool>() : value.x.toBool();
  if (options_.conditions) {
    options_.conditions->push_back(x);
  }
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
