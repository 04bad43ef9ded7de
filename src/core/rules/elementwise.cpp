// Elementwise functions of one value: the rescale rule. See rescale() in halves.cpp for the
// derivation.

#include "core/base/error.h"
#include "core/halves/kernels.h"
#include "core/halves/tiles.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/operands.h"
#include "core/rules/rules.h"

namespace seqlift {
namespace rules {

namespace {

std::vector<Value> rescale_operation(Call& call, Smoothness smoothness) {
  const std::vector<int> dependent = call.dependent();
  if (dependent.size() != 1) {
    throw Error("unsupported_operation",
                call.where() + " depends on X through several of its inputs, which has no rule.");
  }
  const int position = dependent[0];
  const auto of_one = [&](bool ref) -> Unary {
    const Nary function = function_in_type(call, dependent, ref);
    return [function](const at::Tensor& at) { return function({at}); };
  };
  const OnHalves<Unary> function(of_one(false), of_one(true));
  // A number beside it is the same everywhere; a tensor has rows and positions of its own.
  bool each = true;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    each = each && (static_cast<int>(i) == position || !call.inputs[i].x.isTensor() ||
                    call.inputs[i].x.toTensor().numel() == 1);
  }
  const Halves input = call.halves(position);
  return {to_value(each ? rescale_each(function, input, smoothness, call.batch)
                        : rescale(function, input, smoothness, call.batch))};
}

}  // namespace

std::vector<Value> elementwise(Call& call) { return rescale_operation(call, Smoothness::smooth); }

std::vector<Value> piecewise(Call& call) { return rescale_operation(call, Smoothness::piecewise); }

// relu(x): the quotient is exact in floating point wherever x and ref differ, since both sides are
// either equal to them or zero. One pass over the data computes the output and the multiplier.
std::vector<Value> relu(Call& call) {
  const Halves input = call.halves(0);
  const at::Tensor ref = input.ref.detach();
  if (!lie_alike(input.x, ref, call.batch)) {
    return piecewise(call);
  }
  check_rows(input.x, ref, call.batch);
  const at::NoGradGuard guard;
  Halves output{once_tensor(call.batch.memo, "relu", [&]() { return at::relu(input.x); }), {}};
  at::Tensor slope;
  std::tie(output.ref, slope) = relu_rescale(input.x, ref, call.batch);
  output.ref = attach(
      output.ref, {input.ref},
      [slope](const at::Tensor& grad) { return std::vector<at::Tensor>{grad * slope}; },
      times_in_windows(slope));
  return {to_value(output)};
}

// glu(a, b) = a sigmoid(b): a product of the first half and the rescaled second.
std::vector<Value> glu(Call& call) {
  const int64_t dim = call.constant(call.find("dim")).toInt();
  const Halves input = call.halves(0);
  const auto part = [&](int64_t which) {
    return linear([&](const at::Tensor& whole) { return whole.chunk(2, dim)[which]; }, input);
  };
  const Unary sigmoid = [](const at::Tensor& value) { return at::sigmoid(value); };
  const Halves gate = rescale_each(sigmoid, part(1), Smoothness::smooth, call.batch);
  const Nary multiply = [](const Operands& factors) { return factors[0] * factors[1]; };
  return {to_value(midpoint(multiply, {part(0), gate}, call.batch))};
}

}  // namespace rules
}  // namespace seqlift
