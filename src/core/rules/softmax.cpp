// softmax, log_softmax and logsumexp, exact for each sequence-reference pair.
//
// Let l(x) = log sum_j exp(x_j). Chaining exp, sum and log, each by the rescale rule, gives
//   w_j = [(e_j - e'_j) / (x_j - x'_j)] * [(l - l') / (s - s')],   e_j = exp(x_j), s = sum_j e_j,
// so that sum_j w_j (x_j - x'_j) = l - l' exactly. The scale of e cancels: with M = max(l, l'),
// e_j exp(-M) and s exp(-M) are at most 1 and nothing overflows.
//   log_softmax(x)_i = x_i - l(x), linear in x and l;  softmax(x)_i = exp(log_softmax(x)_i),
//   rescaled.
// The multiplier of softmax is therefore a difference quotient of probabilities, never above 1,
// minus its share in l. Writing softmax as exp times the reciprocal of the sum, with a product
// rule, is as exact but grows without bound when x and reference differ by a constant that softmax
// ignores. (Captum and tangermeme 1.4.0 rescale exp and subtract the mean over the whole batch
// instead, which does not sum to the difference: module mode only.)

#include <cmath>

#include "core/base/error.h"
#include "core/halves/joined.h"
#include "core/halves/tiles.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/rules.h"
#include "core/rules/steps.h"

namespace seqlift {
namespace {

// The rescale slope of exp at arguments that are at most 0: (exp a - exp b) / (a - b).
at::Tensor exp_slope(const at::Tensor& a, const at::Tensor& b) {
  // exp(b) expm1(a - b) / (a - b) keeps its digits when a and b are close.
  const at::Tensor change = a - b;
  const at::Tensor small = change.abs() < 1e-3;
  // expm1(t) / t = 1 + t/2 + t^2/6 + t^3/24 + ...: below 1e-3 three terms miss by 1e-14.
  const at::Tensor series = 1 + change / 2 * (1 + change / 3 * (1 + change / 4));
  const at::Tensor quotient = at::expm1(change) / change;
  const at::Tensor slope = at::exp(b) * at::where(small, series, quotient);
  // A far below b: expm1 = -1 and all is well; b far below a overflows, so the larger one leads.
  const at::Tensor mirrored =
      at::exp(a) * at::where(small, 1 - change / 2 * (1 - change / 3 * (1 - change / 4)),
                             at::expm1(-change) / -change);
  // Masked with -Inf on both sides: no change, and no weight.
  return at::where(change.isnan(), at::zeros_like(change), at::where(change < 0, slope, mirrored));
}

}  // namespace

Halves logsumexp(const Halves& input, const std::vector<int64_t>& dims, bool keep,
                 const BatchShape& batch) {
  const at::NoGradGuard guard;
  const at::Tensor ref = input.ref.detach();
  Halves output{at::logsumexp(input.x, dims, keep), at::logsumexp(ref, dims, keep)};
  check_rows(input.x, ref, batch);
  if (Draft::drafts()) {
    output.ref = Draft::without_slope(output.ref, {input.ref});
    return output;
  }
  const PieceSlope weight_of = [&](const at::Tensor& x, const at::Tensor& given) {
    const at::Tensor x64 = repeat_x(x, given, batch).to(at::kDouble);
    const at::Tensor ref64 = given.to(at::kDouble);
    const at::Tensor l_x = at::logsumexp(x64, dims, true);
    const at::Tensor l_ref = at::logsumexp(ref64, dims, true);
    const at::Tensor top = at::maximum(l_x, l_ref);
    // (l - l') / (s - s') in units of exp(M) is 1 / slope of exp between l and l'.
    const at::Tensor of_log = 1 / exp_slope(l_x - top, l_ref - top);
    return (exp_slope(x64 - top, ref64 - top) * of_log).to(given.scalar_type());
  };
  const at::Tensor weight = slope_in_tiles(input.x, ref, dims, batch, weight_of);
  output.ref = attach(output.ref, {input.ref}, [weight, dims, keep](const at::Tensor& grad) {
    at::Tensor wide = grad;
    if (!keep) {
      const auto rank = weight.dim();
      std::vector<int64_t> sizes = weight.sizes().vec();
      for (const int64_t dim : dims) {
        sizes[dim < 0 ? dim + rank : dim] = 1;
      }
      wide = grad.reshape(sizes);
    }
    return std::vector<at::Tensor>{wide * weight};
  });
  return output;
}

Halves log_softmax(const Halves& input, int64_t dim, const BatchShape& batch) {
  const Halves total = logsumexp(input, {dim}, true, batch);
  return subtract(input, total);
}

namespace rules {

namespace {

// exp of a log-probability: its slope is formed like the weights above.
Halves exp_of(const Halves& input, const BatchShape& batch) {
  const at::NoGradGuard guard;
  const at::Tensor ref = input.ref.detach();
  Halves output{at::exp(input.x), at::exp(ref)};
  if (Draft::drafts()) {
    output.ref = Draft::without_slope(output.ref, {input.ref});
    return output;
  }
  const PieceSlope slope_of = [&](const at::Tensor& x, const at::Tensor& given) {
    const at::Tensor x64 = repeat_x(x, given, batch).to(at::kDouble);
    return exp_slope(x64, given.to(at::kDouble)).to(given.scalar_type());
  };
  const at::Tensor slope = slope_in_tiles(input.x, ref, {}, batch, slope_of);
  output.ref = attach(output.ref, {input.ref}, [slope](const at::Tensor& grad) {
    return std::vector<at::Tensor>{grad * slope};
  });
  return output;
}

}  // namespace
}  // namespace rules

Halves softmax(const Halves& input, int64_t dim, const BatchShape& batch) {
  return rules::exp_of(log_softmax(input, dim, batch), batch);
}

namespace rules {

std::vector<Value> softmax(Call& call) {
  const int dim = call.find("dim");
  Halves input = in_dtype(call, call.halves(0));
  if (call.row->form == Form::sum) {
    const bool keep = flag(call, "keepdim");
    return {to_value(logsumexp(input, int_list(call, "dim"), keep, call.batch))};
  }
  if (call.row->form == Form::negative) {
    input = seqlift::linear([](const at::Tensor& value) { return -value; }, input);
  }
  const Halves log_probability = log_softmax(input, call.constant(dim).toInt(), call.batch);
  const bool log = call.row->form == Form::log;
  return {to_value(log ? log_probability : exp_of(log_probability, call.batch))};
}

// logaddexp(a, b): the logsumexp of the two side by side; to base 2, in units of log 2.
std::vector<Value> logaddexp(Call& call) {
  const double unit = call.row->form == Form::base_two ? std::log(2.0) : 1;
  const Nary together = [unit](const Operands& ab) {
    return at::stack(at::broadcast_tensors({ab[0] * unit, ab[1] * unit}), -1);
  };
  const Halves both = seqlift::linear(together, {call.halves(0), call.halves(1)});
  return {to_value(seqlift::linear([unit](const at::Tensor& value) { return value / unit; },
                                   logsumexp(both, {-1}, false, call.batch)))};
}

std::vector<Value> logcumsumexp(Call& call) {
  const Combine combine = [&](const Halves& a, const Halves& b) {
    const Nary together = [](const Operands& ab) { return at::stack({ab[0], ab[1]}, -1); };
    return logsumexp(seqlift::linear(together, {a, b}), {-1}, false, call.batch);
  };
  return {to_value(scan(call.halves(0), int_list(call, "dim")[0], combine))};
}

}  // namespace rules
}  // namespace seqlift
