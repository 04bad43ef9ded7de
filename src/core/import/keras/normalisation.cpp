// Normalisation by groups of channels, to unit length, over any dimensions and by given numbers,
// and the depth that training leaves out.
#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/import/keras/layers.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace keras {

using nlohmann::json;

// Keras 3: layers/normalization/group_normalization.py; over the positions and the channels of each
// group.
Built group_normalization(LayerCall& call) {
  Described& input = call.inputs.front();
  const double eps = call.config.number("epsilon", 1e-3);
  const bool scaled = call.config.flag("scale", true);
  const bool centred = call.config.flag("center", true);
  const int64_t rank = static_cast<int64_t>(call.rank());
  if (rank < 1 || plain_axis(call, one_axis(call, -1), call.rank()) + 1 != rank) {
    call.config.refuse("axis", "is not the last dimension of its input");
  }
  call.demand_known(call.rank() - 1);
  input.channels_first = rank > 1;
  const int64_t channels = input.shape.back();
  const int64_t said = call.config.whole("groups", -1, 32);
  const int64_t groups = said == -1 ? channels : said;
  if (groups < 1 || channels % groups != 0) {
    call.config.refuse("groups", "does not divide the " + std::to_string(channels) + " channels");
  }
  std::vector<ExpectedWeight> expected;
  if (scaled) {
    expected.push_back({"gamma", {channels}});
  }
  if (centred) {
    expected.push_back({"beta", {channels}});
  }
  const auto weights = call.weights.take(expected);
  if (weights.size() != expected.size()) {
    return with_part(input, {});
  }
  NamedTensors parameters;
  if (scaled) {
    parameters.emplace_back("weight", weights.front());
  }
  if (centred) {
    parameters.emplace_back("bias", weights.back());
  }
  return with_part(input,
                   part_of("torch.nn.modules.normalization.GroupNorm",
                           "torch.group_norm(input, " + std::to_string(groups) + ", " +
                               (scaled ? "self.weight" : "None") + ", " +
                               (centred ? "self.bias" : "None") + ", " + source_number(eps) + ")",
                           parameters));
}

// Keras 3: layers/normalization/unit_normalization.py.
Built unit_normalization(LayerCall& call) {
  Described& input = call.inputs.front();
  if (call.rank() > 1) {
    input.channels_first = true;
  }
  const int64_t axis = plain_axis(call, one_axis(call, -1), call.rank());
  const std::string at = std::to_string(module_dimension(input, axis));
  return with_part(input, part_of("keras.UnitNormalization",
                                  "input * torch.rsqrt(torch.clamp(torch.sum(input * input, [" +
                                      at + "], True), 1e-12))"));
}

// In a prediction: of Keras's applications, nothing; of KerasCV, the second input times what is
// left of it on average is added to the first; of TensorFlow Addons the same.
Built stochastic_depth(LayerCall& call) {
  if (call.inputs.size() == 1 && call.config.has("drop_path_rate")) {
    call.config.number("drop_path_rate", 0.0);
    Built built;
    built.output = call.inputs.front();
    built.nothing = true;
    return built;
  }
  if (call.inputs.size() != 2) {
    call.refuse("takes a shortcut and a residual, not " + std::to_string(call.inputs.size()) +
                " inputs");
  }
  const double kept = call.config.has("survival_probability")
                          ? call.config.number("survival_probability", 1.0)
                          : 1.0 - call.config.number("rate", 0.5);
  call.inputs[1].channels_first = call.inputs[0].channels_first;
  ModulePart part;
  part.class_name = "keras.StochasticDepth";
  part.source =
      "def forward(self, input_0: Tensor, input_1: Tensor):\n    return input_0 + input_1 * " +
      source_number(kept) + "\n";
  return with_part(call.inputs.front(), std::move(part));
}

Built rescaling(LayerCall& call) {
  const double scale = call.config.number("scale", 1);
  const double offset = call.config.number("offset", 0);
  return with_part(call.inputs.front(),
                   part_of("keras.Rescaling",
                           "input * " + source_number(scale) + " + " + source_number(offset)));
}

// Whose options are of training alone.
Built activity_regularization(LayerCall& call) {
  call.config.value("l1");
  call.config.value("l2");
  Built built;
  built.output = call.inputs.front();
  built.nothing = true;
  return built;
}

