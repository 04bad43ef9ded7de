// Layers of attention and of sums by an equation.
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/import/keras/layers.h"
#include "core/model/relative_attention.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace keras {

namespace {

// The projection to heads, [n, L, C] to [n, L, heads * width].
ModulePart projection(const at::Tensor& kernel, const at::Tensor& bias, int64_t in) {
  const at::Tensor flat = kernel.reshape({in, -1}).t().contiguous();
  return linear_layer(flat, bias.defined() ? bias.reshape({-1}) : bias);
}

}  // namespace

std::vector<std::string> causal_lines(const std::string& scores) {
  return {"later = torch.triu(torch.ones([" + scores + ".size(-2), " + scores +
              ".size(-1)], dtype=11, device=" + scores + ".device), 1)",
          scores + " = torch.masked_fill(" + scores + ", later, " + source_number(-1e9) + ")"};
}

// Keras 3: layers/attention/multi_head_attention.py. Query, value and, where it is another, key.
Built multi_head_attention(LayerCall& call) {
  const size_t given = call.inputs.size();
  if (given < 2 || given > 3) {
    call.refuse("takes a query, a value and at most a key, not " + std::to_string(given) +
                " inputs");
  }
  call.demand_rank(2);
  for (Described& input : call.inputs) {
    input.channels_first = false;
    if (input.shape[1] < 0) {
      call.refuse("needs inputs whose channels are fixed, which the file does not say");
    }
  }
  const int64_t heads = call.config.whole("num_heads", 1);
  const int64_t width = call.config.whole("key_dim", 1);
  const int64_t value_width = call.config.whole("value_dim", 1, width);
  const bool biased = call.config.flag("use_bias", true);
  const int64_t channels = call.shape()[1];
  const int64_t out = call.config.numbers("output_shape", 1, 1, {channels})[0];
  for (const char* shape : {"query_shape", "key_shape", "value_shape"}) {
    call.config.value(shape);  // tf.keras: those of the inputs
  }
  if (const auto* axes = call.config.value("attention_axes")) {
    if (call.config.list("attention_axes") != std::vector<int64_t>{1} || axes->is_null()) {
      call.config.refuse("attention_axes", "is not supported");
    }
  }
  const int64_t value_channels = call.inputs[1].shape[1];
  const int64_t key_channels = call.inputs[given - 1].shape[1];
  const auto part = [&](const std::string& role, const Shape& kernel, const Shape& bias) {
    std::vector<ExpectedWeight> expected{{"kernel", kernel}};
    if (biased) {
      expected.push_back({"bias", bias});
    }
    return call.weights.of_part(role).take(expected);
  };
  const auto query = part("query", {channels, heads, width}, {heads, width});
  const auto key = part("key", {key_channels, heads, width}, {heads, width});
  const auto value = part("value", {value_channels, heads, value_width}, {heads, value_width});
  const auto output = part("output", {heads, value_width, out}, {out});
  const Described described{{call.shape()[0], out}, false};
  const bool causal = call.config.flag("use_causal_mask", false);
  const bool shares = call.config.flag("return_attention_scores", false);
  std::vector<Described> outputs;
  if (shares) {
    outputs = {described, {{heads, call.shape()[0], call.inputs[1].shape[0]}, false}};
  }
  if (query.empty() || key.empty() || value.empty() || output.empty()) {
    Built built = with_part(described, {});
    built.outputs = outputs;
    return built;
  }
  const auto bias_of = [&](const std::vector<at::Tensor>& weights) {
    return biased ? weights[1] : at::Tensor();
  };
  ModulePart module;
  module.class_name = "keras.MultiHeadAttention";
  module.parts.emplace_back("query", projection(query[0], bias_of(query), channels));
  module.parts.emplace_back("key", projection(key[0], bias_of(key), key_channels));
  module.parts.emplace_back("value", projection(value[0], bias_of(value), value_channels));
  module.parts.emplace_back(
      "output", linear_layer(output[0].reshape({heads * value_width, out}).t().contiguous(),
                             bias_of(output)));
  module.parts.emplace_back("softmax", activation_layer("Softmax", "torch.softmax(input, -1)"));
  const std::string third = given == 3 ? "input_2" : "input_1";
  std::string masked;
  for (const std::string& line : causal ? causal_lines("scores") : std::vector<std::string>()) {
    masked += "    " + line + "\n";
  }
  module.source =
      "def split(self, values: Tensor):\n"
      "    heads = torch.reshape(values, [values.size(0), values.size(1), " +
      std::to_string(heads) +
      ", -1])\n"
      "    return torch.permute(heads, [0, 2, 1, 3])\n"
      "def forward(self, input_0: Tensor, input_1: Tensor" +
      (given == 3 ? std::string(", input_2: Tensor") : std::string()) +
      "):\n"
      "    q = self.split(self.query.forward(input_0)) * " +
      source_number(1.0 / std::sqrt(static_cast<double>(width))) +
      "\n"
      "    k = self.split(self.key.forward(" +
      third +
      "))\n"
      "    v = self.split(self.value.forward(input_1))\n"
      "    scores = torch.matmul(q, torch.permute(k, [0, 1, 3, 2]))\n" +
      masked +
      "    shares = self.softmax.forward(scores)\n"
      "    mixed = torch.permute(torch.matmul(shares, v), [0, 2, 1, 3])\n"
      "    mixed = torch.reshape(mixed, [mixed.size(0), mixed.size(1), " +
      std::to_string(heads * value_width) +
      "])\n"
      "    return self.output.forward(mixed)" +
      (shares ? ", shares" : "") + "\n";
  Built built = with_part(described, std::move(module));
  built.outputs = outputs;
  return built;
}

