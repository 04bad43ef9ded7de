// Norms and distances, taken apart into steps that have rules: absolute value or square
// (elementwise), sum (linear), root (elementwise).

#include <cmath>

#include "core/base/error.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/rules.h"
#include "core/rules/steps.h"

namespace seqlift {

namespace {

Halves sum(const Halves& a, const std::vector<int64_t>& dims, bool keep) {
  return linear([&](const at::Tensor& value) { return value.sum(dims, keep); }, a);
}

}  // namespace

Halves norm(const Halves& a, double order, const std::vector<int64_t>& dims, bool keep,
            const BatchShape& batch) {
  if (order == 2) {
    const Halves parts = a.ref.is_complex() ? magnitude(a, batch) : a;
    return square_root(sum(square(parts, batch), dims, keep), batch);
  }
  if (order == 0) {
    const Unary counted = [](const at::Tensor& value) { return (value != 0).to(value.dtype()); };
    return sum(rescale(counted, a, Smoothness::piecewise, batch), dims, keep);
  }
  const Halves sizes = magnitude(a, batch);
  if (order == 1) {
    return sum(sizes, dims, keep);
  }
  if (std::isinf(order)) {
    return maximum_over(sizes, dims, keep, order < 0, batch);
  }
  const auto power_of = [&](double exponent, const Halves& value) {
    const Unary power = [exponent](const at::Tensor& base) { return base.pow(exponent); };
    return rescale(power, value, Smoothness::smooth, batch);
  };
  return power_of(1 / order, sum(power_of(order, sizes), dims, keep));
}

namespace rules {

namespace {

std::vector<int64_t> all_dims(const Call& call, int64_t rank) {
  if (call.batch.references > 1) {
    throw BatchMoved();
  }
  std::vector<int64_t> dims;
  for (int64_t d = 0; d < rank; ++d) {
    dims.push_back(d);
  }
  return dims;
}

[[noreturn]] void refuse_singular(const Call& call) {
  throw Error("unsupported_operation",
              call.where() + " is a matrix norm of singular values, which has no rule.");
}

// The matrix norms that are sums and maxima: of columns (order 1) or of rows (infinity).
Halves matrix_norm(const Call& call, const Halves& a, double order, std::vector<int64_t> dims,
                   bool keep) {
  if (std::abs(order) != 1 && !std::isinf(order)) {
    refuse_singular(call);
  }
  for (int64_t& dim : dims) {
    dim = counted_from_front(dim, a.ref.dim());
  }
  const bool of_columns = std::abs(order) == 1;
  const int64_t summed = of_columns ? dims[0] : dims[1];
  const int64_t compared = of_columns ? dims[1] : dims[0];
  const double infinite = std::copysign(INFINITY, order);
  const Halves sums = sum(magnitude(a, call.batch), {summed}, true);
  const Halves found = norm(sums, infinite, {compared}, true, call.batch);
  return keep ? found
              : seqlift::linear(
                    [&](const at::Tensor& value) {
                      return value.squeeze(std::max(summed, compared))
                          .squeeze(std::min(summed, compared));
                    },
                    found);
}

}  // namespace

std::vector<Value> vector_norm(Call& call) {
  const Halves input = in_dtype(call, call.halves(0));
  std::vector<int64_t> dims = int_list(call, "dim");
  const bool keep = flag(call, "keepdim");
  const int position = call.find("ord") >= 0 ? call.find("ord") : call.find("p");
  const bool given = position >= 0 && !call.constant(position).isNone();
  const bool named = given && call.constant(position).isString();
  if (named && call.constant(position).toStringRef() != "fro") {
    refuse_singular(call);
  }
  const bool matrix = call.row->form == Form::matrix ||
                      (call.row->form == Form::matrix_or_vector && given && dims.size() == 2);
  if (dims.empty()) {
    dims = all_dims(call, input.ref.dim());
  }
  const double order = given && !named ? call.constant(position).toScalar().toDouble() : 2;
  if (matrix && given && !named) {
    return {to_value(matrix_norm(call, input, order, dims, keep))};
  }
  return {to_value(norm(input, order, dims, keep, call.batch))};
}

// The norm of differences: of all pairs of rows (cdist), or of rows side by side.
std::vector<Value> distance(Call& call) {
  Halves a = call.halves(0);
  Halves b = call.halves(1);
  const bool all_pairs = call.row->form == Form::all_pairs;
  if (all_pairs) {
    a = seqlift::linear([](const at::Tensor& value) { return value.unsqueeze(-2); }, a);
    b = seqlift::linear([](const at::Tensor& value) { return value.unsqueeze(-3); }, b);
  }
  const double eps = all_pairs ? 0 : number(call, "eps", 1e-6);
  const Halves difference =
      seqlift::linear([eps](const at::Tensor& value) { return value + eps; }, subtract(a, b));
  return {
      to_value(norm(difference, number(call, "p", 2), {-1}, flag(call, "keepdim"), call.batch))};
}

// cosine_similarity(a, b) = sum (a / max(|a|, eps)) (b / max(|b|, eps)).
std::vector<Value> similarity(Call& call) {
  const std::vector<int64_t> dims = int_list(call, "dim");
  const double eps = number(call, "eps", 1e-8);
  const Unary at_least = [eps](const at::Tensor& value) { return value.clamp_min(eps); };
  const auto unit = [&](const Halves& a) {
    const Halves size = norm(a, 2, dims, true, call.batch);
    return divide(a, rescale(at_least, size, Smoothness::piecewise, call.batch), call.batch);
  };
  const auto expanded = [&](size_t which) {
    const Nary pick = [which](const Operands& ab) { return at::broadcast_tensors(ab)[which]; };
    return seqlift::linear(pick, {call.halves(0), call.halves(1)});
  };
  const Halves product = multiply(unit(expanded(0)), unit(expanded(1)), call.batch);
  return {to_value(sum(product, dims, false))};
}

// Rows whose norm exceeds a maximum are scaled down to it: a product of each row with a function of
// its norm.
std::vector<Value> renorm(Call& call) {
  const Halves input = call.halves(0);
  if (number(call, "dim", 0) != 0) {
    throw Error("unsupported_operation",
                call.where() + " takes norms over the sequences of a batch.");
  }
  std::vector<int64_t> dims;
  for (int64_t d = 1; d < input.ref.dim(); ++d) {
    dims.push_back(d);
  }
  const double most = number(call, "maxnorm", 0);
  const Unary scale = [most](const at::Tensor& size) {
    // ATen's own step against a division by zero.
    return at::where(size > most, most / (size + 1e-7), at::ones_like(size));
  };
  const Halves size = norm(input, number(call, "p", 2), dims, true, call.batch);
  return {to_value(
      multiply(input, rescale(scale, size, Smoothness::piecewise, call.batch), call.batch))};
}

}  // namespace rules
}  // namespace seqlift