namespace {

at::Tensor config_numbers(LayerCall& call, const char* option, const json& value, int64_t count) {
  std::vector<double> numbers;
  const std::function<void(const json&)> add = [&](const json& one) {
    if (one.is_array()) {
      for (const json& element : one) {
        add(element);
      }
    } else if (one.is_number()) {
      numbers.push_back(one.get<double>());
    } else {
      call.config.refuse(option, "is not a list of numbers");
    }
  };
  add(value);
  if (static_cast<int64_t>(numbers.size()) != count && numbers.size() != 1) {
    call.config.refuse(option, "does not hold " + std::to_string(count) + " numbers");
  }
  return at::tensor(numbers, at::TensorOptions(at::kDouble)).expand({count}).contiguous();
}

}  // namespace

// (x - mean) / deviation along the last dimension, from numbers given or learned from the data.
Built normalization(LayerCall& call) {
  call.inputs.front().channels_first = false;
  call.demand_known(call.rank() - 1);
  if (plain_axis(call, one_axis(call, -1), call.rank()) + 1 != static_cast<int64_t>(call.rank())) {
    call.config.refuse("axis", "is not the last dimension of its input");
  }
  const int64_t channels = call.shape().back();
  const bool inverted = call.config.flag("invert", false);
  std::vector<at::Tensor> weights;
  if (call.config.has("mean") || call.config.has("variance")) {
    for (const char* option : {"mean", "variance"}) {
      const json* value = call.config.value(option);
      weights.push_back(
          config_numbers(call, option, value ? *value : json(), channels).to(at::kFloat));
    }
  } else {
    weights = call.weights.take(
        {{"mean", {channels}}, {"variance", {channels}}, {"count", {1}, as_one_number}});
    if (weights.empty()) {
      return with_part(call.inputs.front(), {});
    }
  }
  const at::Tensor deviation = weights[1].sqrt().clamp_min(1e-7);
  return with_part(call.inputs.front(), part_of("keras.Normalization",
                                                inverted ? "input * self.deviation + self.mean"
                                                         : "(input - self.mean) / self.deviation",
                                                {{"mean", weights[0]}, {"deviation", deviation}}));
}

// Over any dimensions, written out.
Built normalization_over(LayerCall& call, const std::vector<int64_t>& axes, bool centres) {
  Described& input = call.inputs.front();
  input.channels_first = false;
  Shape shape;
  std::vector<int64_t> dimensions;
  std::vector<int64_t> wide(call.rank() + 1, 1);
  for (const int64_t given : axes) {
    const int64_t axis = plain_axis(call, given, call.rank());
    call.demand_known(static_cast<size_t>(axis));
    shape.push_back(call.shape()[static_cast<size_t>(axis)]);
    dimensions.push_back(axis + 1);
    wide[static_cast<size_t>(axis) + 1] = shape.back();
  }
  if (!std::is_sorted(dimensions.begin(), dimensions.end()) ||
      std::adjacent_find(dimensions.begin(), dimensions.end()) != dimensions.end()) {
    call.config.refuse("axis", "is no list of dimensions in their order");
  }
  const double eps = call.config.number("epsilon", centres ? 1e-3 : 1e-6);
  std::vector<ExpectedWeight> expected;
  if (!centres) {
    expected.push_back({"scale", shape});
  } else {
    if (call.config.flag("scale", true)) {
      expected.push_back({"gamma", shape});
    }
    if (call.config.flag("center", true)) {
      expected.push_back({"beta", shape});
    }
  }
  const auto weights = call.weights.take(expected);
  if (weights.size() != expected.size()) {
    return with_part(input, {});
  }
  const std::string over = source_list(dimensions);
  std::vector<std::string> lines;
  if (centres) {
    lines.push_back("input = input - torch.mean(input, " + over + ", True)");
  }
  lines.push_back("square = torch.mean(input * input, " + over + ", True)");
  lines.push_back("input = input * torch.rsqrt(square + " + source_number(eps) + ")");
  NamedTensors parameters;
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::string role = expected[i].role;
    parameters.emplace_back(role, weights[i].reshape(wide).contiguous());
    lines.push_back("input = input " + std::string(role == "beta" ? "+" : "*") + " self." + role);
  }
  lines.push_back("return input");
  ModulePart part = part_of_lines("keras." + call.class_name, lines);
  part.parameters = std::move(parameters);
  return with_part(input, std::move(part));
}

Built rms_normalization(LayerCall& call) {
  return normalization_over(call, {one_axis(call, -1)}, false);
}

}  // namespace keras
}  // namespace seqlift
