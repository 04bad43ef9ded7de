#include "core/import/keras/window.h"

namespace seqlift {
namespace keras {

size_t dimensions_of(const LayerCall& call) {
  return call.class_name.find("2D") != std::string::npos ? 2 : 1;
}

Window read_window(LayerCall& call, const char* size) {
  Window window;
  window.dimensions = dimensions_of(call);
  call.demand_rank(window.dimensions + 1);
  const std::string format = call.config.text("data_format", "channels_last");
  if (format != "channels_last" && format != "channels_first" && format != "default") {
    call.config.refuse("data_format", "is not known");
  }
  window.channels_last = format != "channels_first";
  const std::vector<int64_t> ones(window.dimensions, 1);
  const bool pool = std::string(size) == "pool_size";
  window.size = call.config.numbers(
      size, window.dimensions, 1,
      pool ? std::vector<int64_t>(window.dimensions, 2) : std::vector<int64_t>());
  window.stride = call.config.numbers("strides", window.dimensions, 1, pool ? window.size : ones);
  window.dilation = pool ? ones : call.config.numbers("dilation_rate", window.dimensions, 1, ones);
  window.padding = call.config.text("padding", "valid");
  const bool known = window.padding == "valid" || window.padding == "same" ||
                     (window.padding == "causal" && !pool && window.dimensions == 1);
  if (!known) {
    call.config.refuse("padding", "is not known");
  }
  call.inputs.front().channels_first = window.channels_last;
  call.demand_known(window.channel());
  return window;
}

Shape slid(LayerCall& call, const Window& window, int64_t channels) {
  Shape shape = call.shape();
  shape[window.channel()] = channels;
  for (size_t i = 0; i < window.dimensions; ++i) {
    int64_t& length = shape[window.position(i)];
    if (length < 0) {
      continue;
    }
    if (window.padding == "valid") {
      if (length < window.span(i)) {
        call.refuse("is wider than its input of " + std::to_string(length) + " positions");
      }
      length -= window.span(i) - 1;
    }
    length = (length + window.stride[i] - 1) / window.stride[i];
  }
  return shape;
}

std::string total_line(const Window& window, size_t i) {
  const std::string at = std::to_string(i);
  const std::string size = "input.size(" + std::to_string(i + 2) + ")";
  const std::string stride = std::to_string(window.stride[i]);
  return "total_" + at + " = max((" + size + " + " + std::to_string(window.stride[i] - 1) +
         ") // " + stride + " * " + stride + " - " + stride + " + " +
         std::to_string(window.span(i)) + " - " + size + ", 0)";
}

}  // namespace keras
}  // namespace seqlift
