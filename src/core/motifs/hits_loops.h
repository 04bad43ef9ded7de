// The innermost loops of hit calling: compiled for several processors at once, and at O3, because R
// compiles packages at O2. Every processor gives the same numbers: none joins products and sums.
#pragma once

#include <cstddef>
#include <cstdint>

namespace seqlift {
namespace loops {

constexpr std::size_t hit_lanes = 8;    // motifs side by side: strides are multiples of it
constexpr std::size_t hit_letters = 5;  // A, C, G, T, and a row of zeros for what is unknown

// out[m] = sum over k = first .. end - 1 of residual[k] * rows[(k hit_letters + codes[k]) stride +
// m], for m = 0 .. stride - 1: all motifs at one place of a sequence of which one base counts at
// each position.
void correlate_observed(const float* residual, const std::uint8_t* codes, const float* rows,
                        std::size_t stride, std::size_t first, std::size_t end, float* out);
void correlate_observed(const double* residual, const std::uint8_t* codes, const double* rows,
                        std::size_t stride, std::size_t first, std::size_t end, double* out);

// The same where all four bases count: residual[4 k + base].
void correlate_all(const float* residual, const float* rows, std::size_t stride, std::size_t first,
                   std::size_t end, float* out);
void correlate_all(const double* residual, const double* rows, std::size_t stride,
                   std::size_t first, std::size_t end, double* out);

// One proximal step at one place: with y = x + momentum (x - before) and gradient = correlation *
// scale, after = max(0, y + step (gradient - lambda)). Returns the largest gradient / lambda;
// `*any` tells whether an `after` is above 0.
float step_at(const float* correlation, const float* scale, const float* lambda, const float* x,
              const float* before, float momentum, float step, std::size_t stride, float* after,
              bool* any);
double step_at(const double* correlation, const double* scale, const double* lambda,
               const double* x, const double* before, double momentum, double step,
               std::size_t stride, double* after, bool* any);

// The least (share_of_lambda lambda - gradient) / (scale norm) of the motifs at one place.
float least_slack(const float* correlation, const float* scale, const float* lambda,
                  const float* norm, float share_of_lambda, std::size_t stride);
double least_slack(const double* correlation, const double* scale, const double* lambda,
                   const double* norm, double share_of_lambda, std::size_t stride);

// The largest gradient / lambda at one place, at least 0.
float largest_share(const float* correlation, const float* scale, const float* lambda,
                    std::size_t stride);
double largest_share(const double* correlation, const double* scale, const double* lambda,
                     std::size_t stride);

}  // namespace loops
}  // namespace seqlift
