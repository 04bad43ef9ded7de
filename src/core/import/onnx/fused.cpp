// Operators that onnxruntime writes when it optimises a model (domain "com.microsoft"): several of
// ONNX's own in one. By their published definitions (onnxruntime: docs/ContribOperators.md).
#include <cmath>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

namespace {

// The activation that a product or convolution ends in.
ProgramValue activated(Operator& op, const ProgramValue& x, const std::string& name,
                       const std::vector<double>& parameters) {
  const auto parameter = [&](size_t i, double otherwise) {
    return i < parameters.size() ? parameters[i] : otherwise;
  };
  if (name.empty()) {
    return x;
  }
  if (name == "Relu" || name == "Sigmoid" || name == "Tanh" || name == "HardSwish") {
    return op.same(name == "Relu"      ? "relu"
                   : name == "Sigmoid" ? "sigmoid"
                   : name == "Tanh"    ? "tanh"
                                       : "hardswish",
                   x);
  }
  if (name == "LeakyRelu") {
    return op.same("leaky_relu", x, {{"negative_slope", parameter(0, 0.01)}});
  }
  if (name == "Clip" && parameters.size() == 2) {
    return op.same("clamp", x, {{"min", parameters[0]}, {"max", parameters[1]}});
  }
  if (name != "HardSigmoid") {
    op.refuse("has the activation \"" + printable(name) + "\", which is not known here");
  }
  const ProgramValue line = op.shifted(op.scaled(x, parameter(0, 0.2)), parameter(1, 0.5));
  return op.same("clamp", line, {{"min", 0.0}, {"max", 1.0}});
}

ProgramValue turned(Operator& op, const ProgramValue& x, const char* attribute) {
  if (op.whole(attribute, 0) == 0) {
    return x;
  }
  if (x.rank() < 2) {
    op.refuse("turns an input of fewer than 2 dimensions");
  }
  Sizes order;
  for (int64_t i = 0; i < x.rank(); ++i) {
    order.push_back(i);
  }
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  return op.permuted(x, order);
}

// x over the root of the mean of its squares.
ProgramValue by_root_mean_square(Operator& op, const ProgramValue& x, const ProgramValue& scale,
                                 double eps, int64_t axis) {
  Sizes axes;
  Sizes sizes = x.sizes;
  for (int64_t i = axis; i < x.rank(); ++i) {
    axes.push_back(i);
    sizes[static_cast<size_t>(i)] = 1;
  }
  const ProgramValue mean =
      op.emit("mean.dim", {{"self", op.same("square", x)}, {"dim", axes}, {"keepdim", true}}, sizes,
              x.dtype);
  return op.multiply(op.multiply(x, op.same("rsqrt", op.shifted(mean, eps))), scale);
}

ProgramValue gelu_of(Operator& op, const ProgramValue& x, const char* form) {
  return op.same("gelu", x, {{"approximate", form}});
}

}  // namespace

// act(X * W + B + Z)
void fused_convolution(Operator& op) {
  const std::string activation = op.text("activation", "");
  const std::vector<double> parameters = op.reals("activation_params");
  convolution(op);
  ProgramValue sum = op.result();
  if (op.given(3)) {
    sum = op.add(sum, op.in(3));
  }
  op.class_name = "onnx.FusedConv";  // more than a convolution
  op.give(activated(op, sum, activation, parameters));
}

void fused_gemm(Operator& op) {
  const std::string activation = op.text("activation", "");
  std::vector<double> parameters;
  for (const char* name : {"activation_alpha", "activation_beta", "activation_gamma"}) {
    if (op.has(name)) {
      parameters.push_back(op.real(name, 0));
    }
  }
  gemm(op);
  op.class_name = "onnx.FusedGemm";
  op.give(activated(op, op.result(), activation, parameters));
}

// alpha A' B', each turned in its last two dimensions or not.
void fused_matmul(Operator& op) {
  const double alpha = op.real("alpha", 1);
  for (const char* name : {"transBatchA", "transBatchB"}) {
    if (op.whole(name, 0) != 0) {
      op.refuse("turns dimensions before the last two (`" + std::string(name) +
                "`), which is not supported");
    }
  }
  const ProgramValue x = turned(op, op.in(0), "transA");
  const ProgramValue y = turned(op, op.in(1), "transB");
  op.give(op.scaled(product_of_matrices(op, x, y), alpha));
}

