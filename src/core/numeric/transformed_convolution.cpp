// The matrices and their derivation are in tile_matrices.cpp. Channels mix at each product apart,
// which is a matrix product over the tiles of all sequences. A dilated convolution is one of
// dilation 1 over each class of positions that are a multiple of the dilation apart.
//
// The error is that of a sum over the tile and all channels. By frequencies and relative to the
// largest output it is below that of oneDNN's direct convolution in channels-last memory, whose
// sums are longer: 0.5 to 0.9 against 0.9 to 2.4 millionths in layers of Basset and Beluga. By
// values of polynomials it is 2.6 times that of a direct sum (0.13 against 0.05 millionths, root
// mean square, 512 channels). Relative to an output that is small beside its neighbours it can be
// larger, as with every fast transform.
#include "core/numeric/transformed_convolution.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <vector>

#include "core/numeric/loops.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/tile_matrices.h"

namespace seqlift {

namespace {

using Kind = TileTransform::Kind;

// What things cost, in multiplications of a direct convolution, measured on one core: a
// multiplication in a matrix product of this size, the transforms for each number of a product
// going in or out, and, in rows of each matrix product, the weights' way into oneDNN's layout.
struct Costs {
  double per_multiplication;
  double per_number;
};
constexpr Costs costs_of_fourier = {1.4, 65};
constexpr Costs costs_of_polynomial = {1.1, 65};
constexpr double rows_of_reordering = 35;
// What the estimate must promise, for it is one.
constexpr double worthwhile = 0.8;
// Weights of one layer, in bytes: they are kept for as long as the model is.
constexpr int64_t most_weights = 64 << 20;
// Numbers of the spectra that are worked on together.
constexpr int64_t block_numbers = 3000000;
// Output channels whose weights are transformed together.
constexpr int64_t together = 32;
// Four outputs of a kernel of three. Six (eight points) save another ninth and double the error.
constexpr int64_t polynomial_kernel = 3;
constexpr int64_t polynomial_points = 6;

constexpr TileTransform transforms[] = {
    {Kind::fourier, 16}, {Kind::fourier, 32}, {Kind::polynomial, polynomial_points}};

int64_t products_of(const TileTransform& transform) {
  return transform.kind == Kind::fourier ? 3 * transform.points / 2 - 1 : transform.points;
}

int64_t outputs_of(const TileTransform& transform, int64_t kernel) {
  return transform.points - kernel + 1;
}

// The tiles of a sequence: `step` (the dilation) of them take turns in a stretch of so many outputs
// each, in the last one as many as begin before the end.
struct Tiles {
  int64_t step = 1;
  int64_t stretch = 1;
  int64_t count = 0;

