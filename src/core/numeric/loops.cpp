#include "core/numeric/loops.h"

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
template <typename T>
SEQLIFT_INLINE void relu_rescale_of(const T* __restrict x, const T* __restrict r, T* __restrict y,
                                    T* __restrict m, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const T top = x[i] > 0 ? x[i] : 0;
    const T bottom = r[i] > 0 ? r[i] : 0;
    const T change = x[i] - r[i];
    const bool equal = change == 0;
    const T above = equal ? static_cast<T>(x[i] > 0 ? 1 : 0) : top - bottom;
    const T below = equal ? 1 : change;
    y[i] = bottom;
    m[i] = above / below;
  }
}

SEQLIFT_VECTORISED
void relu_rescale(const float* __restrict x, const float* __restrict r, float* __restrict y,
                  float* __restrict m, int64_t count) {
  relu_rescale_of(x, r, y, m, count);
}

SEQLIFT_VECTORISED
void relu_rescale(const double* __restrict x, const double* __restrict r, double* __restrict y,
                  double* __restrict m, int64_t count) {
  relu_rescale_of(x, r, y, m, count);
}

template <typename T>
SEQLIFT_INLINE void halfway_of(const T* __restrict x, const T* __restrict r, T* __restrict out,
                               int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = (x[i] + r[i]) / 2;
  }
}

SEQLIFT_VECTORISED
void halfway(const float* __restrict x, const float* __restrict r, float* __restrict out,
             int64_t count) {
  halfway_of(x, r, out, count);
}

SEQLIFT_VECTORISED
void halfway(const double* __restrict x, const double* __restrict r, double* __restrict out,
             int64_t count) {
  halfway_of(x, r, out, count);
}

template <typename T>
SEQLIFT_INLINE int64_t count_nan_of(const T* __restrict x, int64_t count) {
  // Of so many a sum of the narrow type that vectorises stays exact.
  constexpr int64_t stretch = 1 << 20;
  int64_t sum = 0;
  for (int64_t begin = 0; begin < count; begin += stretch) {
    const int64_t end = begin + stretch < count ? begin + stretch : count;
    int32_t here = 0;
    for (int64_t i = begin; i < end; ++i) {
      here += x[i] != x[i] ? 1 : 0;
    }
    sum += here;
  }
  return sum;
}

SEQLIFT_VECTORISED
int64_t count_nan(const float* __restrict x, int64_t count) { return count_nan_of(x, count); }

SEQLIFT_VECTORISED
int64_t count_nan(const double* __restrict x, int64_t count) { return count_nan_of(x, count); }

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

// The transform's products are sums of many rows: kept in registers, which a plain loop would not
// be.
typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));
constexpr int64_t lanes = 16;
// Channels that are transformed together.
constexpr int64_t strip = 4 * lanes;
constexpr int64_t most_points = 32;

// out [rows, strip] = matrix [rows, columns] x in [columns, strip].
SEQLIFT_INLINE void mix(const float* __restrict matrix, int64_t rows, int64_t columns,
                        const float* __restrict in, float* __restrict out) {
  for (int64_t o = 0; o < rows; ++o) {
    Lanes a = {}, b = {}, c = {}, d = {};
    for (int64_t i = 0; i < columns; ++i) {
      const float factor = matrix[o * columns + i];
      const auto* row = reinterpret_cast<const Lanes*>(in + i * strip);
      a += factor * row[0];
      b += factor * row[1];
      c += factor * row[2];
      d += factor * row[3];
    }
    auto* row = reinterpret_cast<Lanes*>(out + o * strip);
    row[0] = a;
    row[1] = b;
    row[2] = c;
    row[3] = d;
  }
}

SEQLIFT_VECTORISED
void tile_in(const Fourier& fourier, const float* __restrict x, int64_t length, int64_t channels,
             int64_t start, float* __restrict out, int64_t stride) {
  const int64_t half = fourier.points / 2;
  alignas(64) float even[(most_points / 2 + 1) * strip] = {};
  alignas(64) float odd[(most_points / 2) * strip] = {};
  alignas(64) float real[(most_points / 2 + 1) * strip];
  alignas(64) float imaginary[(most_points / 2) * strip];
  alignas(64) const float nothing[strip] = {};
  for (int64_t first = 0; first < channels; first += strip) {
    const int64_t width = channels - first < strip ? channels - first : strip;
    for (int64_t j = 0; j <= half; ++j) {
      const int64_t left = start + j;
      const int64_t right = start + fourier.points - j;
      const bool paired = j > 0 && j < half;
      const bool left_inside = left >= 0 && left < length;
      const bool right_inside = paired && right >= 0 && right < length;
      const float* from = left_inside ? x + left * channels + first : nothing;
      const float* mirrored = right_inside ? x + right * channels + first : nothing;
      float* sum = even + j * strip;
      for (int64_t c = 0; c < width; ++c) {
        sum[c] = from[c] + mirrored[c];
      }
      if (paired) {
        float* difference = odd + (j - 1) * strip;
        for (int64_t c = 0; c < width; ++c) {
          difference[c] = from[c] - mirrored[c];
        }
      }
    }
    mix(fourier.even_in, half + 1, half + 1, even, real);
    mix(fourier.odd_in, half - 1, half - 1, odd, imaginary);
    float* to = out + first;
    for (int64_t c = 0; c < width; ++c) {
      to[c] = real[c];
      to[stride + c] = real[half * strip + c];
    }
    for (int64_t f = 1; f < half; ++f) {
      const float* re = real + f * strip;
      const float* im = imaginary + (f - 1) * strip;
      float* at = to + (3 * f - 1) * stride;
      for (int64_t c = 0; c < width; ++c) {
        at[c] = re[c] + im[c];
      }
      for (int64_t c = 0; c < width; ++c) {
        at[stride + c] = re[c];
      }
      for (int64_t c = 0; c < width; ++c) {
        at[2 * stride + c] = im[c];
      }
    }
  }
}

