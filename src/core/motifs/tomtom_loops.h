// The innermost loops of Tomtom: compiled for several processors at once, and at O3,
// because R compiles packages at O2. Every processor gives the same numbers: none joins products
// and sums.
#pragma once

#include <cstddef>
#include <cstdint>

namespace seqlift {
namespace loops {

constexpr std::size_t tomtom_block = 8;  // numbers at a time: lengths are multiples of it

// For each of the `width` columns of a query, one after another in `query` and `norms_q` its sum of
// squares: out[i n + j] = -sqrt(max(0, norms_q[i] + norms[j] - 2 sum_a query[i][a] rows[a n + j])),
// and of each place in a block (i tomtom_block + u) the smallest and the largest.
void negative_distances(const double* query, const double* norms_q, std::size_t width,
                        std::size_t n_rows, const double* rows, const double* norms, std::size_t n,
                        double* out, double* lowest, double* highest);

// bins[j] = (x[j] - low) / range * steps, cut to a whole number.
void cut_into_bins(const double* x, std::size_t n, double low, double range, double steps,
                   std::int32_t* bins);

// shifted[j] = (x[j] - zero) * scale + 0.5, cut to a whole number; scores[j] = shifted[j] - offset.
void round_to_steps(const double* x, std::size_t n, double zero, double scale, std::int32_t offset,
                    std::int32_t* shifted, std::int16_t* scores);

// rows[j stride + width - 1 - i] = scores[i n + j]: the scores of a target column with all columns
// of the query, the last first, side by side.
void transpose_scores(const std::int16_t* scores, std::size_t width, std::size_t n,
                      std::size_t stride, std::int16_t* rows);

// sums[k + i] += the rows' numbers of the k-th of `columns`, for i = 0 .. stride - 1; the largest
// of the first `n_sums`. `stride` is a multiple of tomtom_block.
std::int32_t add_rows(const std::int16_t* rows, std::size_t stride, const std::uint32_t* columns,
                      std::size_t n_columns, std::int32_t* sums, std::size_t n_sums);

// Whether one of a block's numbers is `wanted`.
bool block_has(const std::int32_t* bins, std::int32_t wanted);

// out[k + l] += sum[k] * share[l] for k = 0 .. n - 1 and l = 0 .. m - 1. `n` is a multiple of
// tomtom_taps; before and behind the m numbers of `share` lie tomtom_taps - 1 zeros, and `out` has
// n + m numbers.
constexpr std::size_t tomtom_taps = 4;
void convolve(const double* sum, std::size_t n, const double* share, std::size_t m, double* out);

}  // namespace loops
}  // namespace seqlift
