#include "core/import/keras/build.h"

#include <algorithm>
#include <cctype>

#include "core/base/error.h"
#include "core/import/keras/lambda.h"
#include "core/import/keras/masking.h"
#include "core/import/keras/operations.h"
#include "core/model/standard_layers.h"

namespace seqlift {
namespace keras {

std::string attribute_name(const std::string& name, std::set<std::string>& taken) {
  static const std::set<std::string> words = {
      "and",   "as",     "assert",  "async",    "await",  "break",    "class", "continue", "def",
      "del",   "elif",   "else",    "except",   "exec",   "finally",  "for",   "from",     "global",
      "if",    "import", "in",      "is",       "lambda", "nonlocal", "not",   "or",       "pass",
      "print", "raise",  "return",  "try",      "while",  "with",     "yield", "None",     "True",
      "False", "self",   "forward", "training", "torch",  "inf",      "nan",   "input",    "int",
      "float", "bool",   "str",     "Tensor",   "List",   "getattr",  "range", "len",      "max",
      "min",   "device", "dtype"};
  std::string clean;
  for (const char letter : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(letter)) != 0 &&
                       static_cast<unsigned char>(letter) < 128;
    clean += plain ? letter : '_';
  }
  if (clean.empty() || std::isdigit(static_cast<unsigned char>(clean[0])) != 0) {
    clean = "layer_" + clean;
  }
  // Names with two underscores in front are TorchScript's own.
  if (words.count(clean) > 0 || clean.compare(0, 2, "__") == 0) {
    clean = "layer_" + clean;
  }
  std::string unique = clean;
  for (int number = 1; !taken.insert(unique).second; ++number) {
    unique = clean + "_" + std::to_string(number);
  }
  return unique;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (size_t i = 0; i < texts.size() && i < 20; ++i) {
    all += (i ? "; " : "") + texts[i];
  }
  return texts.size() > 20 ? all + "; and " + std::to_string(texts.size() - 20) + " more" : all;
}

namespace {

bool same_part(const ModulePart& one, const ModulePart& other) {
  if (one.class_name != other.class_name || one.source != other.source ||
      one.parts.size() != other.parts.size()) {
    return false;
  }
  for (size_t i = 0; i < one.parts.size(); ++i) {
    if (!same_part(one.parts[i].second, other.parts[i].second)) {
      return false;
    }
  }
  return true;
}
// "a/b/conv/kernel:0" names `conv`; so does Keras 1's "conv_W".
bool names_layer(const std::string& weight, const std::string& layer) {
  const size_t slash = weight.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : "/" + weight.substr(0, slash) + "/";
  if (folder.find("/" + layer + "/") != std::string::npos) {
    return true;
  }
  static const std::set<std::string> older = {
      "W",   "b",   "U",   "W_i", "U_i",   "b_i",  "W_c",          "U_c",         "b_c",   "W_f",
      "U_f", "b_f", "W_o", "U_o", "b_o",   "W_z",  "U_z",          "b_z",         "W_r",   "U_r",
      "b_r", "W_h", "U_h", "b_h", "gamma", "beta", "running_mean", "running_std", "alphas"};
  std::string own = weight.substr(slash == std::string::npos ? 0 : slash + 1);
  own = own.substr(0, own.rfind(':'));
  return own.compare(0, layer.size() + 1, layer + "_") == 0 &&
         older.count(own.substr(layer.size() + 1)) > 0;
}

}  // namespace

std::vector<const Weight*> Scope::of(const std::string& layer) const {
  if (by_layer) {
    const auto found = by_layer->find(layer);
    return found == by_layer->end() ? std::vector<const Weight*>() : found->second;
  }
  std::vector<const Weight*> own;
  for (const Weight* weight : all) {
    if (names_layer(weight->first, layer)) {
      own.push_back(weight);
    }
  }
  return own;
}

Scope Scope::inside(const std::string& layer) const {
  Scope scope;
  scope.all = of(layer);
  if (!by_layer && scope.all.empty()) {
    scope.all = all;  // the model's own name is not in those of its weights
  }
  return scope;
}
// The permutation between the two orders, done once for each value.
std::string NetworkBuilder::in_order(Forward& forward, const ForwardValue& value,
                                     bool channels_first) {
  const size_t rank = value.described.shape.size();
  if (value.described.channels_first == channels_first || rank < 2) {
    return value.variable;
  }
  std::string& known = forward.moved[{value.variable, channels_first}];
  if (known.empty()) {
    std::vector<int64_t> order{0};
    if (channels_first) {
      order.push_back(static_cast<int64_t>(rank));
    }
    for (size_t i = 1; i < rank; ++i) {
      order.push_back(static_cast<int64_t>(i) + (channels_first ? 0 : 1));
    }
    if (!channels_first) {
      order.push_back(1);
    }
    known = forward.next();
    forward.lines.push_back(known + " = torch.permute(" + value.variable + ", " +
                            source_list(order) + ")");
  }
  return known;
}

void NetworkBuilder::add_part(ModulePart& module, const std::string& name, ModulePart part,
                              const std::string& layer) {
  for (const auto& other : module.parts) {
    if (other.first == name) {
      if (!same_part(other.second, part)) {
        refuse("The layer \"" + layer + "\" is called with inputs of different shapes, which is " +
               "not supported.");
      }
      return;
    }
  }
  module.parts.emplace_back(name, std::move(part));
}

std::vector<ForwardValue> NetworkBuilder::call_layer(Forward& forward, ModulePart& module,
                                                     const Layer& layer, const std::string& name,
                                                     const Scope& scope,
                                                     const std::vector<ForwardValue>& inputs,
                                                     size_t number, const std::string& mask) {
  const std::string description = layer.class_name + " \"" + layer.name + "\"";
  LayerCall call{layer.class_name,
                 Config(layer.options, description),
                 LayerWeights(scope.of(layer.name), description, claimed_, complaints_),
                 {},
                 version_,
                 theano_};
  for (const ForwardValue& input : inputs) {
    call.inputs.push_back(input.described);
  }
  const MaskUse use = mask_use(layer.class_name);
  if (!mask.empty() && layer.operation.empty() && use == MaskUse::unknown) {
    call.refuse("is given a mask, which is not supported there");
  }
  call.masked = !mask.empty() && use == MaskUse::reads;
  Built built;
  if (!layer.operation.empty()) {
    built = operation(call, layer.operation, layer.arguments[number]);
  } else if (layer.class_name == "Lambda") {
    built = known_lambda(call);
  } else {
    const bool joins = layer.class_name == "Concatenate" || inputs.size() == 1;
    static const std::set<std::string> merges = {
        "Add", "Average",  "Maximum",  "Minimum",         "Attention",         "AdditiveAttention",
        "Dot", "Multiply", "Subtract", "StochasticDepth", "MultiHeadAttention"};
    if (!joins && merges.count(layer.class_name) == 0) {
      call.refuse("takes one input, not " + std::to_string(inputs.size()));
    }
    built = find_builder(layer.class_name)(call);
  }
  if (layer.operation.empty()) {
    call.config.finish();
  }
  const bool keeps =
      use == MaskUse::passes || (call.masked && keeps_masks_ && built.output.shape.size() == 2 &&
                                 layer.class_name != "GlobalAveragePooling1D");
  const std::string kept = keeps ? mask : "";
  if (built.nothing) {
    call.weights.take({});
    return {{in_order(forward, inputs[0], built.output.channels_first), built.output, kept}};
  }
  std::string arguments;
  for (size_t i = 0; i < inputs.size(); ++i) {
    arguments += (i ? ", " : "") + in_order(forward, inputs[i], call.inputs[i].channels_first);
  }
  arguments += call.masked ? ", " + mask : "";
  add_part(module, name, std::move(built.part), layer.name);
  const std::string variable = forward.next();
  std::vector<ForwardValue> values{{variable, built.output, kept}};
  std::string variables = variable;
  if (built.outputs.size() > 1) {
    values.clear();
    variables.clear();
    for (size_t i = 0; i < built.outputs.size(); ++i) {
      values.push_back({variable + "_" + std::to_string(i), built.outputs[i]});
      variables += (i ? ", " : "") + values.back().variable;
    }
    values[0].mask = built.masks ? values[1].variable : kept;
  }
  forward.lines.push_back(variables + " = self." + name + ".forward(" + arguments + ")");
  if (built.masks) {
    values.resize(1);
  }
  return values;
}

namespace {

std::string signature(const std::vector<std::string>& arguments) {
  std::string text = "def forward(self";
  for (const std::string& argument : arguments) {
    text += ", " + argument + ": Tensor";
  }
  return text + "):\n";
}

}  // namespace

// A model inside takes its inputs with channels first.
std::vector<ForwardValue> NetworkBuilder::call_network(Forward& forward, ModulePart& module,
                                                       const Layer& layer, const std::string& name,
                                                       const Scope& scope,
                                                       const std::vector<ForwardValue>& inputs) {
  const std::string description = "the model \"" + layer.name + "\"";
  const Network network = read_network(layer.class_name, layer.options, description, true);
  if (network.inputs.size() != inputs.size()) {
    refuse("The model \"" + layer.name + "\" is called with " + std::to_string(inputs.size()) +
           " inputs and has " + std::to_string(network.inputs.size()) + ".");
  }
  std::vector<ForwardValue> given;
  std::vector<std::string> names;
  std::string arguments;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool first = inputs[i].described.shape.size() > 1;
    arguments += (i ? ", " : "") + in_order(forward, inputs[i], first);
    names.push_back("input_" + std::to_string(i));
    given.push_back({names.back(), {inputs[i].described.shape, first}});
  }
  BuiltNetwork inner = build(network, scope.inside(layer.name), given, names, {},
                             "keras." + layer.class_name, false);
  add_part(module, name, std::move(inner.part), layer.name);
  std::vector<ForwardValue> values;
  const std::string result = forward.next();
  std::string variables = result;
  if (inner.outputs.size() > 1) {
    variables = "";
    for (size_t i = 0; i < inner.outputs.size(); ++i) {
      variables += (i ? ", " : "") + result + "_" + std::to_string(i);
      values.push_back({result + "_" + std::to_string(i), inner.outputs[i]});
    }
  } else {
    values.push_back({result, inner.outputs[0]});
  }
  forward.lines.push_back(variables + " = self." + name + ".forward(" + arguments + ")");
  return values;
}

