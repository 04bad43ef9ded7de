#include "keras_layers.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "error.h"
#include "standard_layers.h"

namespace seqlift {
namespace keras {

// ---- what the layers share ------------------------------------------------------------------

void Call::refuse(const std::string& because) const {
  throw Error("model", "The layer " + config.layer() + " " + because + ".");
}

void Call::demand_rank(size_t rank) const {
  for (const Described& input : inputs) {
    if (input.shape.size() != rank) {
      refuse("takes an input of " + std::to_string(rank + 1) + " dimensions, not of " +
             std::to_string(input.shape.size() + 1));
    }
  }
}

void Call::demand_known(size_t dimension) const {
  if (dimension >= rank() || shape()[dimension] < 0) {
    refuse("needs an input whose dimension " + std::to_string(dimension + 1) +
           " is fixed, which the file does not say");
  }
}

ModulePart part_of_lines(const std::string& class_name, const std::vector<std::string>& lines) {
  ModulePart part;
  part.class_name = class_name;
  part.source = "def forward(self, input: Tensor):\n";
  for (const std::string& line : lines) {
    part.source += "    " + line + "\n";
  }
  return part;
}

ModulePart part_of(const std::string& class_name, const std::string& expression,
                   NamedTensors parameters) {
  ModulePart part = part_of_lines(class_name, {"return " + expression});
  part.parameters = std::move(parameters);
  return part;
}

Built chain(const std::string& class_name, Steps steps, Described output) {
  Built built;
  built.output = std::move(output);
  built.nothing = steps.empty();
  if (steps.size() == 1) {
    built.part = std::move(steps.front().second);
  } else if (!steps.empty()) {
    std::vector<std::string> lines;
    for (const auto& step : steps) {
      lines.push_back("input = self." + step.first + ".forward(input)");
    }
    lines.push_back("return input");
    built.part = part_of_lines(class_name, lines);
    built.part.parts = std::move(steps);
  }
  return built;
}

int64_t module_dimension(const Described& value, int64_t axis) {
  const int64_t last = static_cast<int64_t>(value.shape.size()) - 1;
  if (!value.channels_first) {
    return axis + 1;
  }
  return axis == last ? 1 : axis + 2;
}

int64_t plain_axis(const Call& call, int64_t axis, size_t rank) {
  const int64_t dimensions = static_cast<int64_t>(rank);
  if (axis == 0 || axis < -dimensions || axis > dimensions) {
    call.config.refuse("axis", "is not one of the dimensions of its input after the batch");
  }
  return axis < 0 ? axis + dimensions : axis - 1;
}

namespace {

Built with_part(Described output, ModulePart part) {
  Built built;
  built.output = std::move(output);
  built.part = std::move(part);
  return built;
}

Built identity(Call& call) {
  Built built;
  built.output = call.inputs.front();
  built.nothing = true;
  return built;
}

// The number of entries of the dimensions; -1 where one is not known.
int64_t entries(const Call& call, const Shape& shape) {
  int64_t product = 1;
  for (const int64_t size : shape) {
    if (size < 0) {
      return -1;
    }
    if (size > 0 && product > (int64_t{1} << 40) / size) {
      call.refuse("has too many numbers in its input");
    }
    product *= size;
  }
  return product;
}

int64_t one_axis(Call& call, int64_t otherwise) {
  return call.config.numbers("axis", 1, -8, {otherwise})[0];
}

// ---- dense --------------------------------------------------------------------------------

// On Keras's last dimension, whatever comes before it.
Built dense(Call& call) {
  const int64_t units = call.config.whole("units", 1);
  const bool biased = call.config.flag("use_bias", true);
  call.inputs.front().channels_first = false;
  if (call.rank() == 0) {
    call.refuse("takes an input of at least 2 dimensions");
  }
  call.demand_known(call.rank() - 1);
  std::vector<ExpectedWeight> expected{{"kernel", {call.shape().back(), units}}};
  if (biased) {
    expected.push_back({"bias", {units}});
  }
  const auto weights = call.weights.take(expected);
  Described output{call.shape(), false};
  output.shape.back() = units;
  Steps steps;
  if (!weights.empty()) {
    steps.emplace_back(
        "linear", linear_layer(weights[0].t().contiguous(), biased ? weights[1] : at::Tensor()));
  }
  add_activation(steps, call, output);
  return chain("keras.Dense", std::move(steps), output);
}

// keras-genomics: [L, C] flattened, the second half of the channels with the weights of the first
// from the other end.
Built dense_after_rev_comp(Call& call) {
  call.demand_rank(2);
  const int64_t units = call.config.whole("units", 1);
  const bool biased = call.config.flag("use_bias", true);
  call.inputs.front().channels_first = false;
  call.demand_known(0);
  call.demand_known(1);
  const int64_t length = call.shape()[0];
  const int64_t channels = call.shape()[1];
  if (channels % 2 != 0) {
    call.refuse("needs an even number of channels, not " + std::to_string(channels));
  }
  entries(call, call.shape());
  std::vector<ExpectedWeight> expected{{"kernel", {length * (channels / 2), units}}};
  if (biased) {
    expected.push_back({"bias", {units}});
  }
  const auto weights = call.weights.take(expected);
  const Described output{{units}, false};
  Steps steps;
  if (!weights.empty()) {
    const at::Tensor half = weights[0].reshape({length, channels / 2, units});
    const at::Tensor kernel =
        at::cat({half, at::flip(half, {0, 1})}, 1).reshape({length * channels, units});
    steps.emplace_back("flatten",
                       part_of("torch.nn.modules.flatten.Flatten", "torch.flatten(input, 1)"));
    steps.emplace_back("linear",
                       linear_layer(kernel.t().contiguous(), biased ? weights[1] : at::Tensor()));
  }
  add_activation(steps, call, output);
  return chain("keras.DenseAfterRevcompConv1D", std::move(steps), output);
}

// ---- normalisation ----------------------------------------------------------------------------

// With the means and variances of training. PyTorch's normalises dimension 1.
Built batch_normalization(Call& call) {
  if (call.config.whole("mode", 0, 0) != 0) {
    call.config.refuse("mode", "is not supported");
  }
  const bool rev_comp = call.class_name == "RevCompConv1DBatchNorm";
  const double eps = call.config.number("epsilon", 1e-3);
  const bool scaled = call.config.flag("scale", true);
  const bool centred = call.config.flag("center", true);
  Described& input = call.inputs.front();
  const int64_t rank = static_cast<int64_t>(call.rank());
  const int64_t axis = plain_axis(call, one_axis(call, -1), call.rank());
  if (rank < 1 || rank > 3 || (axis != 0 && axis != rank - 1)) {
    call.config.refuse("axis", "is neither the first nor the last dimension of its input");
  }
  if (rank > 1) {
    input.channels_first = axis == rank - 1;
  }
  call.demand_known(static_cast<size_t>(axis));
  const int64_t channels = input.shape[static_cast<size_t>(axis)];
  if (rev_comp && channels % 2 != 0) {
    call.refuse("needs an even number of channels, not " + std::to_string(channels));
  }
  const Shape shape{rev_comp ? channels / 2 : channels};
  std::vector<ExpectedWeight> expected;
  if (scaled) {
    expected.push_back({"gamma", shape});
  }
  if (centred) {
    expected.push_back({"beta", shape});
  }
  expected.push_back({"moving_mean", shape});
  expected.push_back({"moving_variance", shape});
  auto weights = call.weights.take(expected);
  if (weights.empty()) {
    return with_part(input, {});
  }
  // keras-genomics normalises a channel and its reverse complement alike.
  for (at::Tensor& weight : weights) {
    weight = rev_comp ? at::cat({weight, at::flip(weight, {0})}) : weight;
  }
  const size_t statistics = weights.size() - 2;
  BatchNormOptions options;
  options.dimensions = rank == 3 ? 2 : 1;
  options.eps = eps;
  return with_part(input, batch_norm_layer(scaled ? weights[0] : at::Tensor(),
                                           centred ? weights[scaled ? 1 : 0] : at::Tensor(),
                                           weights[statistics], weights[statistics + 1], options));
}

// Over Keras's last dimension.
Built layer_normalization(Call& call) {
  const double eps = call.config.number("epsilon", 1e-3);
  const bool scaled = call.config.flag("scale", true);
  const bool centred = call.config.flag("center", true);
  call.demand_known(call.rank() - 1);
  if (plain_axis(call, one_axis(call, -1), call.rank()) + 1 != static_cast<int64_t>(call.rank())) {
    call.config.refuse("axis", "is not the last dimension of its input");
  }
  call.config.demand_flag("rms_scaling", false);
  call.inputs.front().channels_first = false;
  const Shape shape{call.shape().back()};
  std::vector<ExpectedWeight> expected;
  NamedTensors parameters;
  if (scaled) {
    expected.push_back({"gamma", shape});
  }
  if (centred) {
    expected.push_back({"beta", shape});
  }
  const auto weights = call.weights.take(expected);
  if (weights.size() != expected.size()) {
    return with_part(call.inputs.front(), {});
  }
  if (scaled) {
    parameters.emplace_back("weight", weights.front());
  }
  if (centred) {
    parameters.emplace_back("bias", weights.back());
  }
  return with_part(call.inputs.front(),
                   part_of("torch.nn.modules.normalization.LayerNorm",
                           "torch.layer_norm(input, " + source_list(shape) + ", " +
                               (scaled ? "self.weight" : "None") + ", " +
                               (centred ? "self.bias" : "None") + ", " + source_number(eps) + ")",
                           parameters));
}

// ---- shapes -------------------------------------------------------------------------------------

// In Keras's order, positions before channels.
Built flatten(Call& call) {
  Described& input = call.inputs.front();
  const bool first = call.config.text("data_format", "channels_last") == "channels_first";
  const Described output{{entries(call, input.shape)}, false};
  input.channels_first = false;
  if (first && call.rank() > 1) {
    std::vector<int64_t> order{0};
    for (size_t i = 1; i < call.rank(); ++i) {
      order.push_back(static_cast<int64_t>(i) + 1);
    }
    order.push_back(1);
    return with_part(output,
                     part_of("torch.nn.modules.flatten.Flatten",
                             "torch.flatten(torch.permute(input, " + source_list(order) + "), 1)"));
  }
  if (call.rank() == 0) {
    call.refuse("takes an input of at least 2 dimensions");
  }
  return with_part(output, part_of("torch.nn.modules.flatten.Flatten", "torch.flatten(input, 1)"));
}

Built reshape(Call& call) {
  call.inputs.front().channels_first = false;
  Shape target = call.config.list("target_shape");
  const int64_t given = entries(call, call.shape());
  int64_t known = 1;
  int64_t open = -1;
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i] == -1 && open < 0) {
      open = static_cast<int64_t>(i);
    } else if (target[i] < 1) {
      call.config.refuse("target_shape", "is not a shape");
    } else if (known > (int64_t{1} << 40) / target[i]) {
      call.config.refuse("target_shape", "is too large");
    } else {
      known *= target[i];
    }
  }
  const bool fits = given < 0 || (open < 0 ? given == known : given % known == 0);
  if (!fits) {
    call.config.refuse("target_shape",
                       "does not hold the " + std::to_string(given) + " numbers of its input");
  }
  if (open >= 0 && given >= 0) {
    target[static_cast<size_t>(open)] = given / known;
  }
  std::string sizes = "input.size(0)";
  for (const int64_t size : target) {
    sizes += ", " + std::to_string(size);
  }
  return with_part({target, false},
                   part_of("keras.Reshape", "torch.reshape(input, [" + sizes + "])"));
}

