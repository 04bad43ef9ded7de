// Operators of one tensor, each number for itself, and softmax.
#include <cmath>
#include <limits>
#include <map>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"
#include "core/import/onnx/tensor.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

void unary(Operator& op) {
  static const std::map<std::string, const char*> targets = {{"Relu", "relu"},
                                                             {"Sigmoid", "sigmoid"},
                                                             {"Tanh", "tanh"},
                                                             {"Mish", "mish"},
                                                             {"HardSwish", "hardswish"},
                                                             {"Abs", "abs"},
                                                             {"Neg", "neg"},
                                                             {"Exp", "exp"},
                                                             {"Log", "log"},
                                                             {"Sqrt", "sqrt"},
                                                             {"Reciprocal", "reciprocal"},
                                                             {"Erf", "erf"},
                                                             {"Floor", "floor"},
                                                             {"Ceil", "ceil"},
                                                             {"Round", "round"},
                                                             {"Sign", "sign"},
                                                             {"Sin", "sin"},
                                                             {"Cos", "cos"},
                                                             {"Tan", "tan"},
                                                             {"Asin", "asin"},
                                                             {"Acos", "acos"},
                                                             {"Atan", "atan"},
                                                             {"Sinh", "sinh"},
                                                             {"Cosh", "cosh"},
                                                             {"Asinh", "asinh"},
                                                             {"Acosh", "acosh"},
                                                             {"Atanh", "atanh"},
                                                             {"Not", "logical_not"},
                                                             {"IsNaN", "isnan"}};
  const ProgramValue& x = op.in(0);
  const std::string& name = op.node.operation;
  const auto numbers = x.wholes;
  if (name == "Neg" && numbers) {
    Wholes wholes;
    for (const Whole& one : *numbers) {
      wholes.push_back(op.build.compute("sub", 0, one));
    }
    return op.give(op.build.of_wholes(wholes, x.rank() == 0, x.dtype));
  }
  const bool logical = name == "Not" || name == "IsNaN";
  const ProgramValue result = op.same(targets.at(name), x);
  if (logical && !result.constant) {
    ProgramValue flags = result;
    flags.dtype = at::kBool;
    return op.give(flags);
  }
  op.give(result);
}

// x / (1 + |x|)
void softsign(Operator& op) {
  const ProgramValue& x = op.in(0);
  op.give(op.two("div.Tensor", x, op.shifted(op.same("abs", x), 1)));
}

// log(1 + exp(x)); LibTorch takes x for it above a threshold, whose own is 20.
void softplus(Operator& op) {
  op.give(op.same("softplus", op.in(0), {{"beta", 1}, {"threshold", 40}}));
}

void elu(Operator& op) {
  op.give(
      op.same("elu", op.in(0), {{"alpha", op.real("alpha", 1)}, {"scale", 1}, {"input_scale", 1}}));
}

void selu(Operator& op) {
  // PyTorch has the same two numbers in double precision.
  const double alpha = op.real("alpha", 1.67326319217681884765625);
  const double gamma = op.real("gamma", 1.05070102214813232421875);
  const bool own =
      std::abs(alpha - 1.6732632423543772) < 1e-6 && std::abs(gamma - 1.0507009873554805) < 1e-6;
  op.give(own ? op.same("selu", op.in(0))
              : op.same("elu", op.in(0), {{"alpha", alpha}, {"scale", gamma}, {"input_scale", 1}}));
  if (!own) {
    op.class_name = "onnx.Selu";
  }
}

void celu(Operator& op) { op.give(op.same("celu", op.in(0), {{"alpha", op.real("alpha", 1)}})); }

void leaky_relu(Operator& op) {
  op.give(op.same("leaky_relu", op.in(0), {{"negative_slope", op.real("alpha", 0.01)}}));
}

