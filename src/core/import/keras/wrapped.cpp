// Layers that run another layer, and attention and products between two inputs.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.h"
#include "core/import/keras/layers.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace keras {

using nlohmann::json;

at::Tensor as_one_number(const at::Tensor& weight) {
  return weight.numel() == 1 ? weight.reshape({1}) : weight;
}

namespace {

std::string of_inputs(size_t count) {
  std::string text = "def forward(self";
  for (size_t i = 0; i < count; ++i) {
    text += ", input_" + std::to_string(i) + ": Tensor";
  }
  return text + "):\n";
}

ModulePart part_of_inputs(const LayerCall& call, const std::vector<std::string>& lines,
                          NamedTensors parameters = {}) {
  ModulePart part;
  part.class_name = "keras." + call.class_name;
  part.source = of_inputs(call.inputs.size());
  for (const std::string& line : lines) {
    part.source += "    " + line + "\n";
  }
  part.parameters = std::move(parameters);
  return part;
}

struct WrappedLayer {
  std::string class_name;
  json options;
};

WrappedLayer wrapped_layer(LayerCall& call, const char* option) {
  const json* value = call.config.value(option);
  if (!value || !value->is_object() || !value->contains("class_name") ||
      !(*value)["class_name"].is_string() || !value->contains("config")) {
    call.config.refuse(option, "is not a layer");
  }
  WrappedLayer layer{(*value)["class_name"].get<std::string>(), (*value)["config"]};
  to_keras_2(layer.class_name, layer.options);
  return layer;
}

// Those that treat every position of their last dimension alike, whatever comes before it.
bool is_pointwise(const WrappedLayer& layer) {
  static const std::set<std::string> classes = {"Activation",
                                                "AlphaDropout",
                                                "BatchNormalization",
                                                "Dense",
                                                "Dropout",
                                                "ELU",
                                                "GaussianDropout",
                                                "GaussianNoise",
                                                "Identity",
                                                "LayerNormalization",
                                                "LeakyReLU",
                                                "ReLU",
                                                "Softmax",
                                                "ThresholdedReLU",
                                                "UnitNormalization"};
  const json axis = layer.options.value("axis", json(-1));
  return classes.count(layer.class_name) > 0 && (axis == -1 || axis == json::array({-1}));
}

}  // namespace

// The layer for every entry of the first dimension, as if each were a sequence of its own.
Built time_distributed(LayerCall& call) {
  const WrappedLayer layer = wrapped_layer(call, "layer");
  const Builder builder = find_builder(layer.class_name);
  if (!builder || layer.class_name == "TimeDistributed") {
    call.refuse("runs a layer that is not known there: " + layer.class_name);
  }
  if (call.rank() < 2) {
    call.refuse("takes an input of at least 3 dimensions");
  }
  call.inputs.front().channels_first = false;
  LayerCall inner{
      layer.class_name, Config(layer.options, layer.class_name + " in " + call.config.layer()),
      call.weights,     call.inputs,
      call.version,     call.theano};
  if (is_pointwise(layer)) {
    Built built = builder(inner);
    inner.config.finish();
    call.inputs = inner.inputs;
    return built;
  }
  const Shape whole = call.shape();
  for (size_t i = 1; i < call.rank(); ++i) {
    call.demand_known(i);
  }
  inner.inputs = {{Shape(whole.begin() + 1, whole.end()), false}};
  Built one = builder(inner);
  inner.config.finish();
  if (!one.outputs.empty() || inner.inputs.size() != 1 ||
      std::count(one.output.shape.begin(), one.output.shape.end(), -1) > 0) {
    call.refuse("runs a layer whose output has no fixed shape");
  }
  const auto moved = [](const std::string& value, const Described& as, bool first) {
    const int64_t rank = static_cast<int64_t>(as.shape.size());
    if (!as.channels_first || rank < 2) {
      return value;
    }
    std::vector<int64_t> order{0};
    if (first) {
      order.push_back(rank);
    }
    for (int64_t i = 1; i < rank; ++i) {
      order.push_back(i + (first ? 0 : 1));
    }
    if (!first) {
      order.push_back(1);
    }
    return "torch.permute(" + value + ", " + source_list(order) + ")";
  };
  std::vector<int64_t> rows{-1};
  rows.insert(rows.end(), whole.begin() + 1, whole.end());
  std::string sizes = "input.size(0), input.size(1)";
  for (const int64_t size : one.output.shape) {
    sizes += ", " + std::to_string(size);
  }
  std::vector<std::string> lines{"rows = torch.reshape(input, " + source_list(rows) + ")"};
  std::string value = moved("rows", inner.inputs.front(), true);
  if (!one.nothing) {
    value = "self.layer.forward(" + value + ")";
  }
  lines.push_back("rows = " + value);
  lines.push_back("return torch.reshape(" + moved("rows", one.output, false) + ", [" + sizes +
                  "])");
  Built built;
  built.output = {{whole[0]}, false};
  built.output.shape.insert(built.output.shape.end(), one.output.shape.begin(),
                            one.output.shape.end());
  built.part = part_of_lines("keras.TimeDistributed", lines);
  if (!one.nothing) {
    built.part.parts = {{"layer", std::move(one.part)}};
  }
  return built;
}

