// Basset, DeepSEA and Beluga: convolutions and max-pooling, then dense layers, one output a task.
// All three came from Torch 7, whose converter numbers the layers, writes one-dimensional
// convolutions as two-dimensional ones, and turns what PyTorch has no layer for into Lambda.

#include <algorithm>

#include "core/base/error.h"
#include "core/import/architectures/architectures.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

const std::string letters = "ACGT";

// The layers of one Sequential in their order; `channels` and `features` are what the last one
// gives.
class Chain {
 public:
  // `across`: the dimension of height one, 2 or 3 of [n, channels, height, width].
  Chain(Weights& weights, int64_t across) : weights_(weights), across_(across) {}

  void convolution(const std::string& prefix, int64_t in) {
    const std::string key = prefix + ".weight";
    std::vector<int64_t> shape{weights_.size(key, 0), in, -1, -1};
    shape[static_cast<size_t>(across_)] = 1;
    layers.push_back(weights_.convolution(prefix, shape));
    features = shape[0];
  }
  void pool(int64_t size) {
    PoolOptions options;
    options.size = {size, size};
    options.size[static_cast<size_t>(across_ - 2)] = 1;
    layers.push_back(pool_layer(options));
  }
  void flatten(const std::string& next) {
    layers.push_back(plain_layer("Lambda", "input.flatten(1)"));
    const int64_t inputs = weights_.size(next + ".weight", 1);
    if (inputs > 0 && features > 0 && inputs % features != 0) {
      weights_.complain("`" + next + ".weight` takes " + std::to_string(inputs) +
                        " features, not a multiple of the " + std::to_string(features) +
                        " channels before it.");
    }
    features = inputs;
  }
  // Sequential(Lambda, Linear): the Lambda turns one row into a matrix, batches it leaves alone.
  void dense(const std::string& prefix) {
    const int64_t out = weights_.size(prefix + ".1.weight", 0);
    layers.push_back(sequential(
        {plain_layer("Lambda", "input"), weights_.linear(prefix + ".1", out, features)}));
    features = out;
  }
  void batch_norm(const std::string& prefix, int64_t dimensions) {
    layers.push_back(weights_.batch_norm(prefix, features, dimensions));
  }
  void add(ModulePart layer) { layers.push_back(std::move(layer)); }

  std::vector<ModulePart> layers;
  int64_t features = -1;

 private:
  Weights& weights_;
  int64_t across_;
};

// Where A, C, G and T are in the alphabet that the weights were trained with.
at::Tensor order_of(const std::string& alphabet) {
  std::string sorted = alphabet;
  std::sort(sorted.begin(), sorted.end());
  if (sorted != letters) {
    throw Error("argument", "`alphabet` must hold the letters A, C, G and T once each, not \"" +
                                alphabet + "\".");
  }
  at::Tensor order = at::empty({4}, at::kLong);
  for (int64_t i = 0; i < 4; ++i) {
    order[i] = static_cast<int64_t>(alphabet.find(letters[static_cast<size_t>(i)]));
  }
  return order;
}

// The first convolution reads A, C, G, T, as everything here: its channels change places.
void read_bases(ModulePart& convolution, const at::Tensor& order) {
  at::Tensor& weight = convolution.parameters[0].second;
  weight = weight.index_select(1, order);
}

ModulePart sigmoid_layer() { return activation_layer("Sigmoid", "torch.sigmoid(input)"); }

// Torch 7's ReLU of DeepSEA: 1e-6 in place of zero.
ModulePart threshold_layer() {
  return activation_layer("Threshold", "torch.threshold(input, 0, 1e-06)");
}

// `layers` as numbered parts of a class of its own, called on X with a dimension of one inserted.
ModulePart classifier(const std::string& name, std::vector<ModulePart> layers, int64_t across) {
  ModulePart part = sequential(std::move(layers));
  part.class_name = name;
  const std::string head = "def forward(self, input: Tensor):\n";
  part.source = "def forward(self, X: Tensor):\n    input = X.unsqueeze(" + std::to_string(across) +
                ")\n" + part.source.substr(head.size());
  return part;
}

}  // namespace

ModulePart basset(const NamedTensors& state_dict, const ClassifierOptions& options) {
  const at::Tensor order = order_of(options.alphabet);
  Weights weights(state_dict);
  Chain chain(weights, 3);
  const int64_t pools[] = {3, 4, 4};
  for (int64_t i = 0; i < 3; ++i) {
    chain.convolution(std::to_string(4 * i), i == 0 ? 4 : chain.features);
    chain.batch_norm(std::to_string(4 * i + 1), 2);
    chain.add(relu_layer());
    chain.pool(pools[i]);
  }
  chain.flatten("13.1");
  for (const int64_t i : {13, 17}) {
    chain.dense(std::to_string(i));
    chain.batch_norm(std::to_string(i + 1), 1);
    chain.add(relu_layer());
    chain.add(dropout_layer());
  }
  chain.dense("21");
  if (!options.logits) {
    chain.add(sigmoid_layer());
  }
  weights.check("Basset");
  read_bases(chain.layers[0], order);
  return classifier("Basset", std::move(chain.layers), 3);
}

ModulePart deepsea(const NamedTensors& state_dict, const ClassifierOptions& options) {
  const at::Tensor order = order_of(options.alphabet);
  Weights weights(state_dict);
  Chain chain(weights, 2);
  for (int64_t i = 0; i < 3; ++i) {
    chain.convolution(std::to_string(4 * i), i == 0 ? 4 : chain.features);
    chain.add(threshold_layer());
    if (i < 2) {
      chain.pool(4);
    }
    chain.add(dropout_layer());
  }
  chain.flatten("12.1");
  chain.dense("12");
  chain.add(threshold_layer());
  chain.dense("14");
  if (!options.logits) {
    chain.add(sigmoid_layer());
  }
  weights.check("DeepSEA");
  read_bases(chain.layers[0], order);
  return classifier("DeepSEA", std::move(chain.layers), 2);
}

ModulePart beluga(const NamedTensors& state_dict, const ClassifierOptions& options) {
  const at::Tensor order = order_of(options.alphabet);
  Weights weights(state_dict);
  Chain convolutions(weights, 2);
  for (const int64_t i : {0, 6, 12}) {
    const std::string block = "model.0.";
    convolutions.convolution(block + std::to_string(i), i == 0 ? 4 : convolutions.features);
    convolutions.add(relu_layer());
    convolutions.convolution(block + std::to_string(i + 2), convolutions.features);
    convolutions.add(relu_layer());
    if (i < 12) {
      convolutions.add(dropout_layer());
      convolutions.pool(4);
    }
  }
  Chain dense(weights, 2);
  dense.features = convolutions.features;
  dense.add(dropout_layer());
  dense.flatten("model.1.2.1");
  dense.dense("model.1.2");
  dense.add(relu_layer());
  dense.dense("model.1.4");
  weights.check("Beluga");
  read_bases(convolutions.layers[0], order);

  std::vector<ModulePart> stages{sequential(std::move(convolutions.layers)),
                                 sequential(std::move(dense.layers))};
  if (!options.logits) {
    stages.push_back(sigmoid_layer());
  }
  ModulePart part;
  part.class_name = "Beluga";
  part.parts.emplace_back("model", sequential(std::move(stages)));
  part.source = "def forward(self, X: Tensor):\n    return self.model.forward(X.unsqueeze(2))\n";
  return part;
}

}  // namespace seqlift
