// Normalisation by groups of channels and to unit length, and the depth that training leaves out.
#include "core/import/keras/layers.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace keras {

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

}  // namespace keras
}  // namespace seqlift
