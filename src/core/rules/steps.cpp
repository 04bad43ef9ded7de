#include "core/rules/steps.h"

#include "core/halves/tiles.h"
#include "core/halves/times.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

bool is_given(const Call& call, int position) {
  return position >= 0 && !call.constant(position).isNone();
}

}  // namespace

std::vector<int64_t> int_list(const c10::IValue& value) {
  return value.isInt() ? std::vector<int64_t>{value.toInt()} : value.toIntVector();
}

std::vector<int64_t> int_list(const Call& call, const char* name) {
  const int position = call.find(name);
  return is_given(call, position) ? int_list(call.constant(position)) : std::vector<int64_t>();
}

double number(const Call& call, const char* name, double otherwise) {
  const int position = call.find(name);
  return is_given(call, position) ? call.constant(position).toScalar().toDouble() : otherwise;
}

bool flag(const Call& call, const char* name) {
  const int position = call.find(name);
  return is_given(call, position) && call.constant(position).toBool();
}

Halves in_dtype(const Call& call, const Halves& input) {
  const int position = call.find("dtype");
  if (!is_given(call, position)) {
    return input;
  }
  const auto type = static_cast<at::ScalarType>(call.constant(position).toInt());
  return linear([&](const at::Tensor& value) { return value.to(type); }, input);
}

Halves add(const Halves& a, const Halves& b) {
  return linear([](const Operands& terms) { return terms[0] + terms[1]; }, {a, b});
}

Halves subtract(const Halves& a, const Halves& b) {
  return linear([](const Operands& terms) { return terms[0] - terms[1]; }, {a, b});
}

Halves multiply(const Halves& a, const Halves& b, const BatchShape& batch) {
  return times(a, b, batch);
}

Halves divide(const Halves& a, const Halves& b, const BatchShape& batch) {
  const Unary reciprocal = [](const at::Tensor& value) { return value.reciprocal(); };
  return multiply(a, rescale_each(reciprocal, b, Smoothness::smooth, batch), batch);
}

// The square's slope, (a^2 - b^2) / (a - b) = a + b, is the gradient at the midpoint.
Halves square(const Halves& a, const BatchShape& batch) { return multiply(a, a, batch); }

Halves square_root(const Halves& a, const BatchShape& batch) {
  const Unary root = [](const at::Tensor& value) { return value.sqrt(); };
  return rescale_each(root, a, Smoothness::smooth, batch);
}

Halves magnitude(const Halves& a, const BatchShape& batch) {
  if (!a.ref.is_complex()) {
    const Unary absolute = [](const at::Tensor& value) { return value.abs(); };
    return rescale_each(absolute, a, Smoothness::piecewise, batch);
  }
  const Halves parts =
      linear([](const at::Tensor& value) { return at::view_as_real(value.resolve_conj()); }, a);
  const Halves sum =
      linear([](const at::Tensor& value) { return value.sum(-1); }, square(parts, batch));
  return square_root(sum, batch);
}

}  // namespace seqlift
