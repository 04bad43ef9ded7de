// Masks: a number for each position that says whether it counts. Masking and Embedding make them,
// recurrent layers and the mean over positions read them, other layers hand them on or lose them.
// Keras 2: base_layer.py, _set_mask_metadata(); Keras 3: layers/layer.py, __call__().

#include "core/import/keras/masking.h"

#include <map>
#include <set>

#include "core/base/error.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace keras {

MaskUse mask_use(const std::string& class_name) {
  static const std::set<std::string> passing = {"Activation",
                                                "ActivityRegularization",
                                                "AlphaDropout",
                                                "BatchNormalization",
                                                "BatchNormalizationV1",
                                                "Dense",
                                                "Dropout",
                                                "ELU",
                                                "GaussianDropout",
                                                "GaussianNoise",
                                                "GroupNormalization",
                                                "Identity",
                                                "LayerNormalization",
                                                "LeakyReLU",
                                                "PReLU",
                                                "ReLU",
                                                "SpatialDropout1D",
                                                "ThresholdedReLU",
                                                "UnitNormalization"};
  // In tf.keras and Keras 3 alike they have no compute_mask() of their own, and do not support one.
  static const std::set<std::string> losing = {"AdaptiveAveragePooling1D",
                                               "AdaptiveMaxPooling1D",
                                               "AveragePooling1D",
                                               "Conv1D",
                                               "Conv1DTranspose",
                                               "Cropping1D",
                                               "DepthwiseConv1D",
                                               "EinsumDense",
                                               "Embedding",
                                               "Flatten",
                                               "GlobalMaxPooling1D",
                                               "LocallyConnected1D",
                                               "MaxPooling1D",
                                               "Permute",
                                               "RepeatVector",
                                               "Rescaling",
                                               "Reshape",
                                               "SeparableConv1D",
                                               "UpSampling1D",
                                               "ZeroPadding1D"};
  static const std::set<std::string> reading = {"LSTM", "GRU",           "SimpleRNN",
                                                "RNN",  "Bidirectional", "GlobalAveragePooling1D"};
  if (passing.count(class_name) > 0) {
    return MaskUse::passes;
  }
  if (losing.count(class_name) > 0) {
    return MaskUse::loses;
  }
  return reading.count(class_name) > 0 ? MaskUse::reads : MaskUse::unknown;
}

namespace {

// What a layer gives, and its mask of every position.
Built with_mask(Described output, ModulePart part) {
  Built built;
  built.masks = true;
  built.outputs = {output, {{output.shape[0]}, false}};
  built.output = std::move(output);
  built.part = std::move(part);
  return built;
}

}  // namespace

// Keras: layers/core/masking.py. A position whose channels are all `mask_value` does not count, and
// is zeros from here on.
Built masking(LayerCall& call) {
  call.demand_rank(2);
  call.inputs.front().channels_first = false;
  const double value = call.config.number("mask_value", 0);
  call.weights.take({});
  std::vector<std::string> lines{"counts = torch.any(input != " + source_number(value) +
                                 ", -1, False)"};
  // Zeros are what such a position has already.
  lines.push_back(value == 0 ? "return input, counts"
                             : "return torch.where(torch.unsqueeze(counts, -1), input, "
                               "torch.zeros_like(input)), counts");
  return with_mask(call.inputs.front(), part_of_lines("keras.Masking", lines));
}

// Keras: layers/core/embedding.py. A row of the table for each whole number.
Built embedding(LayerCall& call) {
  call.demand_rank(1);
  const int64_t rows = call.config.whole("input_dim", 1);
  const int64_t width = call.config.whole("units", 1);  // Keras's own name is output_dim
  const bool masked = call.config.flag("mask_zero", false);
  const auto weights = call.weights.take({{"embeddings", {rows, width}}});
  const Described output{{call.shape()[0], width}, false};
  if (weights.empty()) {
    Built built = with_mask(output, {});
    built.masks = masked;
    built.outputs = masked ? built.outputs : std::vector<Described>();
    return built;
  }
  const std::string looked_up = "torch.embedding(self.weight, input.to(4))";
  const std::string class_name = "torch.nn.modules.sparse.Embedding";
  if (!masked) {
    return with_part(output, part_of(class_name, looked_up, {{"weight", weights[0]}}));
  }
  ModulePart part = part_of(class_name, looked_up + ", input != 0", {{"weight", weights[0]}});
  return with_mask(output, std::move(part));
}

}  // namespace keras
}  // namespace seqlift
