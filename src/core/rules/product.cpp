// Products of values that depend on X: the gradient at the midpoint (see midpoint() in halves.cpp),
// exact for every operation whose dependent inputs enter with total degree two or less. Products of
// more take the mean of the gradient along the straight line from reference to x. Where only one
// factor depends on X the operation is linear.

#include <cmath>

#include "core/base/error.h"
#include "core/halves/tiles.h"
#include "core/halves/times.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/operands.h"
#include "core/rules/rules.h"
#include "core/rules/steps.h"

namespace seqlift {
namespace rules {

namespace {

// The total degree in which the operands enter: how many multiply each other, the added ones
// (addmm's first, a bias) left out.
size_t degree(const Call& call, const std::vector<Slot>& slots) {
  if (call.is(Trait::quadratic)) {
    return 2;
  }
  size_t factors = slots.size();
  for (const Slot& slot : slots) {
    factors -= slot.input == call.row->added ? 1 : 0;
  }
  return std::max<size_t>(factors, 1);
}

// f(x) - f(ref) is the integral of grad f(ref + t (x - ref)) . (x - ref) over t from 0 to 1. For f
// of degree k the gradient has degree k - 1 in t, and n nodes integrate degrees up to 2 n - 1
// exactly: k / 2 of them, rounded up, are enough. k = 2 is the midpoint; for a product of k factors
// this is the Shapley value of their changes where every factor is one number.
int64_t nodes_for(size_t degree) { return static_cast<int64_t>(degree + 1) / 2; }

}  // namespace

std::vector<Value> product(Call& call) {
  const std::vector<Slot> slots = dependent_slots(call);
  // a * a and (x - y)^2 are quadratic in one input.
  if (slots.size() == 1 && !call.is(Trait::powers)) {
    return linear(call);
  }
  std::vector<Halves> operands;
  for (const Slot& slot : slots) {
    operands.push_back(slot_halves(call, slot));
  }
  const OnHalves<MultiOutput> function(function_of(call, slots, false),
                                       function_of(call, slots, true));
  const size_t factors = degree(call, slots);
  if (factors > 2) {
    return {to_value(integrate(function, operands, call.batch, nodes_for(factors))[0])};
  }
  const auto first = [](const MultiOutput& whole) -> Nary {
    return [whole](const Operands& given) { return whole(given)[0]; };
  };
  return {to_value(
      midpoint(OnHalves<Nary>(first(function.x), first(function.ref)), operands, call.batch))};
}

// a b, number by number.
std::vector<Value> times(Call& call) {
  // A list times a number of repetitions.
  if (call.inputs[0].x.isList() || call.inputs[1].x.isList()) {
    return linear(call);
  }
  const bool both = call.inputs.size() == 2 && call.depends(0) && call.depends(1);
  return both ? std::vector<Value>{to_value(
                    seqlift::times(call.halves(0), call.halves(1), call.batch))}
              : product(call);
}

// Its own gradient fails on what follows a transposition; that of the same conv1d does not.
std::vector<Value> conv_tbc(Call& call) {
  call.evaluate = call.row->derivative;
  return product(call);
}

// Whether a product has one factor that depends on X, in which it is linear.
bool is_one_factor(const Call& call) {
  if (call.is(Trait::powers)) {
    return false;
  }
  if (!call.is(Trait::divides)) {
    return dependent_slots(call).size() == 1;
  }
  const int mode = call.find("rounding_mode");
  return !call.depends(call.row->added == 0 ? 2 : 1) && (mode < 0 || call.constant(mode).isNone());
}

namespace {

// addcdiv(c, a, b) = c + value a / b.
std::vector<Value> add_quotient(Call& call) {
  const double value = number(call, "value", 1);
  const Halves ratio = divide(call.halves(1), call.halves(2), call.batch);
  const Nary sum = [value](const Operands& terms) { return terms[0] + value * terms[1]; };
  return {to_value(seqlift::linear(sum, {call.halves(0), ratio}))};
}

}  // namespace

// a / b = a (1 / b), a rescaled reciprocal and a product. Rounding is a step function of the
// result.
std::vector<Value> quotient(Call& call) {
  const int mode = call.find("rounding_mode");
  const bool rounds = mode >= 0 && !call.constant(mode).isNone();
  if (call.row->added == 0) {
    return call.depends(2) ? add_quotient(call) : linear(call);
  }
  if (rounds) {
    return several_piecewise(call);
  }
  if (!call.depends(1)) {
    return linear(call);
  }
  // 1 / b wants a floating-point b; a may be a number.
  if (!call.depends(0)) {
    const Unary reciprocal = [](const at::Tensor& value) { return value.reciprocal(); };
    const Halves inverse = rescale_each(reciprocal, call.halves(1), Smoothness::smooth, call.batch);
    const Value& numerator = call.inputs[0];
    const auto scale = [](const c10::IValue& by, const at::Tensor& value) {
      return by.isTensor() ? by.toTensor() * value : value * by.toScalar();
    };
    Halves output;
    {
      const at::NoGradGuard guard;
      output.x = scale(numerator.x, inverse.x);
    }
    const at::AutoGradMode guard(true);
    output.ref = scale(numerator.half(true), inverse.ref);
    return {to_value(output)};
  }
  return {to_value(divide(call.halves(0), call.halves(1), call.batch))};
}

// x^c and c^x are elementwise; a^b of two that depend on X is exp(b log a).
std::vector<Value> power(Call& call) {
  if (call.dependent().size() == 1) {
    const bool exponent = call.depends(1);
    // Odd and fractional powers have no corner away from zero, where the threshold shrinks.
    return exponent ? elementwise(call) : piecewise(call);
  }
  const Unary log = [](const at::Tensor& value) { return at::log(value); };
  const Unary exp = [](const at::Tensor& value) { return at::exp(value); };
  const Halves logarithm = rescale_each(log, call.halves(0), Smoothness::smooth, call.batch);
  const Halves scaled = multiply(call.halves(1), logarithm, call.batch);
  return {to_value(rescale_each(exp, scaled, Smoothness::smooth, call.batch))};
}

}  // namespace rules
}  // namespace seqlift
