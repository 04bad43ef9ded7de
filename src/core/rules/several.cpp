// Elementwise functions of several values that depend on X: the Shapley value of their changes.
//
// Let f take k values, of which each is either the sequence's (a_i) or the reference's (a'_i), and
// f(S) be its result where those in S are the sequence's. Value i gets the mean, over all orders in
// which the k values change, of what its own change adds:
//   c_i = sum over S without i of |S|! (k - |S| - 1)! / k! (f(S + i) - f(S)).
// Along every order the steps add up to f(all) - f(none), so their mean does too. The multiplier is
// c_i / (a_i - a'_i): for k = 1 the rescale rule, for a product of two the midpoint.

#include "core/base/error.h"
#include "core/halves/operand_halves.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/operands.h"
#include "core/rules/rules.h"
#include "core/rules/steps.h"

namespace seqlift {

namespace {

// |S|! (k - |S| - 1)! / k! = 1 / (k C(k - 1, |S|)).
double order_weight(size_t k, size_t size) {
  double ways = 1;
  for (size_t i = 0; i < size; ++i) {
    ways = ways * static_cast<double>(k - 1 - i) / static_cast<double>(i + 1);
  }
  return 1 / (static_cast<double>(k) * ways);
}

size_t members(size_t set) {
  size_t count = 0;
  for (; set > 0; set >>= 1) {
    count += set & 1;
  }
  return count;
}

Operands corner(size_t set, const Operands& x, const Operands& ref) {
  Operands values;
  for (size_t i = 0; i < x.size(); ++i) {
    values.push_back((set >> i) & 1 ? x[i] : ref[i]);
  }
  return values;
}

}  // namespace

Halves shapley(const OnHalves<Nary>& function, const std::vector<Halves>& operands,
               Smoothness smoothness, const BatchShape& batch) {
  const at::NoGradGuard guard;
  const OperandHalves halves = operand_halves(operands);
  const Operands& x = halves.x;
  const Operands& ref = halves.ref;
  Halves result{once_tensor(batch.memo, "shapley", [&]() { return function.x(x); }),
                function.ref(ref)};

  // As the rescale rule does it, in double.
  const std::vector<int64_t> sizes = result.ref.sizes().vec();
  Operands x64;
  Operands ref64;
  for (size_t i = 0; i < x.size(); ++i) {
    x64.push_back(repeat_x(x[i], ref[i], batch).to(at::kDouble).expand(sizes));
    ref64.push_back(ref[i].to(at::kDouble).expand(sizes));
  }
  const size_t k = x.size();
  Operands values;
  for (size_t set = 0; set < size_t(1) << k; ++set) {
    values.push_back(function.ref(corner(set, x64, ref64)));
  }
  Operands slopes;
  for (size_t i = 0; i < k; ++i) {
    const at::Tensor near = too_close(x64[i], ref64[i], smoothness);
    const bool any_near = near.any().item<bool>();
    const at::Tensor middle = smoothness == Smoothness::smooth ? (x64[i] + ref64[i]) / 2 : x64[i];
    at::Tensor slope = at::zeros(sizes, ref64[i].options());
    at::Tensor slope_near = slope;
    for (size_t set = 0; set < values.size(); ++set) {
      if ((set >> i) & 1) {
        continue;
      }
      const double weight = order_weight(k, members(set));
      slope = slope + weight * (values[set | (size_t(1) << i)] - values[set]);
      if (any_near) {
        const Unary partial = [&](const at::Tensor& value) {
          Operands point = corner(set, x64, ref64);
          point[i] = value;
          return function.ref(point);
        };
        slope_near = slope_near + weight * derivative(partial, middle);
      }
    }
    slope = at::where(near, slope_near, slope / (x64[i] - ref64[i]));
    slopes.push_back(slope.to(ref[i].scalar_type()));
  }
  std::vector<std::vector<int64_t>> shapes;
  for (const at::Tensor& operand : ref) {
    shapes.push_back(operand.sizes().vec());
  }
  result.ref = attach(result.ref, halves.inputs, [slopes, shapes](const at::Tensor& grad) {
    std::vector<at::Tensor> shares;
    for (size_t i = 0; i < slopes.size(); ++i) {
      shares.push_back((grad * slopes[i]).sum_to_size(shapes[i]));
    }
    return shares;
  });
  return result;
}

namespace rules {

namespace {

std::vector<Value> by_shapley(const Call& call, Smoothness smoothness) {
  const std::vector<int> dependent = call.dependent();
  std::vector<Halves> operands;
  for (const int input : dependent) {
    operands.push_back(call.halves(input));
  }
  const OnHalves<Nary> function(function_in_type(call, dependent, false),
                                function_in_type(call, dependent, true));
  return {to_value(shapley(function, operands, smoothness, call.batch))};
}

}  // namespace

std::vector<Value> several(Call& call) {
  return call.dependent().size() == 1 ? elementwise(call) : by_shapley(call, Smoothness::smooth);
}

std::vector<Value> several_piecewise(Call& call) {
  return call.dependent().size() == 1 ? piecewise(call) : by_shapley(call, Smoothness::piecewise);
}

// sqrt(a^2 + b^2), as one would write it out.
std::vector<Value> hypot(Call& call) {
  const auto squared = [&](int input) { return square(call.halves(input), call.batch); };
  return {to_value(square_root(add(squared(0), squared(1)), call.batch))};
}

}  // namespace rules
}  // namespace seqlift
