// What the core's functions take, from the tests' tensors and nets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/methods/deep_lift_shap.h"
#include "nets.h"

namespace nets {

inline seqlift::Sequences sequences_of(const at::Tensor& X,
                                       const std::vector<at::Tensor>& args = {}) {
  seqlift::Sequences sequences;
  sequences.count = X.size(0);
  sequences.X = [X](int64_t begin, int64_t end) { return X.narrow(0, begin, end - begin); };
  sequences.args = args;
  return sequences;
}

inline seqlift::References references_of(const at::Tensor& references) {
  seqlift::References result;
  result.count = references.size(1);
  result.get = [references](int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
    return references.narrow(0, i0, i1 - i0).narrow(1, j0, j1 - j0).flatten(0, 1);
  };
  return result;
}

// A model's graph that hands out layers, or ends at one.
inline std::shared_ptr<const seqlift::Graph> graph_of(const ModelPointer& model,
                                                      const std::vector<std::string>& layers = {},
                                                      const std::string& target_layer = "") {
  seqlift::GraphOptions options;
  options.layers = layers;
  options.target_layer = target_layer;
  return seqlift::build_graph(model, options);
}

inline seqlift::Constants in_double() { return {at::kDouble, at::kDouble, at::Device(at::kCPU)}; }

}  // namespace nets
