// Edited copies of a sequence: every operation is applied to the original, and to the windows in
// which the copies differ from it (change.h). Where it has no rule for that, the values of all rows
// are formed and the operation runs as it is.

#include <algorithm>

#include "core/base/error.h"
#include "core/changes/change.h"
#include "core/changes/shapes_alone.h"
#include "core/evaluate/evaluation.h"
#include "core/halves/constants.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

using torch::jit::Node;

namespace {

bool has_change(const Value& value) { return value.change() || value.parts(); }

// How often an operation goes over its numbers: exponentials take several instructions each, a
// softmax several passes.
constexpr double dear_passes = 3;

// What an operation does for one row, the shares of its inputs and outputs: the products of its
// weights or of its two factors, and the numbers that it reads and writes.
OperationWork work_of(const Call& call, const std::vector<c10::IValue>& outputs,
                      double share_read = 1, double share_written = 1) {
  OperationWork work;
  double written = 0;
  const auto add = [](double& sum) {
    return [&sum](const at::Tensor& tensor) {
      sum += tensor.defined() ? static_cast<double>(tensor.numel()) : 0;
    };
  };
  for (const c10::IValue& output : outputs) {
    visit_tensors(output, add(written));
  }
  if (outputs.empty() || call.is(Trait::views)) {
    return work;
  }
  double read = 0;
  for (const Value& input : call.inputs) {
    if (input.paired()) {
      visit_tensors(input.x, add(read));
    }
  }
  work.numbers = (written * share_written + read * share_read) *
                 (call.row->cost == Cost::dear_numbers ? dear_passes : 1);
  // A window's products are those of what it reads: taps are added where they belong.
  const double multiplied = written * share_read;
  const int weight = call.find("weight");
  if (weight >= 0 && call.inputs[weight].x.isTensor() &&
      call.inputs[weight].x.toTensor().defined()) {
    const at::Tensor kernel = call.inputs[weight].x.toTensor();
    work.weights = static_cast<double>(kernel.numel()) * share_read;
    work.products =
        kernel.dim() > 1 ? multiplied * static_cast<double>(kernel.numel() / kernel.size(0)) : 0;
  }
  if (call.row->cost == Cost::product) {
    const bool added = call.row->added == 0;
    const at::Tensor first = call.inputs[added ? 1 : 0].x.toTensor();
    const Value& second = call.inputs[added ? 2 : 1];
    if (!second.paired() && second.x.isTensor()) {
      work.weights = static_cast<double>(second.x.toTensor().numel()) * share_read;
    }
    work.products = first.dim() > 0 ? multiplied * static_cast<double>(first.size(-1)) : 0;
  }
  if (call.row->cost == Cost::attention && call.inputs[0].x.isTensor()) {
    // Queries [..., T, d] by keys [..., S, d]: T x S numbers, twice as many products of d.
    const at::Tensor query = call.inputs[0].x.toTensor();
    const double pairs = static_cast<double>(query.numel() / std::max<int64_t>(query.size(-1), 1)) *
                         static_cast<double>(call.inputs[1].x.toTensor().size(-2));
    work.products = 2 * pairs * static_cast<double>(query.size(-1));
    work.numbers += pairs * dear_passes;
  }
  return work;
}

// Whether nothing that a value is made of differs between the rows.
bool never_changes(const Value& value) {
  if (const std::vector<Value>* parts = value.parts()) {
    return std::all_of(parts->begin(), parts->end(), never_changes);
  }
  return value.change() ? value.change()->never : !value.paired();
}

void mark_unchanged(Value& value) {
  if (value.change()) {
    auto change = std::make_shared<Change>(*value.change());
    change->never = true;
    value.set_change(std::move(change));
  } else if (value.parts()) {
    auto parts = std::make_shared<std::vector<Value>>(*value.parts());
    std::for_each(parts->begin(), parts->end(), mark_unchanged);
    value.set_parts(std::move(parts));
  }
}

// The share of positions that one row's windows hold, the widest of several values; 1 of a value
// that is formed in full.
double share_of(const std::vector<Value>& values) {
  double share = 0;
  for (const Value& value : values) {
    if (value.parts()) {
      share = std::max(share, share_of(*value.parts()));
    } else if (value.paired() && !value.change()) {
      share = value.x.isTensor() ? 1 : share;
    } else if (value.change() && !value.change()->never) {
      share = std::max(share, static_cast<double>(value.change()->width()) /
                                  static_cast<double>(value.change()->length()));
    }
  }
  return share;
}

}  // namespace

Value Evaluation::in_full(const Value& value) const {
  if (value.parts()) {
    Value whole = value;
    std::vector<c10::IValue> elements;
    for (const Value& part : *value.parts()) {
      elements.push_back(in_full(part).half(true));
    }
    if (value.x.isTuple()) {
      whole.set_ref(c10::ivalue::Tuple::create(std::move(elements)));
      return whole;
    }
    c10::impl::GenericList list(value.x.toList().elementType());
    for (c10::IValue& element : elements) {
      list.push_back(std::move(element));
    }
    whole.set_ref(list);
    return whole;
  }
  if (!value.change()) {
    return value;
  }
  options_.changes()->demand(*value.change());
  options_.changes()->count_filled(value.x.toTensor().numel());
  Value whole = value;
  if (options_.changes()->shapes_alone) {
    std::vector<int64_t> sizes = value.x.toTensor().sizes().vec();
    sizes[0] = value.change()->rows();
    whole.set_ref(shape_alone(sizes, value.x.toTensor().options()));
  } else {
    whole.set_ref(all_values(value.x.toTensor(), *value.change()));
  }
  return whole;
}

