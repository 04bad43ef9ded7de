// Overlap-save. A tile of N positions of the input holds all that N - k + 1 neighbouring outputs of
// a kernel of k see. With X_f = sum_j x_j w^(f j), w = exp(-2 pi i / N), and G_f = sum_j g_j
// w^(-f j) for a kernel g, the inverse transform of X_f G_f is the circular correlation
// sum_j x_(p + j mod N) g_j, in which the outputs p = 0 .. N - k do not wrap around: they are the
// convolution's. Channels mix at each frequency apart, which is a matrix product over the tiles of
// all sequences.
//
// x is real, so the frequencies 0 and N / 2 are real and N / 2 - 1 complex ones tell the rest. A
// complex product takes three real ones (Gauss): with p1 = (Re x + Im x) Re g,
// p2 = Re x (Im g - Re g) and p3 = Im x (Re g + Im g), its parts are p1 - p3 and p1 + p2. That is
// 3 N / 2 - 1 products for N - k + 1 outputs: 47 for 22 instead of 242 at N = 32, k = 11.
//
// The error is that of a sum over the tile and all channels. Relative to the largest output it is
// below that of oneDNN's direct convolution in channels-last memory, whose sums are longer: 0.5 to
// 0.9 against 0.9 to 2.4 millionths in layers of Basset and Beluga. Relative to an output that is
// small beside its neighbours it can be larger, as with every fast transform.
#include "core/numeric/transformed_convolution.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/numeric/loops.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// What things cost, in multiplications of a direct convolution, measured on one core: a
// multiplication in a matrix product of this size, the transforms for each number of a product
// going in or out, and, in rows of each matrix product, the weights' way into oneDNN's layout.
constexpr double per_multiplication = 1.4;
constexpr double per_number = 65;
constexpr double rows_of_reordering = 35;
// What the estimate must promise, for it is one.
constexpr double worthwhile = 0.8;
// Weights of one layer, in bytes: they are kept for as long as the model is.
constexpr int64_t most_weights = 64 << 20;
// Numbers of the spectra that are worked on together.
constexpr int64_t block_numbers = 6000000;
constexpr int64_t tile_sizes[] = {16, 32};
// Output channels whose weights are transformed together.
constexpr int64_t together = 32;

int64_t products_of(int64_t points) { return 3 * points / 2 - 1; }

int64_t outputs_of(int64_t points, int64_t kernel) { return points - kernel + 1; }

int64_t tiles_of(const LineConvolution& convolution, int64_t points) {
  const int64_t outputs = outputs_of(points, convolution.kernel);
  return (convolution.length_out() + outputs - 1) / outputs;
}

struct Matrices {
  std::vector<float> even_in, odd_in, even_out, odd_out;
};

// cos and sin of 2 pi f j / N.
double cosine(int64_t f, int64_t j, int64_t points) {
  return std::cos(2 * std::acos(-1.0) * static_cast<double>(f * j % points) / points);
}

double sine(int64_t f, int64_t j, int64_t points) {
  return std::sin(2 * std::acos(-1.0) * static_cast<double>(f * j % points) / points);
}

// With e_j = x_j + x_(N - j) and o_j = x_j - x_(N - j): Re X_f = sum e_j cos, Im X_f = - sum o_j
// sin. Backwards, y_p and y_(N - p) are sum and difference of the same two sums over frequencies.
Matrices matrices_of(int64_t points) {
  const int64_t half = points / 2;
  Matrices matrices;
  for (int64_t f = 0; f <= half; ++f) {
    for (int64_t j = 0; j <= half; ++j) {
      const double weight = j == 0 || j == half ? 1.0 : 2.0;
      matrices.even_in.push_back(static_cast<float>(cosine(f, j, points)));
      matrices.even_out.push_back(static_cast<float>(weight * cosine(f, j, points) / points));
    }
  }
  for (int64_t f = 1; f < half; ++f) {
    for (int64_t j = 1; j < half; ++j) {
      matrices.odd_in.push_back(static_cast<float>(-sine(f, j, points)));
      matrices.odd_out.push_back(static_cast<float>(-2 * sine(f, j, points) / points));
    }
  }
  return matrices;
}

// [tiles, in] x [out, in]^T as a convolution of width one: oneDNN knows every processor.
at::Tensor mixed(const at::Tensor& spectrum, const at::Tensor& weight) {
  const at::Tensor image = spectrum.view({1, 1, spectrum.size(0), spectrum.size(1)});
  return at::mkldnn_convolution(image.permute({0, 3, 1, 2}), weight, {}, {0, 0}, {1, 1}, {1, 1}, 1)
      .permute({0, 2, 3, 1})
      .contiguous();
}

}  // namespace

