// The matrices of transformed_convolution.cpp's two transforms, in float64.
#pragma once

#include <cstdint>
#include <vector>

namespace seqlift {

// Of N points: cos and sin on what is even and what is odd in position, in the shapes of
// loops::Fourier, and the rows that a kernel's taps are multiplied by, [3 N / 2 - 1, kernel].
struct FourierMatrices {
  std::vector<float> even_in, odd_in, even_out, odd_out;
};
FourierMatrices fourier_matrices(int64_t points);
std::vector<double> fourier_taps(int64_t points, int64_t kernel);

// Of a correlation of `kernel` taps: N positions are taken to N products by `in` [N, N], the taps
// by `taps` [N, kernel], the products to N - kernel + 1 outputs by `out` [N - kernel + 1, N].
struct PolynomialMatrices {
  std::vector<double> in, taps, out;
};
PolynomialMatrices polynomial_matrices(int64_t points, int64_t kernel);

}  // namespace seqlift
