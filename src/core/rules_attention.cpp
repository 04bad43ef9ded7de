// Attention that LibTorch runs as one operation, taken apart into steps that have rules: linear
// projections, products (gradient at the midpoint), the exact softmax, normalisations, rescale.
#include <ATen/core/dispatch/Dispatcher.h>

#include <cmath>
#include <limits>

#include "error.h"
#include "steps.h"
#include "tensor_functions.h"

namespace seqlift {
namespace rules {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// A product of two values of which any may depend on X.
Halves multiplied(const Nary& product, const Halves& a, const Halves& b, const BatchShape& batch) {
  const bool both = a.ref.requires_grad() && b.ref.requires_grad();
  return both ? midpoint(product, {a, b}, batch) : seqlift::linear(product, {a, b});
}

Halves dense(const Halves& input, const at::Tensor& weight, const at::Tensor& bias) {
  return seqlift::linear([&](const at::Tensor& value) { return at::linear(value, weight, bias); },
                         input);
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

at::Tensor weight(const Call& call, const char* name) {
  if (!is_given(call, name)) {
    return {};
  }
  if (call.depends(call.find(name))) {
    throw Error("unsupported_operation",
                call.where() + " takes a " + name + " that depends on X, which has no rule.");
  }
  return call.constant(call.find(name)).toTensor();
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

// [n, T, heads d] as [n, heads, T, d] and back.
Halves split_heads(const Halves& value, int64_t heads) {
  return seqlift::linear(
      [heads](const at::Tensor& whole) {
        return whole.unflatten(-1, {heads, whole.size(-1) / heads}).transpose(1, 2);
      },
      value);
}

Halves join_heads(const Halves& value) {
  return seqlift::linear([](const at::Tensor& heads) { return heads.transpose(1, 2).flatten(2); },
                         value);
}

// The masks of LibTorch's own multi-head attention, true where something is left out: of [T, T]
// scores (type 0), of padded positions [n, T] (type 1), or of everything [n, heads, T, T]. Numbers
// other than zero count as true, as the operation has it.
Mask native_mask(const Call& call) {
  if (!is_given(call, "mask")) {
    return {};
  }
  const bool padding =
      is_given(call, "mask_type") && call.constant(call.find("mask_type")).toInt() == 1;
  const Halves mask = on_both(call.halves(call.find("mask")), [&](const at::Tensor& given) {
    const at::Tensor blocked = given.to(at::kBool);
    return blocked.dim() != 2 ? blocked
           : padding          ? blocked.unsqueeze(1).unsqueeze(1)
                              : blocked.unsqueeze(0).unsqueeze(0);
  });
  return {true, mask};
}

void check_native(const Call& call, const char* input) {
  if (call.halves(call.find(input)).ref.is_nested()) {
    throw Error("unsupported_operation",
                call.where() + " runs over a nested tensor, which has no rule.");
  }
  if (call.find("mask") >= 0 && call.depends(call.find("mask"))) {
    throw Error("unsupported_operation",
                call.where() + " takes a mask that depends on X, which has no rule.");
  }
}

// Projections of query, key and value, attention, projection of the heads' results.
Attended native_attention(const Call& call, const Halves& query, const Halves& key,
                          const Halves& value, int64_t heads) {
  const auto weights = weight(call, "qkv_weight").chunk(3);
  const auto biases = weight(call, "qkv_bias").chunk(3);
  const auto project = [&](const Halves& input, int64_t part) {
    return split_heads(dense(input, weights[part], biases[part]), heads);
  };
  const double scale = 1 / std::sqrt(static_cast<double>(weights[0].size(0) / heads));
  Attended result = attend(project(query, 0), project(key, 1), project(value, 2), scale, {},
                           native_mask(call), false, call.batch);
  result.output =
      dense(join_heads(result.output), weight(call, "proj_weight"), weight(call, "proj_bias"));
  return result;
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

std::vector<Value> multi_head_attention(Call& call) {
  for (const char* input : {"query", "key", "value"}) {
    check_native(call, input);
  }
  const int64_t heads = call.constant(call.find("num_head")).toInt();
  const Attended result =
      native_attention(call, call.halves(call.find("query")), call.halves(call.find("key")),
                       call.halves(call.find("value")), heads);
  std::vector<Value> results{to_value(result.output)};
  if (!flag(call, "need_weights")) {
    results.push_back(to_value(at::Tensor(), at::Tensor()));
  } else if (flag(call, "average_attn_weights")) {
    results.push_back(to_value(seqlift::linear(
        [](const at::Tensor& weights) { return weights.mean(1); }, result.weights)));
  } else {
    results.push_back(to_value(result.weights));
  }
  return results;
}

// Attention and a feed-forward net, each with its residual and a layer norm before or after it.
std::vector<Value> transformer_encoder_layer(Call& call) {
  check_native(call, "src");
  const Halves source = call.halves(call.find("src"));
  const bool norm_first = flag(call, "norm_first");
  const double eps = call.constant(call.find("eps")).toDouble();
  const auto norm = [&](const Halves& value, bool second) {
    return seqlift::layer_norm(value, 1, weight(call, second ? "norm_weight_2" : "norm_weight_1"),
                               weight(call, second ? "norm_bias_2" : "norm_bias_1"), eps,
                               call.batch);
  };
  const int64_t heads = call.constant(call.find("num_heads")).toInt();
  const Halves attended_from = norm_first ? norm(source, false) : source;
  Halves attended = add(
      native_attention(call, attended_from, attended_from, attended_from, heads).output, source);
  attended = norm_first ? attended : norm(attended, false);

  const bool gelu = flag(call, "use_gelu");
  const Unary activation = [gelu](const at::Tensor& value) {
    return gelu ? at::gelu(value) : at::relu(value);
  };
  const Halves wide = dense(norm_first ? norm(attended, true) : attended,
                            weight(call, "ffn_weight_1"), weight(call, "ffn_bias_1"));
  const Halves active = rescale(activation, wide, gelu ? Bend::smooth : Bend::kinked, call.batch);
  const Halves result =
      add(dense(active, weight(call, "ffn_weight_2"), weight(call, "ffn_bias_2")), attended);
  return {to_value(norm_first ? result : norm(result, true))};
}

}  // namespace rules
}  // namespace seqlift
