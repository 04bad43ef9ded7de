// Conditions that depend on X. A truth value is kept as a number, 0 or 1, with a gradient: it is a
// step function of what it was computed from, so the rescale rule gives its multiplier. What is
// made of truth values is a polynomial in them: not a = 1 - a, a and b = a b, a or b = a + b - a b,
// a xor b = a + b - 2 a b, where(c, a, b) = c a + (1 - c) b. Each is of degree two or less, so the
// gradient at the midpoint is exact (see midpoint() in halves.cpp).
#include <ATen/ExpandUtils.h>

#include "core/base/error.h"
#include "core/halves/constants.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/rules.h"
#include "core/rules/steps.h"

namespace seqlift {
namespace rules {

namespace {

using Predicate = std::function<at::Tensor(const at::Tensor&)>;

// A truth value about the values of `input`, as a number.
Halves step_of(const Predicate& predicate, const Halves& input, const BatchShape& batch) {
  const Unary function = [predicate](const at::Tensor& value) {
    return predicate(value).to(value.scalar_type());
  };
  return rescale(function, input, Smoothness::piecewise, batch);
}

// Input `position` as a tensor on both halves, whatever it is: a number, a constant mask. Truth
// values and whole numbers become numbers of type `dtype`.
Halves operand(const Call& call, int position, at::ScalarType dtype) {
  const auto options = at::TensorOptions(at::kDouble).device(call.constants->device());
  const auto tensor = [&](const c10::IValue& value) {
    const at::Tensor found =
        value.isTensor() ? value.toTensor() : at::scalar_tensor(value.toScalar(), options);
    return at::isFloatingType(found.scalar_type()) && value.isTensor() ? found : found.to(dtype);
  };
  const Value& value = call.inputs[position];
  const at::Tensor x = tensor(value.x);
  return {x, value.paired() ? tensor(value.ref()) : x};
}

// The type of the floating-point input that the operation is about.
at::ScalarType number_type(const Call& call) {
  for (const int position : call.dependent()) {
    if (call.inputs[position].x.isTensor()) {
      return call.inputs[position].ref().toTensor().scalar_type();
    }
  }
  return at::kDouble;
}

// Input `position` as truth values: as they are, or whether a number is not zero.
Halves truth(const Call& call, int position, at::ScalarType dtype) {
  const Value& value = call.inputs[position];
  const Halves given = operand(call, position, dtype);
  const bool boolean = value.shown == at::kBool ||
                       (value.x.isTensor() && value.x.toTensor().scalar_type() == at::kBool);
  if (boolean) {
    return given;
  }
  const auto not_zero = [](const at::Tensor& numbers) { return numbers.ne(0); };
  return step_of(not_zero, given, call.batch);
}

// c a + (1 - c) b without computing with the values that are not chosen (infinite ones, often):
// c earns the middle of a - b, but only where the choice differs.
Halves choose(const Call& call, const Halves& condition, const Halves& a, const Halves& b) {
  const BatchShape& batch = call.batch;
  const at::NoGradGuard guard;
  const auto select = [](const at::Tensor& c, const at::Tensor& yes, const at::Tensor& no) {
    return at::where(c.ne(0), yes.to(at::result_type(yes, no)), no.to(at::result_type(yes, no)));
  };
  const at::Tensor c = condition.ref.detach();
  const at::Tensor a_ref = a.ref.detach();
  const at::Tensor b_ref = b.ref.detach();
  const at::Tensor c_x = repeat_x(condition.x, c, batch);
  const at::Tensor a_x = repeat_x(a.x, a_ref, batch);
  const at::Tensor b_x = repeat_x(b.x, b_ref, batch);
  const at::Tensor chosen = (c_x + c) / 2;
  const at::Tensor moved = ((a_x + a_ref) - (b_x + b_ref)) / 2;
  const at::Tensor gain = at::where(c_x != c, moved, at::zeros_like(moved));
  if (!gain.isfinite().all().item<bool>()) {
    throw Error("unsupported_operation",
                call.where() +
                    " chooses an infinite value for a sequence and a finite one for its "
                    "reference: no multiplier of the condition says that.");
  }
  Halves output{select(condition.x, a.x, b.x), select(c, a_ref, b_ref)};
  const auto sizes = [](const at::Tensor& tensor) { return tensor.sizes().vec(); };
  output.ref = attach(output.ref, {condition.ref, a.ref, b.ref},
                      [chosen, gain, of_c = sizes(c), of_a = sizes(a_ref),
                       of_b = sizes(b_ref)](const at::Tensor& grad) {
                        return std::vector<at::Tensor>{at::sum_to(grad * gain, of_c),
                                                       at::sum_to(grad * chosen, of_a),
                                                       at::sum_to(grad * (1 - chosen), of_b)};
                      });
  return output;
}

bool chooses_by_x(const Call& call, int condition) { return call.inputs[condition].depends; }

}  // namespace

// a > b is a step of a - b, whose sign is exact in floating point.
std::vector<Value> comparison(Call& call) {
  const at::ScalarType dtype = number_type(call);
  const Halves a = operand(call, 0, dtype);
  const Halves b = operand(call, 1, dtype);
  const Form form = call.row->form;
  if (form == Form::heaviside) {
    if (call.depends(1) || b.x.numel() != 1) {
      throw Error("unsupported_operation",
                  call.where() + " takes values at zero that differ or depend on X.");
    }
    const double at_zero = b.x.item<double>();
    const Unary function = [at_zero](const at::Tensor& value) {
      return (value > 0).to(value.scalar_type()) + at_zero * (value == 0).to(value.scalar_type());
    };
    return {to_value(rescale(function, a, Smoothness::piecewise, call.batch))};
  }
  const Nary subtract = [](const Operands& ab) { return ab[0] - ab[1]; };
  const Halves difference = seqlift::linear(subtract, {a, b});
  if (form == Form::close) {
    if (call.depends(1)) {
      throw Error("unsupported_operation",
                  call.where() + " has a tolerance that depends on X, which has no rule.");
    }
    const double relative = call.constant(call.find("rtol")).toDouble();
    const double absolute = call.constant(call.find("atol")).toDouble();
    const auto within = [=](const at::Tensor& around) -> Unary {
      const at::Tensor limit = absolute + relative * around.abs();
      return [limit](const at::Tensor& change) {
        return (change.abs() <= limit).to(change.scalar_type());
      };
    };
    return {to_value(
        rescale({within(b.x), within(b.ref)}, difference, Smoothness::piecewise, call.batch),
        at::kBool)};
  }
  Predicate predicate;
  if (form == Form::greater) {
    predicate = [](const at::Tensor& change) { return change > 0; };
  } else if (form == Form::greater_equal) {
    predicate = [](const at::Tensor& change) { return change >= 0; };
  } else if (form == Form::less) {
    predicate = [](const at::Tensor& change) { return change < 0; };
  } else if (form == Form::less_equal) {
    predicate = [](const at::Tensor& change) { return change <= 0; };
  } else if (form == Form::equal) {
    predicate = [](const at::Tensor& change) { return change == 0; };
  } else {
    predicate = [](const at::Tensor& change) { return change != 0; };
  }
  return {to_value(step_of(predicate, difference, call.batch), at::kBool)};
}

std::vector<Value> logic(Call& call) {
  const at::ScalarType dtype = number_type(call);
  const bool bitwise = call.is(Trait::bitwise);
  for (size_t i = 0; bitwise && i < call.inputs.size(); ++i) {
    const Value& input = call.inputs[i];
    const bool boolean = input.shown == at::kBool || input.x.isBool() ||
                         (input.x.isTensor() && input.x.toTensor().scalar_type() == at::kBool);
    if (!boolean) {
      throw Error("unsupported_operation",
                  call.where() + " works on the bits of numbers that depend on X.");
    }
  }
  const Halves a = truth(call, 0, dtype);
  if (call.row->form == Form::negation) {
    return {
        to_value(seqlift::linear([](const at::Tensor& value) { return 1 - value; }, a), at::kBool)};
  }
  const Halves b = truth(call, 1, dtype);
  const bool exclusive = call.row->form == Form::exclusive;
  const bool both = call.row->form == Form::conjunction;
  const Nary function = [=](const Operands& ab) {
    const at::Tensor product = ab[0] * ab[1];
    return both ? product : ab[0] + ab[1] - (exclusive ? 2 : 1) * product;
  };
  return {to_value(midpoint(function, {a, b}, call.batch), at::kBool)};
}

// any() is the maximum of the truth values, all() the minimum.
std::vector<Value> any_or_all(Call& call) {
  const int dim = call.find("dim");
  if (dim < 0 || call.constant(dim).isNone()) {
    throw Error("unsupported_operation",
                call.where() + " takes all sequences of a batch together.");
  }
  const Halves given = truth(call, 0, number_type(call));
  const bool any = call.row->form != Form::minimum;
  const Halves found = maximum_over(given, int_list(call.constant(dim)),
                                    call.constant(call.find("keepdim")).toBool(), !any, call.batch);
  return {to_value(found, at::kBool)};
}

// Steps of one value: isnan, bucketize.
std::vector<Value> step(Call& call) {
  if (call.dependent() != std::vector<int>{0}) {
    throw Error("unsupported_operation",
                call.where() + " has limits that depend on X, which has no rule.");
  }
  std::vector<c10::IValue> inputs;
  for (const Value& input : call.inputs) {
    inputs.push_back(input.x);
  }
  const Predicate predicate = [inputs, evaluate = call.evaluate](const at::Tensor& value) {
    std::vector<c10::IValue> stack = inputs;
    for (size_t i = 1; i < stack.size(); ++i) {
      // A boundary is compared in the type of what is compared.
      const bool number = stack[i].isTensor() && stack[i].toTensor().is_floating_point();
      stack[i] = number ? c10::IValue(stack[i].toTensor().to(value.scalar_type())) : stack[i];
    }
    stack[0] = value;
    return evaluate(std::move(stack))[0].toTensor();
  };
  const bool counts = call.row->form == Form::count;
  const Halves output = step_of(predicate, call.halves(0), call.batch);
  // Between a number and what is none there is no difference to share out.
  const at::Tensor ref = output.ref.detach();
  if (!counts && call.row->form != Form::sign && !repeat_x(output.x, ref, call.batch).equal(ref)) {
    throw Error("unsupported_operation",
                call.where() +
                    " finds a sequence finite and its reference not, or the other way "
                    "round, which has no rule.");
  }
  return {to_value(output, counts ? at::kLong : at::kBool)};
}

// Into another type: linear between floating-point types, a step function into truth values or
// whole numbers. Those made of truth values keep their numbers.
std::vector<Value> cast(Call& call) {
  const Value& given = call.inputs[0];
  c10::IValue result;
  {
    const at::NoGradGuard guard;
    std::vector<c10::IValue> inputs;
    for (const Value& input : call.inputs) {
      inputs.push_back(input.x);
    }
    result = call.evaluate(std::move(inputs))[0];
  }
  const at::ScalarType type = result.isTensor() ? result.toTensor().scalar_type() : at::kDouble;
  // Among floating-point types, or of something else that takes the type of what depends on X.
  if (!given.depends || !at::isIntegralType(type, true)) {
    return linear(call);
  }
  if (type == at::kBool) {
    return {to_value(truth(call, 0, number_type(call)), at::kBool)};
  }
  if (given.typed()) {
    return {to_value(call.halves(0), type)};
  }
  const Unary whole = [](const at::Tensor& value) { return value.trunc(); };
  return {to_value(rescale(whole, call.halves(0), Smoothness::piecewise, call.batch), type)};
}

std::vector<Value> where(Call& call) {
  if (call.inputs.size() < 3) {
    throw Error("unsupported_operation",
                call.where() + " asks for places, whose number depends on X.");
  }
  if (!chooses_by_x(call, 0)) {
    return linear(call);
  }
  const at::ScalarType dtype = number_type(call);
  return {to_value(
      choose(call, truth(call, 0, dtype), operand(call, 1, dtype), operand(call, 2, dtype)))};
}

std::vector<Value> masked_fill(Call& call) {
  if (!chooses_by_x(call, 1)) {
    return linear(call);
  }
  const at::ScalarType dtype = number_type(call);
  return {to_value(
      choose(call, truth(call, 1, dtype), operand(call, 2, dtype), operand(call, 0, dtype)))};
}

// x[mask] = value with one number is masked_fill; anything else needs to know where the mask is
// true.
std::vector<Value> index_put(Call& call) {
  if (!chooses_by_x(call, 1)) {
    return linear(call);
  }
  const Value& list = call.inputs[1];
  const auto mask_of = [](const c10::IValue& indices) {
    return indices.toListRef().size() == 1 && indices.toListRef()[0].isTensor()
               ? indices.toListRef()[0].toTensor()
               : at::Tensor();
  };
  const at::Tensor mask = mask_of(list.ref());
  const bool adds = call.constant(call.find("accumulate")).toBool();
  const at::Tensor values = call.constant(2).toTensor();
  const at::Tensor into = call.inputs[0].half(true).toTensor();
  if (!mask.defined() || list.shown != at::kBool || mask.dim() > into.dim() || adds ||
      values.numel() != 1) {
    throw Error("unsupported_operation",
                call.where() + " writes to places that depend on X, which has no rule.");
  }
  const Halves whole = seqlift::linear(
      [&](const at::Tensor& value) {
        at::Tensor wide = value;
        for (int64_t d = mask.dim(); d < into.dim(); ++d) {
          wide = wide.unsqueeze(-1);
        }
        return wide;
      },
      {mask_of(list.x), mask});
  const at::ScalarType dtype = number_type(call);
  return {to_value(choose(call, whole, operand(call, 2, dtype), operand(call, 0, dtype)))};
}

}  // namespace rules
}  // namespace seqlift
