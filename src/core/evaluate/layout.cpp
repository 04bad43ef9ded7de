// Operations that depend on how tensors lie in memory get their inputs as the model's own run lays
// them out (layout.h).

#include "core/model/layout.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/evaluate/evaluation.h"
#include "core/halves/constants.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

using torch::jit::Node;

namespace {

// Thrown where a recording run has seen all that it is for.
struct Recorded {};

// How one input should lie.
struct Expected {
  bool row_by_row = false;
  std::vector<Layout> records;

  std::optional<Layout> of(const at::Tensor& tensor) const {
    if (row_by_row) {
      return seqlift::row_by_row(tensor.sizes().vec());
    }
    for (const Layout& record : records) {
      if (const auto found = with_sizes(record, tensor.sizes())) {
        return found;
      }
    }
    return std::nullopt;
  }
};

bool is_defined_tensor(const c10::IValue& value) {
  return value.isTensor() && value.toTensor().defined() &&
         value.toTensor().layout() == at::kStrided;
}

LayoutRecord::Tensors layouts_of(const std::vector<c10::IValue>& values) {
  LayoutRecord::Tensors layouts;
  for (const c10::IValue& value : values) {
    layouts.push_back(is_defined_tensor(value) ? std::make_optional(layout_of(value.toTensor()))
                                               : std::nullopt);
  }
  return layouts;
}

const char* const unknown =
    " depends on how its input lies in memory, which cannot be told beforehand for this input";

// What a run on two sequences says about any number of them.
std::string shapes_of(const std::vector<Value>& inputs, bool rows, const Constants& constants) {
  std::string text = std::to_string(static_cast<int>(constants.compute())) +
                     (constants.reduced() ? " reduced" : "") + (rows ? "" : " as they are");
  for (const Value& input : inputs) {
    if (!is_defined_tensor(input.x)) {
      text += "; -";
      continue;
    }
    const at::Tensor tensor = input.x.toTensor();
    text += "; " + std::string(c10::toString(tensor.scalar_type()));
    for (int64_t d = 0; d < tensor.dim(); ++d) {
      text += rows && d == 0
                  ? " n"
                  : " " + std::to_string(tensor.size(d)) + "/" + std::to_string(tensor.stride(d));
    }
  }
  return text;
}

}  // namespace

// What a run of the model as written may still be asked for. The evaluation may write into X.
void Evaluation::keep_inputs(const std::vector<Value>& inputs) {
  if (plainly_ || !layouts_.any()) {
    return;
  }
  as_given_.clear();
  for (const Value& input : inputs) {
    Value own;
    own.x = is_defined_tensor(input.x) ? c10::IValue(input.x.toTensor().detach().clone()) : input.x;
    as_given_.push_back(own);
  }
}

std::shared_ptr<const LayoutRecord> Evaluation::run_plainly(
    const std::vector<Value>& inputs) const {
  const at::NoGradGuard guard;
  EvaluateOptions options;
  options.cancelled = options_.cancelled;
  const auto record = std::make_shared<LayoutRecord>();
  Evaluation own(graph_, constants_, options);
  own.plainly_ = true;
  own.record_ = record.get();
  try {
    own.run(inputs);
  } catch (const Recorded&) {
    return record;
  }
  return record;
}

// The layouts on two sequences, from which those on any number follow: of one alone LibTorch could
// not tell which dimension is which.
const LayoutRecord& Evaluation::usual_record() {
  if (usual_) {
    return *usual_;
  }
  // A unit's inputs need not have a row for each sequence.
  const bool rows = graph_.model != nullptr && is_defined_tensor(as_given_.at(0).x) &&
                    as_given_[0].x.toTensor().dim() > 0;
  const std::string shapes = shapes_of(as_given_, rows, constants_);
  usual_ = layouts_.find(shapes);
  if (usual_) {
    return *usual_;
  }
  std::vector<Value> two = as_given_;
  const int64_t count = rows ? as_given_[0].x.toTensor().size(0) : 0;
  for (Value& input : two) {
    const bool whole = !rows || !is_defined_tensor(input.x) || input.x.toTensor().dim() == 0;
    if (!whole && input.x.toTensor().size(0) == count) {
      const at::Tensor tensor = input.x.toTensor();
      input.x = count > 1 ? tensor.narrow(0, 0, 2).clone() : at::cat({tensor, tensor});
    }
  }
  try {
    usual_ = run_plainly(two);
  } catch (const Error& error) {
    if (error.kind() == "memory" || error.kind() == "interrupt") {
      throw;
    }
    // What fails on two may be meant for one; what fails on these, too, is the model's own error.
    usual_ = exact_record();
  }
  layouts_.remember(shapes, usual_);
  return *usual_;
}

