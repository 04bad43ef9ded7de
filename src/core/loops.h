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

// The shift-and-add half of a convolution's input gradient. `taps` is [length_in, kernel, channels], `out` [length, channels], zeroed by the
// caller; output position p of tap k lands on input position p * stride + k * dilation - padding.
void shift_add(const float* taps, float* out, int64_t length_in, int64_t kernel, int64_t channels,
               int64_t length, int64_t stride, int64_t dilation, int64_t padding);

}  // namespace loops
}  // namespace seqlift
