// Pooling over windows, and over all positions.
#include "core/import/keras/layers.h"
#include "core/import/keras/window.h"
#include "core/model/standard_layers.h"

namespace seqlift {
namespace keras {

// The padding of "same" does not take part: a maximum never falls on it, a mean does not count it.
// With a stride of 2 or more PyTorch's ceil_mode adds what is missing at the end; with a stride of
// 1 the longer side is padded on both, and the first position dropped where they differ.
Built pooling(LayerCall& call) {
  const Window window = read_window(call, "pool_size");
  const bool max = call.class_name.compare(0, 3, "Max") == 0;
  const Shape shape = slid(call, window, call.shape()[window.channel()]);
  const Described output{shape, window.channels_last};
  if (window.padding == "valid") {
    PoolOptions options;
    options.kind = max ? "max" : "average";
    options.size = window.size;
    options.stride = window.stride;
    options.padding.assign(window.dimensions, 0);
    return chain("keras." + call.class_name, {{"pool", pool_layer(options)}}, output);
  }
  std::vector<std::string> lines;
  std::string padding;
  std::string crop = "input[:, :";
  bool crops = false;
  for (size_t i = 0; i < window.dimensions; ++i) {
    padding += i ? ", " : "";
    const bool drops = window.stride[i] == 1 && window.size[i] % 2 == 0;
    if (window.stride[i] == 1) {
      padding += std::to_string(window.size[i] / 2);
    } else {
      lines.push_back(total_line(window, i));
      padding += "total_" + std::to_string(i) + " // 2";
    }
    crop += drops ? ", 1:" : ", :";
    crops = crops || drops;
  }
  const std::string arguments = "(input, " + source_list(window.size) + ", " +
                                source_list(window.stride) + ", [" + padding + "], ";
  lines.push_back(max ? "return torch.max_pool" + window.suffix() + arguments +
                            source_list(window.dilation) + ", True)"
                      : "return torch.avg_pool" + window.suffix() + arguments + "True, False)");
  Steps steps;
  steps.emplace_back("pool", part_of_lines(std::string("torch.nn.modules.pooling.") +
                                               (max ? "MaxPool" : "AvgPool") + window.suffix(),
                                           lines));
  if (crops) {
    steps.emplace_back("cropping", part_of("keras.Cropping", crop + "]"));
  }
  return chain("keras." + call.class_name, std::move(steps), output);
}

Built global_pooling(LayerCall& call) {
  const size_t dimensions = dimensions_of(call);
  call.demand_rank(dimensions + 1);
  const bool last = call.config.text("data_format", "channels_last") != "channels_first";
  const bool kept = call.config.flag("keepdims", false);
  call.inputs.front().channels_first = last;
  Described output;
  const int64_t channels = call.shape()[last ? dimensions : 0];
  std::vector<int64_t> over;
  for (size_t i = 0; i < dimensions; ++i) {
    over.push_back(static_cast<int64_t>(i) + 2);
  }
  output.shape = {channels};
  if (kept) {
    output.shape.insert(last ? output.shape.begin() : output.shape.end(), dimensions, 1);
    output.channels_first = last;
  }
  const bool max = call.class_name.find("Max") != std::string::npos;
  Built built;
  built.output = output;
  if (call.masked) {
    // Over the positions that count.
    const std::string keep = kept ? "True" : "False";
    built.part.class_name = "keras." + call.class_name;
    built.part.source =
        "def forward(self, input: Tensor, mask: Tensor):\n"
        "    counts = torch.unsqueeze(mask, 1)\n"
        "    sums = torch.sum(torch.where(counts, input, torch.zeros_like(input)), [2], " +
        keep +
        ")\n"
        "    return sums / torch.sum(counts.to(input.dtype), [2], " +
        keep + ")\n";
    return built;
  }
  built.part = part_of("keras." + call.class_name, std::string(max ? "torch.amax" : "torch.mean") +
                                                       "(input, " + source_list(over) +
                                                       (kept ? ", True)" : ", False)"));
  return built;
}

// As many positions as are asked for, each over its share of the input; PyTorch's has the same
// ones.
Built adaptive_pooling(LayerCall& call) {
  call.demand_rank(2);
  const bool last = call.config.text("data_format", "channels_last") != "channels_first";
  call.inputs.front().channels_first = last;
  const int64_t size = call.config.numbers("output_size", 1, 1)[0];
  Described output = call.inputs.front();
  output.shape[last ? 0 : 1] = size;
  const bool average = call.class_name == "AdaptiveAveragePooling1D";
  const std::string list = ", [" + std::to_string(size) + "])";
  return with_part(output, part_of(std::string("torch.nn.modules.pooling.Adaptive") +
                                       (average ? "Avg" : "Max") + "Pool1d",
                                   average ? "torch.adaptive_avg_pool1d(input" + list
                                           : "torch.adaptive_max_pool1d(input" + list + "[0]"));
}

}  // namespace keras
}  // namespace seqlift