// Of the sum of both, as x (1 + erf(x / sqrt(2))) / 2; FastGelu by tanh.
void bias_gelu(Operator& op) {
  const bool fast = op.node.operation == "FastGelu";
  const ProgramValue x = op.given(1) ? op.add(op.in(0), op.in(1)) : op.in(0);
  op.give(gelu_of(op, x, fast ? "tanh" : "none"));
}

void quick_gelu(Operator& op) {
  const ProgramValue& x = op.in(0);
  op.give(op.multiply(x, op.same("sigmoid", op.scaled(x, op.real("alpha", 1.702)))));
}

// The last dimension of x plus a bias.
void bias_softmax(Operator& op) {
  const ProgramValue x = op.add(op.in(0), op.in(1));
  op.ignore("is_inner_broadcast");
  const int64_t axis = op.axis(op.whole("axis", 1), x.rank());
  if (product_of(x.sizes, static_cast<size_t>(axis) + 1) != 1) {
    op.refuse("has an axis before the last, which is not supported");
  }
  op.give(op.same("softmax.int", x, {{"dim", axis}}));
}

// Of a sum of two and a bias over the last dimension; the fourth output is that sum.
void skip_layer_normalisation(Operator& op) {
  const bool simple = op.node.operation == "SkipSimplifiedLayerNormalization";
  const double eps = op.real("epsilon", 1e-12);
  ProgramValue sum = op.add(op.in(0), op.in(1));
  const size_t bias = simple ? 3 : 4;
  if (op.given(bias)) {
    sum = op.add(sum, op.in(bias));
  }
  if (sum.rank() < 1) {
    op.refuse("has an input without dimensions");
  }
  if (simple) {
    op.give(by_root_mean_square(op, sum, op.in(2), eps, sum.rank() - 1));
  } else {
    const ProgramValue normal = op.emit("layer_norm",
                                        {{"input", sum},
                                         {"normalized_shape", Wholes{op.build.sizes(sum).back()}},
                                         {"weight", op.in(2)},
                                         {"bias", op.given(3) ? Argument(op.in(3)) : Argument()},
                                         {"eps", eps},
                                         {"cudnn_enable", false}},
                                        sum.sizes, sum.dtype);
    op.give(normal);
  }
  op.give(sum, 3);
}

// ONNX's own since version 23; onnxruntime's SimplifiedLayerNormalization before.
void rms_normalisation(Operator& op) {
  const ProgramValue& x = op.in(0);
  op.ignore("stash_type");  // the type that the mean is computed in
  const int64_t axis = op.axis(op.whole("axis", -1), x.rank());
  op.give(by_root_mean_square(op, x, op.in(1), op.real("epsilon", 1e-5), axis));
}

// x / (bias + alpha / size * (the squares of `size` channels around))^beta: ONNX's LRN.
void local_response_normalisation(Operator& op) {
  const ProgramValue& x = op.in(0);
  const int64_t size = op.whole("size", 0);
  const int64_t channels = x.rank() < 2 ? -1 : x.sizes[1];
  if (size < 1 || channels < 1 || channels > 1 << 13) {
    op.refuse("goes over " + std::to_string(size) + " of " + std::to_string(channels) +
              " channels, which is not supported");
  }
  const int64_t before = (size - 1) / 2;
  const int64_t after = size - 1 - before;
  // Which channels are around which.
  const at::Tensor place = at::arange(channels, at::TensorOptions(at::kLong));
  const at::Tensor apart = place.unsqueeze(0) - place.unsqueeze(1);  // [of, around]
  const at::Tensor around = apart.ge(-before).logical_and(apart.le(after)).to(at::kDouble);
  Sizes order;
  for (int64_t i = 0; i < x.rank(); ++i) {
    order.push_back(i);
  }
  std::swap(order[1], order.back());
  const ProgramValue squares = op.permuted(op.same("square", x), order);
  const ProgramValue sums = op.permuted(op.emit("linear",
                                                {{"input", squares},
                                                 {"weight", op.build.constant(around.to(x.dtype))},
                                                 {"bias", Argument()}},
                                                squares.sizes, x.dtype),
                                        order);
  const double alpha = op.real("alpha", 1e-4) / static_cast<double>(size);
  const ProgramValue base = op.shifted(op.scaled(sums, alpha), op.real("bias", 1));
  op.give(op.two("div.Tensor", x,
                 op.same("pow.Tensor_Scalar", base, {{"exponent", op.real("beta", 0.75)}})));
}

}  // namespace onnx
}  // namespace seqlift