namespace {

// The shape an InputLayer declares where the one that comes leaves a length open.
Shape agreed_shape(const Shape& given, const Shape& declared, const std::string& name) {
  if (given.size() != declared.size()) {
    refuse("The input \"" + name + "\" has " + std::to_string(declared.size() + 1) +
           " dimensions and is given " + std::to_string(given.size() + 1) + ".");
  }
  Shape shape = given;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] >= 0 && declared[i] >= 0 && shape[i] != declared[i]) {
      refuse("The input \"" + name + "\" is declared with " + std::to_string(declared[i]) +
             " in dimension " + std::to_string(i + 2) + " and given " + std::to_string(shape[i]) +
             ".");
    }
    shape[i] = shape[i] < 0 ? declared[i] : shape[i];
  }
  return shape;
}

}  // namespace

BuiltNetwork NetworkBuilder::build(const Network& network, const Scope& scope,
                                   const std::vector<ForwardValue>& given,
                                   const std::vector<std::string>& arguments,
                                   const std::vector<std::string>& before,
                                   const std::string& class_name, bool keras_order) {
  const Calls calls(network);
  BuiltNetwork built;
  built.part.class_name = class_name;
  Forward forward;
  forward.lines = before;
  forward.arguments = arguments;
  // The values there are, by layer and call.
  std::map<std::pair<size_t, int64_t>, std::vector<ForwardValue>> values;
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const Layer& layer : network.layers) {
    names.push_back(attribute_name(layer.name, taken));
  }
  for (size_t i = 0; i < network.inputs.size(); ++i) {
    const size_t at = calls.layer(network.inputs[i]);
    ForwardValue value = given[i];
    Shape declared;
    if (declared_shape(network.layers[at], declared)) {
      value.described.shape =
          agreed_shape(value.described.shape, declared, network.layers[at].name);
    }
    values[{at, 0}] = {value};
  }
  // Depth first from the outputs, with a stack of its own: `begun` are the calls on it.
  std::vector<std::pair<size_t, int64_t>> stack;
  std::set<std::pair<size_t, int64_t>> begun;
  for (const Reference& output : network.outputs) {
    stack.emplace_back(calls.layer(output), calls.call(output));
    while (!stack.empty()) {
      const auto key = stack.back();
      if (values.count(key) > 0) {
        stack.pop_back();
        continue;
      }
      const Layer& layer = network.layers[key.first];
      if (key.second < 0 || key.second >= static_cast<int64_t>(layer.calls.size()) ||
          layer.calls[static_cast<size_t>(key.second)].empty()) {
        refuse("The layer \"" + layer.name + "\" is used and nowhere called.");
      }
      const auto& inputs = layer.calls[static_cast<size_t>(key.second)];
      bool ready = true;
      const auto given_mask = layer.masks.find(static_cast<size_t>(key.second));
      std::vector<Reference> needs = inputs;
      if (given_mask != layer.masks.end()) {
        needs.push_back(given_mask->second);
      }
      for (const Reference& input : needs) {
        const std::pair<size_t, int64_t> needed(calls.layer(input), calls.call(input));
        if (values.count(needed) == 0) {
          stack.push_back(needed);
          ready = false;
        }
      }
      if (!ready) {
        if (!begun.insert(key).second) {
          refuse("The layer \"" + layer.name + "\" depends on its own output.");
        }
        continue;
      }
      stack.pop_back();
      std::vector<ForwardValue> taken_inputs;
      for (const Reference& input : needs) {
        const auto& outputs = values[{calls.layer(input), calls.call(input)}];
        if (input.output >= static_cast<int64_t>(outputs.size())) {
          refuse("The layer \"" + input.layer + "\" has no output " +
                 std::to_string(input.output + 1) + ".");
        }
        taken_inputs.push_back(outputs[static_cast<size_t>(input.output)]);
      }
      const std::string& name = names[key.first];
      std::string mask;
      if (given_mask != layer.masks.end()) {
        mask = taken_inputs.back().variable;
        taken_inputs.pop_back();
      } else if (!layer.says_masks) {
        for (const ForwardValue& input : taken_inputs) {
          mask = mask.empty() ? input.mask : mask;
        }
      }
      if (!mask.empty() && is_network(layer.class_name)) {
        refuse("The model \"" + layer.name + "\" is given a mask, which is not supported there.");
      }
      values[key] = is_network(layer.class_name)
                        ? call_network(forward, built.part, layer, name, scope, taken_inputs)
                        : call_layer(forward, built.part, layer, name, scope, taken_inputs,
                                     static_cast<size_t>(key.second), mask);
    }
  }
  std::string results;
  for (const Reference& output : network.outputs) {
    const auto& outputs = values[{calls.layer(output), calls.call(output)}];
    if (output.output >= static_cast<int64_t>(outputs.size())) {
      refuse("The layer \"" + output.layer + "\" has no output " +
             std::to_string(output.output + 1) + ".");
    }
    ForwardValue value = outputs[static_cast<size_t>(output.output)];
    if (keras_order) {
      value.variable = in_order(forward, value, false);
      value.described.channels_first = false;
    }
    results += (results.empty() ? "" : ", ") + value.variable;
    built.outputs.push_back(value.described);
  }
  forward.lines.push_back("return " + results);
  built.part.source = signature(arguments);
  for (const std::string& line : forward.lines) {
    built.part.source += "    " + line + "\n";
  }
  return built;
}

// All that is wrong with the weights, at once.
void NetworkBuilder::finish(const std::vector<KerasLayerWeights>& layers) {
  for (const KerasLayerWeights& layer : layers) {
    for (const Weight& weight : layer.weights) {
      if (claimed_.count(&weight) == 0) {
        complaints_.push_back("`" + weight.first + "` of \"" + layer.name +
                              "\" belongs to no layer of the model");
      }
    }
  }
  if (!complaints_.empty()) {
    refuse("The weights do not fit the model's configuration: " + joined(complaints_) + ".");
  }
}

}  // namespace keras
}  // namespace seqlift
