// Convolutions. PyTorch pads both ends alike, and only strides of 1 have a padding that does not
// depend on the length.

#include <algorithm>

#include "core/base/error.h"
#include "core/import/keras/layers.h"
#include "core/import/keras/window.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace keras {

namespace {

// Zeros before and after each dimension as one line of source, dimensions from the last.
ModulePart zeros_around(const std::vector<std::string>& lines, const std::string& widths) {
  std::vector<std::string> all = lines;
  all.push_back("return torch.constant_pad_nd(input, [" + widths + "], 0)");
  return part_of_lines("torch.nn.modules.padding.ConstantPad", all);
}

// What goes before the convolution where its own padding cannot do it; else `padding` is set.
void add_padding(Steps& steps, const Window& window, std::vector<int64_t>& padding) {
  padding.assign(window.dimensions, 0);
  if (window.padding == "valid") {
    return;
  }
  bool own = window.padding == "same";
  for (size_t i = 0; i < window.dimensions; ++i) {
    own = own && window.stride[i] == 1 && window.span(i) % 2 == 1;
  }
  if (own) {
    for (size_t i = 0; i < window.dimensions; ++i) {
      padding[i] = (window.span(i) - 1) / 2;
    }
    return;
  }
  std::vector<std::string> lines;
  std::string widths;
  for (size_t i = window.dimensions; i-- > 0;) {
    widths += widths.empty() ? "" : ", ";
    if (window.padding == "causal") {
      widths += std::to_string(window.span(i) - 1) + ", 0";
    } else {
      lines.push_back(total_line(window, i));
      const std::string total = "total_" + std::to_string(i);
      widths += total + " // 2, " + total + " - " + total + " // 2";
    }
  }
  steps.emplace_back("padding", zeros_around(lines, widths));
}

std::vector<int64_t> kernel_order(size_t dimensions) {
  // [width, in, out] to [out, in, width].
  std::vector<int64_t> order{static_cast<int64_t>(dimensions) + 1,
                             static_cast<int64_t>(dimensions)};
  for (size_t i = 0; i < dimensions; ++i) {
    order.push_back(static_cast<int64_t>(i));
  }
  return order;
}

// Theano convolves, the others correlate.
at::Tensor turn_for_theano(const at::Tensor& kernel, size_t dimensions, bool theano) {
  if (!theano || kernel.dim() < static_cast<int64_t>(dimensions)) {
    return kernel;
  }
  std::vector<int64_t> positions;
  for (size_t i = 0; i < dimensions; ++i) {
    positions.push_back(static_cast<int64_t>(i));
  }
  return at::flip(kernel, positions);
}

// Keras 1 stored a kernel as [width, 1, in, out], before 1.2 as [out, in, width, 1], and that of a
// two-dimensional one with channels first as [out, in, height, width].
std::function<at::Tensor(const at::Tensor&)> from_older(const LayerCall& call, const Window& window,
                                                        int64_t filters) {
  const bool old = call.version < 2;
  const bool theano = call.theano;
  return [=](const at::Tensor& stored) {
    at::Tensor kernel = stored;
    if (old && window.dimensions == 1 && kernel.dim() == 4) {
      const bool newer =
          kernel.size(0) == window.size[0] && kernel.size(1) == 1 && kernel.size(3) == filters;
      kernel = newer ? kernel.select(1, 0) : kernel.permute({2, 3, 1, 0}).select(1, 0);
    } else if (old && window.dimensions == 2 && kernel.dim() == 4 && !window.channels_last) {
      kernel = kernel.permute({2, 3, 1, 0});
    }
    return turn_for_theano(kernel, window.dimensions, theano);
  };
}

Shape joined(const std::vector<int64_t>& first, const std::vector<int64_t>& second) {
  Shape shape = first;
  shape.insert(shape.end(), second.begin(), second.end());
  return shape;
}

void add_convolution(Steps& steps, const Window& window, const at::Tensor& weight,
                     const at::Tensor& bias, int64_t groups) {
  ConvolutionOptions options;
  options.stride = window.stride;
  options.dilation = window.dilation;
  options.groups = groups;
  add_padding(steps, window, options.padding);
  steps.emplace_back("convolution", convolution_layer(weight, bias, options));
}

// What every convolution returns: an empty part where its weights are wrong.
Built finished(LayerCall& call, const Window& window, Steps steps, const Shape& shape) {
  Described output{shape, window.channels_last};
  add_activation(steps, call, output);
  return chain("keras." + call.class_name, std::move(steps), output);
}

Built ordinary(LayerCall& call, bool rev_comp) {
  const Window window = read_window(call, "kernel_size");
  const int64_t filters = call.config.whole("filters", 1);
  const int64_t groups = call.config.whole("groups", 1, 1);
  const bool biased = call.config.flag("use_bias", true);
  const int64_t channels = call.shape()[window.channel()];
  if (channels % groups != 0 || filters % groups != 0) {
    call.config.refuse("groups", "does not divide " + std::to_string(channels) + " channels and " +
                                     std::to_string(filters) + " filters");
  }
  std::vector<ExpectedWeight> expected{{"kernel", joined(window.size, {channels / groups, filters}),
                                        from_older(call, window, filters)}};
  if (biased) {
    expected.push_back({"bias", {filters}});
  }
  const auto weights = call.weights.take(expected);
  const Shape shape = slid(call, window, rev_comp ? 2 * filters : filters);
  Steps steps;
  if (!weights.empty()) {
    at::Tensor kernel = weights[0];
    at::Tensor bias = biased ? weights[1] : at::Tensor();
    if (rev_comp) {
      kernel = at::cat({kernel, at::flip(kernel, {0, 1, 2})}, -1);
      if (biased) {
        // keras-genomics adds bias_add(outputs) to outputs: 2 outputs + bias.
        kernel = kernel * 2;
        bias = at::cat({bias, at::flip(bias, {0})});
      }
    }
    add_convolution(steps, window, kernel.permute(kernel_order(window.dimensions)).contiguous(),
                    bias, groups);
  }
  return finished(call, window, std::move(steps), shape);
}

// [width, in, multiplier] to [in x multiplier, 1, width].
at::Tensor depthwise_weight(const at::Tensor& kernel, size_t dimensions) {
  const int64_t first = static_cast<int64_t>(dimensions);
  std::vector<int64_t> order{first, first + 1};
  std::vector<int64_t> sizes{kernel.size(first) * kernel.size(first + 1), 1};
  for (int64_t i = 0; i < first; ++i) {
    order.push_back(i);
    sizes.push_back(kernel.size(i));
  }
  return kernel.permute(order).reshape(sizes).contiguous();
}

Built by_channel(LayerCall& call, bool separable) {
  const Window window = read_window(call, "kernel_size");
  const int64_t multiplier = call.config.whole("depth_multiplier", 1, 1);
  const int64_t channels = call.shape()[window.channel()];
  const int64_t middle = channels * multiplier;
  const int64_t filters = separable ? call.config.whole("filters", 1) : middle;
  const bool biased = call.config.flag("use_bias", true);
  if (call.config.whole("groups", 1, 1) != 1) {
    call.config.refuse("groups", "is not supported");
  }
  if (call.theano) {
    call.refuse("was made with Theano, for which this layer is not supported");
  }
  std::vector<ExpectedWeight> expected{
      {"depthwise_kernel", joined(window.size, {channels, multiplier})}};
  if (separable) {
    expected.push_back({"pointwise_kernel",
                        joined(std::vector<int64_t>(window.dimensions, 1), {middle, filters})});
  }
  if (biased) {
    expected.push_back({"bias", {filters}});
  }
  const auto weights = call.weights.take(expected);
  const Shape shape = slid(call, window, filters);
  Steps steps;
  if (!weights.empty()) {
    const at::Tensor bias = biased ? weights.back() : at::Tensor();
    add_convolution(steps, window, depthwise_weight(weights[0], window.dimensions),
                    separable ? at::Tensor() : bias, channels);
    if (separable) {
      steps.emplace_back(
          "pointwise", convolution_layer(
                           weights[1].permute(kernel_order(window.dimensions)).contiguous(), bias));
    }
  }
  return finished(call, window, std::move(steps), shape);
}

}  // namespace

