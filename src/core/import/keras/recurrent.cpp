// LSTM, GRU, SimpleRNN and Bidirectional. With Keras's usual activations they are PyTorch's own
// layers; with others, with a mask, and for the GRU that resets before its matrix product, a loop
// over positions. Each sequence begins with a state of zeros, those of a `stateful` layer too.
// Keras's gates: input, forget, cell, output of an LSTM (PyTorch's order); update, reset, candidate
// of a GRU (PyTorch: reset, update, candidate).

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/import/keras/layers.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace keras {

using nlohmann::json;

namespace {

struct Recurrence {
  std::string kind;  // LSTM, GRU, SimpleRNN
  int64_t channels = 0;
  int64_t units = 0;
  bool biased = true;
  bool sequences = false;  // returns every position
  bool backwards = false;
  bool states = false;  // returns the last state too
  bool masked = false;  // is given which positions count; the others leave the state as it is
  bool zeros = false;   // and gives zeros there, in place of what it gave before
  bool resets_after = false;
  std::string activation, gate_activation;
  // Weights in Keras's layout: [channels, gates x units], [units, gates x units], [gates x
  // units], and the bias of the recurrent product where a GRU resets after it.
  at::Tensor kernel, recurrent, bias, recurrent_bias;

  int64_t gates() const { return kind == "LSTM" ? 4 : kind == "GRU" ? 3 : 1; }
};

// Keras 1 had a weight for each gate, the LSTM's in the order input, cell, forget, output.
std::vector<at::Tensor> take_by_gate(LayerCall& call, const Recurrence& net) {
  const std::vector<std::string> gates = net.kind == "LSTM"
                                             ? std::vector<std::string>{"i", "c", "f", "o"}
                                             : std::vector<std::string>{"z", "r", "h"};
  std::vector<ExpectedWeight> expected;
  for (const std::string& gate : gates) {
    expected.push_back({"W_" + gate, {net.channels, net.units}});
    expected.push_back({"U_" + gate, {net.units, net.units}});
    expected.push_back({"b_" + gate, {net.units}});
  }
  const auto weights = call.weights.take(expected);
  if (weights.empty()) {
    return {};
  }
  const std::vector<size_t> order =
      net.kind == "LSTM" ? std::vector<size_t>{0, 2, 1, 3} : std::vector<size_t>{0, 1, 2};
  std::vector<at::Tensor> joined;
  for (size_t role = 0; role < 3; ++role) {
    std::vector<at::Tensor> parts;
    for (const size_t gate : order) {
      parts.push_back(weights[3 * gate + role]);
    }
    joined.push_back(at::cat(parts, -1));
  }
  return joined;
}

bool take_weights(LayerCall& call, Recurrence& net) {
  const int64_t wide = net.gates() * net.units;
  std::vector<at::Tensor> weights;
  const bool by_gate = call.version < 2 && net.kind != "SimpleRNN" && call.weights.size() > 3;
  if (by_gate) {
    weights = take_by_gate(call, net);
  } else {
    std::vector<ExpectedWeight> expected{{"kernel", {net.channels, wide}},
                                         {"recurrent_kernel", {net.units, wide}}};
    if (net.biased) {
      expected.push_back({"bias", net.resets_after ? Shape{2, wide} : Shape{wide}});
    }
    weights = call.weights.take(expected);
  }
  if (weights.empty()) {
    return false;
  }
  net.kernel = weights[0];
  net.recurrent = weights[1];
  if (net.biased) {
    net.bias = net.resets_after ? weights[2].select(0, 0) : weights[2];
    net.recurrent_bias = net.resets_after ? weights[2].select(0, 1) : at::Tensor();
  }
  return true;
}

Recurrence read(LayerCall& call) {
  Recurrence net;
  net.kind = call.class_name;
  call.demand_rank(2);
  call.inputs.front().channels_first = false;
  call.demand_known(1);
  net.channels = call.shape()[1];
  net.units = call.config.whole("units", 1);
  net.biased = call.config.flag("use_bias", true);
  net.sequences = call.config.flag("return_sequences", false);
  net.backwards = call.config.flag("go_backwards", false);
  net.states = call.config.flag("return_state", false);
  net.masked = call.masked;
  net.zeros = call.config.flag("zero_output_for_mask", false);
  call.config.demand_flag("time_major", false);
  net.resets_after = net.kind == "GRU" && call.config.flag("reset_after", false);
  net.activation = activation_name(call, "activation", "tanh");
  std::string expression;
  if (!activation_expression(net.activation, call.version, "x", expression)) {
    call.config.refuse("activation", "is not an activation that is known here");
  }
  if (net.kind != "SimpleRNN") {
    net.gate_activation = activation_name(call, "recurrent_activation", "sigmoid");
    if (!activation_expression(net.gate_activation, call.version, "x", expression)) {
      call.config.refuse("recurrent_activation", "is not an activation that is known here");
    }
  }
  return net;
}

bool is_standard(const Recurrence& net) {
  return net.activation == "tanh" && !net.masked &&
         (net.kind == "SimpleRNN" || net.gate_activation == "sigmoid") &&
         (net.kind != "GRU" || net.resets_after);
}

// [channels, gates x units] to PyTorch's [gates x units, channels].
at::Tensor to_torch(const Recurrence& net, const at::Tensor& weight) {
  if (!weight.defined()) {
    return weight;
  }
  at::Tensor gates = weight.dim() == 2 ? weight.t() : weight;
  if (net.kind == "GRU") {
    const auto parts = gates.chunk(3, 0);
    gates = at::cat({parts[1], parts[0], parts[2]}, 0);
  }
  return gates.contiguous();
}

ModulePart standard(const Recurrence& net) {
  NamedTensors parameters{{"weight_ih_l0", to_torch(net, net.kernel)},
                          {"weight_hh_l0", to_torch(net, net.recurrent)}};
  std::string names = "self.weight_ih_l0, self.weight_hh_l0";
  if (net.biased) {
    const at::Tensor bias = to_torch(net, net.bias);
    parameters.emplace_back("bias_ih_l0", bias);
    parameters.emplace_back("bias_hh_l0", net.recurrent_bias.defined()
                                              ? to_torch(net, net.recurrent_bias)
                                              : at::zeros_like(bias));
    names += ", self.bias_ih_l0, self.bias_hh_l0";
  }
  const bool lstm = net.kind == "LSTM";
  std::vector<std::string> lines;
  if (net.backwards) {
    lines.push_back("input = torch.flip(input, [1])");
  }
  lines.push_back("state = torch.zeros([1, input.size(0), " + std::to_string(net.units) +
                  "], dtype=input.dtype, device=input.device)");
  lines.push_back(std::string(lstm ? "output, hidden, cell = torch.lstm(input, [state, state], ["
                              : net.kind == "GRU"
                                  ? "output, hidden = torch.gru(input, state, ["
                                  : "output, hidden = torch.rnn_tanh(input, state, [") +
                  names + "], " + (net.biased ? "True" : "False") + ", 1, 0., False, False, True)");
  const std::string states = !net.states ? ""
                             : lstm      ? ", torch.select(hidden, 0, 0), torch.select(cell, 0, 0)"
                                         : ", torch.select(hidden, 0, 0)";
  lines.push_back((net.sequences ? "return output" : "return torch.select(output, 1, -1)") +
                  states);
  ModulePart part = part_of_lines(
      std::string("torch.nn.modules.rnn.") + (net.kind == "SimpleRNN" ? "RNN" : net.kind), lines);
  part.parameters = std::move(parameters);
  return part;
}

std::string gate(const std::string& of, int64_t index, int64_t units) {
  return "torch.narrow(" + of + ", 1, " + std::to_string(index * units) + ", " +
         std::to_string(units) + ")";
}

// The lines of one position: `x` the input's product of this position, `hidden` and `cell` the
// state.
std::vector<std::string> one_step(const Recurrence& net, int version) {
  const auto active = [&](const std::string& name, const std::string& input) {
    std::string expression;
    activation_expression(name, version, "(" + input + ")", expression);
    return expression;
  };
  const auto apply = [&](const std::string& to, const std::string& name, const std::string& input) {
    return std::vector<std::string>{to + "_in = " + input, to + " = " + active(name, to + "_in")};
  };
  std::vector<std::string> lines;
  const auto add = [&](const std::vector<std::string>& more) {
    lines.insert(lines.end(), more.begin(), more.end());
  };
  const int64_t u = net.units;
  if (net.kind == "SimpleRNN") {
    add(apply("hidden", net.activation, "x + torch.matmul(hidden, self.recurrent_kernel)"));
    return lines;
  }
  if (net.kind == "LSTM") {
    lines.push_back("z = x + torch.matmul(hidden, self.recurrent_kernel)");
    add(apply("input_gate", net.gate_activation, gate("z", 0, u)));
    add(apply("forget_gate", net.gate_activation, gate("z", 1, u)));
    add(apply("candidate", net.activation, gate("z", 2, u)));
    add(apply("output_gate", net.gate_activation, gate("z", 3, u)));
    lines.push_back("cell = forget_gate * cell + input_gate * candidate");
    add(apply("active", net.activation, "cell"));
    lines.push_back("hidden = output_gate * active");
    return lines;
  }
  lines.push_back(net.recurrent_bias.defined()
                      ? "z = torch.matmul(hidden, self.recurrent_kernel) + self.recurrent_bias"
                      : "z = torch.matmul(hidden, self.recurrent_kernel)");
  add(apply("update", net.gate_activation, gate("x", 0, u) + " + " + gate("z", 0, u)));
  add(apply("reset", net.gate_activation, gate("x", 1, u) + " + " + gate("z", 1, u)));
  const std::string product = net.resets_after ? "reset * " + gate("z", 2, u)
                                               : "torch.matmul(reset * hidden, " +
                                                     gate("self.recurrent_kernel", 2, u) + ")";
  add(apply("candidate", net.activation, gate("x", 2, u) + " + " + product));
  lines.push_back("hidden = update * hidden + (1 - update) * candidate");
  return lines;
}

// The mask comes after the input.
void take_mask(ModulePart& part, bool masked) {
  const std::string alone = "input: Tensor):";
  if (masked) {
    part.source.replace(part.source.find(alone), alone.size(), "input: Tensor, mask: Tensor):");
  }
}

ModulePart loop(const Recurrence& net, int version) {
  NamedTensors parameters{{"kernel", net.kernel.t().contiguous()},
                          {"recurrent_kernel", net.recurrent.contiguous()}};
  if (net.biased) {
    parameters.emplace_back("bias", net.bias.contiguous());
  }
  if (net.recurrent_bias.defined()) {
    parameters.emplace_back("recurrent_bias", net.recurrent_bias.contiguous());
  }
  std::vector<std::string> lines{std::string("products = torch.linear(input, self.kernel, ") +
                                     (net.biased ? "self.bias)" : "None)"),
                                 "hidden = torch.zeros([input.size(0), " +
                                     std::to_string(net.units) +
                                     "], dtype=input.dtype, device=input.device)"};
  if (net.kind == "LSTM") {
    lines.push_back("cell = hidden");
  }
  if (net.sequences) {
    lines.push_back("outputs: List[Tensor] = []");
  }
  const std::string place = net.backwards ? "input.size(1) - 1 - t)" : "t)";
  const std::string given = net.zeros ? "given" : "hidden";  // what the layer returns
  if (net.zeros) {
    lines.push_back("given = hidden");
  }
  lines.push_back("for t in range(input.size(1)):");
  lines.push_back("    x = torch.select(products, 1, " + place);
  if (net.masked) {
    lines.push_back("    before = hidden");
    if (net.kind == "LSTM") {
      lines.push_back("    cell_before = cell");
    }
  }
  for (const std::string& line : one_step(net, version)) {
    lines.push_back("    " + line);
  }
  if (net.masked) {
    lines.push_back("    counts = torch.unsqueeze(torch.select(mask, 1, " + place + ", 1)");
    if (net.zeros) {
      lines.push_back("    given = torch.where(counts, hidden, torch.zeros_like(hidden))");
    }
    lines.push_back("    hidden = torch.where(counts, hidden, before)");
    if (net.kind == "LSTM") {
      lines.push_back("    cell = torch.where(counts, cell, cell_before)");
    }
  }
  if (net.sequences) {
    lines.push_back("    outputs.append(" + given + ")");
  }
  lines.push_back((net.sequences ? "return torch.stack(outputs, 1)" : "return " + given) +
                  (!net.states          ? ""
                   : net.kind == "LSTM" ? ", hidden, cell"
                                        : ", hidden"));
  ModulePart part = part_of_lines("keras." + net.kind, lines);
  take_mask(part, net.masked);
  part.parameters = std::move(parameters);
  return part;
}

Described output_of(const LayerCall& call, const Recurrence& net) {
  return net.sequences ? Described{{call.shape()[0], net.units}, false}
                       : Described{{net.units}, false};
}

Built build(LayerCall& call, Recurrence net) {
  Built built;
  built.output = output_of(call, net);
  // Zeros in place of what is masked out are none where nothing is.
  net.zeros = net.zeros && net.masked;
  if (net.states) {
    built.outputs.assign(net.kind == "LSTM" ? 3 : 2, Described{{net.units}, false});
    built.outputs[0] = built.output;
  }
  if (take_weights(call, net)) {
    built.part = is_standard(net) ? standard(net) : loop(net, call.version);
  }
  return built;
}

struct Inner {
  std::string class_name;
  json options;
};

// The layer that Bidirectional runs, as it is written there.
Inner inner_layer(LayerCall& call, const char* option) {
  const json* value = call.config.value(option);
  if (!value || !value->is_object() || !value->contains("class_name") ||
      !(*value)["class_name"].is_string() || !value->contains("config")) {
    call.config.refuse(option, "is not a layer");
  }
  Inner inner{(*value)["class_name"].get<std::string>(), (*value)["config"]};
  to_keras_2(inner.class_name, inner.options);
  if (inner.class_name != "LSTM" && inner.class_name != "GRU" && inner.class_name != "SimpleRNN") {
    call.refuse("runs a layer that is not known there: " + inner.class_name);
  }
  return inner;
}

}  // namespace

Built recurrent(LayerCall& call) { return build(call, read(call)); }

// One layer from each end; what the backward one returns for every position is turned round again.
Built bidirectional(LayerCall& call) {
  const Inner inner = inner_layer(call, "layer");
  const Inner other =
      call.config.has("backward_layer") ? inner_layer(call, "backward_layer") : inner;
  const bool joins = call.config.has("merge_mode");
  const std::string mode = call.config.text("merge_mode", "");
  call.inputs.front().channels_first = false;
  const auto call_of = [&](const Inner& layer, const char* direction) {
    return LayerCall{layer.class_name,
                     Config(layer.options, layer.class_name + " in " + call.config.layer()),
                     call.weights.of_direction(direction),
                     call.inputs,
                     call.version,
                     call.theano,
                     call.masked};
  };
  LayerCall ahead = call_of(inner, "forward");
  LayerCall back = call_of(other, "backward");
  Recurrence first = read(ahead);
  Recurrence second = read(back);
  ahead.config.finish();
  back.config.finish();
  if (first.states || second.states) {
    call.refuse("runs a layer with `return_state`, which is not supported there");
  }
  // So does Keras, whatever the layer says.
  first.zeros = first.sequences;
  second.zeros = second.sequences;
  if (!call.config.has("backward_layer")) {
    second.backwards = !first.backwards;
  }
  if (first.backwards == second.backwards || first.sequences != second.sequences ||
      first.units != second.units) {
    call.config.refuse("backward_layer", "does not go with the forward layer");
  }
  Built one = build(ahead, first);
  Built two = build(back, second);
  std::string merged;
  Described output = one.output;
  const bool both = !joins;
  if (mode == "concat") {
    output.shape.back() *= 2;
    merged = "torch.cat([ahead, back], -1)";
  } else if (mode == "sum") {
    merged = "ahead + back";
  } else if (mode == "mul") {
    merged = "ahead * back";
  } else if (mode == "ave") {
    merged = "(ahead + back) / 2";
  } else if (both) {
    merged = "ahead, back";
  } else {
    call.config.refuse("merge_mode", "is not known");
  }
  Built built;
  built.output = output;
  if (both) {
    built.outputs = {output, two.output};
  }
  const std::string arguments = call.masked ? "(input, mask)" : "(input)";
  std::vector<std::string> lines{"ahead = self.forward_layer.forward" + arguments,
                                 "back = self.backward_layer.forward" + arguments};
  if (first.sequences) {
    lines.push_back("back = torch.flip(back, [1])");
  }
  lines.push_back("return " + merged);
  built.part = part_of_lines("keras.Bidirectional", lines);
  take_mask(built.part, call.masked);
  built.part.parts = {{"forward_layer", std::move(one.part)},
                      {"backward_layer", std::move(two.part)}};
  return built;
}

}  // namespace keras
}  // namespace seqlift
