// What operations write in place. They are evaluated out of place, and the model's names for the
// memory are told.

#include <algorithm>

#include "core/evaluate/evaluation.h"
#include "core/evaluate/positions.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

using torch::jit::Node;

// Copies of the inputs that something else writes to (the operation's own target is no such input).
void Evaluation::shield(Call& call) const {
  const auto written = graph_.written_inputs.find(call.node);
  const bool differentiated = options_.records_gradients();
  if (written == graph_.written_inputs.end() || !differentiated) {
    return;
  }
  const at::AutoGradMode enabled(true);
  for (const int position : written->second) {
    call.inputs[position].each_half([this](c10::IValue& half) {
      if (half.isTensor() && half.toTensor().defined()) {
        const at::Tensor copy = half.toTensor().clone();
        if (positions_) {
          positions_->copied(half.toTensor(), copy);
        }
        half = copy;
      }
    });
  }
}

// The operation was evaluated out of place; now everything that shares the memory sees it, views
// included.
void Evaluation::write_back(const Call& call, std::vector<Value>& outputs, bool tainted) {
  const torch::jit::Value* name = call.node->input(0);
  const at::Tensor x = call.inputs[0].x.toTensor();
  if (call.batch.memo) {
    call.batch.memo->spoil();
  }
  if (call.row->view != View::none || x.sizes() != outputs[0].x.toTensor().sizes()) {
    // transpose_ and its kind change how the tensor is seen, not the memory.
    values_[name] = outputs[0];
    return;
  }
  Value& self = value(name);
  if (outputs[0].shown != self.shown) {
    outputs[0] = concrete(outputs[0]);
    tainted = true;
  }
  if (!self.paired() && outputs[0].paired()) {
    refuse(call, "writes what depends on X into a tensor that is the same for all sequences");
  }
  {
    const at::AutoGradMode enabled(options_.is<EvaluateOptions::Gradients>());
    x.copy_(outputs[0].x.toTensor());
  }
  if (self.paired()) {
    const at::AutoGradMode enabled(true);
    self.ref().toTensor().copy_(outputs[0].half(true).toTensor());
  }
  const at::ScalarType shown = self.shown;
  outputs[0] = finish(self.x, self.half(true), self.paired(), tainted);
  outputs[0].shown = shown;
  const auto refresh = [&](Value& other) {
    if (other.x.isTensor() && other.x.toTensor().defined() && other.x.toTensor().is_alias_of(x)) {
      const at::ScalarType own = other.shown;
      other = finish(other.x, other.half(true), other.paired(), other.tainted || tainted);
      other.shown = own;
    }
  };
  for (auto& entry : values_) {
    refresh(entry.second);
  }
  for (auto& entry : attributes_) {
    refresh(entry.second);
  }
}

// A list or dictionary that was written to may depend on X from now on, under each of its names.
void Evaluation::refresh_containers(const Node* node) {
  const auto* schema = node->maybeSchema();
  if (!schema || schema->arguments().empty() || node->inputs().empty()) {
    return;
  }
  const auto* alias = schema->arguments()[0].alias_info();
  const Value written = value(node->input(0));
  const bool container = written.x.isList() || written.x.isGenericDict();
  if (!container || !alias || !alias->isWrite()) {
    return;
  }
  bool tainted = written.tainted;
  for (const torch::jit::Value* input : node->inputs()) {
    tainted = tainted || value(input).tainted;
  }
  const auto refresh = [&](Value& other) {
    if (other.x.is(written.x)) {
      const Value before = other;
      other = finish(other.x, other.half(true), other.paired(), tainted);
      // Lists that are equal now may differ when they are written to again.
      other.pair_like(before);
    }
  };
  for (auto& entry : values_) {
    refresh(entry.second);
  }
  for (auto& entry : attributes_) {
    refresh(entry.second);
  }
}

// Whether anything but the node's own first input sees the memory that the node writes to. After
// relu_(conv(x)) nothing does, and the result may simply take the place of the input.
bool Evaluation::shared(const Node* node, const Value& self) const {
  const auto last = graph_.last_uses.find(node);
  const torch::jit::Value* name = node->input(0);
  const bool done = last != graph_.last_uses.end() &&
                    std::find(last->second.begin(), last->second.end(), name) != last->second.end();
  bool found = !done || !self.x.toTensor().defined();
  const auto look = [&](const at::Tensor& tensor) {
    found = found || (tensor.defined() && tensor.is_alias_of(self.x.toTensor()));
  };
  for (const auto& entry : values_) {
    if (!found && entry.first != name) {
      visit_tensors(entry.second.x, look);
    }
  }
  for (const auto& entry : attributes_) {
    visit_tensors(entry.second.x, look);
  }
  return found;
}

}  // namespace seqlift
