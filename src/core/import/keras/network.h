// The configuration of a Keras model as a graph of layers: which there are, and what each is called
// with. The same for Keras 1, 2 and 3, and for a chain (Sequential).
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/import/keras/layers.h"

namespace seqlift {
namespace keras {

// One output of one call of a layer.
struct Reference {
  std::string layer;
  int64_t call = 0;
  int64_t output = 0;
};

struct Layer {
  std::string name;
  std::string class_name;
  nlohmann::json options;
  std::vector<std::vector<Reference>> calls;  // the inputs of each
  // Of one that is an operation on tensors: its name in Keras 3, and what each call is given.
  std::string operation;
  std::vector<nlohmann::json> arguments;
  // Of each call the mask that it is given; none where it has none. Keras 3 writes down every mask
  // of a graph (`says_masks`), earlier ones go with the values.
  bool says_masks = false;
  std::map<size_t, Reference> masks;
  // How many calls have an option of the layer's switched on, see check_arguments().
  std::map<std::string, size_t> switched;
};

struct Network {
  std::vector<Layer> layers;
  std::vector<Reference> inputs, outputs;
  std::vector<std::string> output_names;  // those of a set by name; none where they have no others
                                          // than their layers'
};

// Whether layers of this class hold layers.
bool is_network(const std::string& class_name);

// Errors: kind "file" for what is not JSON or is nested too deeply.
nlohmann::json parse_config(const std::string& text);

// What cannot be told: an error of the kind "model".
[[noreturn]] void refuse(const std::string& message);

// A member that must be there. Errors: kind "model", naming it and what it is `of`.
const nlohmann::json& member(const nlohmann::json& object, const char* name, const std::string& of);
std::string string_member(const nlohmann::json& object, const char* name, const std::string& of);

// `inside` another model, the shape of the input may come from there.
Network read_network(const std::string& class_name, const nlohmann::json& options,
                     const std::string& of, bool inside);

// The declared shape of an input, without the batch; false where the file has none.
bool declared_shape(const Layer& layer, Shape& shape);

// Which call of a layer a reference means. Keras counts the call by which a model was made as the
// first one of a model inside another.
class Calls {
 public:
  explicit Calls(const Network& network);
  size_t layer(const Reference& reference) const;  // its place among the layers
  int64_t call(const Reference& reference) const;

 private:
  std::map<std::string, size_t> index_;
  std::map<std::string, int64_t> offset_;
};

}  // namespace keras
}  // namespace seqlift
