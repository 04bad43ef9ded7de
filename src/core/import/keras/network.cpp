#include "core/import/keras/network.h"

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/import/keras/operations.h"

namespace seqlift {
namespace keras {

using nlohmann::json;

namespace {

// Models inside models inside models: no real file comes near.
constexpr int deepest_json = 200;

}  // namespace

void refuse(const std::string& message) { throw Error("model", message); }

json parse_config(const std::string& text) {
  try {
    return json::parse(text, [](int depth, json::parse_event_t, json&) {
      if (depth > deepest_json) {
        throw Error("file", "The model's configuration is nested too deeply.");
      }
      return true;
    });
  } catch (const json::exception&) {
    throw Error("file", "The model's configuration is not JSON.");
  }
}

bool is_network(const std::string& class_name) {
  static const std::set<std::string> names = {"Model", "Functional", "Network", "Sequential",
                                              "CustomModel"};
  return names.count(class_name) > 0;
}
const json& member(const json& object, const char* name, const std::string& of) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end()) {
    refuse("The configuration of " + of + " has no `" + name + "`.");
  }
  return *found;
}

std::string string_member(const json& object, const char* name, const std::string& of) {
  const json& value = member(object, name, of);
  if (!value.is_string()) {
    refuse("`" + std::string(name) + "` in the configuration of " + of + " is not a string.");
  }
  return value.get<std::string>();
}
namespace {

bool is_reference(const json& value) {
  return value.is_array() && value.size() >= 3 && value[0].is_string() &&
         value[1].is_number_integer() && value[2].is_number_integer();
}

Reference to_reference(const json& value, const std::string& of) {
  if (!is_reference(value) || value[1] < 0 || value[2] < 0) {
    refuse("A connection of " + of + " is not [layer, call, output].");
  }
  return {value[0].get<std::string>(), value[1].get<int64_t>(), value[2].get<int64_t>()};
}

// MultiHeadAttention's inputs may be given by name.
bool is_attention_input(const std::string& name, const json& value) {
  return (name == "query" || name == "value" || name == "key") && value.is_object() &&
         value.value("class_name", json()) == "__keras_tensor__";
}

// tf.keras has them as [layer, call, output].
bool is_listed_input(const std::string& name, const json& value) {
  return (name == "value" || name == "key") && is_reference(value);
}

bool is_mask(const std::string& name, const json& value) {
  return name == "mask" && value.is_object() &&
         value.value("class_name", json()) == "__keras_tensor__";
}

bool has_call_options(const Layer& layer) {
  return layer.class_name.find("Attention") != std::string::npos && layer.options.is_object();
}

// What a layer is given beside its inputs: what changes no prediction, and options of attention.
void check_arguments(const json& arguments, const std::string& of, Layer& layer) {
  if (!arguments.is_object()) {
    return;
  }
  for (const auto& one : arguments.items()) {
    const bool of_attention =
        one.key() == "use_causal_mask" || one.key() == "return_attention_scores";
    bool off = of_attention && one.value().is_boolean() && !one.value().get<bool>();
    if (of_attention && one.value() == json(true) && has_call_options(layer)) {
      // As an option of the layer, which all its calls have to agree on.
      layer.options[one.key()] = true;
      ++layer.switched[one.key()];
      off = true;
    }
    const bool is_input =
        is_attention_input(one.key(), one.value()) || is_mask(one.key(), one.value()) ||
        (is_listed_input(one.key(), one.value()) && layer.class_name == "MultiHeadAttention");
    if (!one.value().is_null() && one.key() != "training" && !off && !is_input) {
      refuse("The layer \"" + of + "\" is called with the argument `" + one.key() +
             "`, which is not supported.");
    }
  }
}

// Keras 3: tensors by their history, in lists of lists.
void add_histories(const json& value, const std::string& of, std::vector<Reference>& references) {
  if (value.is_array()) {
    for (const json& one : value) {
      add_histories(one, of, references);
    }
  } else if (value.is_object() && value.value("class_name", json()) == "__keras_tensor__") {
    references.push_back(to_reference(member(member(value, "config", of), "keras_history", of),
                                      "the layer \"" + of + "\""));
  } else if (!value.is_null()) {
    refuse("The layer \"" + of + "\" is called with something that is not another's output.");
  }
}

std::vector<Reference> read_call(const json& node, Layer& layer) {
  const std::string& of = layer.name;
  std::vector<Reference> references;
  if (node.is_object()) {
    add_histories(member(node, "args", "the layer \"" + of + "\""), of, references);
    layer.says_masks = true;
    if (node.contains("kwargs")) {
      check_arguments(node["kwargs"], of, layer);
      if (node["kwargs"].is_object() && node["kwargs"].contains("mask") &&
          is_mask("mask", node["kwargs"]["mask"])) {
        std::vector<Reference> mask;
        add_histories(node["kwargs"]["mask"], of, mask);
        layer.masks[layer.calls.size()] = mask.front();
      }
      for (const char* name : {"query", "value", "key"}) {
        if (node["kwargs"].is_object() && node["kwargs"].contains(name) &&
            is_attention_input(name, node["kwargs"][name])) {
          add_histories(node["kwargs"][name], of, references);
        }
      }
    }
    return references;
  }
  if (!node.is_array()) {
    refuse("The connections of the layer \"" + of + "\" are not a list.");
  }
  if (is_reference(node)) {
    return {to_reference(node, "the layer \"" + of + "\"")};
  }
  // tf.keras repeats the arguments with each input.
  const auto before = layer.switched;
  for (const json& one : node) {
    layer.switched = before;
    references.push_back(to_reference(one, "the layer \"" + of + "\""));
    if (one.size() > 3) {
      check_arguments(one[3], of, layer);
      for (const char* name : {"value", "key"}) {
        if (one[3].is_object() && one[3].contains(name) && is_listed_input(name, one[3][name])) {
          references.push_back(to_reference(one[3][name], "the layer \"" + of + "\""));
        }
      }
    }
  }
  return references;
}

// With {input_mark: i} for the tensors, which become references.
json marked_inputs(const json& value, const std::string& of, bool tensorflow,
                   std::vector<Reference>& references) {
  const bool named = value.is_object() && value.value("class_name", json()) == "__keras_tensor__";
  const bool listed = tensorflow && is_reference(value) && value[1] >= 0;
  if (named || listed) {
    references.push_back(
        to_reference(named ? member(member(value, "config", of), "keras_history", of) : value,
                     "the layer \"" + of + "\""));
    return json{{input_mark, references.size() - 1}};
  }
  if (!value.is_array()) {
    return value;
  }
  json marked = json::array();
  for (const json& one : value) {
    marked.push_back(marked_inputs(one, of, tensorflow, references));
  }
  return marked;
}

// tf.keras: ["conv", 0, 0, {"y": 2.0}], or a list of these; a number that comes first is
// ["_CONSTANT_VALUE", -1, 2.0, {...}].
json tensorflow_operands(const json& node, const std::string& of) {
  const bool one = node.is_array() && !node.empty() && node[0].is_string();
  const json entries = one ? json::array({node}) : node;
  json operands = json::array();
  for (const json& entry : entries.is_array() ? entries : json::array()) {
    if (!entry.is_array() || entry.size() < 3) {
      refuse("A connection of the layer \"" + of + "\" is not [layer, call, output].");
    }
    operands.push_back(entry[0] == "_CONSTANT_VALUE" ? entry[2]
                                                     : json::array({entry[0], entry[1], entry[2]}));
  }
  return one ? operands : json::array({operands});
}

void read_operation_call(const json& node, Layer& layer) {
  std::vector<Reference> references;
  const bool tensorflow = !node.is_object();
  json positional = tensorflow ? tensorflow_operands(node, layer.name)
                               : member(node, "args", "the layer \"" + layer.name + "\"");
  json named = json::object();
  if (tensorflow) {
    const json& entry = !node.empty() && node[0].is_array() ? node[0] : node;
    named = entry.is_array() && entry.size() > 3 ? entry[3] : named;
  } else if (node.contains("kwargs")) {
    named = node["kwargs"];
  }
  positional = marked_inputs(positional, layer.name, tensorflow, references);
  if (named.is_object()) {
    for (const auto& one : named.items()) {
      one.value() = marked_inputs(one.value(), layer.name, tensorflow, references);
    }
  }
  layer.arguments.push_back(
      operation_arguments(layer.operation, layer.options, positional, named, tensorflow));
  layer.calls.push_back(std::move(references));
}

// One reference, a list of them, or a set of them by name, which Keras takes in the names' order.
std::vector<Reference> read_ends(const json& value, const std::string& of) {
  if (is_reference(value)) {
    return {to_reference(value, of)};
  }
  std::vector<Reference> references;
  if (!value.is_array() && !value.is_object()) {
    refuse("The inputs and outputs of " + of + " are not lists.");
  }
  for (const json& one : value) {
    references.push_back(to_reference(one, of));
  }
  return references;
}

// Keras 3's HDF5 files say of no class where it is from. Every layer says whether it is trained,
// and a layer that joins others is given them as one list.
bool is_unmarked_operation(const json& entry, const Layer& layer) {
  const auto nodes = entry.find("inbound_nodes");
  const bool called = nodes != entry.end() && nodes->is_array() && !nodes->empty() &&
                      (*nodes)[0].is_object() && (*nodes)[0].contains("args");
  if (entry.contains("module") || !called || !is_operation(layer.class_name) ||
      !layer.options.is_object() || layer.options.contains("trainable")) {
    return false;
  }
  return !find_builder(layer.class_name) || (*nodes)[0]["args"].size() > 1 ||
         layer.options.contains("newshape");
}

Layer read_layer(const json& entry, const std::string& of) {
  Layer layer;
  layer.class_name = string_member(entry, "class_name", "a layer of " + of);
  layer.options = member(entry, "config", "a layer of " + of);
  if (entry.contains("name") && entry["name"].is_string()) {
    layer.name = entry["name"].get<std::string>();
  } else if (layer.options.is_object() && layer.options.contains("name") &&
             layer.options["name"].is_string()) {
    layer.name = layer.options["name"].get<std::string>();
  }
  // Some operations of Keras 3 have the names of layers.
  const json module = entry.value("module", json());
  const bool tensorflow = layer.class_name == "TFOpLambda" || layer.class_name == "SlicingOpLambda";
  const bool says_so =
      module.is_string() && module.get<std::string>().find(".ops.") != std::string::npos;
  if (tensorflow || says_so || is_unmarked_operation(entry, layer)) {
    const std::string name =
        tensorflow ? string_member(layer.options, "function", "the layer \"" + layer.name + "\"")
                   : layer.class_name;
    layer.operation = tensorflow ? operation_of_tensorflow(name) : name;
    layer.class_name = (tensorflow ? "tf." : "keras.ops.") + name;
    return layer;
  }
  if (!is_network(layer.class_name)) {
    to_keras_2(layer.class_name, layer.options);
  }
  return layer;
}

const json* first_shape(const json& options) {
  for (const char* name : {"batch_input_shape", "batch_shape", "build_input_shape"}) {
    if (options.is_object() && options.contains(name) && options[name].is_array()) {
      return &options[name];
    }
  }
  return nullptr;
}

// A chain, with an input before it where the file has none.
Network read_sequential(const json& options, const std::string& of, bool inside) {
  Network network;
  const json& entries = options.is_array() ? options : member(options, "layers", of);
  if (!entries.is_array() || entries.empty()) {
    refuse("The layers of " + of + " are not a list of at least one layer.");
  }
  for (const json& entry : entries) {
    Layer layer = read_layer(entry, of);
    if (network.layers.empty() && layer.class_name != "InputLayer") {
      Layer input;
      input.name = "input";
      input.class_name = "InputLayer";
      const json* shape = first_shape(layer.options);
      shape = shape ? shape : first_shape(options);
      // A model that comes first knows the shape of its own input.
      const json* inner = &layer.options;
      while (!shape && inner->is_object() && inner->contains("layers") &&
             (*inner)["layers"].is_array() && !(*inner)["layers"].empty() &&
             (*inner)["layers"][0].is_object() && (*inner)["layers"][0].contains("config")) {
        inner = &(*inner)["layers"][0]["config"];
        shape = first_shape(*inner);
      }
      if (!shape && !inside) {
        refuse("The file does not say which shape the input of " + of + " has.");
      }
      input.options = json::object();
      if (shape) {
        input.options["batch_shape"] = *shape;
      }
      network.layers.push_back(std::move(input));
    }
    if (!network.layers.empty()) {
      layer.calls = {{{network.layers.back().name, 0, 0}}};
    }
    network.layers.push_back(std::move(layer));
  }
  network.inputs = {{network.layers.front().name, 0, 0}};
  network.outputs = {{network.layers.back().name, 0, 0}};
  return network;
}

}  // namespace

