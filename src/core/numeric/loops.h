// The innermost loops, free of LibTorch: plain arrays in, plain arrays out. Compiled for several
// processors at once (target_clones) and at O3, because R compiles packages at O2, where GCC 12
// vectorises nothing.
#pragma once

#include <cstdint>

namespace seqlift {
namespace loops {

// y = max(r, 0); m = (max(x, 0) - max(r, 0)) / (x - r), and where x = r the derivative, 1 if x > 0.
void relu_rescale(const float* x, const float* r, float* y, float* m, int64_t count);
void relu_rescale(const double* x, const double* r, double* y, double* m, int64_t count);

// (x + r) / 2.
void halfway(const float* x, const float* r, float* out, int64_t count);
void halfway(const double* x, const double* r, double* out, int64_t count);

// How many are NaN.
int64_t count_nan(const float* x, int64_t count);
int64_t count_nan(const double* x, int64_t count);

// change = max(x + d, 0) - max(x, 0); a NaN stays one.
void relu_change(const float* x, const float* d, float* change, int64_t count);
void relu_change(const double* x, const double* d, double* change, int64_t count);

// The shift-and-add half of a convolution's input gradient. `taps` is [length_in, kernel,
// channels], `out` [length, channels], zeroed by the caller; output position p of tap k lands on
// input position p * stride + k * dilation - padding.
void shift_add(const float* taps, float* out, int64_t length_in, int64_t kernel, int64_t channels,
               int64_t length, int64_t stride, int64_t dilation, int64_t padding);
void shift_add(const double* taps, double* out, int64_t length_in, int64_t kernel, int64_t channels,
               int64_t length, int64_t stride, int64_t dilation, int64_t padding);

// A window that slides over positions; channels lie next to each other in memory.
struct Window {
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t dilation = 1;
  int64_t length = 0;      // positions in
  int64_t length_out = 0;  // positions out
  int64_t channels = 0;
};

// y[l, c] = the largest x in the window, at[l, c] the position where it stands (the first of
// equals).
void window_maximum(const Window& window, const float* x, float* y, int32_t* at);
// Which position each unit of the maximum's change from `ref` to `x` is credited to, and by how
// much: the rule of rules/max.cpp. `y_x`, `at_x`, `y_ref`, `at_ref` are as window_maximum() gives
// them; credit[l, c] is a position, share[l, c] its multiplier.
void credit_maximum(const Window& window, const float* x, const float* y_x, const int32_t* at_x,
                    const float* ref, const float* y_ref, const int32_t* at_ref, int32_t* credit,
                    float* share);
// grad_in[credit[l, c], c] += grad[l, c] * share[l, c]; grad_in zeroed by the caller.
void spread_maximum(const Window& window, const float* grad, const int32_t* credit,
                    const float* share, float* grad_in);

// The change of the largest x in each of `count` windows from output position `first` on, where x
// changes by `d` at the positions start .. start + width - 1: `y` are the maxima without it.
void maximum_change(const Window& window, const float* x, const float* y, const float* d,
                    int64_t start, int64_t width, int64_t first, int64_t count, float* change);
void maximum_change(const Window& window, const double* x, const double* y, const double* d,
                    int64_t start, int64_t width, int64_t first, int64_t count, double* change);

// Tiles of `points` positions (even) and their discrete Fourier transform, for
// transformed_convolution.cpp. The matrices act on what is even and what is odd in position (or
// frequency): half the work of the whole transform.
struct Fourier {
  int64_t points = 0;
  const float* even_in = nullptr;   // [points / 2 + 1, points / 2 + 1]
  const float* odd_in = nullptr;    // [points / 2 - 1, points / 2 - 1]
  const float* even_out = nullptr;  // of the inverse, in the same shapes
  const float* odd_out = nullptr;
};

// The spectrum of the positions start .. start + points - 1 of x [length, channels], zero outside
// of it: product p is written to out + p * stride. Products 0 and 1 are the two real frequencies,
// the others Re + Im, Re and Im of each complex one.
void tile_in(const Fourier& fourier, const float* x, int64_t length, int64_t channels,
             int64_t start, float* out, int64_t stride);
// The first `count` positions of a tile whose spectrum is told by its products with the weights:
// Re = p1 - p3, Im = p1 + p2 at each complex frequency. `bias` [channels] is added.
void tile_out(const Fourier& fourier, const float* const* products, int64_t channels,
              const float* bias, int64_t count, float* y);

// Tiles of `points` positions, `step` apart, by values of polynomials (tile_matrices.cpp).
struct Polynomial {
  int64_t points = 0;
  int64_t outputs = 0;
  int64_t step = 1;
  const float* in = nullptr;   // [points, points]
  const float* out = nullptr;  // [outputs, points]
};

// As above: product p of the tile that begins at `start` to out + p * stride, and the first `count`
// outputs of a tile, `step` positions apart, to y.
void tile_in(const Polynomial& polynomial, const float* x, int64_t length, int64_t channels,
             int64_t start, float* out, int64_t stride);
void tile_out(const Polynomial& polynomial, const float* const* products, int64_t channels,
              const float* bias, int64_t count, float* y);

}  // namespace loops
}  // namespace seqlift