// PyTorch has one slope or one for each channel, dimension 1; ONNX whatever broadcasts.
void prelu(Operator& op) {
  const ProgramValue& x = op.in(0);
  const ProgramValue& slope = op.in(1);
  const int64_t count = product_of(slope.sizes);
  const bool by_channel = slope.rank() > 0 && slope.rank() <= x.rank() && x.rank() >= 2 &&
                          x.rank() - slope.rank() <= 1 && count >= 0 &&
                          slope.sizes[static_cast<size_t>(slope.rank() - x.rank() + 1)] == count &&
                          x.sizes[1] == count;
  if (count == 1 || by_channel) {
    return op.give(
        op.emit("prelu", {{"self", x}, {"weight", op.reshaped(slope, {count})}}, x.sizes, x.dtype));
  }
  op.class_name = "onnx.PRelu";
  // max(x, 0) - slope max(-x, 0)
  const ProgramValue below = op.same("relu", op.same("neg", x));
  op.give(op.two("sub.Tensor", op.same("relu", x), op.multiply(below, slope)));
}

void hard_sigmoid(Operator& op) {
  const double alpha = op.real("alpha", 0.2);
  const double beta = op.real("beta", 0.5);
  if (std::abs(alpha - 1. / 6) < 1e-7 && beta == 0.5) {
    return op.give(op.same("hardsigmoid", op.in(0)));
  }
  op.class_name = "onnx.HardSigmoid";
  const ProgramValue line = op.shifted(op.scaled(op.in(0), alpha), beta);
  op.give(op.same("hardtanh", line, {{"min_val", 0}, {"max_val", 1}}));
}

void thresholded_relu(Operator& op) {
  op.give(op.same("threshold", op.in(0), {{"threshold", op.real("alpha", 1)}, {"value", 0}}));
}

void shrink(Operator& op) {
  const double lambda = op.real("lambd", 0.5);
  const double bias = op.real("bias", 0);
  if (bias != 0 && bias != lambda) {
    op.refuse("has a `bias` that is neither 0 nor `lambd`");
  }
  op.give(op.same(bias == 0 ? "hardshrink" : "softshrink", op.in(0), {{"lambd", lambda}}));
}

void clip(Operator& op) {
  const ProgramValue& x = op.in(0);
  const double none = std::numeric_limits<double>::infinity();
  const bool by_attribute = op.has("min") || op.has("max");
  double low = op.real("min", -none);
  double high = op.real("max", none);
  ProgramValue result = x;
  // Bounds that are computed are a maximum and a minimum.
  const auto bound = [&](size_t index, double& number, const char* target) {
    if (by_attribute || !op.given(index)) {
      return;
    }
    const at::Tensor known = op.build.known(op.in(index));
    if (known.defined()) {
      number = op.known_number(index, "a bound");
    } else {
      result = op.two(target, result, op.in(index));
    }
  };
  bound(1, low, "maximum");
  bound(2, high, "minimum");
  // The lowest number of the type stands for no bound at all.
  const double lowest = -static_cast<double>(std::numeric_limits<float>::max());
  const auto argument = [&](double number, bool none_given) {
    if (none_given) {
      return Argument();
    }
    return x.is_float() ? Argument(number) : Argument(static_cast<int64_t>(number));
  };
  const bool no_low = low <= lowest;
  const bool no_high = high >= -lowest;
  if (!no_low || !no_high) {
    result = op.same("clamp", result,
                     {{"min", argument(low, no_low)}, {"max", argument(high, no_high)}});
  }
  op.give(result);
}

void gelu(Operator& op) {
  const std::string form = op.text("approximate", "none");
  if (form != "none" && form != "tanh") {
    op.refuse("has the form \"" + form + "\", which is not known here");
  }
  op.give(op.same("gelu", op.in(0), {{"approximate", form == "tanh" ? "tanh" : "none"}}));
}