Built permute(Call& call) {
  call.inputs.front().channels_first = false;
  const std::vector<int64_t> order = call.config.list("dims");
  std::vector<int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  bool whole = sorted.size() == call.rank();
  for (size_t i = 0; whole && i < sorted.size(); ++i) {
    whole = sorted[i] == static_cast<int64_t>(i) + 1;
  }
  if (!whole) {
    call.config.refuse("dims", "is not an order of the dimensions of its input");
  }
  Described output;
  std::vector<int64_t> dimensions{0};
  for (const int64_t one : order) {
    output.shape.push_back(call.shape()[static_cast<size_t>(one) - 1]);
    dimensions.push_back(one);
  }
  return with_part(
      output, part_of("keras.Permute", "torch.permute(input, " + source_list(dimensions) + ")"));
}

Built repeat_vector(Call& call) {
  call.demand_rank(1);
  const int64_t n = call.config.whole("n", 1);
  return with_part({{n, call.shape()[0]}, false},
                   part_of("keras.RepeatVector", "torch.expand(torch.unsqueeze(input, 1), [-1, " +
                                                     std::to_string(n) + ", -1])"));
}

struct Positions {
  size_t dimensions;
  size_t first;  // of them in Keras's shape
};

Positions positions_of(Call& call) {
  const size_t dimensions = call.class_name.find("2D") != std::string::npos ? 2 : 1;
  call.demand_rank(dimensions + 1);
  const bool last = call.config.text("data_format", "channels_last") != "channels_first";
  call.inputs.front().channels_first = last;
  return {dimensions, last ? 0u : 1u};
}

