#include "core/motifs/hits_loops.h"

#include <limits>

#include "core/motifs/vectorised.h"

namespace seqlift {
namespace loops {

namespace {

// `lanes` sums that stay in registers.
template <std::size_t lanes, class Number>
inline __attribute__((always_inline)) void observed_lanes(const Number* residual,
                                                          const std::uint8_t* codes,
                                                          const Number* rows, std::size_t stride,
                                                          std::size_t first, std::size_t end,
                                                          Number* out) {
  Number sums[lanes] = {};
  for (std::size_t k = first; k < end; ++k) {
    const Number own = residual[k];
    const Number* row = rows + (k * hit_letters + codes[k]) * stride;
    for (std::size_t m = 0; m < lanes; ++m) {
      sums[m] += own * row[m];
    }
  }
  for (std::size_t m = 0; m < lanes; ++m) {
    out[m] = sums[m];
  }
}

template <std::size_t lanes, class Number>
inline __attribute__((always_inline)) void all_lanes(const Number* residual, const Number* rows,
                                                     std::size_t stride, std::size_t first,
                                                     std::size_t end, Number* out) {
  Number sums[lanes] = {};
  for (std::size_t k = first; k < end; ++k) {
    const Number* row = rows + k * hit_letters * stride;
    for (std::size_t base = 0; base < 4; ++base) {
      const Number own = residual[4 * k + base];
      for (std::size_t m = 0; m < lanes; ++m) {
        sums[m] += own * row[base * stride + m];
      }
    }
  }
  for (std::size_t m = 0; m < lanes; ++m) {
    out[m] = sums[m];
  }
}

template <class Number>
inline __attribute__((always_inline)) void observed(const Number* residual,
                                                    const std::uint8_t* codes, const Number* rows,
                                                    std::size_t stride, std::size_t first,
                                                    std::size_t end, Number* out) {
  std::size_t m = 0;
  for (; m + 4 * hit_lanes <= stride; m += 4 * hit_lanes) {
    observed_lanes<4 * hit_lanes>(residual, codes, rows + m, stride, first, end, out + m);
  }
  for (; m < stride; m += hit_lanes) {
    observed_lanes<hit_lanes>(residual, codes, rows + m, stride, first, end, out + m);
  }
}

template <class Number>
inline __attribute__((always_inline)) void all(const Number* residual, const Number* rows,
                                               std::size_t stride, std::size_t first,
                                               std::size_t end, Number* out) {
  std::size_t m = 0;
  for (; m + 4 * hit_lanes <= stride; m += 4 * hit_lanes) {
    all_lanes<4 * hit_lanes>(residual, rows + m, stride, first, end, out + m);
  }
  for (; m < stride; m += hit_lanes) {
    all_lanes<hit_lanes>(residual, rows + m, stride, first, end, out + m);
  }
}

template <class Number>
inline __attribute__((always_inline)) Number step(const Number* correlation, const Number* scale,
                                                  const Number* lambda, const Number* x,
                                                  const Number* before, Number momentum,
                                                  Number step, std::size_t stride, Number* after,
                                                  bool* any) {
  Number largest[hit_lanes] = {};
  Number above[hit_lanes] = {};
  for (std::size_t m = 0; m < stride; m += hit_lanes) {
    for (std::size_t u = 0; u < hit_lanes; ++u) {
      const Number gradient = correlation[m + u] * scale[m + u];
      const Number share = gradient / lambda[m + u];
      largest[u] = share > largest[u] ? share : largest[u];
      const Number y = x[m + u] + momentum * (x[m + u] - before[m + u]);
      const Number moved = y + step * (gradient - lambda[m + u]);
      // What is not a number stays one, so that divergence shows.
      const Number next = moved < 0 ? 0 : moved;
      after[m + u] = next;
      above[u] += next;
    }
  }
  Number most = 0;
  Number sum = 0;
  for (std::size_t u = 0; u < hit_lanes; ++u) {
    most = largest[u] > most ? largest[u] : most;
    sum += above[u];
  }
  *any = !(sum == 0);
  return most;
}

template <class Number>
inline __attribute__((always_inline)) Number slack(const Number* correlation, const Number* scale,
                                                   const Number* lambda, const Number* norm,
                                                   Number share, std::size_t stride) {
  Number least[hit_lanes];
  for (std::size_t u = 0; u < hit_lanes; ++u) {
    least[u] = std::numeric_limits<Number>::max();
  }
  for (std::size_t m = 0; m < stride; m += hit_lanes) {
    for (std::size_t u = 0; u < hit_lanes; ++u) {
      const Number room = share * lambda[m + u] - correlation[m + u] * scale[m + u];
      const Number own = room / (scale[m + u] * norm[m + u]);
      // Not a number counts as none.
      least[u] = own > least[u] ? least[u] : own;
    }
  }
  Number all = least[0];
  for (std::size_t u = 1; u < hit_lanes; ++u) {
    all = least[u] > all ? all : least[u];
  }
  return all;
}

template <class Number>
inline __attribute__((always_inline)) Number share(const Number* correlation, const Number* scale,
                                                   const Number* lambda, std::size_t stride) {
  Number largest[hit_lanes] = {};
  for (std::size_t m = 0; m < stride; m += hit_lanes) {
    for (std::size_t u = 0; u < hit_lanes; ++u) {
      const Number own = correlation[m + u] * scale[m + u] / lambda[m + u];
      largest[u] = own > largest[u] ? own : largest[u];
    }
  }
  Number most = 0;
  for (std::size_t u = 0; u < hit_lanes; ++u) {
    most = largest[u] > most ? largest[u] : most;
  }
  return most;
}

}  // namespace

SEQLIFT_VECTORISED_EXACTLY
void correlate_observed(const float* residual, const std::uint8_t* codes, const float* rows,
                        std::size_t stride, std::size_t first, std::size_t end, float* out) {
  observed(residual, codes, rows, stride, first, end, out);
}

SEQLIFT_VECTORISED_EXACTLY
void correlate_observed(const double* residual, const std::uint8_t* codes, const double* rows,
                        std::size_t stride, std::size_t first, std::size_t end, double* out) {
  observed(residual, codes, rows, stride, first, end, out);
}

SEQLIFT_VECTORISED_EXACTLY
void correlate_all(const float* residual, const float* rows, std::size_t stride, std::size_t first,
                   std::size_t end, float* out) {
  all(residual, rows, stride, first, end, out);
}

SEQLIFT_VECTORISED_EXACTLY
void correlate_all(const double* residual, const double* rows, std::size_t stride,
                   std::size_t first, std::size_t end, double* out) {
  all(residual, rows, stride, first, end, out);
}

SEQLIFT_VECTORISED_EXACTLY
float step_at(const float* correlation, const float* scale, const float* lambda, const float* x,
              const float* before, float momentum, float length, std::size_t stride, float* after,
              bool* any) {
  return step(correlation, scale, lambda, x, before, momentum, length, stride, after, any);
}

SEQLIFT_VECTORISED_EXACTLY
double step_at(const double* correlation, const double* scale, const double* lambda,
               const double* x, const double* before, double momentum, double length,
               std::size_t stride, double* after, bool* any) {
  return step(correlation, scale, lambda, x, before, momentum, length, stride, after, any);
}

SEQLIFT_VECTORISED_EXACTLY
float least_slack(const float* correlation, const float* scale, const float* lambda,
                  const float* norm, float share_of_lambda, std::size_t stride) {
  return slack(correlation, scale, lambda, norm, share_of_lambda, stride);
}

SEQLIFT_VECTORISED_EXACTLY
double least_slack(const double* correlation, const double* scale, const double* lambda,
                   const double* norm, double share_of_lambda, std::size_t stride) {
  return slack(correlation, scale, lambda, norm, share_of_lambda, stride);
}

SEQLIFT_VECTORISED_EXACTLY
float largest_share(const float* correlation, const float* scale, const float* lambda,
                    std::size_t stride) {
  return share(correlation, scale, lambda, stride);
}

SEQLIFT_VECTORISED_EXACTLY
double largest_share(const double* correlation, const double* scale, const double* lambda,
                     std::size_t stride) {
  return share(correlation, scale, lambda, stride);
}

}  // namespace loops
}  // namespace seqlift