SEQLIFT_VECTORISED
void tile_out(const Fourier& fourier, const float* const* products, int64_t channels,
              const float* __restrict bias, int64_t count, float* __restrict y) {
  const int64_t half = fourier.points / 2;
  alignas(64) float real[(most_points / 2 + 1) * strip] = {};
  alignas(64) float imaginary[(most_points / 2) * strip] = {};
  alignas(64) float even[(most_points / 2 + 1) * strip];
  alignas(64) float odd[(most_points / 2) * strip];
  for (int64_t first = 0; first < channels; first += strip) {
    const int64_t width = channels - first < strip ? channels - first : strip;
    for (int64_t c = 0; c < width; ++c) {
      real[c] = products[0][first + c];
      real[half * strip + c] = products[1][first + c];
    }
    for (int64_t f = 1; f < half; ++f) {
      const float* one = products[3 * f - 1] + first;
      const float* two = products[3 * f] + first;
      const float* three = products[3 * f + 1] + first;
      float* re = real + f * strip;
      float* im = imaginary + (f - 1) * strip;
      for (int64_t c = 0; c < width; ++c) {
        re[c] = one[c] - three[c];
        im[c] = one[c] + two[c];
      }
    }
    mix(fourier.even_out, half + 1, half + 1, real, even);
    mix(fourier.odd_out, half - 1, half - 1, imaginary, odd);
    for (int64_t p = 0; p < count; ++p) {
      const int64_t j = p <= half ? p : fourier.points - p;
      const float sign = p < half ? 1.0F : -1.0F;
      const float* sum = even + j * strip;
      const float* difference = odd + (j - 1) * strip;
      float* to = y + p * channels + first;
      if (j == 0 || j == half) {
        for (int64_t c = 0; c < width; ++c) {
          to[c] = sum[c] + bias[first + c];
        }
        continue;
      }
      for (int64_t c = 0; c < width; ++c) {
        to[c] = sum[c] + sign * difference[c] + bias[first + c];
      }
    }
  }
}

SEQLIFT_INLINE void copy_strip(const float* __restrict from, float* __restrict to, int64_t width) {
  for (int64_t c = 0; c < width; ++c) {
    to[c] = from[c];
  }
}

SEQLIFT_VECTORISED
void tile_in(const Polynomial& polynomial, const float* __restrict x, int64_t length,
             int64_t channels, int64_t start, float* __restrict out, int64_t stride) {
  const int64_t points = polynomial.points;
  alignas(64) float positions[most_points * strip] = {};
  alignas(64) float values[most_points * strip];
  alignas(64) const float nothing[strip] = {};
  for (int64_t first = 0; first < channels; first += strip) {
    const int64_t width = channels - first < strip ? channels - first : strip;
    for (int64_t j = 0; j < points; ++j) {
      const int64_t at = start + j * polynomial.step;
      const bool inside = at >= 0 && at < length;
      copy_strip(inside ? x + at * channels + first : nothing, positions + j * strip, width);
    }
    mix(polynomial.in, points, points, positions, values);
    for (int64_t p = 0; p < points; ++p) {
      copy_strip(values + p * strip, out + p * stride + first, width);
    }
  }
}

SEQLIFT_VECTORISED
void tile_out(const Polynomial& polynomial, const float* const* products, int64_t channels,
              const float* __restrict bias, int64_t count, float* __restrict y) {
  const int64_t points = polynomial.points;
  alignas(64) float values[most_points * strip] = {};
  alignas(64) float outputs[most_points * strip];
  for (int64_t first = 0; first < channels; first += strip) {
    const int64_t width = channels - first < strip ? channels - first : strip;
    for (int64_t p = 0; p < points; ++p) {
      copy_strip(products[p] + first, values + p * strip, width);
    }
    mix(polynomial.out, polynomial.outputs, points, values, outputs);
    for (int64_t p = 0; p < count; ++p) {
      const float* from = outputs + p * strip;
      float* to = y + p * polynomial.step * channels + first;
      for (int64_t c = 0; c < width; ++c) {
        to[c] = from[c] + bias[first + c];
      }
    }
  }
}

}  // namespace loops
}  // namespace seqlift
