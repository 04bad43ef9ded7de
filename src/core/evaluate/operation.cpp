#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <optional>

#include "core/base/error.h"
#include "core/changes/change.h"
#include "core/evaluate/dtype.h"
#include "core/evaluate/evaluation.h"
#include "core/evaluate/positions.h"
#include "core/halves/kernels.h"
#include "core/model/operation_table.h"
#include "core/model/random_operations.h"
#include "core/numeric/convolution_gradient.h"
#include "core/numeric/device.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

using torch::jit::Node;

namespace {

// The operation's name without namespace and without the _ of in-place variants.
std::string base_name(const Node* node, bool mutates) {
  std::string name = node->kind().toUnqualString();
  if (mutates && name.size() > 1 && name.back() == '_' && name[name.size() - 2] != '_') {
    name.pop_back();
  }
  return name;
}

bool writes_first_input(const Node* node) {
  const auto* schema = node->maybeSchema();
  if (!schema || schema->arguments().empty()) {
    return false;
  }
  const auto* alias = schema->arguments()[0].alias_info();
  const bool tensor = schema->arguments()[0].type()->isSubtypeOf(*c10::TensorType::get());
  return tensor && alias && alias->isWrite();
}

// pop(), reverse() and their kind: they must be done again in every block of references, whose
// lists are lists of their own.
bool writes_container(const Node* node) {
  const auto* schema = node->maybeSchema();
  return schema && !schema->arguments().empty() && schema->arguments()[0].alias_info() &&
         schema->arguments()[0].alias_info()->isWrite() && !writes_first_input(node);
}

// On a device other than the CPU everything is made there: a trace has the device written in that
// it was made on, and code that names none means the CPU.
void follow_device(Call& call, const at::Device& device) {
  const int position = call.find("device");
  if (position >= 0 && (call.inputs[position].x.isNone() || call.inputs[position].x.isDevice())) {
    call.inputs[position] = Value();
    call.inputs[position].x = device;
  }
}

// What an operation left on the CPU all the same. Single numbers may stay: operations take them
// from anywhere, and reading them there costs nothing.
void move_to_device(std::vector<c10::IValue>& stack, const at::Device& device) {
  for (c10::IValue& value : stack) {
    if (value.isTensor() && value.toTensor().defined() && value.toTensor().is_cpu() &&
        value.toTensor().dim() > 0) {
      value = value.toTensor().to(device);
    }
  }
}

// A trace in training mode has its flags written in; what is explained and predicted is the network
// in evaluation mode. Batch normalisation without running statistics has no such mode.
void leave_training(Call& call) {
  const auto set = [&](int position, const c10::IValue& value) {
    call.inputs[position] = Value();
    call.inputs[position].x = value;
  };
  const int statistics = call.find("running_mean");
  const bool of_batch = statistics >= 0 && !(call.inputs[statistics].x.isTensor() &&
                                             call.inputs[statistics].x.toTensor().defined());
  for (const char* name : {"train", "training"}) {
    const int position = call.find(name);
    const bool given = position >= 0 && (call.inputs[position].x.isBool() ||
                                         call.inputs[position].x.isNone());  // native_dropout's
    if (given && !of_batch) {
      set(position, false);
    }
  }
  const int dropped = call.find("dropout_p");
  if (dropped >= 0 && call.inputs[dropped].x.isDouble()) {
    set(dropped, 0.0);
  }
}

// A dense layer outside of autograd, in float.
bool is_plain_product(const std::vector<c10::IValue>& stack) {
  const at::Tensor x = stack[0].toTensor();
  const at::Tensor weight = stack[1].toTensor();
  return !at::GradMode::is_enabled() && x.scalar_type() == at::kFloat && x.is_cpu() &&
         weight.scalar_type() == at::kFloat && weight.dim() == 2 && x.dim() > 0 &&
         x.size(-1) == weight.size(1);
}

at::Tensor dense_layer(const std::vector<c10::IValue>& stack) {
  const at::Tensor product = times_weights(stack[0].toTensor(), stack[1].toTensor());
  return stack[2].isTensor() ? product.add_(stack[2].toTensor()) : product;
}

// [n, C, L] in channels-last memory, outside of autograd.
bool is_channels_last_line(const c10::IValue& value) {
  if (!value.isTensor() || at::GradMode::is_enabled()) {
    return false;
  }
  const at::Tensor& x = value.toTensor();
  return x.is_cpu() && x.dim() == 3 && x.size(1) > 1 && x.stride(1) == 1 &&
         x.transpose(1, 2).is_contiguous();
}

// ATen passes over channels-last memory as it lies in images only: a line is an image of height
// one.
at::Tensor pooled_line(const std::vector<c10::IValue>& stack) {
  const auto image = [&](size_t i, int64_t first) {
    std::vector<int64_t> numbers = stack[i].toIntVector();
    if (!numbers.empty()) {
      numbers.insert(numbers.begin(), first);
    }
    return numbers;
  };
  return at::max_pool2d(stack[0].toTensor().unsqueeze(2), image(1, 1), image(2, 1), image(3, 0),
                        image(4, 1), stack[5].toBool())
      .squeeze(2);
}

bool is_expanded(const at::Tensor& tensor) {
  for (int64_t d = 0; tensor.defined() && d < tensor.dim(); ++d) {
    if (tensor.size(d) > 1 && tensor.stride(d) == 0) {
      return true;
    }
  }
  return false;
}

// transpose_() and its kind, which change how a tensor is seen: the same out of place. Nothing
// where there is no such thing (resize_).
std::optional<at::Tensor> seen_otherwise(View view, const std::vector<c10::IValue>& stack) {
  const at::Tensor tensor = stack[0].toTensor();
  switch (view) {
    case View::t:
      return tensor.t();
    case View::transpose:
      return tensor.transpose(stack[1].toInt(), stack[2].toInt());
    case View::unsqueeze:
      return tensor.unsqueeze(stack[1].toInt());
    case View::squeeze:
      if (stack.size() > 1 && !stack[1].isInt()) {
        return std::nullopt;
      }
      return stack.size() == 1 ? tensor.squeeze() : tensor.squeeze(stack[1].toInt());
    case View::as_strided:
      return tensor.as_strided(stack[1].toIntVector(), stack[2].toIntVector(),
                               stack[3].isNone() ? tensor.storage_offset() : stack[3].toInt());
    case View::none:
    case View::memory:
      break;
  }
  return std::nullopt;
}

// LibTorch's gradient of GELU in float (oneDNN's) reads an incoming gradient as if it lay in memory
// as the input does; where it does not, the result is garbage, to 1e38. That of a grid takes views
// of it, and fails. They get one that lies as the output does.
at::Tensor with_gradient_in_place(const at::Tensor& output) {
  if (!output.requires_grad()) {
    return output;
  }
  return attach(
      output.detach(), {output},
      [sizes = output.sizes().vec(), strides = output.strides().vec()](const at::Tensor& grad) {
        if (grad.strides() == at::IntArrayRef(strides)) {
          return std::vector<at::Tensor>{grad};
        }
        return std::vector<at::Tensor>{
            at::empty_strided(sizes, strides, grad.options()).copy_(grad)};
      });
}

}  // namespace