// The recurrent layer that runs one cell; the layers of that name are no others.
Built recurrence_of_cell(LayerCall& call) {
  WrappedLayer cell = wrapped_layer(call, "cell");
  static const std::set<std::string> cells = {"LSTMCell", "GRUCell", "SimpleRNNCell"};
  if (cells.count(cell.class_name) == 0 || !cell.options.is_object()) {
    call.refuse("runs a cell that is not known here: " + cell.class_name);
  }
  for (const char* option : {"return_sequences", "return_state", "go_backwards", "time_major"}) {
    cell.options[option] = call.config.flag(option, false);
  }
  cell.options["zero_output_for_mask"] = call.config.flag("zero_output_for_mask", false);
  const std::string class_name = cell.class_name.substr(0, cell.class_name.size() - 4);
  LayerCall inner{
      class_name,   Config(cell.options, cell.class_name + " in " + call.config.layer()),
      call.weights, call.inputs,
      call.version, call.theano,
      call.masked};
  Built built = recurrent(inner);
  inner.config.finish();
  call.inputs = inner.inputs;
  return built;
}

// Query, value and, where it is another, key: softmax of the scores between query and key, times
// the values. Attention's scores are products (Luong), AdditiveAttention's sums (Bahdanau).
Built plain_attention(LayerCall& call) {
  const bool additive = call.class_name == "AdditiveAttention";
  if (call.inputs.size() < 2 || call.inputs.size() > 3) {
    call.refuse("takes query and value, and a key or none");
  }
  call.demand_rank(2);
  for (Described& input : call.inputs) {
    input.channels_first = false;
  }
  const std::string mode = call.config.text("score_mode", "dot");
  const bool concat = !additive && mode == "concat";
  if (!additive && !concat && mode != "dot") {
    call.config.refuse("score_mode", "is not known");
  }
  const int64_t channels = call.shape().back();
  std::vector<ExpectedWeight> expected;
  if (call.config.flag("use_scale", additive)) {
    if (additive) {
      call.demand_known(1);
      expected.push_back({"scale", {channels}});
    } else {
      expected.push_back({"scale", {1}, as_one_number});
    }
  }
  const bool scaled = !expected.empty();
  if (concat) {
    expected.push_back({"concat_score_weight", {1}, as_one_number});
  }
  const auto weights = call.weights.take(expected);
  // tf.keras 2.4 and before had `causal`.
  const bool causal =
      call.config.flag("use_causal_mask", false) || call.config.flag("causal", false);
  const bool returned = call.config.flag("return_attention_scores", false);
  Built built;
  built.output = {{call.shape()[0], call.inputs[1].shape[1]}, false};
  if (returned) {
    built.outputs = {built.output, {{call.shape()[0], call.inputs[1].shape[0]}, false}};
  }
  if (weights.size() != expected.size()) {
    return built;
  }
  NamedTensors parameters;
  for (size_t i = 0; i < expected.size(); ++i) {
    parameters.emplace_back(expected[i].role, weights[i]);
  }
  const std::string key = call.inputs.size() == 3 ? "input_2" : "input_1";
  std::string scores =
      "torch.matmul(input_0, torch.transpose(" + key + ", 1, 2))" + (scaled ? " * self.scale" : "");
  if (additive || concat) {
    const std::string sums = "torch.unsqueeze(input_0, 2) + torch.unsqueeze(" + key + ", 1)";
    const std::string before = scaled && concat ? "self.scale * (" + sums + ")" : sums;
    scores = std::string("torch.sum(") + (scaled && additive ? "self.scale * " : "") +
             "torch.tanh(" + before + "), [-1])" + (concat ? " * self.concat_score_weight" : "");
  }
  std::vector<std::string> lines{"scores = " + scores};
  for (const std::string& line : causal ? causal_lines("scores") : std::vector<std::string>()) {
    lines.push_back(line);
  }
  lines.push_back("shares = torch.softmax(scores, -1)");
  lines.push_back(std::string("return torch.matmul(shares, input_1)") +
                  (returned ? ", shares" : ""));
  built.part = part_of_inputs(call, lines, std::move(parameters));
  return built;
}