// On the very sequences of this evaluation, where others take another way through the code.
std::shared_ptr<const LayoutRecord> Evaluation::exact_record() {
  if (!exact_) {
    exact_ = run_plainly(as_given_);
  }
  return exact_;
}

std::vector<Layout> Evaluation::recorded(const Node* node, int64_t visit, bool output, size_t place,
                                         const std::vector<at::Tensor>& halves) {
  std::vector<Layout> found;
  const auto look = [&](const LayoutRecord& record) {
    const auto& all = output ? record.outputs : record.inputs;
    const auto entry = all.find({node, visit});
    if (entry != all.end() && place < entry->second.size() && entry->second[place]) {
      found.push_back(*entry->second[place]);
    }
  };
  look(usual_record());
  const bool fits = !found.empty() && std::all_of(halves.begin(), halves.end(), [&](const auto& t) {
    return with_sizes(found[0], t.sizes()).has_value();
  });
  if (!fits) {
    look(*exact_record());
  }
  return found;
}

namespace {

std::vector<at::Tensor> halves_of(const Value& value) {
  std::vector<at::Tensor> halves;
  value.each_half([&](const c10::IValue& half) {
    if (is_defined_tensor(half)) {
      halves.push_back(half.toTensor());
    }
  });
  return halves;
}

at::Tensor as_expected(const at::Tensor& tensor, const Expected& expected,
                       const std::string& where) {
  const auto layout = expected.of(tensor);
  if (!layout) {
    throw Error("unsupported_operation", where + unknown + ".");
  }
  return laid_out(tensor, *layout);
}

// as_strided() may read what lies beside its input in the same memory.
void check_reach(const std::vector<c10::IValue>& stack, const Layout& layout,
                 const std::string& where) {
  const std::vector<int64_t> sizes = stack[1].toIntVector();
  const std::vector<int64_t> strides = stack[2].toIntVector();
  const int64_t offset = stack[3].isNone() ? layout.offset : stack[3].toInt();
  if (sizes.size() == strides.size() && !reads_only(layout, sizes, strides, offset)) {
    throw Error("unsupported_operation",
                where + " reads memory that does not belong to its input.");
  }
}

// Whether as_strided() takes each row of its result from one row of its input, as both halves need.
void require_rows(const Call& call, const Expected& expected) {
  const Value& input = call.inputs[0];
  for (const bool ref : {false, true}) {
    const auto argument = [&](size_t i) -> const c10::IValue& { return call.inputs[i].half(ref); };
    const at::Tensor tensor =
        ref && is_defined_tensor(input.ref()) ? input.ref().toTensor() : input.x.toTensor();
    const auto layout = expected.of(tensor);
    const std::vector<int64_t> sizes = argument(1).toIntVector();
    const std::vector<int64_t> strides = argument(2).toIntVector();
    bool rows = layout && !sizes.empty() && sizes.size() == strides.size() && tensor.dim() > 0 &&
                sizes[0] == tensor.size(0) && strides[0] == layout->strides[0];
    if (rows) {
      int64_t reach = argument(3).isNone() ? 0 : argument(3).toInt() - layout->offset;
      rows = reach >= 0;
      for (size_t d = 1; d < sizes.size(); ++d) {
        reach += (sizes[d] - 1) * strides[d];
      }
      rows = rows && reach < strides[0];
    }
    if (!rows) {
      throw BatchMoved();
    }
  }
}

}  // namespace

void Evaluation::lay_out(Call& call, int64_t visit) {
  const LayoutUse use = layouts_.use(call.node);
  if (use == LayoutUse::none) {
    return;
  }
  if (record_) {
    std::vector<c10::IValue> inputs;
    for (const Value& input : call.inputs) {
      inputs.push_back(input.x);
    }
    record_->inputs[{call.node, visit}] = layouts_of(inputs);
  }
  if (!moved_ || plainly_) {
    return;
  }
  const bool unit = call.node->kind() == c10::prim::CallMethod;
  for (size_t i = 0; i < (unit ? call.inputs.size() : 1); ++i) {
    Value& input = call.inputs[i];
    const std::vector<at::Tensor> halves =
        input.change() ? std::vector<at::Tensor>{input.x.toTensor()} : halves_of(input);
    if (halves.empty()) {
      continue;
    }
    Expected expected;
    expected.row_by_row = use == LayoutUse::numbers && row_by_row_.count(call.node->input(i)) > 0;
    if (!expected.row_by_row) {
      expected.records = recorded(call.node, visit, false, i, halves);
    }
    const auto lay = [&](c10::IValue& half) {
      half = is_defined_tensor(half)
                 ? c10::IValue(as_expected(half.toTensor(), expected, call.where()))
                 : half;
    };
    if (unit) {
      const at::AutoGradMode enabled(options_.records_gradients());
      input.each_half(lay);
      continue;
    }
    if (call.is(Trait::strided) && options_.two_halves() && options_.batch().references > 1) {
      require_rows(call, expected);
    }
    call.evaluate = [evaluate = call.evaluate, expected, use, where = call.where(),
                     strided = call.is(Trait::strided)](std::vector<c10::IValue> stack) {
      const at::Tensor tensor = stack[0].toTensor();
      const auto layout = expected.of(tensor);
      if (!layout) {
        throw Error("unsupported_operation", where + unknown + ".");
      }
      if (strided) {
        check_reach(stack, *layout, where);
      }
      stack[0] =
          use == LayoutUse::answer ? without_memory(*layout, tensor) : laid_out(tensor, *layout);
      return evaluate(std::move(stack));
    };
  }
}

