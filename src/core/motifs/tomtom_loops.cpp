#include "core/motifs/tomtom_loops.h"

#include <algorithm>
#include <cmath>

#include "core/motifs/vectorised.h"

namespace seqlift {
namespace loops {

SEQLIFT_VECTORISED_EXACTLY
void negative_distances(const double* __restrict query, const double* __restrict norms_q,
                        std::size_t width, std::size_t n_rows, const double* __restrict rows,
                        const double* __restrict norms, std::size_t n, double* __restrict out,
                        double* __restrict lowest, double* __restrict highest) {
  // Pieces of the targets that stay in the nearest cache for all columns of the query.
  constexpr std::size_t piece = 512;
  for (std::size_t from = 0; from < n; from += piece) {
    const std::size_t size = std::min(piece, n - from);
    for (std::size_t i = 0; i < width; ++i) {
      double* z = out + i * n + from;
      double* low = lowest + i * tomtom_block;
      double* high = highest + i * tomtom_block;
      for (std::size_t j = 0; j < size; ++j) {
        z[j] = norms_q[i] + norms[from + j];
      }
      for (std::size_t a = 0; a < n_rows; ++a) {
        const double twice = 2 * query[i * n_rows + a];
        const double* row = rows + a * n + from;
        for (std::size_t j = 0; j < size; ++j) {
          z[j] -= twice * row[j];
        }
      }
      for (std::size_t j = 0; j < size; ++j) {
        const double positive = z[j] > 0 ? z[j] : 0;
        z[j] = -std::sqrt(positive);
      }
      for (std::size_t j = 0; j < size; j += tomtom_block) {
        for (std::size_t u = 0; u < tomtom_block; ++u) {
          low[u] = z[j + u] < low[u] ? z[j + u] : low[u];
          high[u] = z[j + u] > high[u] ? z[j + u] : high[u];
        }
      }
    }
  }
}

SEQLIFT_VECTORISED_EXACTLY
void cut_into_bins(const double* __restrict x, std::size_t n, double low, double range,
                   double steps, std::int32_t* __restrict bins) {
  for (std::size_t j = 0; j < n; ++j) {
    bins[j] = static_cast<std::int32_t>((x[j] - low) / range * steps);
  }
}

SEQLIFT_VECTORISED_EXACTLY
void round_to_steps(const double* __restrict x, std::size_t n, double zero, double scale,
                    std::int32_t offset, std::int32_t* __restrict shifted,
                    std::int16_t* __restrict scores) {
  for (std::size_t j = 0; j < n; ++j) {
    shifted[j] = static_cast<std::int32_t>((x[j] - zero) * scale + 0.5);
  }
  for (std::size_t j = 0; j < n; ++j) {
    scores[j] = static_cast<std::int16_t>(shifted[j] - offset);
  }
}

SEQLIFT_VECTORISED_EXACTLY
void transpose_scores(const std::int16_t* __restrict scores, std::size_t width, std::size_t n,
                      std::size_t stride, std::int16_t* __restrict rows) {
  constexpr std::size_t piece = 64;
  for (std::size_t from = 0; from < n; from += piece) {
    const std::size_t end = std::min(from + piece, n);
    for (std::size_t i = 0; i < width; ++i) {
      for (std::size_t j = from; j < end; ++j) {
        rows[j * stride + width - 1 - i] = scores[i * n + j];
      }
    }
  }
}

SEQLIFT_VECTORISED_EXACTLY
std::int32_t add_rows(const std::int16_t* __restrict rows, std::size_t stride,
                      const std::uint32_t* __restrict columns, std::size_t n_columns,
                      std::int32_t* __restrict sums, std::size_t n_sums) {
  for (std::size_t k = 0; k < n_columns; ++k) {
    const std::int16_t* row = rows + columns[k] * stride;
    for (std::size_t i = 0; i < stride; i += tomtom_block) {
      for (std::size_t u = 0; u < tomtom_block; ++u) {
        sums[k + i + u] += row[i + u];
      }
    }
  }
  std::int32_t largest = sums[0];
  for (std::size_t k = 1; k < n_sums; ++k) {
    largest = sums[k] > largest ? sums[k] : largest;
  }
  return largest;
}

SEQLIFT_VECTORISED_EXACTLY
bool block_has(const std::int32_t* __restrict bins, std::int32_t wanted) {
  std::int32_t found = 0;
  for (std::size_t u = 0; u < tomtom_block; ++u) {
    found |= bins[u] == wanted ? 1 : 0;
  }
  return found != 0;
}

SEQLIFT_VECTORISED_EXACTLY
void convolve(const double* __restrict sum, std::size_t n, const double* __restrict share,
              std::size_t m, double* __restrict out) {
  for (std::size_t k = 0; k < n; k += tomtom_taps) {
    const double w0 = sum[k];
    const double w1 = sum[k + 1];
    const double w2 = sum[k + 2];
    const double w3 = sum[k + 3];
    if (w0 == 0 && w1 == 0 && w2 == 0 && w3 == 0) {
      continue;
    }
    double* own = out + k;
    const double* in = share;
    for (std::size_t i = 0; i < m + tomtom_taps - 1; ++i) {
      own[i] += w0 * in[i] + w1 * in[i - 1] + w2 * in[i - 2] + w3 * in[i - 3];
    }
  }
}

}  // namespace loops
}  // namespace seqlift