Built cropping(Call& call) {
  const Positions at = positions_of(call);
  const auto crops = call.config.pairs("cropping", at.dimensions);
  Described output = call.inputs.front();
  std::string expression = "input[:, :";
  for (size_t i = 0; i < at.dimensions; ++i) {
    int64_t& length = output.shape[at.first + i];
    if (length >= 0) {
      length -= crops[i][0] + crops[i][1];
      if (length < 1) {
        call.config.refuse("cropping", "leaves nothing of its input");
      }
    }
    expression += ", " + std::to_string(crops[i][0]) + ":";
    expression += crops[i][1] > 0 ? std::to_string(-crops[i][1]) : "";
  }
  return with_part(output, part_of("keras." + call.class_name, expression + "]"));
}

Built zero_padding(Call& call) {
  const Positions at = positions_of(call);
  const auto zeros = call.config.pairs("padding", at.dimensions);
  Described output = call.inputs.front();
  std::vector<int64_t> widths;
  for (size_t i = at.dimensions; i-- > 0;) {
    int64_t& length = output.shape[at.first + i];
    length += length >= 0 ? zeros[i][0] + zeros[i][1] : 0;
    widths.insert(widths.end(), zeros[i].begin(), zeros[i].end());
  }
  return with_part(output, part_of("torch.nn.modules.padding.ConstantPad",
                                   "torch.constant_pad_nd(input, " + source_list(widths) + ", 0)"));
}

