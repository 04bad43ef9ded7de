// Convolutions with fewer multiplications than their definition has: in tiles of positions, by the
// discrete Fourier transform. For float32 on the CPU, where a convolution is one of many channels
// with a long kernel of stride and dilation one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace seqlift {

// A convolution along positions: rows [rows, length, in] to [rows, length_out, out].
struct LineConvolution {
  int64_t in = 0;
  int64_t out = 0;
  int64_t kernel = 0;
  int64_t padding = 0;  // on both sides
  int64_t rows = 0;
  int64_t length = 0;

  int64_t length_out() const { return length + 2 * padding - kernel + 1; }
};

// Positions in a tile, or 0 where the direct convolution is the cheaper one.
int64_t tile_points(const LineConvolution& convolution);

// weight [out, in, kernel] as transformed_convolution() needs it, [products, out, in, 1, 1].
at::Tensor transformed_weights(const at::Tensor& weight, int64_t points);

// x is [rows, length, in], without holes; `bias` may be undefined. Undefined where x holds an
// infinity or a NaN, which a transform would spread over a tile.
at::Tensor transformed_convolution(const LineConvolution& convolution, const at::Tensor& x,
                                   const at::Tensor& weights, const at::Tensor& bias,
                                   int64_t points);

}  // namespace seqlift
