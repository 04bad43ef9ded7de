// The local convergence delta of each operation.
//
// What is kept for the backward pass is one change a value, shared by the operation that makes it
// and those that take it: the values themselves are let go as they are without an audit.
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

#include "core/evaluate/evaluation.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

namespace {

// The tensors of an input or output with gradients, in the order of visit_tensors().
std::vector<at::Tensor> with_gradient(const c10::IValue& value) {
  std::vector<at::Tensor> found;
  visit_tensors(value, [&](const at::Tensor& tensor) {
    if (has_gradient(tensor)) {
      found.push_back(tensor);
    }
  });
  return found;
}

// A tensor, or a list of tensors, with those that have a gradient replaced by `replacements`.
c10::IValue replaced(const c10::IValue& value, const std::vector<at::Tensor>& replacements) {
  if (value.isTensor()) {
    return replacements[0];
  }
  c10::impl::GenericList list(value.toList().elementType());
  size_t next = 0;
  for (const c10::IValue& element : value.toListRef()) {
    const bool gradient = element.isTensor() && has_gradient(element.toTensor());
    list.push_back(gradient ? c10::IValue(replacements[next++]) : element);
  }
  return list;
}

// Of the sizes of `value`, in the memory of one number.
at::Tensor hollow(const at::Tensor& value) {
  const at::Tensor one = at::zeros(at::IntArrayRef(), value.options().requires_grad(false));
  return one.expand(value.sizes()).detach();
}

// A tensor to take gradients with respect to, and `given` behind it.
std::pair<at::Tensor, at::Tensor> leaf_before(const at::Tensor& given) {
  const at::Tensor leaf = hollow(given).requires_grad_();
  const at::Tensor own = attach(
      given.detach(), {leaf}, [](const at::Tensor& grad) { return std::vector<at::Tensor>{grad}; });
  return {leaf, own};
}

// A stand-in for `value` as the root of a backward pass.
at::Tensor root_of(const at::Tensor& value) {
  const at::Tensor root = hollow(value);
  torch::autograd::impl::set_gradient_edge(root, torch::autograd::impl::gradient_edge(value));
  return root;
}

bool can_be_replaced(const c10::IValue& value) {
  return value.isTensor() ||
         (value.isList() && value.toList().elementType()->kind() != c10::TypeKind::ListType);
}

at::Tensor by_pair(const at::Tensor& values, int64_t pairs) {
  const at::Tensor wide = values.to(at::kDouble);
  const bool rows = values.dim() > 0 && values.size(0) == pairs;
  return rows ? wide.reshape({pairs, -1}).sum(1) : wide.sum().reshape({1});
}

at::Tensor both(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined() || a.sizes() == b.sizes()) {
    return a.defined() ? a + b : b;
  }
  return a.sum().reshape({1}) + b.sum().reshape({1});
}

}  // namespace

// The operation is evaluated on tensors of its own, whose gradients are the multipliers it makes of
// the gradient of its output; both are then weighed against the changes.
std::vector<Value> Evaluation::measured(Call& call, bool tainted) {
  // What says nothing of X, and may ask whether two values are one.
  if (call.row->kind == Kind::shape) {
    return apply(call, tainted);
  }
  // In one batch of sequences above their references the change is between its halves.
  const bool pairs = options_.two_halves();
  const BatchShape batch = options_.batch();
  const auto change_of = [pairs, batch](const at::Tensor& x, const at::Tensor& ref) {
    const at::NoGradGuard guard;
    if (pairs) {
      return repeat_x(x, ref.detach(), batch) - ref.detach();
    }
    const int64_t half = ref.size(0) / 2;
    return ref.detach().narrow(0, 0, half) - ref.detach().narrow(0, half, half);
  };
  const auto of_sequences = [pairs](const at::Tensor& gradient) {
    return pairs ? gradient : gradient.narrow(0, 0, gradient.size(0) / 2);
  };
  // The x half of the tensors that with_gradient() finds in the other.
  const auto partners = [pairs](const Value& value) {
    std::vector<at::Tensor> x;
    std::vector<at::Tensor> ref;
    visit_tensors(value.x, [&](const at::Tensor& tensor) { x.push_back(tensor); });
    visit_tensors(pairs ? value.ref() : value.x,
                  [&](const at::Tensor& tensor) { ref.push_back(tensor); });
    std::vector<at::Tensor> found;
    for (size_t i = 0; i < ref.size(); ++i) {
      if (has_gradient(ref[i])) {
        found.push_back(x[i]);
      }
    }
    return found;
  };

  const auto put = [pairs](Value& value, c10::IValue side) {
    if (pairs) {
      value.set_ref(std::move(side));
    } else {
      value.x = std::move(side);
    }
  };

  // What writes into a list must be given that list.
  const auto* schema = call.node->maybeSchema();
  const auto* alias =
      schema && !schema->arguments().empty() ? schema->arguments()[0].alias_info() : nullptr;
  if (alias && alias->isWrite() && !call.inputs[0].x.isTensor()) {
    return apply(call, tainted);
  }

  std::vector<at::Tensor> originals;
  std::vector<at::Tensor> leaves;
  std::vector<at::Tensor> changes;
  for (Value& input : call.inputs) {
    const c10::IValue side = pairs ? input.ref() : input.x;
    if (!input.depends || !can_be_replaced(side)) {
      continue;
    }
    const std::vector<at::Tensor> given = with_gradient(side);
    const std::vector<at::Tensor> x = partners(input);
    std::vector<at::Tensor> own;
    for (size_t i = 0; i < given.size(); ++i) {
      const auto leaf = leaf_before(given[i]);
      leaves.push_back(leaf.first);
      own.push_back(leaf.second);
      originals.push_back(given[i]);
      const auto known = changes_.find(given[i].grad_fn().get());
      changes.push_back(known != changes_.end() ? known->second.second : change_of(x[i], given[i]));
    }
    put(input, replaced(side, own));
  }
  std::vector<Value> outputs = apply(call, tainted);
  if (leaves.empty()) {
    return outputs;
  }
  for (Value& output : outputs) {
    const c10::IValue side = pairs ? output.ref() : output.x;
    if (!output.depends || !can_be_replaced(side)) {
      continue;
    }
    const std::vector<at::Tensor> x = partners(output);
    std::vector<at::Tensor> seen;
    size_t next = 0;
    for (const at::Tensor& value : with_gradient(side)) {
      const at::Tensor change_out = change_of(x[next++], value);
      const auto backward = [root = root_of(value), leaves, changes, change_out, of_sequences,
                             ledger = options_.ledger, node = call.node](const at::Tensor& grad) {
        const auto grads = torch::autograd::grad({root}, leaves, {grad}, true, false, true);
        at::Tensor delta = -by_pair(of_sequences(grad) * change_out, ledger->pairs);
        for (size_t i = 0; i < grads.size(); ++i) {
          if (grads[i].defined()) {
            delta = both(delta, by_pair(of_sequences(grads[i]) * changes[i], ledger->pairs));
          }
        }
        ledger->deltas[node] = both(ledger->deltas[node], delta);
        return std::vector<at::Tensor>(grads.begin(), grads.end());
      };
      seen.push_back(attach(value.detach().clone(), originals, backward));
      const auto node = seen.back().grad_fn();
      if (node) {
        changes_[node.get()] = {node, change_out};
      }
    }
    put(output, replaced(side, seen));
  }
  return outputs;
}

}  // namespace seqlift
