// Losses that a model uses as layers. One that sums or averages over its entries mixes the
// sequences of a batch; without that (reduction = "none") a loss is an elementwise function, or
// picks the log-probability of a class.

#include "core/base/error.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/rules.h"
#include "core/rules/steps.h"

namespace seqlift {
namespace rules {

namespace {

void check_reduction(const Call& call) {
  constexpr double none = 0;
  if (number(call, "reduction", none) != none) {
    throw Error("unsupported_operation",
                call.where() + " sums or averages over the sequences of a batch.");
  }
}

}  // namespace

std::vector<Value> loss(Call& call) {
  check_reduction(call);
  return several_piecewise(call);
}

std::vector<Value> squared_loss(Call& call) {
  check_reduction(call);
  return product(call);
}

// Those of the difference alone are f(input - target, 0), a rescaled function of one value.
std::vector<Value> loss_of_difference(Call& call) {
  check_reduction(call);
  if (call.dependent().size() == 1) {
    return several_piecewise(call);
  }
  std::vector<c10::IValue> inputs;
  for (const Value& input : call.inputs) {
    inputs.push_back(input.x);
  }
  const Unary function = [inputs, evaluate = call.evaluate](const at::Tensor& difference) {
    std::vector<c10::IValue> stack = inputs;
    stack[0] = difference;
    stack[1] = at::zeros_like(difference);
    return evaluate(std::move(stack))[0].toTensor();
  };
  const Halves difference = subtract(call.halves(0), call.halves(1));
  return {to_value(rescale(function, difference, Smoothness::piecewise, call.batch))};
}

namespace {

void check_classes(const Call& call) {
  check_reduction(call);
  if (call.dependent() != std::vector<int>{0}) {
    throw Error("unsupported_operation",
                call.where() + " takes a target or weights that depend on X.");
  }
}

}  // namespace

// Minus the log-probability of a class that X does not choose is linear in the log-probabilities.
std::vector<Value> class_loss(Call& call) {
  check_classes(call);
  return linear(call);
}

std::vector<Value> cross_entropy(Call& call) {
  check_classes(call);
  const at::Tensor target = call.constant(1).toTensor();
  if (at::isFloatingType(target.scalar_type()) || number(call, "label_smoothing", 0) != 0) {
    throw Error("unsupported_operation",
                call.where() + " compares with probabilities, not with classes.");
  }
  const int weight = call.find("weight");
  const auto ignored = static_cast<int64_t>(number(call, "ignore_index", -100));
  const auto pick = [&](bool ref) {
    return [&, ref](const at::Tensor& log_probability) {
      const Value& classes = call.inputs[1];
      c10::optional<at::Tensor> weights;
      if (call.constant(weight).isTensor()) {
        weights = call.constant(weight).toTensor();
      }
      return at::nll_loss_nd(log_probability, classes.half(ref).toTensor(), weights, 0, ignored);
    };
  };
  const Halves input = call.halves(0);
  const Halves scores = log_softmax(input, input.ref.dim() == 1 ? 0 : 1, call.batch);
  const at::AutoGradMode guard(true);
  return {to_value(Halves{pick(false)(scores.x), pick(true)(scores.ref)})};
}

}  // namespace rules
}  // namespace seqlift
