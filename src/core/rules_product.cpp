// Products of values that depend on X: the gradient at the midpoint (see midpoint() in halves.cpp),
// exact for every operation whose dependent inputs enter with total degree two or less. Where only
// one factor depends on X the operation is linear.
#include <ATen/ATen.h>

#include "error.h"
#include "operands.h"
#include "rules.h"

namespace seqlift {
namespace rules {

namespace {

// How many of the inputs multiply each other, the added ones (addmm's first) left out.
bool is_of_degree_two(const Call& call, const std::vector<Slot>& slots) {
  if (call.name == "bilinear") {
    return !call.depends(call.find("weight")) || slots.size() < 3;
  }
  size_t factors = slots.size();
  const bool added = call.name.rfind("add", 0) == 0 || call.name == "baddbmm";
  const bool bias = call.name == "linear" || call.name == "lerp";
  for (const Slot& slot : slots) {
    const bool summand = (added && slot.input == 0) || (bias && slot.input == 2);
    factors -= summand && call.name != "lerp" ? 1 : 0;
  }
  return call.name == "lerp" || factors <= 2;
}

const Nary multiply = [](const Operands& factors) { return factors[0] * factors[1]; };
const Unary reciprocal = [](const at::Tensor& value) { return value.reciprocal(); };

}  // namespace

std::vector<Value> product(Call& call) {
  const std::vector<Slot> slots = dependent_slots(call);
  // a * a and (x - y)^2 are quadratic in one input.
  if (slots.size() == 1 && call.name != "mse_loss") {
    return linear(call);
  }
  if (!is_of_degree_two(call, slots)) {
    throw Error("unsupported_operation",
                call.where() + " multiplies more than two values that depend on X at once.");
  }
  std::vector<Halves> operands;
  for (const Slot& slot : slots) {
    operands.push_back(slot_halves(call, slot));
  }
  const auto first = [&](bool ref) -> Nary {
    return [whole = function_of(call, slots, ref)](const Operands& given) {
      return whole(given)[0];
    };
  };
  const OnHalves<Nary> function(first(false), first(true));
  return {to_value(midpoint(function, operands, call.batch))};
}

// a / b = a (1 / b), a rescaled reciprocal and a product. Rounding is a step function of the
// result.
std::vector<Value> quotient(Call& call) {
  const int mode = call.find("rounding_mode");
  const bool rounds = mode >= 0 && !call.constant(mode).isNone();
  if (call.name == "addcdiv") {
    if (call.depends(2)) {
      throw Error("unsupported_operation",
                  call.where() + " divides by what depends on X inside one operation.");
    }
    return linear(call);
  }
  if (rounds) {
    if (call.depends(1)) {
      throw Error("unsupported_operation",
                  call.where() + " divides by what depends on X and rounds.");
    }
    return kinked(call);
  }
  if (!call.depends(1)) {
    return linear(call);
  }
  // 1 / b wants a floating-point b; a may be a number.
  const Halves inverse = rescale(reciprocal, call.halves(1), Bend::smooth, call.batch);
  if (!call.depends(0)) {
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
    output.ref = scale(numerator.paired ? numerator.ref : numerator.x, inverse.ref);
    return {to_value(output)};
  }
  return {to_value(midpoint(multiply, {call.halves(0), inverse}, call.batch))};
}

// x^c and c^x are elementwise; a^b of two that depend on X is exp(b log a).
std::vector<Value> power(Call& call) {
  if (call.dependent().size() == 1) {
    const bool exponent = call.depends(1);
    // Odd and fractional powers have no corner away from zero, where the threshold shrinks.
    return exponent ? elementwise(call) : kinked(call);
  }
  const Unary log = [](const at::Tensor& value) { return at::log(value); };
  const Unary exp = [](const at::Tensor& value) { return at::exp(value); };
  const Halves logarithm = rescale(log, call.halves(0), Bend::smooth, call.batch);
  const Halves scaled = midpoint(multiply, {call.halves(1), logarithm}, call.batch);
  return {to_value(rescale(exp, scaled, Bend::smooth, call.batch))};
}

}  // namespace rules
}  // namespace seqlift