Network read_network(const std::string& class_name, const json& options, const std::string& of,
                     bool inside) {
  if (class_name == "Sequential") {
    return read_sequential(options, of, inside);
  }
  Network network;
  const json& entries = member(options, "layers", of);
  if (!entries.is_array()) {
    refuse("The layers of " + of + " are not a list.");
  }
  for (const json& entry : entries) {
    Layer layer = read_layer(entry, of);
    const json& nodes = entry.contains("inbound_nodes") ? entry["inbound_nodes"] : json::array();
    if (!nodes.is_array()) {
      refuse("The connections of the layer \"" + layer.name + "\" are not a list.");
    }
    for (const json& node : nodes) {
      if (is_operation(layer.operation)) {
        read_operation_call(node, layer);
      } else if (layer.operation.empty()) {
        layer.calls.push_back(read_call(node, layer));
      }
    }
    for (const auto& option : layer.switched) {
      if (option.second != layer.calls.size()) {
        refuse("The layer \"" + layer.name + "\" is called with `" + option.first +
               "` and without, which is not supported.");
      }
    }
    network.layers.push_back(std::move(layer));
  }
  network.inputs = read_ends(member(options, "input_layers", of), of);
  const json& outputs = member(options, "output_layers", of);
  network.outputs = read_ends(outputs, of);
  if (outputs.is_object()) {
    for (const auto& one : outputs.items()) {
      network.output_names.push_back(one.key());
    }
  }
  if (network.inputs.empty() || network.outputs.empty()) {
    refuse("The configuration of " + of + " has no inputs or no outputs.");
  }
  return network;
}
bool declared_shape(const Layer& layer, Shape& shape) {
  const json* declared = first_shape(layer.options);
  if (!declared) {
    return false;
  }
  const json& sizes =
      declared->size() == 1 && (*declared)[0].is_array() ? (*declared)[0] : *declared;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const bool open = sizes[i].is_null();
    if (!open && (!sizes[i].is_number_integer() || sizes[i] < 0 || sizes[i] > (int64_t{1} << 31))) {
      refuse("The shape of the input \"" + layer.name + "\" is not one of whole numbers.");
    }
    if (i > 0) {
      shape.push_back(open ? -1 : sizes[i].get<int64_t>());
    }
  }
  if (shape.empty() || shape.size() > 3) {
    refuse("The input \"" + layer.name + "\" has " + std::to_string(shape.size() + 1) +
           " dimensions; 2 to 4 are supported.");
  }
  return true;
}
Calls::Calls(const Network& network) {
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const Layer& layer = network.layers[i];
    if (!index_.emplace(layer.name, i).second) {
      refuse("The model has two layers by the name \"" + layer.name + "\".");
    }
    if (is_network(layer.class_name)) {
      offset_[layer.name] = 1;
    }
  }
  const auto look = [&](const Reference& reference) {
    if (reference.call == 0) {
      offset_.erase(reference.layer);
    }
  };
  for (const Layer& layer : network.layers) {
    for (const auto& call : layer.calls) {
      std::for_each(call.begin(), call.end(), look);
    }
  }
  std::for_each(network.outputs.begin(), network.outputs.end(), look);
}

size_t Calls::layer(const Reference& reference) const {
  const auto found = index_.find(reference.layer);
  if (found == index_.end()) {
    refuse("The model's configuration refers to a layer \"" + reference.layer +
           "\", which it does not have.");
  }
  return found->second;
}

int64_t Calls::call(const Reference& reference) const {
  const auto found = offset_.find(reference.layer);
  return reference.call - (found == offset_.end() ? 0 : found->second);
}

}  // namespace keras
}  // namespace seqlift