void Evaluation::run_operation(const Node* node) {
  static const Provenance nowhere;
  const auto known = graph_.provenance.find(node);
  const bool writes = writes_first_input(node);
  const bool collects = writes_container(node);

  Call call;
  call.node = node;
  call.provenance = known == graph_.provenance.end() ? &nowhere : &known->second;
  call.name = base_name(node, writes || collects);
  call.row = &operation_of(call.name);
  call.batch = options_.batch();
  call.constants = &constants_;
  call.plain_slice = graph_.plain_slices.count(node) > 0;
  bool tainted = false;
  for (const torch::jit::Value* input : node->inputs()) {
    call.inputs.push_back(value(input));
    tainted = tainted || call.inputs.back().tainted;
  }
  shield(call);
  follow_dtype(call, constants_);
  const bool elsewhere = !constants_.device().is_cpu();
  if (elsewhere) {
    follow_device(call, constants_.device());
  }
  leave_training(call);
  if (collects) {
    call.batch.memo = nullptr;
  }
  if (call.batch.memo) {
    call.batch.memo->enter(node);
  }
  if (node->kind() != c10::prim::CallMethod) {
    const auto* known_operation = node->maybeOperator();
    if (!known_operation) {
      refuse(call, "is not known to this LibTorch");
    }
    const bool widened = call.is(Trait::onednn_gradient) && constants_.device().is_cpu() &&
                         !float_convolution_gradients_hold();
    const bool reduced = constants_.reduced() && call.is(Trait::low_precision) && !widened;
    // The operation of a text with places to fill in is told how many values there are.
    const bool variadic = known_operation->schema().is_vararg();
    const FastPath fast = plainly_ ? FastPath::none : call.row->fast;
    const bool dense = fast == FastPath::dense_layer && !reduced;
    const bool normalises = fast == FastPath::line_as_image;
    const bool pools = fast == FastPath::line_pool;
    const bool places = call.is(Trait::gradient_as_laid_out);
    const View view = writes ? call.row->view : View::none;
    call.evaluate = [operation = known_operation->getOperation(node), writes, reduced, variadic,
                     widened, dense, derivative = call.row->derivative, normalises, pools, places,
                     view, elsewhere,
                     device = constants_.device()](std::vector<c10::IValue> stack) mutable {
      if (variadic) {
        stack.emplace_back(static_cast<int64_t>(stack.size()));
      }
      if (const auto seen = view == View::none ? std::nullopt : seen_otherwise(view, stack)) {
        return std::vector<c10::IValue>{*seen};
      }
      // LibTorch refuses to write into a tensor that was expanded.
      if (writes && !is_expanded(stack[0].toTensor())) {
        stack[0] = stack[0].toTensor().clone();
      }
      if (reduced) {
        cast(stack, at::kFloat, at::kBFloat16);
      }
      const bool wide =
          widened && at::GradMode::is_enabled() && stack[0].toTensor().scalar_type() == at::kFloat;
      if (wide) {
        cast(stack, at::kFloat, at::kDouble);
      }
      if (derivative && at::GradMode::is_enabled()) {
        stack = derivative(stack);
      } else {
        if (dense && is_plain_product(stack)) {
          return std::vector<c10::IValue>{dense_layer(stack)};
        }
        if (pools && is_channels_last_line(stack[0])) {
          return std::vector<c10::IValue>{pooled_line(stack)};
        }
        const bool line = normalises && is_channels_last_line(stack[0]);
        if (line) {
          stack[0] = stack[0].toTensor().unsqueeze(2);
        }
        operation(stack);
        if (line) {
          stack[0] = stack[0].toTensor().squeeze(2);
        }
      }
      if (places) {
        stack[0] = with_gradient_in_place(stack[0].toTensor());
      }
      if (wide) {
        cast(stack, at::kDouble, at::kFloat);
      }
      if (reduced) {
        cast(stack, at::kBFloat16, at::kFloat);
      }
      if (elsewhere) {
        move_to_device(stack, device);
      }
      return stack;
    };
    if (!writes) {
      keep_double(call, constants_);
    }
  }
  const bool lies = layouts_.use(node) != LayoutUse::none || layouts_.kept(node);
  const int64_t visit = lies ? visits_[node]++ : 0;
  if (!graph_.draws.empty() && graph_.draws.count(node) > 0) {
    draw(call);
  }
  if (options_.before) {
    options_.before(node, call.inputs);
  }
  Steps steps;
  if (options_.letters) {
    steps = steps_of(node);
    read_letters(node, call.inputs, steps, *call.row);
  }
  std::vector<Value> outputs;
  try {
    lay_out(call, visit);
    outputs = options_.ledger ? measured(call, tainted) : apply(call, tainted);
    watch_length(call, outputs);
    note_layout(call, writes);
    keep_layout(call, outputs, visit);
    // In a run as written the memory that is written to stays the memory that it was.
    if (writes && (plainly_ || shared(node, call.inputs[0]))) {
      if (options_.changes()) {
        throw NotLocal();
      }
      write_back(call, outputs, tainted);
    }
  } catch (const c10::Error& error) {
    throw_if_out_of_memory(error);
    const std::string text = error.what_without_backtrace();
    const std::string why = text.substr(0, text.find("\nException"));
    explain_failure(call, why);
    throw Error("evaluation", call.where() + " failed: " + why);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    // LibTorch's lists and texts throw exceptions of the standard library.
    throw_if_out_of_memory(error);
    throw Error("evaluation", call.where() + " failed: " + error.what());
  }
  if (options_.letters) {
    mark_steps(call, steps, outputs);
  }
  if (options_.footprint) {
    weigh(call, outputs);
  }
  if (positions_) {
    positions_->follow(call, outputs);
  }
  if (options_.after) {
    options_.after(call, outputs);
  }
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    values_[node->outputs()[i]] = outputs.at(i);
  }
  refresh_containers(node);
}

std::vector<Value> Evaluation::both_halves(const Call& call, bool tainted) {
  // What is written into later must be a tensor of its own on each half.
  bool paired = options_.two_halves() && graph_.written_results.count(call.node) > 0;
  for (const Value& input : call.inputs) {
    paired = paired || input.paired();
  }
  std::vector<c10::IValue> x;
  {
    const at::AutoGradMode guard(options_.is<EvaluateOptions::Gradients>());
    x = once(call.batch.memo, "operation", [&]() { return call.evaluate(call.stack(false)); });
  }
  std::vector<c10::IValue> ref;
  if (paired) {
    const at::AutoGradMode guard(!options_.changes());
    ref = call.evaluate(call.stack(true));
  }
  std::vector<Value> outputs;
  for (size_t i = 0; i < x.size(); ++i) {
    outputs.push_back(finish(x[i], paired ? ref[i] : x[i], paired, tainted));
    const bool container = x[i].isList() || x[i].isGenericDict();
    if (paired && container && graph_.written_results.count(call.node) > 0) {
      outputs.back().set_ref(ref[i]);
    }
  }
  return outputs;
}

}  // namespace seqlift
