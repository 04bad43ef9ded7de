// What convolutions and pooling have in common: a window that slides over positions. TensorFlow's
// padding "same" gives ceil(L / stride) positions: it adds max((ceil(L / stride) - 1) stride + span
// - L, 0) zeros, the odd one at the end.
#pragma once

#include <string>
#include <vector>

#include "core/import/keras/layers.h"

namespace seqlift {
namespace keras {

struct Window {
  size_t dimensions = 1;
  bool channels_last = true;
  std::vector<int64_t> size, stride, dilation;
  std::string padding;

  int64_t span(size_t i) const { return (size[i] - 1) * dilation[i] + 1; }
  size_t channel() const { return channels_last ? dimensions : 0; }
  size_t position(size_t i) const { return channels_last ? i : i + 1; }
  std::string suffix() const { return std::to_string(dimensions) + "d"; }
};

size_t dimensions_of(const LayerCall& call);

// `size`: the option that holds its size, "kernel_size" or "pool_size".
Window read_window(LayerCall& call, const char* size);

// The shape after the window has slid over the input.
Shape slid(LayerCall& call, const Window& window, int64_t channels);

// The zeros of padding "same" in dimension i, as a name of the source: total_i.
std::string total_line(const Window& window, size_t i);

}  // namespace keras
}  // namespace seqlift
