// Operators of several tensors that are broadcast, and the same on the numbers of a shape.
#include <algorithm>
#include <cmath>
#include <map>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

namespace {

// Both as numbers that can be followed, where neither is a tensor that is computed and one of them
// is such a list: broadcast to one length.
bool read_wholes(Operator& op, Wholes& one, Wholes& other, bool& scalar) {
  const ProgramValue& a = op.in(0);
  const ProgramValue& b = op.in(1);
  if (!a.wholes && !b.wholes) {
    return false;
  }
  const auto first = op.build.contents(a);
  const auto second = op.build.contents(b);
  if (!first || !second) {
    return false;
  }
  one = *first;
  other = *second;
  if (one.size() != other.size() && one.size() != 1 && other.size() != 1) {
    return false;
  }
  const size_t count = one.empty() || other.empty() ? 0 : std::max(one.size(), other.size());
  one.resize(count, one.empty() ? Whole() : one[0]);
  other.resize(count, other.empty() ? Whole() : other[0]);
  scalar = a.rank() == 0 && b.rank() == 0;
  return true;
}

// Sizes are no negative numbers, for which ONNX rounds the other way.
bool compute_wholes(Operator& op, const std::string& operation) {
  Wholes one;
  Wholes other;
  bool scalar = false;
  if (!read_wholes(op, one, other, scalar)) {
    return false;
  }
  Wholes result;
  for (size_t i = 0; i < one.size(); ++i) {
    result.push_back(op.build.compute(operation, one[i], other[i]));
  }
  op.give(op.build.of_wholes(result, scalar, op.in(0).dtype));
  return true;
}

// A number in one dimension or none, which LibTorch may be told as such.
bool is_number(const ProgramValue& value) {
  return value.constant && value.constant->tensor.numel() == 1;
}

}  // namespace

void binary(Operator& op) {
  static const std::map<std::string, std::pair<const char*, const char*>> targets = {
      {"Add", {"add.Tensor", "add"}},    {"Sub", {"sub.Tensor", "sub"}},
      {"Mul", {"mul.Tensor", "mul"}},    {"Div", {"div.Tensor", "floordiv"}},
      {"And", {"logical_and", nullptr}}, {"Or", {"logical_or", nullptr}},
      {"Xor", {"logical_xor", nullptr}}};
  const auto& [target, operation] = targets.at(op.node.operation);
  if (operation && compute_wholes(op, operation)) {
    return;
  }
  const ProgramValue& x = op.in(0);
  const ProgramValue& y = op.in(1);
  if (op.node.operation == "Div" && !x.is_float()) {
    return op.give(op.emit("div.Tensor_mode",
                           {{"self", x}, {"other", y}, {"rounding_mode", "trunc"}},
                           broadcast(x.sizes, y.sizes), x.dtype));
  }
  op.give(op.two(target, x, y));
}

void variadic(Operator& op) {
  const std::string& name = op.node.operation;
  const bool extreme = name == "Max" || name == "Min";
  if (op.count() == 2 && extreme && compute_wholes(op, name == "Max" ? "max" : "min")) {
    return;
  }
  ProgramValue result = op.in(0);
  for (size_t i = 1; i < op.count(); ++i) {
    result = op.two(name == "Max"   ? "maximum"
                    : name == "Min" ? "minimum"
                                    : "add.Tensor",
                    result, op.in(i));
  }
  if (name == "Mean" && op.count() > 1) {
    result = op.same("div.Scalar", result, {{"other", static_cast<int64_t>(op.count())}});
  }
  op.give(result);
}