namespace {

// "ab,bc->ac" or "...b,bc->...c".
struct Equation {
  std::string input, kernel, output;
};

Equation read_equation(LayerCall& call) {
  std::string text = call.config.text("equation", "");
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  const size_t comma = text.find(',');
  const size_t arrow = text.find("->");
  Equation equation;
  const auto plain = [](const std::string& letters) {
    return !letters.empty() && letters.size() < 9 &&
           std::all_of(letters.begin(), letters.end(),
                       [](char letter) { return letter >= 'a' && letter <= 'z'; });
  };
  if (comma != std::string::npos && arrow != std::string::npos && comma < arrow) {
    equation = {text.substr(0, comma), text.substr(comma + 1, arrow - comma - 1),
                text.substr(arrow + 2)};
  }
  const bool open = equation.input.compare(0, 3, "...") == 0;
  if (open && equation.output.compare(0, 3, "...") == 0) {
    // The dimensions that the dots stand for, by letters that are not used.
    const size_t rest = equation.input.size() - 3;
    if (call.rank() + 1 < rest) {
      call.config.refuse("equation", "has more dimensions than its input");
    }
    std::string dots;
    for (char letter = 'a'; dots.size() < call.rank() + 1 - rest && letter <= 'z'; ++letter) {
      dots += text.find(letter) == std::string::npos ? std::string(1, letter) : std::string();
    }
    equation.input = dots + equation.input.substr(3);
    equation.output = dots + equation.output.substr(3);
  }
  if (!plain(equation.input) || !plain(equation.kernel) || !plain(equation.output) ||
      equation.input.size() != call.rank() + 1) {
    call.config.refuse("equation", "is not understood for an input of " +
                                       std::to_string(call.rank() + 1) + " dimensions");
  }
  if (equation.output[0] != equation.input[0] ||
      equation.kernel.find(equation.input[0]) != std::string::npos) {
    call.config.refuse("equation", "does not keep sequences apart");
  }
  return equation;
}

}  // namespace

// Keras 3: layers/core/einsum_dense.py.
Built einsum_dense(LayerCall& call) {
  call.inputs.front().channels_first = false;
  const Equation equation = read_equation(call);
  std::map<char, int64_t> sizes;
  for (size_t i = 0; i < call.rank(); ++i) {
    sizes[equation.input[i + 1]] = call.shape()[i];
  }
  // A number, or one for each dimension of the output; null where the input says it.
  Shape told;
  const auto* shape = call.config.value("output_shape");
  if (shape && shape->is_number()) {
    told.push_back(call.config.whole("output_shape", 1));
  } else if (shape && shape->is_array()) {
    for (const auto& one : *shape) {
      told.push_back(one.is_number_integer() ? one.get<int64_t>() : -1);
    }
  }
  if (told.size() + 1 > equation.output.size()) {
    call.config.refuse("output_shape", "has more dimensions than the equation");
  }
  const size_t first = equation.output.size() - told.size();
  for (size_t i = 0; i < told.size(); ++i) {
    int64_t& size = sizes[equation.output[first + i]];
    size = size > 0 ? size : told[i];
  }
  const auto size_of = [&](char letter) {
    const auto found = sizes.find(letter);
    return found == sizes.end() || found->second == 0 ? -1 : found->second;
  };
  Shape kernel;
  for (const char letter : equation.kernel) {
    kernel.push_back(size_of(letter));
    if (kernel.back() < 1) {
      call.config.refuse("output_shape", "does not say how large the kernel is");
    }
  }
  std::vector<ExpectedWeight> expected{{"kernel", kernel}};
  const std::string biased = call.config.text("bias_axes", "");
  Shape bias;
  for (size_t i = 1; i < equation.output.size(); ++i) {
    const char letter = equation.output[i];
    const bool along = biased.find(letter) != std::string::npos;
    // Before the first of its dimensions the bias has none.
    if (along || !bias.empty()) {
      bias.push_back(along ? size_of(letter) : 1);
    }
  }
  if (!biased.empty()) {
    expected.push_back({"bias", bias});
  }
  const auto weights = call.weights.take(expected);
  Described output{{}, false};
  for (size_t i = 1; i < equation.output.size(); ++i) {
    output.shape.push_back(size_of(equation.output[i]));
  }
  Steps steps;
  if (!weights.empty()) {
    NamedTensors parameters{{"weight", weights[0]}};
    std::string expression = "torch.einsum(\"" + equation.input + "," + equation.kernel + "->" +
                             equation.output + "\", [input, self.weight])";
    if (!biased.empty()) {
      parameters.emplace_back("bias", weights[1]);
      expression += " + self.bias";
    }
    steps.emplace_back("sum", part_of("keras.EinsumDense", expression, parameters));
  }
  add_activation(steps, call, output);
  return chain("keras.EinsumDense", std::move(steps), output);
}

