#include "core/evaluate/reveal_cancel.h"

#include <torch/csrc/autograd/function.h>

#include <unordered_set>

#include "core/base/error.h"
#include "core/evaluate/evaluation.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"
#include "core/rules/steps.h"

namespace seqlift {

namespace {

// What the row of an operation says, and the arguments that decide it for some.
Reveal reveal_of(const Call& call) {
  constexpr double bicubic = 2;
  const SignedBy by = call.row->signed_by;
  const bool both_signs =
      (by == SignedBy::alpha && number(call, "alpha", 1) < 0) ||
      (by == SignedBy::interpolation && number(call, "interpolation_mode", 0) == bicubic);
  return both_signs ? Reveal::shared : call.row->reveal;
}

}  // namespace

at::Tensor RevealCancel::input(const at::Tensor& x, const at::Tensor& reference) {
  const at::Tensor change = x - reference;
  const Blocks blocks{x, reference, change.clamp_min(0), change.clamp_max(0), at::zeros_like(x)};
  return blocks.stack().detach().requires_grad_();
}

at::Tensor RevealCancel::change(const at::Tensor& output) {
  const Blocks blocks = Blocks::of(output);
  return blocks.rise() + blocks.fall();
}

void RevealCancel::refuse(const Call& call, const std::string& why) {
  throw Error("unsupported_operation", call.where() + " " + why + ".");
}

// A result as a value of a one-batch evaluation.
Value RevealCancel::to_one_batch(const Call& call, const c10::IValue& result) {
  Value value;
  value.x = result;
  visit_tensors(result, [&](const at::Tensor& tensor) {
    if (tensor.defined() && !at::isFloatingType(tensor.scalar_type())) {
      refuse(call, "turns what depends on X into whole numbers, which has no rule");
    }
    value.depends = value.depends || has_gradient(tensor);
  });
  return value;
}

Blocks RevealCancel::split(const Call& call, const at::Tensor& stack) const {
  const std::optional<Blocks> blocks = blocks_of_pairs(stack, pairs_);
  if (!blocks) {
    refuse(call,
           "gets sequences that are not along the first dimension, which the rules of "
           "RevealCancel need");
  }
  return *blocks;
}

// The nearest layer with weights behind a value, found by walking back through autograd's graph.
// Where a sum brings several together a convolution counts, whose Rescale is the safer rule.
RevealCancel::Layer RevealCancel::layer_behind(const at::Tensor& stack) const {
  Layer found = Layer::none;
  std::vector<const torch::autograd::Node*> waiting{stack.grad_fn().get()};
  std::unordered_set<const torch::autograd::Node*> seen;
  while (!waiting.empty()) {
    const torch::autograd::Node* node = waiting.back();
    waiting.pop_back();
    if (!node || !seen.insert(node).second) {
      continue;
    }
    const auto layer = layers_.find(node);
    if (layer != layers_.end()) {
      found = std::max(found, layer->second.second);
      continue;
    }
    for (const auto& edge : node->next_edges()) {
      waiting.push_back(edge.function.get());
    }
  }
  return found;
}

std::function<Resume(const std::vector<at::Tensor>&)> RevealCancel::carry() {
  return [this](const std::vector<at::Tensor>& crossing) {
    std::vector<Layer> behind;
    for (const at::Tensor& stack : crossing) {
      behind.push_back(layer_behind(stack));
    }
    return [this, behind](const std::vector<at::Tensor>& stand_ins, bool) {
      layers_.clear();
      for (size_t i = 0; i < stand_ins.size(); ++i) {
        const auto node = stand_ins[i].grad_fn();
        layers_[node.get()] = {node, behind.at(i)};
      }
    };
  };
}

// Whether an elementwise operation takes RevealCancel, not Rescale.
bool RevealCancel::reveals(const Call& call, const at::Tensor& stack) const {
  if (rule_ != NonlinearRule::genomics_default) {
    return rule_ == NonlinearRule::reveal_cancel;
  }
  const Layer layer = layer_behind(stack);
  if (layer == Layer::none) {
    refuse(call,
           "is behind neither a convolution nor a dense layer: the genomics default has no "
           "rule for it");
  }
  return layer == Layer::dense;
}

std::vector<Value> RevealCancel::apply(Call& call) {
  bool tainted = false;
  for (const Value& input : call.inputs) {
    tainted = tainted || input.tainted;
  }
  const Kind kind = call.row->kind;
  if ((call.dependent().empty() && !tainted) || kind == Kind::shape) {
    return {};
  }
  if (tainted || kind == Kind::condition) {
    refuse(call, "uses a condition or an index that depends on X, which has no rule");
  }
  if (!call.row->rule) {
    refuse(call, "has no rule that keeps summation-to-delta");
  }
  if (touches_batch_dimension(call) || mixes_sequences(call)) {
    refuse(call,
           "mixes or moves the sequences of a batch, which the rules of RevealCancel need "
           "in their place");
  }
  // What returns nothing writes into a list, which the engine does.
  if (call.node->outputs().empty()) {
    return {};
  }
  const at::AutoGradMode enabled(true);
  switch (reveal_of(call)) {
    case Reveal::elementwise:
      if (call.dependent().size() == 1 && call.inputs[call.dependent()[0]].x.isTensor()) {
        return elementwise(call);
      }
      break;
    case Reveal::scales:
      if (auto result = scaled(call)) {
        return *result;
      }
      break;
    case Reveal::weighs:
      if (auto result = weighted(call)) {
        return *result;
      }
      break;
    case Reveal::shared:
      break;
    default:
      return linear(call);
  }
  return shared(call);
}

}  // namespace seqlift