Built convolution(LayerCall& call) { return ordinary(call, false); }
Built rev_comp_convolution(LayerCall& call) { return ordinary(call, true); }
Built separable_convolution(LayerCall& call) { return by_channel(call, true); }
Built depthwise_convolution(LayerCall& call) { return by_channel(call, false); }

// The gradient of a convolution from L stride positions ("same"), or of a valid one, to L.
Built transposed_convolution(LayerCall& call) {
  const Window window = read_window(call, "kernel_size");
  const int64_t filters = call.config.whole("filters", 1);
  const bool biased = call.config.flag("use_bias", true);
  const int64_t channels = call.shape()[window.channel()];
  if (call.config.whole("groups", 1, 1) != 1) {
    call.config.refuse("groups", "is not supported");
  }
  if (window.padding == "causal") {
    call.config.refuse("padding", "is not known");
  }
  if (call.theano || call.version < 2) {
    call.refuse("comes from Keras 1 or Theano, for which this layer is not supported");
  }
  std::vector<ExpectedWeight> expected{{"kernel", joined(window.size, {filters, channels})}};
  if (biased) {
    expected.push_back({"bias", {filters}});
  }
  const auto weights = call.weights.take(expected);
  Shape shape = call.shape();
  shape[window.channel()] = filters;
  // How many positions there are beyond the least; without it as many as the stride gives.
  std::vector<int64_t> padded;
  if (call.config.has("output_padding")) {
    padded = call.config.numbers("output_padding", window.dimensions, 0);
  }
  std::vector<int64_t> more;
  std::string crop = "input[:, :";
  bool crops = false;
  for (size_t i = 0; i < window.dimensions; ++i) {
    const bool same = window.padding == "same";
    const int64_t span = window.span(i);
    // What PyTorch gives beyond what Keras does: (L - 1) stride + span positions without padding.
    int64_t beyond = span - window.stride[i];
    if (!padded.empty()) {
      if (padded[i] >= window.stride[i]) {
        call.config.refuse("output_padding", "is not below the stride");
      }
      beyond = same ? span - span % 2 - padded[i] : -padded[i];
    }
    more.push_back(std::max<int64_t>(-beyond, 0));
    int64_t& length = shape[window.position(i)];
    if (length >= 0) {
      length =
          (length - 1) * window.stride[i] + span - (same ? beyond : std::min<int64_t>(beyond, 0));
      if (length < 1) {
        call.refuse("leaves nothing of its input");
      }
    }
    const int64_t before = same && beyond > 0 ? beyond / 2 : 0;
    const int64_t after = same && beyond > 0 ? beyond - before : 0;
    crop += ", " + std::to_string(before) + ":";
    crop += after > 0 ? std::to_string(-after) : "";
    crops = crops || after > 0;
  }
  Steps steps;
  if (!weights.empty()) {
    // [width, out, in] to [in, out, width].
    const at::Tensor weight = weights[0].permute(kernel_order(window.dimensions)).contiguous();
    NamedTensors parameters{{"weight", weight}};
    if (biased) {
      parameters.emplace_back("bias", weights[1]);
    }
    const std::string none = source_list(std::vector<int64_t>(window.dimensions, 0));
    steps.emplace_back(
        "convolution",
        part_of("torch.nn.modules.conv.ConvTranspose" + window.suffix(),
                "torch.conv_transpose" + window.suffix() + "(input, self.weight, " +
                    (biased ? "self.bias" : "None") + ", " + source_list(window.stride) + ", " +
                    none + ", " + source_list(more) + ", 1, " + source_list(window.dilation) + ")",
                parameters));
    if (crops) {
      steps.emplace_back("cropping", part_of("keras.Cropping", crop + "]"));
    }
  }
  return finished(call, window, std::move(steps), shape);
}

}  // namespace keras
}  // namespace seqlift
