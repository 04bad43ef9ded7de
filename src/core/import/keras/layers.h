// One layer of a Keras model at a time: what its configuration says, the weights it must have, the
// module that computes it. Known to this folder alone; a reader's caller has keras.h.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/model/modules.h"

namespace seqlift {
namespace keras {

// Keras's order of dimensions, without the batch; -1 where every length goes.
using Shape = std::vector<int64_t>;

// A value between two layers. Keras keeps channels last; the module keeps them first, [n, C, L] for
// Keras's [n, L, C], wherever nothing depends on the order.
struct Described {
  Shape shape;
  bool channels_first = false;  // Keras's last dimension comes first, after the batch
};

// The configuration of one layer, read by name; what has not been read by finish() is an error.
class Config {
 public:
  Config(const nlohmann::json& options, std::string layer);
  const std::string& layer() const { return layer_; }  // "Conv1D \"conv_1\"", for messages
  bool has(const char* name) const;                    // there, and not null
  std::string text(const char* name, const std::string& otherwise);
  // Every reader of numbers: within +-2^31, so that sums and products of a few cannot overflow.
  int64_t whole(const char* name, int64_t least);
  int64_t whole(const char* name, int64_t least, int64_t otherwise);
  double number(const char* name, double otherwise);
  bool flag(const char* name, bool otherwise);
  // One number for all of `count`, or as many.
  std::vector<int64_t> numbers(const char* name, size_t count, int64_t least,
                               const std::vector<int64_t>& otherwise = {});
  std::vector<int64_t> list(const char* name);  // whole numbers, however many
  // Pairs, one for each dimension: n, [n, n], or [[n, n], [n, n]].
  std::vector<std::vector<int64_t>> pairs(const char* name, size_t count);
  const nlohmann::json* value(const char* name);  // null where it is not there
  // An option that must be what it usually is.
  void demand_flag(const char* name, bool expected);
  [[noreturn]] void refuse(const char* name, const std::string& because) const;
  void finish() const;

 private:
  const nlohmann::json* find(const char* name) const;
  const nlohmann::json& options_;
  std::string layer_;
  mutable std::set<std::string> read_;
};

// Weights that are wrong, gathered over the whole model.
using Complaints = std::vector<std::string>;

struct ExpectedWeight {
  std::string role;  // "kernel", Keras 2's name
  Shape shape;
  std::function<at::Tensor(const at::Tensor&)> convert = nullptr;  // from an older layout
};

// The weights of one layer.
class LayerWeights {
 public:
  using Weight = std::pair<std::string, at::Tensor>;
  LayerWeights(std::vector<const Weight*> weights, std::string layer,
               std::set<const Weight*>& claimed, Complaints& complaints)
      : weights_(std::move(weights)),
        layer_(std::move(layer)),
        claimed_(&claimed),
        complaints_(&complaints) {}
  // All of them, by their names, or where the names say nothing by their order. Empty where one is
  // missing or has another shape, which is noted among the complaints.
  std::vector<at::Tensor> take(const std::vector<ExpectedWeight>& expected);
  size_t size() const { return weights_.size(); }
  // Those of the layer inside that goes `direction` ("forward", "backward").
  LayerWeights of_direction(const std::string& direction) const;
  // Those of the layer inside that is called `role` ("query"), or is its attribute ("query_dense").
  LayerWeights of_part(const std::string& role) const;
  // Those of an archive that are of no layer inside.
  LayerWeights own() const;

 private:
  std::vector<const Weight*> weights_;
  std::string layer_;
  std::set<const Weight*>* claimed_;
  Complaints* complaints_;
};

// A layer where it is called.
struct LayerCall {
  std::string class_name;
  Config config;
  LayerWeights weights;
  std::vector<Described> inputs;  // `channels_first` is what the layer asks for
  int version = 2;                // of Keras
  bool theano = false;
  bool masked = false;  // the module takes a mask [n, L] after its inputs

