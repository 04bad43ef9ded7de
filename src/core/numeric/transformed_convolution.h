// Convolutions with fewer multiplications than their definition has: in tiles of positions, by the
// discrete Fourier transform (long kernels) or by values of polynomials (kernels of three, dilated
// or not). For float32 on the CPU, where a convolution is one of many channels and of stride one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace seqlift {

// A convolution along positions: rows [rows, length, in] to [rows, length_out, out].
struct LineConvolution {
  int64_t in = 0;
  int64_t out = 0;
  int64_t kernel = 0;
  int64_t padding = 0;  // on both sides
  int64_t dilation = 1;
  int64_t rows = 0;
  int64_t length = 0;

  int64_t length_out() const { return length + 2 * padding - dilation * (kernel - 1); }
};

struct TileTransform {
  enum class Kind { none, fourier, polynomial };
  Kind kind = Kind::none;
  int64_t points = 0;  // positions in a tile

  bool any() const { return kind != Kind::none; }
  std::string name() const;
};

// The cheapest transform, none where the direct convolution is cheaper than each.
TileTransform cheapest_transform(const LineConvolution& convolution);

// What transformed_convolution() takes of memory beside input and output, in bytes: the weights as
// it needs them, and at most what it works on at once.
int64_t transformed_weight_bytes(const LineConvolution& convolution,
                                 const TileTransform& transform);
extern const int64_t most_transformed_at_once;

// weight [out, in, kernel] as transformed_convolution() needs it, [products, out, in, 1, 1].
at::Tensor transformed_weights(const at::Tensor& weight, const TileTransform& transform);

// Whether weights are prepared (transformed, in another layout) once for all calls: not where an
// input of so many numbers takes so much longer that copies of large weights only take memory.
bool keeps_weights(int64_t input_numbers, int64_t weight_numbers, bool transformed);

// x is [rows, length, in], without holes; `bias` may be undefined. Undefined where x holds an
// infinity or a NaN, which a transform would spread over a tile.
at::Tensor transformed_convolution(const LineConvolution& convolution, const at::Tensor& x,
                                   const at::Tensor& weights, const at::Tensor& bias,
                                   const TileTransform& transform);

}  // namespace seqlift