// A result that shares memory with others by its layout lies as the model's does from the start.
void Evaluation::keep_layout(const Call& call, std::vector<Value>& outputs, int64_t visit) {
  if (!layouts_.kept(call.node)) {
    return;
  }
  if (record_) {
    std::vector<c10::IValue> values;
    for (const Value& output : outputs) {
      values.push_back(output.x);
    }
    record_->outputs[{call.node, visit}] = layouts_of(values);
  }
  if (!moved_ || plainly_) {
    return;
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    Value& output = outputs[i];
    const std::vector<at::Tensor> halves = halves_of(output);
    if (output.change() || halves.empty()) {
      continue;
    }
    Expected expected;
    expected.row_by_row = row_by_row_.count(call.node->output(i)) > 0;
    if (!expected.row_by_row) {
      expected.records = recorded(call.node, visit, true, i, halves);
    }
    const at::AutoGradMode enabled(options_.records_gradients());
    output.each_half([&](c10::IValue& half) {
      half = is_defined_tensor(half)
                 ? c10::IValue(as_expected(half.toTensor(), expected, call.where()))
                 : half;
    });
  }
}

// Which results the model itself has row by row, as far as that is plain to see: most models are
// known through and through by this, and are not run a second time.
void Evaluation::note_layout(const Call& call, bool writes) {
  if (plainly_ || !layouts_.any()) {
    return;
  }
  const Node* node = call.node;
  const auto known = [&](size_t i) {
    const Value& input = call.inputs[i];
    const bool tensors = is_defined_tensor(input.x) || input.x.isTensorList();
    return !tensors || row_by_row_.count(node->input(i)) > 0;
  };
  bool row_by_row = layouts_.lasting();
  const int format = call.find("memory_format");
  const c10::IValue given = format >= 0 ? call.inputs[format].x : c10::IValue();
  const bool contiguous = given.isInt() && given.toInt() == 0;
  if (given.isInt() && given.toInt() > 1) {
    row_by_row = false;
  } else if (writes) {
    row_by_row = row_by_row && known(0);
  } else if (!contiguous || !call.is(Trait::copies_in_order)) {
    row_by_row = row_by_row && (call.is(Trait::keeps_order) || call.is(Trait::copies_in_order));
    for (size_t i = 0; i < call.inputs.size(); ++i) {
      row_by_row = row_by_row && known(i);
    }
  }
  for (const torch::jit::Value* output : node->outputs()) {
    set_row_by_row(output, row_by_row);
  }
}

void Evaluation::set_row_by_row(const torch::jit::Value* name, bool row_by_row) {
  if (row_by_row) {
    row_by_row_.insert(name);
  } else {
    row_by_row_.erase(name);
  }
}

void Evaluation::note_constant(const torch::jit::Value* name, const c10::IValue& value) {
  if (!plainly_ && layouts_.any()) {
    set_row_by_row(name, is_defined_tensor(value) && lies_row_by_row(value.toTensor()));
  }
}

void Evaluation::note_list(const Node* node) {
  if (plainly_ || !layouts_.any()) {
    return;
  }
  bool row_by_row =
      layouts_.lasting() && !node->inputs().empty() && node->kind() == c10::prim::ListConstruct;
  for (const torch::jit::Value* input : node->inputs()) {
    row_by_row = row_by_row && row_by_row_.count(input) > 0;
  }
  set_row_by_row(node->output(), row_by_row);
}

void Evaluation::stop_recording(const Node* node) const {
  if (record_ && node == layouts_.last()) {
    throw Recorded();
  }
}

// A module kept as a unit, as written.
std::vector<Value> Evaluation::unit_plainly(const Call& call) const {
  const auto body =
      build_unit_graph(call.inputs[0].x, call.node->s(c10::attr::name), *call.provenance);
  EvaluateOptions options;
  options.cancelled = options_.cancelled;
  Evaluation own(*body, constants_, options);
  own.plainly_ = true;
  return own.run({call.inputs.begin() + 1, call.inputs.end()});
}

}  // namespace seqlift