  Tiles(const LineConvolution& convolution, int64_t outputs)
      : step(convolution.dilation), stretch(outputs * convolution.dilation) {
    const int64_t whole = convolution.length_out() / stretch;
    count = whole * step + std::min(step, convolution.length_out() - whole * stretch);
  }
  // The first output of a tile; the others follow at steps of the dilation.
  int64_t first(int64_t tile) const { return tile / step * stretch + tile % step; }
};

bool fits(const TileTransform& transform, const LineConvolution& convolution) {
  if (transformed_weight_bytes(convolution, transform) > most_weights ||
      outputs_of(transform, convolution.kernel) < 1) {
    return false;
  }
  return transform.kind == Kind::fourier ? convolution.dilation == 1
                                         : convolution.kernel == polynomial_kernel;
}

std::vector<float> in_float(const std::vector<double>& values) {
  return std::vector<float>(values.begin(), values.end());
}

// What takes a tile into its products and out of them; `step` is the dilation.
struct TileLoops {
  std::function<void(const float* x, int64_t start, float* out, int64_t stride)> in;
  std::function<void(const float* const* products, int64_t count, float* y)> out;
};

TileLoops fourier_loops(const LineConvolution& convolution, int64_t points, const float* bias) {
  struct Kept {
    FourierMatrices matrices;
    loops::Fourier fourier;
  };
  const auto kept = std::make_shared<Kept>();
  kept->matrices = fourier_matrices(points);
  kept->fourier = {points, kept->matrices.even_in.data(), kept->matrices.odd_in.data(),
                   kept->matrices.even_out.data(), kept->matrices.odd_out.data()};
  return {[kept, convolution](const float* x, int64_t start, float* out, int64_t stride) {
            loops::tile_in(kept->fourier, x, convolution.length, convolution.in, start, out,
                           stride);
          },
          [kept, convolution, bias](const float* const* products, int64_t count, float* y) {
            loops::tile_out(kept->fourier, products, convolution.out, bias, count, y);
          }};
}

TileLoops polynomial_loops(const LineConvolution& convolution, int64_t points, const float* bias) {
  struct Kept {
    std::vector<float> in, out;
    loops::Polynomial polynomial;
  };
  const auto kept = std::make_shared<Kept>();
  const PolynomialMatrices matrices = polynomial_matrices(points, convolution.kernel);
  kept->in = in_float(matrices.in);
  kept->out = in_float(matrices.out);
  kept->polynomial = {points, points - convolution.kernel + 1, convolution.dilation,
                      kept->in.data(), kept->out.data()};
  return {[kept, convolution](const float* x, int64_t start, float* out, int64_t stride) {
            loops::tile_in(kept->polynomial, x, convolution.length, convolution.in, start, out,
                           stride);
          },
          [kept, convolution, bias](const float* const* products, int64_t count, float* y) {
            loops::tile_out(kept->polynomial, products, convolution.out, bias, count, y);
          }};
}

// [tiles, in] x [out, in]^T as a convolution of width one: oneDNN knows every processor.
at::Tensor mixed(const at::Tensor& spectrum, const at::Tensor& weight) {
  const at::Tensor image = spectrum.view({1, 1, spectrum.size(0), spectrum.size(1)});
  return at::mkldnn_convolution(image.permute({0, 3, 1, 2}), weight, {}, {0, 0}, {1, 1}, {1, 1}, 1)
      .permute({0, 2, 3, 1})
      .contiguous();
}

// Whether each position of the tiles is finite, told by products that hold all of them: the sum
// over a tile, or the first and the last value of the polynomials, at 0 and at infinity.
bool is_finite(const TileTransform& transform, const at::Tensor& spectra) {
  const auto finite = [&](int64_t p) { return std::isfinite(spectra[p].sum().item<float>()); };
  return finite(0) && (transform.kind == Kind::fourier || finite(spectra.size(0) - 1));
}

}  // namespace

// The spectra of a block, and what they are mixed to.
const int64_t most_transformed_at_once = 2 * 4 * block_numbers;

int64_t transformed_weight_bytes(const LineConvolution& convolution,
                                 const TileTransform& transform) {
  return products_of(transform) * convolution.in * convolution.out * 4;
}

std::string TileTransform::name() const {
  return (kind == Kind::fourier ? "frequencies " : "polynomials ") + std::to_string(points);
}

TileTransform cheapest_transform(const LineConvolution& convolution) {
  if (!at::hasMKLDNN() || convolution.length_out() < 1) {
    return {};
  }
  const auto both = static_cast<double>(convolution.in * convolution.out);
  const double ends = static_cast<double>(convolution.in + convolution.out);
  double least = worthwhile * both *
                 static_cast<double>(convolution.rows * convolution.length_out()) *
                 static_cast<double>(convolution.kernel);
  TileTransform best;
  for (const TileTransform& transform : transforms) {
    if (!fits(transform, convolution)) {
      continue;
    }
    const Costs& costs = transform.kind == Kind::fourier ? costs_of_fourier : costs_of_polynomial;
    const Tiles of_sequence(convolution, outputs_of(transform, convolution.kernel));
    const auto tiles = static_cast<double>(convolution.rows * of_sequence.count);
    const double cost = static_cast<double>(products_of(transform)) *
                        ((tiles + rows_of_reordering) * costs.per_multiplication * both +
                         tiles * costs.per_number * ends);
    if (cost < least) {
      least = cost;
      best = transform;
    }
  }
  return best;
}

bool keeps_weights(int64_t input_numbers, int64_t weight_numbers, bool transformed) {
  constexpr int64_t small = 1 << 20;
  // What takes this much longer than the weights are large hides their preparation.
  const int64_t longer = transformed ? 16 : 4;
  return weight_numbers <= small || input_numbers <= longer * weight_numbers;
}

at::Tensor transformed_weights(const at::Tensor& weight, const TileTransform& transform) {
  const int64_t out = weight.size(0);
  const int64_t in = weight.size(1);
  const int64_t kernel = weight.size(2);
  const int64_t products = products_of(transform);
  std::vector<double> rows = transform.kind == Kind::fourier
                                 ? fourier_taps(transform.points, kernel)
                                 : polynomial_matrices(transform.points, kernel).taps;
  const at::Tensor matrix = at::from_blob(rows.data(), {products, kernel}, at::kDouble);
  const at::Tensor result = at::empty({products, out, in, 1, 1}, weight.options());
  // In float64, rounded once, and in parts: float64 takes room.
  for (int64_t first = 0; first < out; first += together) {
    const int64_t count = std::min(together, out - first);
    const at::Tensor part = weight.narrow(0, first, count).permute({2, 0, 1}).to(at::kDouble);
    result.narrow(1, first, count)
        .copy_(at::matmul(matrix, part.reshape({kernel, count * in}))
                   .view({products, count, in, 1, 1}));
  }
  return result;
}

at::Tensor transformed_convolution(const LineConvolution& convolution, const at::Tensor& x,
                                   const at::Tensor& weights, const at::Tensor& bias,
                                   const TileTransform& transform) {
  const int64_t in = convolution.in;
  const int64_t out = convolution.out;
  const int64_t length_out = convolution.length_out();
  const int64_t outputs = outputs_of(transform, convolution.kernel);
  const int64_t step = convolution.dilation;
  const Tiles starts(convolution, outputs);
  const int64_t tiles = starts.count;
  const int64_t products = products_of(transform);
  const int64_t all = convolution.rows * tiles;
  // Blocks of one size, so that the last one is no small remainder.
  const int64_t blocks = (all * products * std::max(in, out) + block_numbers - 1) / block_numbers;
  const int64_t block = (all + blocks - 1) / blocks;
  const at::Tensor added = bias.defined() ? bias.contiguous() : at::zeros({out}, x.options());
  const TileLoops tile =
      transform.kind == Kind::fourier
          ? fourier_loops(convolution, transform.points, added.data_ptr<float>())
          : polynomial_loops(convolution, transform.points, added.data_ptr<float>());
  const at::Tensor y = at::empty({convolution.rows, length_out, out}, x.options());
  const at::Tensor memory = at::empty({products * block * in}, x.options());
  for (int64_t begin = 0; begin < all; begin += block) {
    const int64_t count = std::min(block, all - begin);
    const at::Tensor spectra =
        memory.narrow(0, 0, products * count * in).view({products, count, in});
    at::parallel_for(0, count, 16, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const int64_t row = (begin + i) / tiles;
        tile.in(x.data_ptr<float>() + row * convolution.length * in,
                starts.first((begin + i) % tiles) - convolution.padding,
                spectra.data_ptr<float>() + i * in, count * in);
      }
    });
    if (!is_finite(transform, spectra)) {
      return {};
    }
    std::vector<at::Tensor> mixtures;
    for (int64_t p = 0; p < products; ++p) {
      mixtures.push_back(mixed(spectra[p], weights[p]));
    }
    at::parallel_for(0, count, 16, [&](int64_t first, int64_t last) {
      std::vector<const float*> from(products);
      for (int64_t i = first; i < last; ++i) {
        for (int64_t p = 0; p < products; ++p) {
          from[p] = mixtures[p].data_ptr<float>() + i * out;
        }
        const int64_t row = (begin + i) / tiles;
        const int64_t start = starts.first((begin + i) % tiles);
        tile.out(from.data(), std::min(outputs, (length_out - start + step - 1) / step),
                 y.data_ptr<float>() + (row * length_out + start) * out);
      }
    });
  }
  return y;
}

}  // namespace seqlift
