#include "core/import/keras/keras.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "core/base/error.h"
#include "core/import/keras/build.h"
#include "core/import/keras/lambda.h"
#include "core/import/keras/network.h"
#include "core/import/keras/operations.h"

namespace seqlift {

using nlohmann::json;

namespace keras {

namespace {

// Every class that is not known, in the model and the models inside, before any is looked at.
void collect_unknown(const Network& network, std::vector<std::string>& unknown) {
  for (const Layer& layer : network.layers) {
    if (is_network(layer.class_name)) {
      const std::string of = "the model \"" + layer.name + "\"";
      collect_unknown(read_network(layer.class_name, layer.options, of, true), unknown);
    } else if (is_operation(layer.operation)) {
      continue;
    } else if (layer.class_name != "InputLayer" && layer.class_name != "Lambda" &&
               !find_builder(layer.class_name)) {
      unknown.push_back(layer.class_name + " (\"" + layer.name + "\")");
    } else if (layer.class_name == "Lambda" && !is_known_lambda(layer.options)) {
      unknown.push_back("Lambda (\"" + layer.name + "\"), which is Python code");
    }
  }
}
// The sequences as Keras has them, from X [n, 4, L].
struct SequenceInput {
  std::string line;  // empty where X is what the model takes
  bool channels_first = true;
};

bool as_sequences(const Shape& shape, SequenceInput& input) {
  const int64_t bases = 4;
  const auto is = [&](std::vector<int64_t> fixed) {  // -2: any length
    bool fits = fixed.size() == shape.size();
    for (size_t i = 0; fits && i < fixed.size(); ++i) {
      fits = fixed[i] == -2 || fixed[i] == shape[i];
    }
    return fits;
  };
  if (is({-2, bases})) {
    input = {"", true};
  } else if (is({bases, -2})) {
    input = {"", false};
  } else if (is({1, -2, bases})) {
    input = {"torch.unsqueeze({}, 2)", true};
  } else if (is({-2, 1, bases})) {
    input = {"torch.unsqueeze({}, 3)", true};
  } else if (is({bases, -2, 1})) {
    input = {"torch.unsqueeze({}, 3)", false};
  } else if (is({1, bases, -2})) {
    input = {"torch.unsqueeze({}, 1)", false};
  } else if (is({-2, bases, 1})) {
    input = {"torch.unsqueeze(torch.permute({}, [0, 2, 1]), 3)", false};
  } else if (shape.size() == 2 && shape[1] > bases) {
    input = {"", true};  // channels beyond the four bases
  } else {
    return false;
  }
  return true;
}

std::string shape_text(const Shape& shape) {
  std::string text = "[n";
  for (const int64_t size : shape) {
    text += ", " + (size < 0 ? std::string("L") : std::to_string(size));
  }
  return text + "]";
}

// The table in which the whole numbers of an input of the form [L] are looked up: its rows; zero
// where the input goes elsewhere.
int64_t rows_of_tokens(const Network& network, const std::string& input) {
  for (const Layer& layer : network.layers) {
    for (const auto& call : layer.calls) {
      for (const Reference& reference : call) {
        if (reference.layer != input || layer.class_name != "Embedding") {
          continue;
        }
        return Config(layer.options, "Embedding \"" + layer.name + "\"").whole("input_dim", 1);
      }
    }
  }
  return 0;
}

// "3.16.0" and later: recurrent layers of a chain lose the mask that they read.
bool keeps_masks(const std::string& version, int major) {
  int minor = 0;
  for (size_t i = 2; major == 3 && version.compare(0, 2, "3.") == 0 && i < version.size() &&
                     i < 6 && std::isdigit(static_cast<unsigned char>(version[i])) != 0;
       ++i) {
    minor = 10 * minor + (version[i] - '0');
  }
  return minor < 16;
}

int major_version(const std::string& version, const json& model) {
  if (!version.empty() && std::isdigit(static_cast<unsigned char>(version[0])) != 0) {
    return std::min(version[0] - '0', 3);
  }
  const auto said = model.find("keras_version");
  return said != model.end() && said->is_string() && !said->get<std::string>().empty()
             ? major_version(said->get<std::string>(), json::object())
             : 0;
}

// Where no version is written: by names of options that one of them alone has.
int guess_version(const std::string& config) {
  const auto has = [&](const char* text) { return config.find(text) != std::string::npos; };
  return has("\"nb_filter\"") || has("\"border_mode\"") ? 1 : has("\"__keras_tensor__\"") ? 3 : 2;
}

bool has_output_number(const KerasFile& file) {
  for (const KerasLayerWeights& layer : file.layers) {
    for (const auto& weight : layer.weights) {
      if (weight.first.find(':') != std::string::npos) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

}  // namespace keras

KerasModel keras_model(const KerasFile& file) {
  using namespace keras;
  const json model = parse_config(file.config);
  const std::string of = "the model";
  const std::string class_name = string_member(model, "class_name", of);
  if (!is_network(class_name)) {
    refuse("The model is of the class " + class_name +
           ", whose computation is Python code that the file does not hold; Sequential and " +
           "functional models are supported.");
  }
  const json& options = member(model, "config", of);
  const Network network = read_network(class_name, options, of, false);
  const int said = major_version(file.keras_version, model);
  const int version = said > 0 ? said : guess_version(file.config);

  std::vector<std::string> unknown;
  collect_unknown(network, unknown);
  if (!unknown.empty()) {
    refuse("The model has layers that are not supported: " + joined(unknown) + ".");
  }

  std::string backend = file.backend;
  if (backend.empty() && model.contains("backend") && model["backend"].is_string()) {
    backend = model["backend"].get<std::string>();
  }
  KerasModel result;
  // TensorFlow numbers the output in a weight's name ("conv_W:0"), Theano does not; Keras 1 does
  // not say with which of them it worked.
  result.theano =
      backend == "theano" || (backend.empty() && version < 2 && !has_output_number(file));

  // The sequences come first, the others in Keras's order.
  std::vector<size_t> order;
  std::vector<Shape> shapes;
  SequenceInput sequences;
  size_t first = network.inputs.size();
  const Calls calls(network);
  for (size_t i = 0; i < network.inputs.size(); ++i) {
    const Layer& layer = network.layers[calls.layer(network.inputs[i])];
    Shape shape;
    if (layer.class_name != "InputLayer" || !declared_shape(layer, shape)) {
      refuse("The file does not say which shape the input \"" + layer.name + "\" has.");
    }
    shapes.push_back(shape);
    const int64_t rows = shape.size() == 1 ? rows_of_tokens(network, layer.name) : 0;
    if (first == network.inputs.size() && (rows > 0 || as_sequences(shape, sequences))) {
      first = i;
      result.tokens = rows;
      sequences = rows > 0 ? SequenceInput{"", false} : sequences;
    }
  }
  if (first == network.inputs.size()) {
    refuse("No input of the model holds sequences: the first is " + shape_text(shapes[0]) +
           ", and should be [n, L, 4], [n, 4, L], one of these with a dimension of 1 more, or " +
           "[n, L] of whole numbers for an Embedding.");
  }
  order.push_back(first);
  for (size_t i = 0; i < network.inputs.size(); ++i) {
    if (i != first) {
      order.push_back(i);
    }
  }
  std::set<std::string> taken{"sequences_"};
  std::vector<std::string> arguments, before;
  std::vector<keras::ForwardValue> given(network.inputs.size());
  for (const size_t i : order) {
    const std::string& name = network.inputs[i].layer;
    arguments.push_back(attribute_name(name, taken));
    given[i] = {arguments.back(), {shapes[i], i == first && sequences.channels_first}};
    if (i == first && !sequences.line.empty()) {
      std::string line = sequences.line;
      line.replace(line.find("{}"), 2, arguments.back());
      before.push_back("sequences_ = " + line);
      given[i].variable = "sequences_";
    }
  }
  NetworkBuilder builder(file, version, result.theano, keeps_masks(file.keras_version, version));
  result.part =
      builder.build(network, builder.top(), given, arguments, before, "keras." + class_name, true)
          .part;
  result.part.output_names = network.output_names;
  if (network.output_names.empty()) {
    for (const Reference& output : network.outputs) {
      result.part.output_names.push_back(output.layer);
    }
  }
  builder.finish(file.layers);
  return result;
}

}  // namespace seqlift