// Sums of products along one dimension of each of two inputs, for every sequence.
Built dot(LayerCall& call) {
  if (call.inputs.size() != 2) {
    call.refuse("joins two inputs, not " + std::to_string(call.inputs.size()));
  }
  const auto given = call.config.numbers("axes", 2, -8);
  std::vector<std::string> letters;
  std::vector<size_t> at;
  Described output;
  for (size_t i = 0; i < 2; ++i) {
    Described& input = call.inputs[i];
    input.channels_first = false;
    const int64_t axis = plain_axis(call, given[i], input.shape.size());
    at.push_back(static_cast<size_t>(axis));
    std::string text = "n";
    for (size_t k = 0; k < input.shape.size(); ++k) {
      text += k == at[i] ? 'z' : static_cast<char>((i == 0 ? 'a' : 'e') + k);
      if (k != at[i]) {
        output.shape.push_back(input.shape[k]);
      }
    }
    letters.push_back(text);
  }
  const int64_t one = call.inputs[0].shape[at[0]];
  const int64_t other = call.inputs[1].shape[at[1]];
  if (one >= 0 && other >= 0 && one != other) {
    call.refuse("joins inputs of different shapes: " + std::to_string(one) + " and " +
                std::to_string(other) + " along `axes`");
  }
  std::string left = letters[0] + letters[1];
  left.erase(std::remove_if(left.begin(), left.end(),
                            [](char letter) { return letter == 'n' || letter == 'z'; }),
             left.end());
  std::vector<std::string> lines;
  if (call.config.flag("normalize", false)) {
    for (size_t i = 0; i < 2; ++i) {
      const std::string name = "input_" + std::to_string(i);
      const std::string sum =
          "torch.sum(" + name + " * " + name + ", [" + std::to_string(at[i] + 1) + "], True)";
      lines.push_back(name + " = " + name + " * torch.rsqrt(torch.clamp_min(" + sum + ", 1e-12))");
    }
  }
  std::string result =
      "torch.einsum(\"" + letters[0] + "," + letters[1] + "->n" + left + "\", [input_0, input_1])";
  if (output.shape.empty()) {
    output.shape = {1};
    result = "torch.unsqueeze(" + result + ", 1)";
  }
  lines.push_back("return " + result);
  return with_part(output, part_of_inputs(call, lines));
}

// A kernel of its own for every position.
Built locally_connected(LayerCall& call) {
  call.demand_rank(2);
  Described& input = call.inputs.front();
  input.channels_first = true;
  call.demand_known(0);
  call.demand_known(1);
  const int64_t filters = call.config.whole("filters", 1);
  const int64_t width = call.config.numbers("kernel_size", 1, 1)[0];
  const int64_t stride = call.config.numbers("strides", 1, 1, {1})[0];
  const bool biased = call.config.flag("use_bias", true);
  if (call.config.text("padding", "valid") != "valid") {
    call.config.refuse("padding", "is not supported");
  }
  if (call.config.text("data_format", "channels_last") != "channels_last") {
    call.config.refuse("data_format", "is not supported");
  }
  const int64_t length = input.shape[0];
  const int64_t channels = input.shape[1];
  if (width > length || call.config.whole("implementation", 1, 1) != 1) {
    call.refuse("has a kernel wider than its input, or is of an implementation that is not read");
  }
  const int64_t places = (length - width) / stride + 1;
  std::vector<ExpectedWeight> expected{{"kernel", {places, width * channels, filters}}};
  if (biased) {
    expected.push_back({"bias", {places, filters}});
  }
  const auto weights = call.weights.take(expected);
  Described output{{places, filters}, false};
  if (weights.size() != expected.size()) {
    return with_part(output, {});
  }
  NamedTensors parameters{{"kernel", weights[0].reshape({places, width, channels, filters})}};
  if (biased) {
    parameters.emplace_back("bias", weights[1]);
  }
  return with_part(output, part_of("keras.LocallyConnected1D",
                                   "torch.einsum(\"ncpk,pkcf->npf\", [input.unfold(2, " +
                                       std::to_string(width) + ", " + std::to_string(stride) +
                                       "), self.kernel])" + (biased ? " + self.bias" : ""),
                                   std::move(parameters)));
}

}  // namespace keras
}  // namespace seqlift
