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
  // With t = -|a - b|, exp(max) expm1(t) / t keeps its digits when a and b are close, and does not
  // overflow when one is far below the other.
  const at::Tensor t = (a - b).abs_().neg_();
  // expm1(t) / t = 1 + t/2 + t^2/6 + t^3/24 + ...: below 1e-3 three terms miss by 1e-14.
  const at::Tensor series = (t / 4).add_(1).mul_(t).div_(3).add_(1).mul_(t).div_(2).add_(1);
  const at::Tensor quotient = at::expm1(t).div_(t);
  const at::Tensor slope = at::maximum(a, b).exp_().mul_(at::where(t > -1e-3, series, quotient));
  // Masked with -Inf on both sides: no change, and no weight.
  return slope.masked_fill_(t.isnan(), 0);
}

// The difference quotient of exp(x - l) between the halves, and w (see above), in double. `x` and
// `ref` are of one shape and in double.
struct LogSlopes {
  at::Tensor l_x;
  at::Tensor l_ref;
  at::Tensor weight;
};

LogSlopes log_slopes(const at::Tensor& x, const at::Tensor& ref, const std::vector<int64_t>& dims) {
  LogSlopes slopes{at::logsumexp(x, dims, true), at::logsumexp(ref, dims, true), {}};
  const at::Tensor top = at::maximum(slopes.l_x, slopes.l_ref);
  // (l - l') / (s - s') in units of exp(M) is 1 / slope of exp between l and l'.
  const at::Tensor of_log = 1 / exp_slope(slopes.l_x - top, slopes.l_ref - top);
  slopes.weight = exp_slope(x - top, ref - top).mul_(of_log);
  return slopes;
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
    return log_slopes(repeat_x(x, given, batch).to(at::kDouble), given.to(at::kDouble), dims)
        .weight.to(given.scalar_type());
  };
  const at::Tensor weight = slope_in_tiles(input.x, ref, dims, batch, weight_of);
  output.ref = attach(output.ref, {input.ref}, [weight, dims, keep](const at::Tensor& grad) {
    at::Tensor wide = grad;
    if (!keep) {
      const auto rank = weight.dim();
      std::vector<int64_t> sizes = weight.sizes().vec();
      for (const int64_t dim : dims) {
        sizes[counted_from_front(dim, rank)] = 1;
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

namespace {

// exp(x - l), worked out in double.
at::Tensor probabilities(const at::Tensor& x, const at::Tensor& l, at::ScalarType type) {
  return (x - l).exp_().to(type);
}

// By the pieces that the slopes of this half are formed by, so that it is the same to the last bit
// with them and without.
at::Tensor softmax_of(const at::Tensor& whole, int64_t dim, const BatchShape& batch) {
  return in_tiles(whole, whole, {dim}, batch, 1, [&](const at::Tensor& x, const at::Tensor&) {
    const at::Tensor x64 = x.to(at::kDouble);
    return std::vector<at::Tensor>{
        probabilities(x64, at::logsumexp(x64, {dim}, true), x.scalar_type())};
  })[0];
}

}  // namespace

// log_softmax and exp in one pass: with s_j the rescale slope of exp between the log-probabilities,
// the multipliers are m_j = g_j s_j - w_j sum_i g_i s_i.
Halves softmax(const Halves& input, int64_t dim, const BatchShape& batch) {
  const at::NoGradGuard guard;
  const at::Tensor ref = input.ref.detach();
  check_rows(input.x, ref, batch);
  Halves output;
  output.x = once_tensor(batch.memo, "softmax", [&]() { return softmax_of(input.x, dim, {}); });
  if (Draft::drafts()) {
    output.ref = Draft::without_slope(softmax_of(ref, dim, batch), {input.ref});
    return output;
  }
  const PieceResults pieces = [&](const at::Tensor& x, const at::Tensor& given) {
    const at::ScalarType type = given.scalar_type();
    const at::Tensor x64 = repeat_x(x, given, batch).to(at::kDouble);
    const at::Tensor ref64 = given.to(at::kDouble);
    const LogSlopes slopes = log_slopes(x64, ref64, {dim});
    return std::vector<at::Tensor>{probabilities(ref64, slopes.l_ref, type),
                                   exp_slope(x64 - slopes.l_x, ref64 - slopes.l_ref).to(type),
                                   slopes.weight.to(type)};
  };
  const std::vector<at::Tensor> parts = in_tiles(input.x, ref, {dim}, batch, 3, pieces);
  output.ref = attach(
      parts[0], {input.ref}, [slope = parts[1], weight = parts[2], dim](const at::Tensor& grad) {
        const at::Tensor share = grad * slope;
        return std::vector<at::Tensor>{share.addcmul_(weight, share.sum({dim}, true), -1)};
      });
  return output;
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
  const int64_t over = call.constant(dim).toInt();
  return {to_value(call.row->form == Form::log ? log_softmax(input, over, call.batch)
                                               : seqlift::softmax(input, over, call.batch))};
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