// A list may be written to later, through any of its names, so its windows are kept only where each
// use takes it apart.
bool Evaluation::kept_in_parts(const Node* node, const std::vector<Value>& given) const {
  const auto takes_apart = [](const Node* user) {
    const auto kind = user->kind();
    return kind == c10::prim::ListUnpack || kind == c10::prim::TupleUnpack ||
           kind == c10::prim::Return || operation_of(user).is(Trait::takes_apart);
  };
  const bool any = std::any_of(given.begin(), given.end(), has_change);
  const bool container = node->kind() == c10::prim::ListConstruct ||
                         node->kind() == c10::prim::TupleConstruct ||
                         node->output(0)->type()->kind() == c10::TypeKind::ListType;
  if (!any || !container || node->outputs().size() != 1) {
    return false;
  }
  for (const torch::jit::Use& use : node->output()->uses()) {
    if (!takes_apart(use.user)) {
      return false;
    }
  }
  return true;
}

// Once for all batches of edits. Convolutions leave their positions next to each other in memory.
std::vector<c10::IValue> Evaluation::original_outputs(Call& call) const {
  return once(call.batch.memo, "original", [&]() {
    Call original = call;
    std::vector<c10::IValue> inputs;
    for (Value& input : original.inputs) {
      Value plain;
      plain.x = input.x;
      inputs.push_back(input.x);
      input = plain;
    }
    if (!call.is(Trait::convolves) || options_.changes()->shapes_alone) {
      return original.evaluate(std::move(inputs));
    }
    original.batch.memo = nullptr;
    std::vector<c10::IValue> outputs;
    for (const Value& output : call.row->rule(original)) {
      outputs.push_back(output.x);
    }
    return outputs;
  });
}

std::vector<Value> Evaluation::changed(Call& call) {
  const bool random = graph_.draws.count(call.node) > 0;
  if (random || call.node->kind() == c10::prim::CallMethod) {
    throw NotLocal();
  }
  ChangeLog& log = *options_.changes();
  log.enter(call.node);
  if (call.row->kind == Kind::shape) {
    // Nothing but sizes and types are looked at.
    for (Value& input : call.inputs) {
      if (input.change()) {
        std::vector<int64_t> sizes = input.x.toTensor().sizes().vec();
        sizes[0] = input.change()->rows();
        input.set_ref(input.x.toTensor().expand(sizes));
      }
      input = in_full(input);
    }
    return both_halves(call, false);
  }
  if (log.shapes_alone) {
    evaluate_shapes(call);
  }
  const bool any = std::any_of(call.inputs.begin(), call.inputs.end(), has_change);
  if (!any) {
    // Of all values of every row, once something has spread a change everywhere.
    std::vector<Value> outputs = both_halves(call, false);
    std::vector<c10::IValue> originals;
    for (const Value& output : outputs) {
      if (output.paired()) {
        originals.push_back(output.x);
        visit_tensors(output.x, [&](const at::Tensor& tensor) {
          log.widest = std::max(log.widest, tensor.defined() ? tensor.numel() : 0);
        });
      }
    }
    const OperationWork work = work_of(call, originals);
    log.count(work, work, false, options_.batch().references);
    return outputs;
  }
  if (call.is(Trait::element) && call.inputs[0].parts() && !call.inputs[1].paired()) {
    const std::vector<Value>& parts = *call.inputs[0].parts();
    const int64_t place = call.inputs[1].x.toInt();
    const auto count = static_cast<int64_t>(parts.size());
    return {parts.at(place < 0 ? place + count : place)};
  }
  const std::vector<c10::IValue> originals = original_outputs(call);
  const OperationWork work = work_of(call, originals);
  const int64_t rows = options_.batch().references;
  if (call.row->change) {
    ChangeCall change_call{call, originals, log, rows};
    std::vector<Value> outputs = call.row->change(change_call);
    for (Value& output : outputs) {
      output = output.parts() && !kept_in_parts(call.node, {output}) ? in_full(output) : output;
    }
    if (std::all_of(call.inputs.begin(), call.inputs.end(), never_changes)) {
      std::for_each(outputs.begin(), outputs.end(), mark_unchanged);
    }
    if (!outputs.empty()) {
      const OperationWork done = work_of(call, originals, share_of(call.inputs), share_of(outputs));
      log.count(work, done, true, rows);
      for (const Value& output : outputs) {
        if (output.change()) {
          log.widest = std::max(log.widest, output.change()->delta.numel() / rows);
        }
      }
      return outputs;
    }
  }
  log.count(work, work, false, rows);
  std::vector<c10::IValue> inputs;
  for (const Value& input : call.inputs) {
    inputs.push_back(in_full(input).half(true));
  }
  const std::vector<c10::IValue> whole = call.evaluate(std::move(inputs));
  std::vector<Value> outputs;
  for (size_t i = 0; i < whole.size(); ++i) {
    outputs.push_back(finish(originals[i], whole[i], true, false));
    if (whole[i].isTensor() && whole[i].toTensor().defined()) {
      log.widest = std::max(log.widest, whole[i].toTensor().numel() / rows);
    }
  }
  return outputs;
}

}  // namespace seqlift
