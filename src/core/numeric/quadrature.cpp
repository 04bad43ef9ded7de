#include "core/numeric/quadrature.h"

#include <cmath>
#include <utility>

namespace seqlift {

namespace {

// P_n and its derivative at x, by the three-term recurrence.
std::pair<double, double> legendre(int64_t n, double x) {
  double before = 1.0;
  double value = x;
  for (int64_t k = 2; k <= n; ++k) {
    const auto order = static_cast<double>(k);
    const double next = ((2.0 * order - 1.0) * x * value - (order - 1.0) * before) / order;
    before = value;
    value = next;
  }
  return {value, static_cast<double>(n) * (x * value - before) / (x * x - 1.0)};
}

// The nodes are the zeros of P_n, by Newton's method from Tricomi's first guess; on [-1, 1] they
// count 2 / ((1 - x^2) P_n'(x)^2).
Quadrature gauss_legendre(int64_t n) {
  constexpr double pi = 3.14159265358979323846;
  constexpr int newton_steps = 10;  // it doubles the digits in each: five are enough
  Quadrature result;
  for (int64_t k = n; k >= 1; --k) {
    double x =
        n == 1 ? 0.0
               : std::cos(pi * (static_cast<double>(k) - 0.25) / (static_cast<double>(n) + 0.5));
    for (int step = 0; n > 1 && step < newton_steps; ++step) {
      const auto [value, slope] = legendre(n, x);
      x -= value / slope;
    }
    const double slope = n == 1 ? 1.0 : legendre(n, x).second;
    result.nodes.push_back((1.0 + x) / 2.0);
    result.weights.push_back(1.0 / ((1.0 - x * x) * slope * slope));
  }
  return result;
}

}  // namespace

Quadrature quadrature(QuadratureRule rule, int64_t points) {
  if (rule == QuadratureRule::gauss_legendre) {
    return gauss_legendre(points);
  }
  const bool trapezoid =
      rule == QuadratureRule::trapezoid || rule == QuadratureRule::captum_trapezoid;
  const auto n = static_cast<double>(points);
  const double offset = rule == QuadratureRule::right    ? 1.0
                        : rule == QuadratureRule::middle ? 0.5
                                                         : 0.0;
  Quadrature result;
  for (int64_t k = 0; k < points; ++k) {
    result.nodes.push_back((static_cast<double>(k) + offset) / (trapezoid ? n - 1.0 : n));
    result.weights.push_back(1.0 / (rule == QuadratureRule::trapezoid ? n - 1.0 : n));
  }
  if (trapezoid) {
    result.weights.front() /= 2.0;
    result.weights.back() /= 2.0;
  }
  return result;
}

}  // namespace seqlift
