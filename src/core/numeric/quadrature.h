// Points and weights that turn an integral over [0, 1] into a sum.
#pragma once

#include <cstdint>
#include <vector>

namespace seqlift {

// Points on [0, 1] (0: the reference, 1: the sequence) and what each counts.
struct Quadrature {
  std::vector<double> nodes;
  std::vector<double> weights;
};

enum class QuadratureRule {
  gauss_legendre,
  left,       // k / n, k = 0 .. n - 1
  right,      // (k + 1) / n
  middle,     // (k + 1/2) / n
  trapezoid,  // k / (n - 1), the ends by half: weights that sum to 1
  // The same points with weights 1 / n, the ends by half, which sum to (n - 1) / n: what Captum
  // calls riemann_trapezoid.
  captum_trapezoid
};

// `points` >= 1; the trapezoids >= 2.
Quadrature quadrature(QuadratureRule rule, int64_t points);

}  // namespace seqlift
