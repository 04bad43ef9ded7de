// Loops that are compiled twice, for processors with AVX2 and for all others, with the same
// numbers: products and sums are rounded one by one.
#pragma once

// ifunc resolvers run before the sanitizers are ready, so their build has one version of each loop.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && \
    !defined(__SANITIZE_ADDRESS__)
#define SEQLIFT_VECTORISED_EXACTLY                                                       \
  __attribute__((optimize("O3", "no-math-errno", "no-trapping-math", "fp-contract=off"), \
                 target_clones("avx2", "default")))
#else
#define SEQLIFT_VECTORISED_EXACTLY
#endif
