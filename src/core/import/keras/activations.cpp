
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/import/keras/layers.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace keras {

using nlohmann::json;

namespace {

struct Known {
  const char* class_name;  // PyTorch's where there is one, which module rules know
  const char* expression;  // of @
};

// log(1 + exp(x)) is x to double precision from 40 on, where exp() is far from the largest float32.
const std::map<std::string, Known>& known_activations() {
  static const std::map<std::string, Known> known = {
      {"relu", {"ReLU", "torch.relu(@)"}},
      {"relu6", {"ReLU6", "torch.hardtanh(@, 0., 6.)"}},
      {"sigmoid", {"Sigmoid", "torch.sigmoid(@)"}},
      {"tanh", {"Tanh", "torch.tanh(@)"}},
      {"elu", {"ELU", "torch.elu(@)"}},
      {"selu", {"SELU", "torch.selu(@)"}},
      {"softplus", {"Softplus", "torch.softplus(@, 1, 40)"}},
      {"softsign", {"Softsign", "@ / (torch.abs(@) + 1)"}},
      {"exponential", {"keras.Exponential", "torch.exp(@)"}},
      {"gelu", {"GELU", "torch.gelu(@)"}},
      // CREsted's own.
      {"gelu_approx", {"GELU", "torch.gelu(@, approximate=\"tanh\")"}},
      {"gelu_enf", {"keras.Gelu", "torch.sigmoid(1.702 * @) * @"}},
      {"celu", {"CELU", "torch.celu(@)"}},
      {"log_sigmoid", {"LogSigmoid", "torch.log_sigmoid(@)"}},
      {"hard_silu", {"Hardswish", "torch.hardswish(@)"}},
      {"hard_tanh", {"Hardtanh", "torch.hardtanh(@, -1., 1.)"}},
      {"hard_shrink", {"Hardshrink", "torch.hardshrink(@, 0.5)"}},
      {"soft_shrink", {"Softshrink", "torch.softshrink(@, 0.5)"}},
      {"sparse_plus",
       {"keras.SparsePlus",
        "torch.pow(torch.clamp(@ * 0.5 + 0.5, 0., 1.), 2) + torch.relu(@ - 1.)"}},
      {"sparse_sigmoid", {"keras.SparseSigmoid", "torch.clamp(@ * 0.5 + 0.5, 0., 1.)"}},
      {"tanh_shrink", {"Tanhshrink", "@ - torch.tanh(@)"}},
      {"squareplus", {"keras.Squareplus", "(@ + torch.sqrt(@ * @ + 4.)) / 2."}},
      {"swish", {"SiLU", "torch.silu(@)"}},
      {"silu", {"SiLU", "torch.silu(@)"}},
      {"mish", {"Mish", "torch.mish(@)"}},
      {"leaky_relu", {"LeakyReLU", "torch.leaky_relu(@, 0.2)"}}};
  return known;
}

// Keras 3 took PyTorch's definition.
const Known old_hard_sigmoid = {"keras.HardSigmoid", "torch.clamp(@ * 0.2 + 0.5, 0., 1.)"};
const Known new_hard_sigmoid = {"Hardsigmoid", "torch.hardsigmoid(@)"};

const Known* find_activation(const std::string& name, int version) {
  if (name == "hard_sigmoid") {
    return version < 3 ? &old_hard_sigmoid : &new_hard_sigmoid;
  }
  const auto found = known_activations().find(name);
  return found == known_activations().end() ? nullptr : &found->second;
}

std::string fill_in(const std::string& expression, const std::string& input) {
  std::string text;
  for (const char letter : expression) {
    text += letter == '@' ? input : std::string(1, letter);
  }
  return text;
}

ModulePart activation_part(const std::string& class_name, const std::string& expression) {
  return class_name.find('.') == std::string::npos ? activation_layer(class_name, expression)
                                                   : part_of(class_name, expression);
}

// Softmax over Keras's last dimension.
ModulePart softmax_over(int64_t dimension, bool logarithm) {
  const std::string at = std::to_string(dimension);
  return logarithm ? activation_layer("LogSoftmax", "torch.log_softmax(input, " + at + ")")
                   : activation_layer("Softmax", "torch.softmax(input, " + at + ")");
}

Built alone(LayerCall& call, ModulePart part) {
  Built built;
  built.output = call.inputs.front();
  built.part = std::move(part);
  return built;
}

}  // namespace

bool activation_expression(const std::string& name, int version, const std::string& input,
                           std::string& expression) {
  if (name == "linear") {
    expression = input;
    return true;
  }
  const Known* found = find_activation(name, version);
  if (found) {
    expression = fill_in(found->expression, input);
  }
  return found != nullptr;
}

// A name, or what Keras writes of a function: {"class_name": "function", "config": "relu"}.
std::string activation_name(LayerCall& call, const char* option, const std::string& otherwise) {
  const json* value = call.config.value(option);
  if (value && value->is_object() && value->value("class_name", json()) == "function" &&
      value->contains("config")) {
    value = &(*value)["config"];
  }
  if (!value) {
    return otherwise;
  }
  if (!value->is_string()) {
    call.config.refuse(option, "is not an activation that is known");
  }
  // "crested>gelu_approx": a package's own, by its registered name.
  const std::string name = value->get<std::string>();
  const bool of_crested = name.compare(0, 8, "crested>") == 0;
  return of_crested ? name.substr(8) : name;
}

void add_activation(Steps& steps, LayerCall& call, const Described& at, const char* option) {
  const json* value = call.config.value(option);
  if (value && value->is_object() && value->value("class_name", json()) != "function" &&
      value->contains("class_name") && (*value)["class_name"].is_string()) {
    // A layer in the place of a function: {"class_name": "LeakyReLU", "config": {...}}.
    std::string class_name = (*value)["class_name"].get<std::string>();
    static const std::set<std::string> layers = {"ReLU", "LeakyReLU", "ELU", "Softmax",
                                                 "ThresholdedReLU"};
    if (layers.count(class_name) == 0) {
      call.config.refuse(option, "is not an activation that is known");
    }
    static const json none = json::object();
    const json& options = value->contains("config") ? (*value)["config"] : none;
    LayerCall inner{class_name,   Config(options, class_name + " in " + call.config.layer()),
                    call.weights, {at},
                    call.version, call.theano};
    Built built = find_builder(class_name)(inner);
    inner.config.finish();
    if (!built.nothing) {
      steps.emplace_back("activation", std::move(built.part));
    }
    return;
  }
  const std::string name = activation_name(call, option, "linear");
  if (name == "linear") {
    return;
  }
  if (name == "softmax" || name == "log_softmax") {
    const int64_t last = static_cast<int64_t>(at.shape.size()) - 1;
    steps.emplace_back("activation",
                       softmax_over(module_dimension(at, last), name == "log_softmax"));
    return;
  }
  const Known* found = find_activation(name, call.version);
  if (!found) {
    call.config.refuse(option, "is not an activation that is known");
  }
  steps.emplace_back("activation",
                     activation_part(found->class_name, fill_in(found->expression, "input")));
}

Built activation(LayerCall& call) {
  if (!call.config.has("activation")) {
    call.config.refuse("activation", "is missing");
  }
  Steps steps;
  add_activation(steps, call, call.inputs.front());
  return chain("keras.Activation", std::move(steps), call.inputs.front());
}

// max_value from there on, x from `threshold` on, negative_slope (x - threshold) below.
Built relu_layer(LayerCall& call) {
  const double slope = call.config.number("negative_slope", 0);
  const double threshold = call.config.number("threshold", 0);
  const bool bounded = call.config.has("max_value");
  const double bound = call.config.number("max_value", 0);
  if (bounded && bound < threshold) {
    call.config.refuse("max_value", "is below the threshold");
  }
  if (threshold == 0 && !bounded) {
    return alone(call, slope == 0 ? activation_layer("ReLU", "torch.relu(input)")
                                  : activation_layer("LeakyReLU", "torch.leaky_relu(input, " +
                                                                      source_number(slope) + ")"));
  }
  if (threshold == 0 && slope == 0) {
    return alone(call, activation_layer(bound == 6 ? "ReLU6" : "Hardtanh",
                                        "torch.hardtanh(input, 0., " + source_number(bound) + ")"));
  }
  std::string above = "input";
  if (bounded) {
    above = "torch.clamp_max(input, " + source_number(bound) + ")";
  }
  if (threshold == 0) {
    above = bounded ? "torch.clamp_max(torch.leaky_relu(input, " + source_number(slope) + "), " +
                          source_number(bound) + ")"
                    : above;
    return alone(call, part_of("keras.ReLU", above));
  }
  const std::string at = source_number(threshold);
  return alone(
      call, part_of("keras.ReLU", "torch.where(input >= " + at + ", " + above + ", (input - " + at +
                                      ") * " + source_number(slope) + ")"));
}

Built leaky_relu(LayerCall& call) {
  const double slope = call.config.number("negative_slope", call.config.number("alpha", 0.3));
  return alone(
      call, activation_layer("LeakyReLU", "torch.leaky_relu(input, " + source_number(slope) + ")"));
}

Built elu(LayerCall& call) {
  const double alpha = call.config.number("alpha", 1);
  return alone(call, activation_layer("ELU", "torch.elu(input, " + source_number(alpha) + ")"));
}

Built thresholded_relu(LayerCall& call) {
  const std::string theta = source_number(call.config.number("theta", 1));
  return alone(call, activation_layer("Threshold", "torch.threshold(input, " + theta + ", 0.)"));
}

// x above 0, alpha x below, alpha being one number for each unit but along the shared axes.
Built parametric_relu(LayerCall& call) {
  const Described& input = call.inputs.front();
  Shape shape = input.shape;
  if (call.config.has("shared_axes")) {
    for (const int64_t axis : call.config.list("shared_axes")) {
      shape[static_cast<size_t>(plain_axis(call, axis, shape.size()))] = 1;
    }
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0) {
      call.demand_known(i);
    }
  }
  const auto weights = call.weights.take({{"alpha", shape}});
  if (weights.empty()) {
    return alone(call, {});
  }
  const at::Tensor alpha =
      input.channels_first ? at::movedim(weights[0], -1, 0).contiguous() : weights[0];
  ModulePart part =
      activation_layer("PReLU", "torch.relu(input) + self.weight * (input - torch.relu(input))");
  part.parameters = {{"weight", alpha}};
  return alone(call, part);
}

Built softmax(LayerCall& call) {
  const Described& input = call.inputs.front();
  int64_t axis = -1;
  if (call.config.has("axis")) {
    axis = call.config.numbers("axis", 1, -8)[0];
  }
  const int64_t plain = plain_axis(call, axis, input.shape.size());
  return alone(call, softmax_over(module_dimension(input, plain), false));
}

}  // namespace keras
}  // namespace seqlift
