#include "loops.h"

// ifunc resolvers run before the sanitizers are ready, so their build has one version of each loop.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && \
    !defined(__SANITIZE_ADDRESS__)
#define SEQLIFT_VECTORISED \
  __attribute__((optimize("O3"), target_clones("avx512f", "avx2", "default")))
#else
#define SEQLIFT_VECTORISED
#endif

// A loop for float and double: inlined into one function of each, which is compiled for every
// processor.
#define SEQLIFT_INLINE inline __attribute__((always_inline))

namespace seqlift {
namespace loops {

// Branch-free, so that it vectorises: where x = r the quotient is (x > 0 ? 1 : 0) / 1.
SEQLIFT_VECTORISED
void relu_rescale(const float* __restrict x, const float* __restrict r, float* __restrict y,
                  float* __restrict m, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float top = x[i] > 0.0F ? x[i] : 0.0F;
    const float bottom = r[i] > 0.0F ? r[i] : 0.0F;
    const float change = x[i] - r[i];
    const bool equal = change == 0.0F;
    const float above = equal ? (x[i] > 0.0F ? 1.0F : 0.0F) : top - bottom;
    const float below = equal ? 1.0F : change;
    y[i] = bottom;
    m[i] = above / below;
  }
}

SEQLIFT_VECTORISED
void relu_rescale(const double* __restrict x, const double* __restrict r, double* __restrict y,
                  double* __restrict m, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const double top = x[i] > 0.0 ? x[i] : 0.0;
    const double bottom = r[i] > 0.0 ? r[i] : 0.0;
    const double change = x[i] - r[i];
    const bool equal = change == 0.0;
    const double above = equal ? (x[i] > 0.0 ? 1.0 : 0.0) : top - bottom;
    const double below = equal ? 1.0 : change;
    y[i] = bottom;
    m[i] = above / below;
  }
}

template <typename T>
SEQLIFT_INLINE void relu_change_of(const T* __restrict x, const T* __restrict d,
                                   T* __restrict change, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const T after = x[i] + d[i];
    change[i] = (after < 0 ? 0 : after) - (x[i] < 0 ? 0 : x[i]);
  }
}

SEQLIFT_VECTORISED
void relu_change(const float* __restrict x, const float* __restrict d, float* __restrict change,
                 int64_t count) {
  relu_change_of(x, d, change, count);
}

SEQLIFT_VECTORISED
void relu_change(const double* __restrict x, const double* __restrict d, double* __restrict change,
                 int64_t count) {
  relu_change_of(x, d, change, count);
}

template <typename T>
SEQLIFT_INLINE void shift_add_of(const T* __restrict taps, T* __restrict out, int64_t length_in,
                                 int64_t kernel, int64_t channels, int64_t length, int64_t stride,
                                 int64_t dilation, int64_t padding) {
  for (int64_t p = 0; p < length_in; ++p) {
    const int64_t start = p * stride - padding;
    const T* from = taps + p * kernel * channels;
    if (dilation == 1) {
      // Neighbouring taps land on neighbouring positions: one run of numbers.
      const int64_t first = start < 0 ? -start : 0;
      const int64_t last = start + kernel > length ? length - start : kernel;
      T* to = out + (start + first) * channels;
      for (int64_t c = 0; c < (last - first) * channels; ++c) {
        to[c] += from[first * channels + c];
      }
      continue;
    }
    for (int64_t k = 0; k < kernel; ++k) {
      const int64_t where = start + k * dilation;
      if (where < 0 || where >= length) {
        continue;
      }
      for (int64_t c = 0; c < channels; ++c) {
        out[where * channels + c] += from[k * channels + c];
      }
    }
  }
}

SEQLIFT_VECTORISED
void shift_add(const float* __restrict taps, float* __restrict out, int64_t length_in,
               int64_t kernel, int64_t channels, int64_t length, int64_t stride, int64_t dilation,
               int64_t padding) {
  shift_add_of(taps, out, length_in, kernel, channels, length, stride, dilation, padding);
}

SEQLIFT_VECTORISED
void shift_add(const double* __restrict taps, double* __restrict out, int64_t length_in,
               int64_t kernel, int64_t channels, int64_t length, int64_t stride, int64_t dilation,
               int64_t padding) {
  shift_add_of(taps, out, length_in, kernel, channels, length, stride, dilation, padding);
}

