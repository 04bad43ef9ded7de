#include "core/import/keras/layers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace keras {

// ---- what the layers share ------------------------------------------------------------------

void LayerCall::refuse(const std::string& because) const {
  throw Error("model", "The layer " + config.layer() + " " + because + ".");
}

void LayerCall::demand_rank(size_t rank) const {
  for (const Described& input : inputs) {
    if (input.shape.size() != rank) {
      refuse("takes an input of " + std::to_string(rank + 1) + " dimensions, not of " +
             std::to_string(input.shape.size() + 1));
    }
  }
}

void LayerCall::demand_known(size_t dimension) const {
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

int64_t plain_axis(const LayerCall& call, int64_t axis, size_t rank) {
  const int64_t dimensions = static_cast<int64_t>(rank);
  if (axis == 0 || axis < -dimensions || axis > dimensions) {
    call.config.refuse("axis", "is not one of the dimensions of its input after the batch");
  }
  return axis < 0 ? axis + dimensions : axis - 1;
}

Built with_part(Described output, ModulePart part) {
  Built built;
  built.output = std::move(output);
  built.part = std::move(part);
  return built;
}

int64_t entries(const LayerCall& call, const Shape& shape) {
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

int64_t one_axis(LayerCall& call, int64_t otherwise) {
  return call.config.numbers("axis", 1, -8, {otherwise})[0];
}

namespace {

Built identity(LayerCall& call) {
  Built built;
  built.output = call.inputs.front();
  built.nothing = true;
  return built;
}

// ---- dense --------------------------------------------------------------------------------

// On Keras's last dimension, whatever comes before it.
Built dense(LayerCall& call) {
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
Built dense_after_rev_comp(LayerCall& call) {
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
Built batch_normalization(LayerCall& call) {
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

// Over Keras's last dimension, as PyTorch's; else written out.
Built layer_normalization(LayerCall& call) {
  call.config.demand_flag("rms_scaling", false);
  const auto* given = call.config.value("axis");
  const auto axes = given && given->is_array() ? call.config.list("axis")
                                               : std::vector<int64_t>{one_axis(call, -1)};
  const int64_t last = static_cast<int64_t>(call.rank());
  if (axes.size() != 1 || plain_axis(call, axes[0], call.rank()) + 1 != last) {
    return normalization_over(call, axes, true);
  }
  const double eps = call.config.number("epsilon", 1e-3);
  const bool scaled = call.config.flag("scale", true);
  const bool centred = call.config.flag("center", true);
  call.demand_known(call.rank() - 1);
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

}  // namespace

Builder find_builder(const std::string& class_name) {
  static const std::map<std::string, Builder> builders = {
      {"Activation", activation},
      {"ActivityRegularization", activity_regularization},
      {"AdaptiveAveragePooling1D", adaptive_pooling},
      {"AdaptiveMaxPooling1D", adaptive_pooling},
      {"Add", merge},
      {"AdditiveAttention", plain_attention},
      {"AlphaDropout", identity},
      {"Average", merge},
      {"Attention", plain_attention},
      {"AttentionPool1D", attention_pool},
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
      {"Dot", dot},
      {"Dropout", identity},
      {"ELU", elu},
      {"EinsumDense", einsum_dense},
      {"Embedding", embedding},
      {"Flatten", flatten},
      {"GRU", recurrent},
      {"GaussianDropout", identity},
      {"GaussianNoise", identity},
      {"GlobalAveragePooling1D", global_pooling},
      {"GlobalAveragePooling2D", global_pooling},
      {"GlobalMaxPooling1D", global_pooling},
      {"GlobalMaxPooling2D", global_pooling},
      {"GroupNormalization", group_normalization},
      {"Identity", identity},
      {"LSTM", recurrent},
      {"LayerNormalization", layer_normalization},
      {"LeakyReLU", leaky_relu},
      {"LocallyConnected1D", locally_connected},
      {"Masking", masking},
      {"MaxPooling1D", pooling},
      {"MaxPooling2D", pooling},
      {"Maximum", merge},
      {"Minimum", merge},
      {"MultiHeadAttention", multi_head_attention},
      {"MultiheadAttention", relative_attention},
      {"Multiply", merge},
      {"Normalization", normalization},
      {"PReLU", parametric_relu},
      {"Permute", permute},
      {"RMSNormalization", rms_normalization},
      {"RNN", recurrence_of_cell},
      {"ReLU", relu_layer},
      {"RepeatVector", repeat_vector},
      {"Reshape", reshape},
      {"Rescaling", rescaling},
      {"RevCompConv1D", rev_comp_convolution},
      {"RevCompConv1DBatchNorm", batch_normalization},
      {"SeparableConv1D", separable_convolution},
      {"SeparableConv2D", separable_convolution},
      {"SimpleRNN", recurrent},
      {"Softmax", softmax},
      {"SpatialDropout1D", identity},
      {"SpatialDropout2D", identity},
      {"StochasticDepth", stochastic_depth},
      {"Subtract", merge},
      {"ThresholdedReLU", thresholded_relu},
      {"TimeDistributed", time_distributed},
      {"UnitNormalization", unit_normalization},
      {"UpSampling1D", up_sampling},
      {"UpSampling2D", up_sampling},
      {"ZeroPadding1D", zero_padding},
      {"ZeroPadding2D", zero_padding}};
  const auto found = builders.find(class_name);
  return found == builders.end() ? nullptr : found->second;
}

}  // namespace keras
}  // namespace seqlift
