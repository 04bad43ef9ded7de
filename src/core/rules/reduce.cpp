// Products and running products of many values, in pairs: each pair is a product of two, shared at
// its midpoint, and a composition of exact rules is exact. A product over k values is a balanced
// tree (the first half times the second, again and again), so that no value's share hangs on a
// chain of k steps; running results double their reach with every step (Hillis and Steele 1986).

#include "core/numeric/tensor_functions.h"
#include "core/rules/rules.h"
#include "core/rules/steps.h"

namespace seqlift {

namespace {

Halves part(const Halves& whole, int64_t dim, int64_t start, int64_t length) {
  return linear([&](const at::Tensor& value) { return value.narrow(dim, start, length); }, whole);
}

Halves joined(const Halves& first, const Halves& second, int64_t dim) {
  return linear(
      [&](const Operands& parts) {
        return at::cat({parts[0], parts[1]}, dim);
      },
      {first, second});
}

}  // namespace

Halves scan(const Halves& a, int64_t dim, const Combine& combine) {
  const int64_t size = a.ref.size(dim);
  Halves running = a;
  for (int64_t reach = 1; reach < size; reach *= 2) {
    const Halves later =
        combine(part(running, dim, 0, size - reach), part(running, dim, reach, size - reach));
    running = joined(part(running, dim, 0, reach), later, dim);
  }
  return running;
}

namespace rules {

std::vector<Value> prod(Call& call) {
  Halves factors = in_dtype(call, call.halves(0));
  const std::vector<int64_t> dims = int_list(call, "dim");
  if (dims.empty() && call.batch.references > 1) {
    throw BatchMoved();
  }
  if (dims.empty()) {
    factors = seqlift::linear([](const at::Tensor& value) { return value.flatten(); }, factors);
  }
  const int64_t rank = factors.ref.dim();
  const int64_t dim = dims.empty() ? 0 : counted_from_front(dims[0], rank);
  while (factors.ref.size(dim) > 1) {
    const int64_t size = factors.ref.size(dim);
    const int64_t half = size / 2;
    const Halves pairs =
        multiply(part(factors, dim, 0, half), part(factors, dim, half, half), call.batch);
    factors = size % 2 == 0 ? pairs : joined(pairs, part(factors, dim, size - 1, 1), dim);
  }
  const bool keep = flag(call, "keepdim");
  return {to_value(seqlift::linear(
      [&](const at::Tensor& value) { return keep ? value : value.squeeze(dim); }, factors))};
}

std::vector<Value> cumprod(Call& call) {
  const Halves factors = in_dtype(call, call.halves(0));
  const Combine product = [&](const Halves& a, const Halves& b) {
    return multiply(a, b, call.batch);
  };
  return {to_value(scan(factors, int_list(call, "dim")[0], product))};
}

}  // namespace rules
}  // namespace seqlift
