// Complex numbers, and the Fourier transforms through which models meet them.
//
// Autograd sees a complex number as its two real parts: the gradient that it passes through a
// linear operation is the transpose of the real-linear map of both parts, conjugates included. So
// linear operations and the midpoint (bilinear over the reals) need nothing of their own; only what
// is not elementwise in the complex number is taken apart here.

#include "core/numeric/tensor_functions.h"
#include "core/rules/rules.h"
#include "core/rules/steps.h"

namespace seqlift {
namespace rules {

namespace {

const Nary angle_of = [](const Operands& parts) { return at::atan2(parts[0], parts[1]); };

Halves real_part(const Halves& a) {
  return seqlift::linear([](const at::Tensor& value) { return at::real(value); }, a);
}

Halves imaginary_part(const Halves& a) {
  return seqlift::linear([](const at::Tensor& value) { return at::imag(value); }, a);
}

}  // namespace

// Linear. Without dimensions given, some transform all of them, the sequences' too.
std::vector<Value> fourier(Call& call) {
  const int dim = call.find("dim");
  const int sizes = call.find("s");
  const bool sized = sizes >= 0 && !call.constant(sizes).isNone();
  const auto rank = call.halves(0).ref.dim();
  const bool some = sized && static_cast<int64_t>(int_list(call, "s").size()) < rank;
  if (dim >= 0 && call.constant(dim).isNone() && !some && call.batch.references > 1) {
    throw BatchMoved();
  }
  return linear(call);
}

// Pairs of numbers that lie side by side become complex ones; in a channels-last layout they do
// not lie so.
std::vector<Value> as_complex(Call& call) {
  return {to_value(seqlift::linear(
      [](const at::Tensor& value) { return at::view_as_complex(value.contiguous()); },
      call.halves(0)))};
}

std::vector<Value> absolute(Call& call) {
  const Halves input = call.halves(0);
  return input.ref.is_complex() ? std::vector<Value>{to_value(magnitude(input, call.batch))}
                                : piecewise(call);
}

// atan2(imaginary, real), shared by Shapley's value.
std::vector<Value> angle(Call& call) {
  const Halves input = call.halves(0);
  if (!input.ref.is_complex()) {
    return piecewise(call);
  }
  return {to_value(shapley(angle_of, {imaginary_part(input), real_part(input)}, Smoothness::smooth,
                           call.batch))};
}

// r cos(angle) + i r sin(angle).
std::vector<Value> polar(Call& call) {
  const Halves radius = call.halves(0);
  const Halves angle = call.halves(1);
  const Unary cosine = [](const at::Tensor& value) { return value.cos(); };
  const Unary sine = [](const at::Tensor& value) { return value.sin(); };
  const auto part = [&](const Unary& function) {
    return multiply(radius, rescale(function, angle, Smoothness::smooth, call.batch), call.batch);
  };
  const Nary together = [](const Operands& parts) { return at::complex(parts[0], parts[1]); };
  return {to_value(seqlift::linear(together, {part(cosine), part(sine)}))};
}

}  // namespace rules
}  // namespace seqlift
