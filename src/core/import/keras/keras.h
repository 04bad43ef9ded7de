// Models of Keras: the configuration and the weights that a Keras file holds, turned into a module
// that computes the same. The graph comes here, the layers in layers.h.
#pragma once

#include <string>
#include <vector>

#include "core/model/modules.h"

namespace seqlift {

struct KerasLayerWeights {
  std::string name;      // of the layer; of a model inside the model, that model's
  NamedTensors weights;  // in the file's order, by the file's names ("conv1d/kernel:0")
};

struct KerasFile {
  std::string config;         // JSON, as model.to_json() writes it
  std::string keras_version;  // "1.2.2", "2.8.0"; empty where the file does not say
  std::string backend;        // "tensorflow", "theano"; empty where the file does not say
  std::vector<KerasLayerWeights> layers;
};

struct KerasModel {
  ModulePart part;
  bool theano = false;  // the kernels are those of Theano, turned round
  int64_t tokens = 0;   // where it takes whole numbers [n, L]: the rows of the table they are of
};

// The module takes X [n, 4, L], then the model's other inputs as they are in Keras, and returns
// every output in Keras's order of dimensions; inside, channels come before positions. Each layer
// is a module by its own name, and the outputs have theirs. Errors: kind "file" for what is not
// JSON, kind "model" for a layer, option or graph that is not understood, and for weights that are
// missing, left over or of another shape, all of them at once.
KerasModel keras_model(const KerasFile& file);

// The weights of Keras's own archive (.keras), told apart by the layers of its configuration.
// `by_path`: as its HDF5 file has them, "layers/conv1d/vars/0". Those of no layer come under their
// paths, and keras_model() complains of them. Errors: kind "file" for what is not JSON.
std::vector<KerasLayerWeights> keras_archive_weights(const std::string& config,
                                                     const NamedTensors& by_path);

}  // namespace seqlift
