// The forward method of a Keras model: its layers in an order in which each has its inputs, and
// the two orders of dimensions between them.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/import/keras/keras.h"
#include "core/import/keras/network.h"

namespace seqlift {
namespace keras {

using Weight = LayerWeights::Weight;

// The weights of one level: at the top those of each layer, inside a model all that the file has of
// it, told apart by the layers' names in theirs.
struct Scope {
  const std::map<std::string, std::vector<const Weight*>>* by_layer = nullptr;
  std::vector<const Weight*> all;

  std::vector<const Weight*> of(const std::string& layer) const;
  Scope inside(const std::string& layer) const;
};

// A name as TorchScript can have it, and that is not among those taken.
std::string attribute_name(const std::string& name, std::set<std::string>& taken);

// "one; two; and 3 more".
std::string joined(const std::vector<std::string>& texts);

// A value of the forward method.
struct ForwardValue {
  std::string variable;
  Described described;
  std::string mask = {};  // the variable of its mask [n, L]; empty where it has none
};

struct BuiltNetwork {
  ModulePart part;
  std::vector<Described> outputs;
};

class NetworkBuilder {
 public:
  // `keeps_masks`: recurrent layers hand on the mask that they are given.
  NetworkBuilder(const KerasFile& file, int version, bool theano, bool keeps_masks)
      : version_(version), theano_(theano), keeps_masks_(keeps_masks) {
    for (const KerasLayerWeights& layer : file.layers) {
      auto& own = by_layer_[layer.name];
      for (const Weight& weight : layer.weights) {
        own.push_back(&weight);
      }
    }
  }

  Scope top() const {
    Scope scope;
    scope.by_layer = &by_layer_;
    return scope;
  }

  // `given`: the values of the inputs, by the order of the network's own.
  BuiltNetwork build(const Network& network, const Scope& scope,
                     const std::vector<ForwardValue>& given,
                     const std::vector<std::string>& arguments,
                     const std::vector<std::string>& before, const std::string& class_name,
                     bool keras_order);
  void finish(const std::vector<KerasLayerWeights>& layers);

 private:
  struct Forward {
    std::vector<std::string> lines;
    std::map<std::pair<std::string, bool>, std::string> moved;
    int64_t variables = 0;
    std::vector<std::string> arguments;
    // A name with which no argument's begins.
    std::string next() {
      while (true) {
        const std::string name = "x" + std::to_string(variables++);
        const auto begins = [&](const std::string& other) {
          return other.compare(0, name.size(), name) == 0;
        };
        if (std::none_of(arguments.begin(), arguments.end(), begins)) {
          return name;
        }
      }
    }
  };

  std::string in_order(Forward& forward, const ForwardValue& value, bool channels_first);
  std::vector<ForwardValue> call_layer(Forward& forward, ModulePart& module, const Layer& layer,
                                       const std::string& name, const Scope& scope,
                                       const std::vector<ForwardValue>& inputs, size_t number,
                                       const std::string& mask);
  std::vector<ForwardValue> call_network(Forward& forward, ModulePart& module, const Layer& layer,
                                         const std::string& name, const Scope& scope,
                                         const std::vector<ForwardValue>& inputs);
  void add_part(ModulePart& module, const std::string& name, ModulePart part,
                const std::string& layer);

  std::map<std::string, std::vector<const Weight*>> by_layer_;
  std::set<const Weight*> claimed_;
  Complaints complaints_;
  int version_;
  bool theano_;
  bool keeps_masks_;
};

}  // namespace keras
}  // namespace seqlift
