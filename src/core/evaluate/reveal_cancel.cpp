#include "core/evaluate/reveal_cancel.h"

#include <torch/csrc/autograd/function.h>

#include <set>
#include <unordered_set>

#include "core/base/error.h"
#include "core/evaluate/evaluation.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"
#include "core/rules/rules.h"

namespace seqlift {

namespace {

// Linear operations of the table with factors of both signs that are not looked into.
bool has_mixed_factors(const Call& call) {
  static const std::set<std::string> names{"diff", "upsample_bicubic2d", "__interpolate",
                                           "upsample", "__upsample"};
  return names.count(call.name) > 0;
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
    const bool defined = tensor.defined();
    if (defined && !at::isFloatingType(tensor.scalar_type())) {
      refuse(call, "turns what depends on X into whole numbers, which has no rule");
    }
    value.depends = value.depends || (defined && tensor.requires_grad());
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
  const Operation* operation = find_operation(call.name);
  if ((call.dependent().empty() && !tainted) || (operation && operation->kind == Kind::shape)) {
    return {};
  }
  if (tainted || (operation && operation->kind == Kind::condition)) {
    refuse(call, "uses a condition or an index that depends on X, which has no rule");
  }
  if (!operation || !operation->rule) {
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
  const bool one = call.dependent().size() == 1 && call.inputs[call.dependent()[0]].x.isTensor();
  if (operation->kind == Kind::elementwise && one && operation->rule != rules::glu) {
    return elementwise(call);
  }
  if (operation->rule == rules::batch_norm || operation->kind == Kind::product) {
    if (auto result = scaled(call)) {
      return *result;
    }
  }
  if (operation->rule == rules::convolution || operation->kind == Kind::product) {
    if (auto result = weighted(call)) {
      return *result;
    }
    return shared(call);
  }
  const bool linear_kind = operation->kind == Kind::linear && operation->rule != rules::batch_norm;
  return linear_kind && !has_mixed_factors(call) ? linear(call) : shared(call);
}

}  // namespace seqlift
