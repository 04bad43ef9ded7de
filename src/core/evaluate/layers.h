// The outputs of inner modules, as one evaluation of a graph built with `layers` meets them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/halves/halves.h"
#include "core/model/graph.h"

namespace seqlift {

class Layers {
 public:
  explicit Layers(const Graph& graph)
      : paths_(graph.layer_paths), outputs_(graph.layer_paths.size()) {}

  // For EvaluateOptions::layer: keeps a layer's output and lets the model go on with it. `given`:
  // tensors that take the place of the layers' own outputs, one for each.
  std::function<Value(int64_t layer, const Value& output)> take(std::vector<at::Tensor> given = {});
  // The output of each layer, on both halves (`ref` alone has a gradient) or in one batch (`x`
  // alone). Errors: kind "layer" where the model did not come by one of them.
  const std::vector<Halves>& outputs() const;

 private:
  const std::vector<std::string>& paths_;
  std::vector<Halves> outputs_;
};

}  // namespace seqlift