  const Shape& shape() const { return inputs.front().shape; }
  size_t rank() const { return inputs.front().shape.size(); }
  void demand_rank(size_t rank) const;
  void demand_known(size_t dimension) const;  // Keras's, from 0 without the batch
  [[noreturn]] void refuse(const std::string& because) const;
};

struct Built {
  Described output;
  std::vector<Described> outputs;  // of one that has several
  ModulePart part;                 // of one Tensor for each input
  bool nothing = false;            // returns its input
  bool masks = false;              // the second output is the mask of the first
};

using Builder = Built (*)(LayerCall&);
// By Keras 2's class names; null for a class that is not known.
Builder find_builder(const std::string& class_name);

// Renames what Keras 1 called otherwise, and what Keras 3 writes otherwise.
void to_keras_2(std::string& class_name, nlohmann::json& options);

// Modules one after the other under their names; one alone is that module.
using Steps = std::vector<std::pair<std::string, ModulePart>>;
Built chain(const std::string& class_name, Steps steps, Described output);
// Of `input`, with parameters by their names.
ModulePart part_of(const std::string& class_name, const std::string& expression,
                   NamedTensors parameters = {});
ModulePart part_of_lines(const std::string& class_name, const std::vector<std::string>& lines);

// Adds the activation that the option names, if it does anything.
void add_activation(Steps& steps, LayerCall& call, const Described& at,
                    const char* option = "activation");
// The expression of an activation of `input`; false for one that is not known.
bool activation_expression(const std::string& name, int version, const std::string& input,
                           std::string& expression);
std::string activation_name(LayerCall& call, const char* option, const std::string& otherwise);

Built with_part(Described output, ModulePart part);
// The number of entries of the dimensions; -1 where one is not known.
int64_t entries(const LayerCall& call, const Shape& shape);
// The option "axis", one number.
int64_t one_axis(LayerCall& call, int64_t otherwise);

// The dimension of the module's tensor that is Keras's `axis`, counted without the batch from 0.
int64_t module_dimension(const Described& value, int64_t axis);
// Keras's axis, which counts the batch and may be negative, from 0 without the batch.
int64_t plain_axis(const LayerCall& call, int64_t axis, size_t rank);

// ExpectedWeight::convert of a number, which is a tensor of one in HDF5, or of none.
at::Tensor as_one_number(const at::Tensor& weight);

Built convolution(LayerCall& call);
Built transposed_convolution(LayerCall& call);
Built separable_convolution(LayerCall& call);
Built depthwise_convolution(LayerCall& call);
Built rev_comp_convolution(LayerCall& call);
Built pooling(LayerCall& call);
Built global_pooling(LayerCall& call);
Built activation(LayerCall& call);
Built relu_layer(LayerCall& call);
Built leaky_relu(LayerCall& call);
Built parametric_relu(LayerCall& call);
Built elu(LayerCall& call);
Built thresholded_relu(LayerCall& call);
Built softmax(LayerCall& call);
Built flatten(LayerCall& call);
Built reshape(LayerCall& call);
Built permute(LayerCall& call);
Built repeat_vector(LayerCall& call);
Built cropping(LayerCall& call);
Built zero_padding(LayerCall& call);
Built up_sampling(LayerCall& call);
Built merge(LayerCall& call);
Built concatenate(LayerCall& call);
Built recurrent(LayerCall& call);
Built masking(LayerCall& call);
Built embedding(LayerCall& call);
Built multi_head_attention(LayerCall& call);
Built einsum_dense(LayerCall& call);
Built attention_pool(LayerCall& call);
Built relative_attention(LayerCall& call);
Built group_normalization(LayerCall& call);
Built unit_normalization(LayerCall& call);
Built stochastic_depth(LayerCall& call);
Built bidirectional(LayerCall& call);
Built time_distributed(LayerCall& call);
Built recurrence_of_cell(LayerCall& call);
Built plain_attention(LayerCall& call);
// Of scores [.., query, key]: what comes later does not count.
std::vector<std::string> causal_lines(const std::string& scores);
Built dot(LayerCall& call);
Built rescaling(LayerCall& call);
Built normalization(LayerCall& call);
Built rms_normalization(LayerCall& call);
// Of layer normalisation, over any dimensions; `centres`: takes the mean off.
Built normalization_over(LayerCall& call, const std::vector<int64_t>& axes, bool centres);
Built activity_regularization(LayerCall& call);
Built adaptive_pooling(LayerCall& call);
Built locally_connected(LayerCall& call);

}  // namespace keras
}  // namespace seqlift
