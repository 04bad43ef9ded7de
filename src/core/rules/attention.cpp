// Scaled dot products, taken apart into steps that have rules: products (gradient at the midpoint)
// and the exact softmax.
#include <ATen/core/dispatch/Dispatcher.h>

#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/rules.h"
#include "core/rules/steps.h"

namespace seqlift {
namespace rules {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// A product of two values of which any may depend on X.
Halves multiplied(const Nary& product, const Halves& a, const Halves& b, const BatchShape& batch) {
  const bool both = a.ref.requires_grad() && b.ref.requires_grad();
  return both ? midpoint(product, {a, b}, batch) : seqlift::linear(product, {a, b});
}

Halves filled(const Halves& value, const Halves& where, double with) {
  return seqlift::linear(
      [with](const Operands& parts) { return parts[0].masked_fill(parts[1], with); },
      {value, where});
}

Halves on_both(const Halves& value, const Unary& function) {
  return {function(value.x), function(value.ref)};
}

bool is_given(const Call& call, const char* name) {
  const int position = call.find(name);
  return position >= 0 && !call.constant(position).isNone() &&
         !(call.constant(position).isTensor() && !call.constant(position).toTensor().defined());
}

// Which scores take no part, true for those that do not, or nothing.
struct Mask {
  bool given = false;
  Halves blocked;
};

// softmax(scores), scores that are blocked left out. `empty_is_zero`: a row of which everything is
// blocked gives zero, not NaN.
Halves masked_softmax(const Halves& scores, const Mask& mask, bool empty_is_zero,
                      const BatchShape& batch) {
  if (!mask.given) {
    return seqlift::softmax(scores, -1, batch);
  }
  const Halves left = filled(scores, mask.blocked, -infinity);
  if (!empty_is_zero) {
    return seqlift::softmax(left, -1, batch);
  }
  const Halves empty = on_both(
      left, [](const at::Tensor& value) { return (value.detach() == -infinity).all(-1, true); });
  return filled(seqlift::softmax(filled(left, empty, 0), -1, batch), empty, 0);
}

struct Attended {
  Halves output;
  Halves weights;
};

// softmax(scale q k^T + bias) v over the last two dimensions.
Attended attend(const Halves& query, const Halves& key, const Halves& value, double scale,
                const Halves& bias, const Mask& mask, bool empty_is_zero, const BatchShape& batch) {
  const Nary similarity = [scale](const Operands& parts) {
    return at::matmul(parts[0] * scale, parts[1].transpose(-2, -1));
  };
  const Nary weighted = [](const Operands& parts) { return at::matmul(parts[0], parts[1]); };
  Halves scores = multiplied(similarity, query, key, batch);
  scores = bias.ref.defined() ? add(scores, bias) : scores;
  const Halves weights = masked_softmax(scores, mask, empty_is_zero, batch);
  return {multiplied(weighted, weights, value, batch), weights};
}

}  // namespace

std::vector<Value> scaled_dot_product_attention(Call& call) {
  const Halves query = call.halves(call.find("query"));
  Halves key = call.halves(call.find("key"));
  Halves value = call.halves(call.find("value"));
  if (flag(call, "enable_gqa")) {
    // Several heads of the query share one of key and value.
    const auto shared = [&](const Halves& heads) {
      return seqlift::linear(
          [&](const at::Tensor& whole) {
            return whole.repeat_interleave(query.ref.size(-3) / whole.size(-3), -3);
          },
          heads);
    };
    key = shared(key);
    value = shared(value);
  }
  const double scale = is_given(call, "scale")
                           ? call.constant(call.find("scale")).toScalar().toDouble()
                           : 1 / std::sqrt(static_cast<double>(query.ref.size(-1)));
  Halves bias;
  Mask mask;
  if (is_given(call, "attn_mask")) {
    const Halves given = call.halves(call.find("attn_mask"));
    if (given.ref.scalar_type() == at::kBool) {
      mask = {true, on_both(given, [](const at::Tensor& kept) { return kept.logical_not(); })};
    } else {
      bias = given;
      mask = {true,
              on_both(given, [](const at::Tensor& added) { return added.detach() == -infinity; })};
    }
  }
  if (flag(call, "is_causal")) {
    const at::Tensor later = at::ones({query.ref.size(-2), key.ref.size(-2)},
                                      query.ref.options().dtype(at::kBool).requires_grad(false))
                                 .tril()
                                 .logical_not();
    mask = {true, {later, later}};
  }
  // LibTorch gives zero for a row without anything to attend to since it has a softmax for it.
  static const bool empty_is_zero =
      c10::Dispatcher::singleton().findSchema({"aten::_safe_softmax", ""}).has_value();
  const Attended result = attend(query, key, value, scale, bias, mask, empty_is_zero, call.batch);
  std::vector<Value> results{to_value(result.output)};
  if (call.node->outputs().size() > 1) {
    const bool wanted = flag(call, "need_attn_weights");
    results.push_back(wanted ? to_value(result.weights) : to_value(at::Tensor(), at::Tensor()));
  }
  return results;
}

}  // namespace rules
}  // namespace seqlift