void power(Operator& op) {
  const ProgramValue& x = op.in(0);
  const ProgramValue& y = op.in(1);
  if (is_number(y) && x.is_float() && y.rank() <= x.rank()) {
    const double exponent = op.known_number(1, "an exponent");
    if (exponent == 2) {
      return op.give(op.same("square", x));
    }
    if (exponent == 0.5) {
      return op.give(op.same("sqrt", x));
    }
    return op.give(op.same("pow.Tensor_Scalar", x, {{"exponent", exponent}}));
  }
  // The result is of the base's type: 3 ^ 0.5 of whole numbers is 1.
  if (!x.is_float() && y.is_float()) {
    const ProgramValue base =
        op.emit("to.dtype", {{"self", x}, {"dtype", at::kDouble}}, x.sizes, at::kDouble);
    const ProgramValue result = op.emit("pow.Tensor_Tensor", {{"self", base}, {"exponent", y}},
                                        broadcast(x.sizes, y.sizes), at::kDouble);
    return op.give(
        op.emit("to.dtype", {{"self", result}, {"dtype", x.dtype}}, result.sizes, x.dtype));
  }
  op.give(op.emit("pow.Tensor_Tensor", {{"self", x}, {"exponent", y}}, broadcast(x.sizes, y.sizes),
                  x.dtype));
}

void modulus(Operator& op) {
  const bool like_c = op.whole("fmod", 0) != 0;
  if (!like_c && compute_wholes(op, "mod")) {
    return;
  }
  op.give(op.two(like_c ? "fmod.Tensor" : "remainder.Tensor", op.in(0), op.in(1)));
}

void comparison(Operator& op) {
  static const std::map<std::string, const char*> targets = {{"Equal", "eq.Tensor"},
                                                             {"Greater", "gt.Tensor"},
                                                             {"GreaterOrEqual", "ge.Tensor"},
                                                             {"Less", "lt.Tensor"},
                                                             {"LessOrEqual", "le.Tensor"}};
  // A size against a number below zero, as Expand asks whether a size is -1.
  Wholes one;
  Wholes other;
  bool scalar = false;
  if (op.node.operation == "Equal" && read_wholes(op, one, other, scalar)) {
    Wholes flags;
    bool told = true;
    for (size_t i = 0; i < one.size(); ++i) {
      const bool both = one[i].known() && other[i].known();
      const bool negative =
          (one[i].known() && one[i].number < 0) || (other[i].known() && other[i].number < 0);
      const bool alike = !one[i].known() && one[i].value == other[i].value;
      told = told && (both || negative || alike);
      flags.push_back((both && one[i].number == other[i].number) || alike ? 1 : 0);
    }
    if (told) {
      return op.give(op.build.of_wholes(flags, scalar, at::kBool));
    }
  }
  const ProgramValue result = op.two(targets.at(op.node.operation), op.in(0), op.in(1));
  ProgramValue flags = result;
  flags.dtype = at::kBool;
  op.give(result.constant ? result : flags);
}

void where(Operator& op) {
  const ProgramValue& chosen = op.in(0);
  const ProgramValue& x = op.in(1);
  const ProgramValue& y = op.in(2);
  const at::Tensor flags = op.build.known(chosen);
  const auto one = x.wholes || y.wholes ? op.build.contents(x) : nullptr;
  const auto other = one ? op.build.contents(y) : nullptr;
  if (flags.defined() && flags.dim() <= 1 && one && other) {
    const at::Tensor flat = flags.to(at::kLong).reshape({-1}).contiguous();
    const auto choices = static_cast<size_t>(flat.numel());
    const size_t count = std::max({choices, one->size(), other->size()});
    const auto fits = [&](size_t size) { return size == count || size == 1; };
    if (fits(choices) && fits(one->size()) && fits(other->size())) {
      Wholes result;
      for (size_t i = 0; i < count; ++i) {
        const bool first = flat.data_ptr<int64_t>()[choices == 1 ? 0 : i] != 0;
        const Wholes& from = first ? *one : *other;
        result.push_back(from[from.size() == 1 ? 0 : i]);
      }
      const bool scalar = flags.dim() == 0 && x.rank() == 0 && y.rank() == 0;
      return op.give(op.build.of_wholes(result, scalar, x.dtype));
    }
  }
  op.give(op.emit("where.self", {{"condition", chosen}, {"self", x}, {"other", y}},
                  broadcast(chosen.sizes, broadcast(x.sizes, y.sizes)), x.dtype));
}

}  // namespace onnx
}  // namespace seqlift
