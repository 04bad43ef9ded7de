#include "core/motifs/jaccard_loops.h"

// ifunc resolvers run before the sanitizers are ready, so their build has one version of each loop.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && \
    !defined(__SANITIZE_ADDRESS__)
#define SEQLIFT_VECTORISED \
  __attribute__((optimize("O3", "no-trapping-math"), target_clones("avx2", "default")))
#else
#define SEQLIFT_VECTORISED
#endif

namespace seqlift {
namespace loops {

// Sixteen sums side by side, in the same order for every processor. Sizes by what is built in: a
// function of the library keeps the settings of the rest of the file and would be called.
#define SEQLIFT_ADD_ABSOLUTE(Number, size_of) \
  constexpr std::size_t lanes = 16;           \
  Number s[lanes] = {};                       \
  Number d[lanes] = {};                       \
  std::size_t i = 0;                          \
  for (; i + lanes <= n; i += lanes) {        \
    for (std::size_t u = 0; u < lanes; ++u) { \
      s[u] += size_of(x[i + u] + y[i + u]);   \
      d[u] += size_of(x[i + u] - y[i + u]);   \
    }                                         \
  }                                           \
  for (std::size_t u = 0; i < n; ++i, ++u) {  \
    s[u] += size_of(x[i] + y[i]);             \
    d[u] += size_of(x[i] - y[i]);             \
  }                                           \
  Number all = 0;                             \
  Number apart = 0;                           \
  for (std::size_t u = 0; u < lanes; ++u) {   \
    all += s[u];                              \
    apart += d[u];                            \
  }                                           \
  *sum = all;                                 \
  *difference = apart

SEQLIFT_VECTORISED
void add_absolute(const float* __restrict x, const float* __restrict y, std::size_t n,
                  float* __restrict sum, float* __restrict difference) {
  SEQLIFT_ADD_ABSOLUTE(float, __builtin_fabsf);
}

SEQLIFT_VECTORISED
void add_absolute(const double* __restrict x, const double* __restrict y, std::size_t n,
                  double* __restrict sum, double* __restrict difference) {
  SEQLIFT_ADD_ABSOLUTE(double, __builtin_fabs);
}

#undef SEQLIFT_ADD_ABSOLUTE

}  // namespace loops
}  // namespace seqlift