int64_t tile_points(const LineConvolution& convolution) {
  if (!at::hasMKLDNN() || convolution.length_out() < 1) {
    return 0;
  }
  const auto both = static_cast<double>(convolution.in * convolution.out);
  const double ends = static_cast<double>(convolution.in + convolution.out);
  double least = worthwhile * both *
                 static_cast<double>(convolution.rows * convolution.length_out()) *
                 static_cast<double>(convolution.kernel);
  int64_t best = 0;
  for (const int64_t points : tile_sizes) {
    const int64_t products = products_of(points);
    const int64_t bytes = products * convolution.in * convolution.out * 4;
    if (outputs_of(points, convolution.kernel) < 1 || bytes > most_weights) {
      continue;
    }
    const auto tiles = static_cast<double>(convolution.rows * tiles_of(convolution, points));
    const double cost =
        static_cast<double>(products) *
        ((tiles + rows_of_reordering) * per_multiplication * both + tiles * per_number * ends);
    if (cost < least) {
      least = cost;
      best = points;
    }
  }
  return best;
}

at::Tensor transformed_weights(const at::Tensor& weight, int64_t points) {
  const int64_t kernel = weight.size(2);
  const at::Tensor transform = at::empty({products_of(points), kernel}, at::kDouble);
  auto row = transform.accessor<double, 2>();
  for (int64_t j = 0; j < kernel; ++j) {
    row[0][j] = 1;
    row[1][j] = j % 2 == 0 ? 1 : -1;
    for (int64_t f = 1; f < points / 2; ++f) {
      row[3 * f - 1][j] = cosine(f, j, points);
      row[3 * f][j] = sine(f, j, points) - cosine(f, j, points);
      row[3 * f + 1][j] = cosine(f, j, points) + sine(f, j, points);
    }
  }
  const int64_t out = weight.size(0);
  const int64_t in = weight.size(1);
  const at::Tensor result = at::empty({products_of(points), out, in, 1, 1}, weight.options());
  // In float64, rounded once, and in parts: float64 takes room.
  for (int64_t first = 0; first < out; first += together) {
    const int64_t count = std::min(together, out - first);
    const at::Tensor part = weight.narrow(0, first, count).permute({2, 0, 1}).to(at::kDouble);
    result.narrow(1, first, count)
        .copy_(at::matmul(transform, part.reshape({kernel, count * in}))
                   .view({products_of(points), count, in, 1, 1}));
  }
  return result;
}

at::Tensor transformed_convolution(const LineConvolution& convolution, const at::Tensor& x,
                                   const at::Tensor& weights, const at::Tensor& bias,
                                   int64_t points) {
  const Matrices matrices = matrices_of(points);
  const loops::Fourier fourier{points, matrices.even_in.data(), matrices.odd_in.data(),
                               matrices.even_out.data(), matrices.odd_out.data()};
  const int64_t in = convolution.in;
  const int64_t out = convolution.out;
  const int64_t length_out = convolution.length_out();
  const int64_t outputs = outputs_of(points, convolution.kernel);
  const int64_t tiles = tiles_of(convolution, points);
  const int64_t products = products_of(points);
  const int64_t all = convolution.rows * tiles;
  // Blocks of one size, so that the last one is no small remainder.
  const int64_t blocks = (all * products * std::max(in, out) + block_numbers - 1) / block_numbers;
  const int64_t block = (all + blocks - 1) / blocks;
  const at::Tensor added = bias.defined() ? bias.contiguous() : at::zeros({out}, x.options());
  const at::Tensor y = at::empty({convolution.rows, length_out, out}, x.options());
  for (int64_t begin = 0; begin < all; begin += block) {
    const int64_t count = std::min(block, all - begin);
    const at::Tensor spectra = at::empty({products, count, in}, x.options());
    at::parallel_for(0, count, 16, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const int64_t row = (begin + i) / tiles;
        const int64_t tile = (begin + i) % tiles;
        loops::tile_in(fourier, x.data_ptr<float>() + row * convolution.length * in,
                       convolution.length, in, tile * outputs - convolution.padding,
                       spectra.data_ptr<float>() + i * in, count * in);
      }
    });
    // The first product is the sum over a tile.
    if (!spectra[0].isfinite().all().item<bool>()) {
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
        const int64_t start = (begin + i) % tiles * outputs;
        loops::tile_out(fourier, from.data(), out, added.data_ptr<float>(),
                        std::min(outputs, length_out - start),
                        y.data_ptr<float>() + (row * length_out + start) * out);
      }
    });
  }
  return y;
}

}  // namespace seqlift
