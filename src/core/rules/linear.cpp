// Operations that are linear (or affine) in what depends on X: f(x) - f(ref) = J (x - ref), so the
// ordinary gradient is the multiplier.

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/rules.h"

namespace seqlift {
namespace rules {

namespace {

// Windows pass a slice that takes everything as they are, and one of positions moved by its start.
WindowBackward slice_windows(const at::Tensor& whole, const at::Tensor& part, int64_t dim,
                             int64_t start, int64_t step) {
  if (whole.sizes() == part.sizes()) {
    return [](const Windows& grad) { return grad; };
  }
  if (whole.dim() != 3 || counted_from_front(dim, 3) != 2 || step != 1) {
    return {};
  }
  const int64_t first = std::max<int64_t>(start < 0 ? start + whole.size(2) : start, 0);
  return [first](const Windows& grad) { return Windows{grad.values, grad.start + first}; };
}

}  // namespace

std::vector<Value> linear(Call& call) {
  // A network in evaluation mode drops nothing; a traced one may have the flag of training written
  // in.
  if (call.is(Trait::drops)) {
    return {call.inputs[0]};
  }
  // `detach` stops ordinary gradients; the prediction still moves with what is detached.
  const bool see_through = call.is(Trait::detaches);
  std::vector<c10::IValue> x;
  {
    const at::NoGradGuard guard;
    x = see_through ? std::vector<c10::IValue>{call.inputs[0].x}
                    : once(call.batch.memo, "operation",
                           [&]() { return call.evaluate(call.stack(false)); });
  }
  std::vector<c10::IValue> ref;
  {
    const at::AutoGradMode guard(true);
    ref = see_through ? std::vector<c10::IValue>{call.inputs[0].half(true)}
                      : call.evaluate(call.stack(true));
  }
  std::vector<Value> outputs;
  for (size_t i = 0; i < x.size(); ++i) {
    Value value = to_value(x[i], ref[i]);
    // Turned into whole numbers: a step function, whose result has no gradient.
    const bool tensor = ref[i].isTensor() && ref[i].toTensor().defined();
    const auto type = tensor ? ref[i].toTensor().scalar_type() : at::kDouble;
    if (!at::isFloatingType(type) && !at::isComplexType(type) && call.depends(0)) {
      value.tainted = true;
    }
    outputs.push_back(value);
  }
  return outputs;
}

// Linear in one of its inputs as long as none of the others depends on X: the values that a grid
// samples, the right-hand side of a system of equations.
std::vector<Value> linear_in_one(Call& call) {
  const std::string one = call.row->linear_in;
  const int allowed = call.find(one);
  for (const int input : call.dependent()) {
    if (input != allowed) {
      throw Error("unsupported_operation", call.where() + " has a rule only where its `" + one +
                                               "` alone depends on X, but another input does too.");
    }
  }
  return linear(call);
}

// A slice of a tensor. ATen's gradient of it lies channels-first whatever the input's layout, and
// every sum with it takes that over down to the first layer; this one keeps the input's layout.
std::vector<Value> slice(Call& call) {
  const bool tensor = call.inputs[0].x.isTensor();
  if (!call.plain_slice || !tensor || call.inputs.size() != 5) {
    return linear(call);
  }
  const Halves input = call.halves(0);
  const int64_t dim = call.constant(1).toInt();
  const int64_t start = call.constant(2).isNone() ? 0 : call.constant(2).toInt();
  const auto most = std::numeric_limits<int64_t>::max();
  const int64_t end = call.constant(3).isNone() ? most : call.constant(3).toInt();
  const int64_t step = call.constant(4).toInt();
  const at::NoGradGuard guard;
  const at::Tensor ref = input.ref.detach();
  Halves output{input.x.slice(dim, start, end, step), ref.slice(dim, start, end, step)};
  output.ref = attach(
      output.ref, {input.ref},
      [sizes = ref.sizes().vec(), strides = ref.strides().vec(), dim, start, end,
       step](const at::Tensor& grad) {
        const at::Tensor whole = at::empty_strided(sizes, strides, grad.options()).zero_();
        whole.slice(dim, start, end, step).copy_(grad);
        return std::vector<at::Tensor>{whole};
      },
      slice_windows(ref, output.ref, dim, start, step));
  return {to_value(output)};
}

}  // namespace rules
}  // namespace seqlift