SEQLIFT_VECTORISED
void window_maximum(const Window& window, const float* __restrict x, float* __restrict y,
                    int32_t* __restrict at) {
  const int64_t channels = window.channels;
  for (int64_t l = 0; l < window.length_out; ++l) {
    const int64_t start = l * window.stride - window.padding;
    float* top = y + l * channels;
    int32_t* where = at + l * channels;
    bool first = true;
    for (int64_t k = 0; k < window.kernel; ++k) {
      const int64_t position = start + k * window.dilation;
      if (position < 0 || position >= window.length) {
        continue;
      }
      const float* from = x + position * channels;
      const auto here = static_cast<int32_t>(position);
      if (first) {
        for (int64_t c = 0; c < channels; ++c) {
          top[c] = from[c];
          where[c] = here;
        }
        first = false;
        continue;
      }
      for (int64_t c = 0; c < channels; ++c) {
        // A NaN wins, as it does in ATen.
        const bool higher = !(from[c] <= top[c]);
        top[c] = higher ? from[c] : top[c];
        where[c] = higher ? here : where[c];
      }
    }
  }
}

SEQLIFT_VECTORISED
void credit_maximum(const Window& window, const float* __restrict x, const float* __restrict y_x,
                    const int32_t* __restrict at_x, const float* __restrict ref,
                    const float* __restrict y_ref, const int32_t* __restrict at_ref,
                    int32_t* __restrict credit, float* __restrict share) {
  const int64_t channels = window.channels;
  for (int64_t l = 0; l < window.length_out; ++l) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = l * channels + c;
      const float change = y_x[i] - y_ref[i];
      const int32_t position = change < 0.0F ? at_ref[i] : at_x[i];
      const float moved = x[position * channels + c] - ref[position * channels + c];
      const bool still = moved == 0.0F;
      credit[i] = position;
      share[i] = (still ? 1.0F : change) / (still ? 1.0F : moved);
    }
  }
}

void spread_maximum(const Window& window, const float* __restrict grad,
                    const int32_t* __restrict credit, const float* __restrict share,
                    float* __restrict grad_in) {
  const int64_t channels = window.channels;
  for (int64_t l = 0; l < window.length_out; ++l) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = l * channels + c;
      grad_in[credit[i] * channels + c] += grad[i] * share[i];
    }
  }
}

template <typename T>
SEQLIFT_INLINE void maximum_change_of(const Window& window, const T* __restrict x,
                                      const T* __restrict y, const T* __restrict d, int64_t start,
                                      int64_t width, int64_t first, int64_t count,
                                      T* __restrict change) {
  const int64_t channels = window.channels;
  for (int64_t l = 0; l < count; ++l) {
    const int64_t corner = (first + l) * window.stride - window.padding;
    T* top = change + l * channels;
    bool empty = true;
    for (int64_t k = 0; k < window.kernel; ++k) {
      const int64_t position = corner + k * window.dilation;
      if (position < 0 || position >= window.length) {
        continue;
      }
      const T* here = x + position * channels;
      const bool moved = position >= start && position < start + width;
      const T* by = moved ? d + (position - start) * channels : nullptr;
      for (int64_t c = 0; c < channels; ++c) {
        const T value = moved ? here[c] + by[c] : here[c];
        top[c] = empty || !(value <= top[c]) ? value : top[c];
      }
      empty = false;
    }
    for (int64_t c = 0; c < channels; ++c) {
      top[c] -= y[(first + l) * channels + c];
    }
  }
}

SEQLIFT_VECTORISED
void maximum_change(const Window& window, const float* __restrict x, const float* __restrict y,
                    const float* __restrict d, int64_t start, int64_t width, int64_t first,
                    int64_t count, float* __restrict change) {
  maximum_change_of(window, x, y, d, start, width, first, count, change);
}

SEQLIFT_VECTORISED
void maximum_change(const Window& window, const double* __restrict x, const double* __restrict y,
                    const double* __restrict d, int64_t start, int64_t width, int64_t first,
                    int64_t count, double* __restrict change) {
  maximum_change_of(window, x, y, d, start, width, first, count, change);
}

}  // namespace loops
}  // namespace seqlift
