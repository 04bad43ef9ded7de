// Where the weights of Keras's own archive (.keras) lie. Its HDF5 file names groups not by layers
// but by their classes, counted within the model that holds them ("layers/conv1d_1/vars/0"); the
// weights of a layer are numbered in the order in which the layer made them. Keras 3:
// src/saving/saving_lib.py, utils/naming.py; tf.keras 2.13 to 2.15: saving/saving_lib.py.

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <tuple>

#include "core/base/error.h"
#include "core/import/keras/keras.h"
#include "core/import/keras/network.h"

namespace seqlift {

using nlohmann::json;

namespace keras {

namespace {

const std::string numbered = "vars/";

// "BatchNormalization" is batch_normalization, "Conv1D" conv1d.
std::string snake_case(const std::string& class_name) {
  // Longer than any class's name; std::regex recurs with the length.
  if (class_name.size() > 200) {
    refuse("A layer's class has a name of " + std::to_string(class_name.size()) + " letters.");
  }
  static const std::regex odd("[^A-Za-z0-9_]+"), word("(.)([A-Z][a-z]+)"), bump("([a-z])([A-Z])");
  std::string name = std::regex_replace(class_name, odd, "");
  name = std::regex_replace(std::regex_replace(name, word, "$1_$2"), bump, "$1_$2");
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return name;
}

std::string text_of(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? found->get<std::string>()
             : std::string();
}

bool begins(const std::string& text, const std::string& beginning) {
  return text.compare(0, beginning.size(), beginning) == 0;
}

// "forward_layer/cell/vars/10" is of "forward_layer.cell", the tenth.
struct Place {
  std::string part;
  int64_t number = 0;
};

Place place_in_layer(const std::string& rest) {
  const size_t at = rest.rfind(numbered);
  Place place;
  if (at == std::string::npos || (at > 0 && rest[at - 1] != '/') ||
      rest.size() - at - numbered.size() > 6) {
    place.part = rest;
    return place;
  }
  place.part = at == 0 ? "" : rest.substr(0, at - 1);
  std::replace(place.part.begin(), place.part.end(), '/', '.');
  for (const char digit : rest.substr(at + numbered.size())) {
    place.number = place.number * 10 +
                   (std::isdigit(static_cast<unsigned char>(digit)) != 0 ? digit - '0' : 0);
  }
  return place;
}

class ArchiveWeights {
 public:
  explicit ArchiveWeights(const NamedTensors& by_path) {
    for (const auto& one : by_path) {
      by_path_[one.first] = one.second;
    }
  }

  std::vector<KerasLayerWeights> run(const json& model) {
    add_network(model, "", "", nullptr, 0);
    // What no layer has made: an optimizer's are not among these.
    for (const auto& one : by_path_) {
      const bool of_layers = begins(one.first, "layers/") || begins(one.first, older);
      if (of_layers && claimed_.count(one.first) == 0) {
        result_.push_back({one.first, {{one.first, one.second}}});
      }
    }
    return std::move(result_);
  }

 private:
  static constexpr const char* older = "_layer_checkpoint_dependencies/";  // tf.keras 2.13
  static constexpr int deepest_model = 20;

  // `layer`: the outermost that the model belongs to, whose weights its own are; null at the top.
  void add_network(const json& model, const std::string& folder, const std::string& names,
                   KerasLayerWeights* layer, int depth) {
    const std::string class_name = text_of(model, "class_name");
    const auto options = model.find("config");
    if (!is_network(class_name) || options == model.end() || !options->is_object() ||
        !options->contains("layers") || !(*options)["layers"].is_array() || depth > deepest_model) {
      return;  // refused when the model is made
    }
    std::string container = folder + "layers/";
    const auto other = by_path_.lower_bound(folder + older);
    if (other != by_path_.end() && begins(other->first, folder + older)) {
      container = folder + older;
    }
    std::map<std::string, int64_t> counts;
    bool first = true;
    for (const json& entry : (*options)["layers"]) {
      const std::string own_class = text_of(entry, "class_name");
      const bool left_out = (class_name == "Sequential" && first && own_class == "InputLayer") ||
                            text_of(entry, "module").find(".ops") != std::string::npos;
      first = false;
      if (left_out) {
        continue;
      }
      std::string unit = snake_case(own_class);
      const int64_t before = counts[unit]++;
      unit += before > 0 ? "_" + std::to_string(before) : "";
      std::string name = text_of(entry, "name");
      if (name.empty() && entry.is_object() && entry.contains("config")) {
        name = text_of(entry["config"], "name");
      }
      if (layer) {
        add_layer(entry, container + unit + "/", names + name + "/", *layer, depth);
      } else {
        KerasLayerWeights own{name, {}};
        add_layer(entry, container + unit + "/", "", own, depth);
        result_.push_back(std::move(own));
      }
    }
  }

  void add_layer(const json& entry, const std::string& folder, const std::string& names,
                 KerasLayerWeights& layer, int depth) {
    if (is_network(text_of(entry, "class_name"))) {
      add_network(entry, folder, names, &layer, depth + 1);
      return;
    }
    std::vector<std::pair<Place, const std::string*>> found;
    for (auto at = by_path_.lower_bound(folder); at != by_path_.end() && begins(at->first, folder);
         ++at) {
      found.emplace_back(place_in_layer(at->first.substr(folder.size())), &at->first);
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& one, const auto& other) {
      return std::tie(one.first.part, one.first.number) <
             std::tie(other.first.part, other.first.number);
    });
    for (const auto& one : found) {
      claimed_.insert(*one.second);
      layer.weights.emplace_back(names + (one.first.part.empty() ? "" : one.first.part + ".") +
                                     std::to_string(one.first.number),
                                 by_path_[*one.second]);
    }
  }

  std::map<std::string, at::Tensor> by_path_;
  std::set<std::string> claimed_;
  std::vector<KerasLayerWeights> result_;
};

}  // namespace

}  // namespace keras

std::vector<KerasLayerWeights> keras_archive_weights(const std::string& config,
                                                     const NamedTensors& by_path) {
  return keras::ArchiveWeights(by_path).run(keras::parse_config(config));
}

}  // namespace seqlift