// Before version 13 all dimensions from the axis on are one.
void softmax(Operator& op) {
  const std::string target = op.node.operation == "Softmax" ? "softmax.int" : "log_softmax.int";
  const ProgramValue& x = op.in(0);
  const bool joins = op.version < 13;
  const int64_t axis = op.axis(op.whole("axis", joins ? 1 : -1), x.rank());
  const int64_t rest = product_of(x.sizes, static_cast<size_t>(axis) + 1);
  if (!joins || rest == 1) {
    return op.give(op.same(target, x, {{"dim", axis}}));
  }
  Sizes flat(x.sizes.begin(), x.sizes.begin() + axis);
  flat.push_back(product_of(x.sizes, static_cast<size_t>(axis)));
  const ProgramValue row = op.emit(
      "flatten.using_ints", {{"self", x}, {"start_dim", axis}, {"end_dim", -1}}, flat, x.dtype);
  op.give(op.reshaped(op.same(target, row, {{"dim", -1}}), op.build.sizes(x)));
}

void dropout(Operator& op) {
  op.ignore("ratio");
  op.ignore("seed");
  const bool training = op.given(2) && op.known_number(2, "a mode") != 0;
  if (training) {
    op.refuse("was exported in training mode");
  }
  op.give(op.in(0));
}

void identity(Operator& op) { op.give(op.in(0)); }

void cast(Operator& op) {
  const ProgramValue& x = op.in(0);
  op.ignore("saturate");
  const at::ScalarType to = op.node.operation == "CastLike"
                                ? op.in(1).dtype
                                : scalar_type(op.whole("to", 0), "its result");
  const bool whole = !at::isFloatingType(to) && to != at::kBool;
  if (x.wholes && whole) {
    ProgramValue result = x;
    result.dtype = to;
    return op.give(result);
  }
  if (to == x.dtype) {
    return op.give(x);
  }
  op.give(op.emit("to.dtype", {{"self", x}, {"dtype", to}}, x.sizes, to));
}

namespace {

std::string plain(double number) {
  char text[40];
  std::snprintf(text, sizeof(text), "%.17e", number);
  return text;
}

}  // namespace

// The activation as an expression of "{x}". Parameters come one after the other for those that take
// any.
std::string activation_expression(Operator& op, const std::string& name,
                                  const std::vector<double>& alphas,
                                  const std::vector<double>& betas, size_t& alpha, size_t& beta) {
  static const std::map<std::string, const char*> simple = {
      {"Relu", "torch.relu({x})"},
      {"Tanh", "torch.tanh({x})"},
      {"Sigmoid", "torch.sigmoid({x})"},
      {"Softplus", "torch.softplus({x}, 1, 40)"},
      {"Softsign", "({x}) / (torch.abs({x}) + 1)"}};
  const auto found = simple.find(name);
  if (found != simple.end()) {
    return found->second;
  }
  const auto next = [](const std::vector<double>& given, size_t& at, double otherwise) {
    return plain(at < given.size() ? given[at++] : (++at, otherwise));
  };
  if (name == "HardSigmoid") {
    const std::string a = next(alphas, alpha, 0.2);
    const std::string b = next(betas, beta, 0.5);
    return "torch.hardtanh(({x}) * " + a + " + " + b + ", 0, 1)";
  }
  if (name == "LeakyRelu") {
    return "torch.leaky_relu({x}, " + next(alphas, alpha, 0.01) + ")";
  }
  if (name == "Elu") {
    return "torch.elu({x}, " + next(alphas, alpha, 1) + ")";
  }
  if (name == "ThresholdedRelu") {
    return "torch.threshold({x}, " + next(alphas, alpha, 1) + ", 0)";
  }
  if (name == "ScaledTanh" || name == "Affine") {
    if (alpha >= alphas.size() || (beta >= betas.size())) {
      op.refuse("has an activation " + name + " without its parameters");
    }
    const std::string a = next(alphas, alpha, 1);
    const std::string b = next(betas, beta, 1);
    return name == "Affine" ? "({x}) * " + a + " + " + b : "torch.tanh(({x}) * " + b + ") * " + a;
  }
  op.refuse("has the activation \"" + printable(name) + "\", which is not known here");
}

}  // namespace onnx
}  // namespace seqlift