Built up_sampling(Call& call) {
  const Positions at = positions_of(call);
  const auto sizes =
      call.config.numbers("size", at.dimensions, 1, std::vector<int64_t>(at.dimensions, 2));
  if (call.config.text("interpolation", "nearest") != "nearest") {
    call.config.refuse("interpolation", "is not supported");
  }
  Described output = call.inputs.front();
  std::string lengths;
  for (size_t i = 0; i < at.dimensions; ++i) {
    int64_t& length = output.shape[at.first + i];
    length *= length >= 0 ? sizes[i] : 1;
    lengths += (i ? ", " : "") + ("input.size(" + std::to_string(i + 2)) + ") * " +
               std::to_string(sizes[i]);
  }
  const std::string suffix = std::to_string(at.dimensions) + "d";
  return with_part(output,
                   part_of("torch.nn.modules.upsampling.Upsample",
                           "torch.upsample_nearest" + suffix + "(input, [" + lengths + "], None)"));
}

// ---- several inputs -----------------------------------------------------------------------------

// All in one order: channels first where one comes so and all have positions.
bool order_alike(Call& call) {
  bool first = false;
  for (const Described& input : call.inputs) {
    if (input.shape.size() != call.rank()) {
      call.refuse("joins inputs of different numbers of dimensions, which is not supported");
    }
    first = first || input.channels_first;
  }
  for (Described& input : call.inputs) {
    input.channels_first = first;
  }
  return first;
}

ModulePart joining(const std::string& class_name, size_t inputs, const std::string& expression) {
  ModulePart part;
  part.class_name = class_name;
  part.source = "def forward(self";
  for (size_t i = 0; i < inputs; ++i) {
    part.source += ", input_" + std::to_string(i) + ": Tensor";
  }
  part.source += "):\n    return " + expression + "\n";
  return part;
}

Built merge(Call& call) {
  if (call.inputs.size() < 2) {
    call.refuse("joins at least two inputs, not one");
  }
  const bool first = order_alike(call);
  Described output{call.shape(), first};
  for (const Described& input : call.inputs) {
    for (size_t i = 0; i < output.shape.size(); ++i) {
      int64_t& size = output.shape[i];
      const int64_t other = input.shape[i];
      if (size >= 0 && other >= 0 && size != other && size != 1 && other != 1) {
        call.refuse("joins inputs of different shapes: " + std::to_string(size) + " and " +
                    std::to_string(other) + " in dimension " + std::to_string(i + 1));
      }
      size = size < 0 || other < 0 ? -1 : std::max(size, other);
    }
  }
  const std::string& kind = call.class_name;
  const bool maximum = kind == "Maximum";
  std::string expression = "input_0";
  if (kind == "Subtract" && call.inputs.size() != 2) {
    call.refuse("joins two inputs, not " + std::to_string(call.inputs.size()));
  }
  for (size_t i = 1; i < call.inputs.size(); ++i) {
    const std::string next = "input_" + std::to_string(i);
    if (maximum || kind == "Minimum") {
      expression = std::string(maximum ? "torch.maximum(" : "torch.minimum(") + expression + ", " +
                   next + ")";
    } else {
      expression += (kind == "Subtract" ? " - " : kind == "Multiply" ? " * " : " + ") + next;
    }
  }
  if (kind == "Average") {
    expression = "(" + expression + ") / " + std::to_string(call.inputs.size());
  }
  return with_part(output, joining("keras." + kind, call.inputs.size(), expression));
}

