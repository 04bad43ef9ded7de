// The weights of a layer, by the names that Keras gives them.

#include <algorithm>
#include <cctype>

#include "core/base/error.h"
#include "core/import/keras/layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace keras {

namespace {

// "a/b/kernel:0" without the number that TensorFlow adds.
std::string without_output(const std::string& name) {
  const size_t colon = name.rfind(':');
  return colon == std::string::npos ? name : name.substr(0, colon);
}

std::string last_component(const std::string& name) {
  const std::string plain = without_output(name);
  const size_t slash = plain.rfind('/');
  return slash == std::string::npos ? plain : plain.substr(slash + 1);
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// "kernel", Keras 1's "conv_1_W", and TensorFlow's "kernel_1" for the second of one name.
bool has_role(const std::string& name, const std::string& role) {
  static const std::map<std::string, std::string> keras_1 = {{"kernel", "W"},
                                                             {"recurrent_kernel", "U"},
                                                             {"bias", "b"},
                                                             {"moving_mean", "running_mean"},
                                                             {"moving_variance", "running_std"},
                                                             {"alpha", "alphas"},
                                                             {"embeddings", "W"}};
  const std::string own = last_component(name);
  if (own == role) {
    return true;
  }
  if (own.size() > role.size() + 1 && own.compare(0, role.size() + 1, role + "_") == 0 &&
      std::all_of(own.begin() + static_cast<std::ptrdiff_t>(role.size()) + 1, own.end(),
                  [](unsigned char letter) { return std::isdigit(letter) != 0; })) {
    return true;
  }
  if (role == "depthwise_kernel" && own == "kernel") {
    return true;  // Keras 3's
  }
  const auto older = keras_1.find(role);
  return ends_with(own, "_" + (older == keras_1.end() ? role : older->second));
}

// The state of a random generator, which no prediction needs.
bool is_seed(const std::string& name) { return name.find("seed_generator") != std::string::npos; }

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i ? ", " : "") + (shape[i] < 0 ? std::string("?") : std::to_string(shape[i]));
  }
  return text + "]";
}

}  // namespace

std::vector<at::Tensor> LayerWeights::take(const std::vector<ExpectedWeight>& expected) {
  std::vector<const Weight*> given;
  for (const Weight* weight : weights_) {
    if (is_seed(weight->first)) {
      claimed_->insert(weight);
    } else {
      given.push_back(weight);
    }
  }
  std::vector<const Weight*> found(expected.size(), nullptr);
  std::set<const Weight*> used;
  for (size_t i = 0; i < expected.size(); ++i) {
    for (const Weight* weight : given) {
      if (!found[i] && used.count(weight) == 0 && has_role(weight->first, expected[i].role)) {
        found[i] = weight;
        used.insert(weight);
      }
    }
  }
  // Keras itself goes by the order alone.
  if (used.empty() && given.size() == expected.size()) {
    found = given;
  }
  std::vector<at::Tensor> taken;
  bool whole = true;
  for (size_t i = 0; i < expected.size(); ++i) {
    const ExpectedWeight& one = expected[i];
    if (!found[i]) {
      complaints_->push_back("`" + one.role + "` " + shape_text(one.shape) + " of " + layer_ +
                             " is missing");
      whole = false;
      continue;
    }
    claimed_->insert(found[i]);
    const at::Tensor tensor = one.convert ? one.convert(found[i]->second) : found[i]->second;
    if (tensor.sizes() != at::IntArrayRef(one.shape)) {
      complaints_->push_back("`" + found[i]->first + "` of " + layer_ + " is " +
                             shape_text(tensor.sizes().vec()) + " and should be " +
                             shape_text(one.shape));
      whole = false;
      continue;
    }
    taken.push_back(tensor);
  }
  return whole ? taken : std::vector<at::Tensor>();
}

LayerWeights LayerWeights::of_direction(const std::string& direction) const {
  std::vector<const Weight*> own;
  std::set<const Weight*> with_name;
  bool named = false;
  bool all_of_one = true;
  for (const Weight* weight : weights_) {
    for (const char* one : {"forward", "backward"}) {
      const std::string prefix = std::string(one) + "_";
      const bool has = weight->first.compare(0, prefix.size(), prefix) == 0 ||
                       weight->first.find("/" + prefix) != std::string::npos;
      named = named || has;
      if (has && one == direction) {
        own.push_back(weight);
      }
      all_of_one = all_of_one && (!has || std::string(one) == "forward");
      if (has) {
        with_name.insert(weight);
      }
    }
  }
  // A backward layer of the user's own has a name of the user's own.
  if (named && all_of_one && direction == "backward") {
    for (const Weight* weight : weights_) {
      if (with_name.count(weight) == 0) {
        own.push_back(weight);
      }
    }
  }
  if (!named) {
    const auto half = weights_.begin() + static_cast<std::ptrdiff_t>(weights_.size() / 2);
    own = direction == "forward" ? std::vector<const Weight*>(weights_.begin(), half)
                                 : std::vector<const Weight*>(half, weights_.end());
  }
  return LayerWeights(own, "the " + direction + " layer of " + layer_, *claimed_, *complaints_);
}

LayerWeights LayerWeights::own() const {
  std::vector<const Weight*> own;
  for (const Weight* weight : weights_) {
    const size_t slash = weight->first.rfind('/');
    if (weight->first.find('.', slash == std::string::npos ? 0 : slash) == std::string::npos) {
      own.push_back(weight);
    }
  }
  return LayerWeights(own, layer_, *claimed_, *complaints_);
}

LayerWeights LayerWeights::of_part(const std::string& role) const {
  std::vector<const Weight*> own;
  for (const Weight* weight : weights_) {
    const std::string name = without_output(weight->first);
    const size_t last = name.find_last_of("/.");
    const std::string before = last == std::string::npos ? "" : name.substr(0, last);
    const size_t start = before.find_last_of("/.");
    const std::string part = before.substr(start == std::string::npos ? 0 : start + 1);
    if (part == role || part == role + "_dense" || part == "_" + role + "_dense" ||
        part == "attention_" + role) {
      own.push_back(weight);
    }
  }
  return LayerWeights(own, "the " + role + " of " + layer_, *claimed_, *complaints_);
}

}  // namespace keras
}  // namespace seqlift