// CREsted, FastISM: softmax over each window of positions, by logits that are a product of all its
// channels with the weight.
Built attention_pool(LayerCall& call) {
  call.demand_rank(2);
  call.demand_known(0);
  call.demand_known(1);
  Described& input = call.inputs.front();
  input.channels_first = false;
  const int64_t size = call.config.whole("pool_size", 1, 2);
  const bool per_channel = call.config.flag("per_channel", true);
  for (const char* unused : {"w_init_scale", "strides", "padding", "data_format"}) {
    call.config.value(unused);
  }
  const int64_t channels = input.shape[1];
  if (input.shape[0] % size != 0) {
    call.refuse("needs a length that is a multiple of " + std::to_string(size) + ", not " +
                std::to_string(input.shape[0]));
  }
  const Described output{{input.shape[0] / size, channels}, false};
  const auto weights =
      call.weights.take({{"att_pool_weight", {channels, per_channel ? channels : 1}}});
  if (weights.empty()) {
    return with_part(output, {});
  }
  ModulePart part = part_of_lines(
      "crested.AttentionPool1D",
      {"windows = torch.reshape(input, [input.size(0), input.size(1) // " + std::to_string(size) +
           ", " + std::to_string(size) + ", " + std::to_string(channels) + "])",
       "shares = torch.softmax(torch.matmul(windows, self.weight), 2)",
       "return torch.sum(windows * shares, [2])"});
  part.parameters = {{"weight", weights[0]}};
  return with_part(output, std::move(part));
}

// CREsted: tl/zoo/utils/_attention.py; Enformer's and Borzoi's attention with relative positions.
Built relative_attention(LayerCall& call) {
  call.demand_rank(2);
  call.demand_known(1);
  Described& input = call.inputs.front();
  input.channels_first = false;
  RelativeAttention options;
  options.heads = call.config.whole("heads", 1);
  options.width = call.config.whole("key_size", 1);
  const int64_t channels = input.shape[1];
  const int64_t values = call.config.whole("value_size", 1) * options.heads;
  const int64_t queries = options.width * options.heads;
  call.config.demand_flag("scaling", true);
  call.config.demand_flag("relative_position_symmetric", false);
  call.config.demand_flag("relative_position_absolute", true);
  call.config.demand_flag("absolute_positions", false);
  const std::string functions = call.config.text("relative_position_functions", "borzoi");
  options.three_families = functions == "enformer";
  if (!options.three_families && functions != "borzoi") {
    call.config.refuse("relative_position_functions", "is not known");
  }
  const int64_t features = call.config.whole("num_position_features", 1);
  const int64_t classes = options.three_families ? 6 : 2;
  if (features % classes != 0) {
    call.config.refuse("num_position_features", "is not a multiple of " + std::to_string(classes));
  }
  options.functions = features / classes;
  for (const char* unused : {"attention_dropout_rate", "positional_dropout_rate", "zero_initialize",
                             "initializer", "l2_scale"}) {
    call.config.value(unused);
  }
  const auto part = [&](const std::string& role, int64_t in, int64_t out, bool biased = false) {
    std::vector<ExpectedWeight> expected{{"kernel", {in, out}}};
    if (biased) {
      expected.push_back({"bias", {out}});
    }
    return call.weights.of_part(role).take(expected);
  };
  const auto query = part("_q_layer", channels, queries);
  const auto key = part("_k_layer", channels, queries);
  const auto value = part("_v_layer", channels, values);
  const auto output = part("_embedding_layer", values, values, true);
  const auto position = part("_r_k_layer", features, queries);
  const Shape bias{1, options.heads, 1, options.width};
  const auto biases = call.weights.own().take({{"r_w_bias", bias}, {"r_r_bias", bias}});
  const Described described{{input.shape[0], values}, false};
  if (query.empty() || key.empty() || value.empty() || output.empty() || position.empty() ||
      biases.empty()) {
    return with_part(described, {});
  }
  ModulePart module;
  module.class_name = "crested.MultiheadAttention";
  const auto add = [&](const char* name, const std::vector<at::Tensor>& weights) {
    module.parts.emplace_back(name, linear_layer(weights[0].t().contiguous(),
                                                 weights.size() > 1 ? weights[1] : at::Tensor()));
  };
  add("to_q", query);
  add("to_k", key);
  add("to_v", value);
  add("to_out", output);
  add("to_rel_k", position);
  module.parameters = {{"rel_content_bias", biases[0]}, {"rel_pos_bias", biases[1]}};
  module.source = relative_attention_source(options);
  return with_part(described, std::move(module));
}

}  // namespace keras
}  // namespace seqlift