Built concatenate(Call& call) {
  const bool first = order_alike(call);
  const int64_t axis = plain_axis(call, one_axis(call, -1), call.rank());
  const size_t at = static_cast<size_t>(axis);
  Described output{call.shape(), first};
  output.shape[at] = 0;
  std::string list;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const Shape& shape = call.inputs[i].shape;
    for (size_t k = 0; k < shape.size(); ++k) {
      int64_t& size = output.shape[k];
      if (k == at) {
        size = size < 0 || shape[k] < 0 ? -1 : size + shape[k];
      } else if (size < 0) {
        size = shape[k];
      } else if (shape[k] >= 0 && shape[k] != size) {
        call.refuse("joins inputs of different shapes: " + std::to_string(size) + " and " +
                    std::to_string(shape[k]) + " in dimension " + std::to_string(k + 1));
      }
    }
    list += (i ? ", input_" : "input_") + std::to_string(i);
  }
  const std::string dimension = std::to_string(module_dimension(output, axis));
  return with_part(output, joining("keras.Concatenate", call.inputs.size(),
                                   "torch.cat([" + list + "], " + dimension + ")"));
}

}  // namespace

Builder find_builder(const std::string& class_name) {
  static const std::map<std::string, Builder> builders = {
      {"Activation", activation},
      {"Add", merge},
      {"AlphaDropout", identity},
      {"Average", merge},
      {"AveragePooling1D", pooling},
      {"AveragePooling2D", pooling},
      {"BatchNormalization", batch_normalization},
      {"BatchNormalizationV1", batch_normalization},
      {"Bidirectional", bidirectional},
      {"Concatenate", concatenate},
      {"Conv1D", convolution},
      {"Conv1DTranspose", transposed_convolution},
      {"Conv2D", convolution},
      {"Conv2DTranspose", transposed_convolution},
      {"Cropping1D", cropping},
      {"Cropping2D", cropping},
      {"Dense", dense},
      {"DenseAfterRevcompConv1D", dense_after_rev_comp},
      {"DepthwiseConv1D", depthwise_convolution},
      {"DepthwiseConv2D", depthwise_convolution},
      {"Dropout", identity},
      {"ELU", elu},
      {"Flatten", flatten},
      {"GRU", recurrent},
      {"GaussianDropout", identity},
      {"GaussianNoise", identity},
      {"GlobalAveragePooling1D", global_pooling},
      {"GlobalAveragePooling2D", global_pooling},
      {"GlobalMaxPooling1D", global_pooling},
      {"GlobalMaxPooling2D", global_pooling},
      {"LSTM", recurrent},
      {"LayerNormalization", layer_normalization},
      {"LeakyReLU", leaky_relu},
      {"MaxPooling1D", pooling},
      {"MaxPooling2D", pooling},
      {"Maximum", merge},
      {"Minimum", merge},
      {"Multiply", merge},
      {"PReLU", parametric_relu},
      {"Permute", permute},
      {"ReLU", relu_layer},
      {"RepeatVector", repeat_vector},
      {"Reshape", reshape},
      {"RevCompConv1D", rev_comp_convolution},
      {"RevCompConv1DBatchNorm", batch_normalization},
      {"SeparableConv1D", separable_convolution},
      {"SeparableConv2D", separable_convolution},
      {"SimpleRNN", recurrent},
      {"Softmax", softmax},
      {"SpatialDropout1D", identity},
      {"SpatialDropout2D", identity},
      {"Subtract", merge},
      {"ThresholdedReLU", thresholded_relu},
      {"UpSampling1D", up_sampling},
      {"UpSampling2D", up_sampling},
      {"ZeroPadding1D", zero_padding},
      {"ZeroPadding2D", zero_padding}};
  const auto found = builders.find(class_name);
  return found == builders.end() ? nullptr : found->second;
}

}  // namespace keras
}  // namespace seqlift
