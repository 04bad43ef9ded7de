// What comes from a file that may be anything: the configuration as text, the weights as tensors.
#include <torch/csrc/jit/api/module.h>

#include <functional>
#include <random>
#include <string>

#include "catch.h"
#include "core/base/error.h"
#include "core/import/keras/keras.h"
#include "core/numeric/tensor_functions.h"
#include "files.h"

namespace {

// A convolution, an activation of its own, a mean and a dense layer, beside a model inside.
const char* config = R"({"class_name": "Functional", "config": {"name": "net", "layers": [
  {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 12, 4], "name": "sequence"},
   "name": "sequence", "inbound_nodes": []},
  {"class_name": "Conv1D", "config": {"name": "conv", "filters": 3, "kernel_size": [3],
   "strides": [2], "padding": "same", "dilation_rate": [1], "groups": 1, "use_bias": true,
   "activation": "relu"}, "name": "conv", "inbound_nodes": [[["sequence", 0, 0, {}]]]},
  {"class_name": "Sequential", "config": {"name": "inner", "layers": [
    {"class_name": "Flatten", "config": {"name": "flat", "data_format": "channels_last"}},
    {"class_name": "Dense", "config": {"name": "head", "units": 2, "activation": "softmax",
     "use_bias": true}}]},
   "name": "inner", "inbound_nodes": [[["conv", 0, 0, {}]]]},
  {"class_name": "GlobalMaxPooling1D", "config": {"name": "top"}, "name": "top",
   "inbound_nodes": [[["conv", 0, 0, {}]]]}],
 "input_layers": [["sequence", 0, 0]],
 "output_layers": [["inner", 1, 0], ["top", 0, 0]]}, "keras_version": "2.8.0"})";

seqlift::KerasFile file_of(const std::string& text) {
  seqlift::KerasFile file;
  file.config = text;
  file.layers = {{"conv", {{"conv/kernel:0", at::ones({3, 4, 3})}, {"conv/bias:0", at::ones({3})}}},
                 {"inner", {{"head/kernel:0", at::ones({18, 2})}, {"head/bias:0", at::ones({2})}}}};
  return file;
}

std::string kind_of(const seqlift::KerasFile& file) {
  try {
    seqlift::build_module(seqlift::keras_model(file).part);
    return "";
  } catch (const seqlift::Error& error) {
    return error.kind();
  }
}

std::string message_of(const seqlift::KerasFile& file) {
  try {
    seqlift::keras_model(file);
    return "";
  } catch (const seqlift::Error& error) {
    return error.what();
  }
}

// An archive's: attention, sums by an equation and a model inside, with the weights of its own
// groups.
const char* archive_config = R"({"class_name": "Functional", "config": {"name": "net", "layers": [
  {"class_name": "InputLayer", "config": {"batch_shape": [null, 12, 4], "name": "sequence"},
   "name": "sequence", "inbound_nodes": []},
  {"class_name": "EinsumDense", "config": {"name": "sum", "equation": "abc,cd->abd",
   "output_shape": [null, 6], "bias_axes": "d", "activation": "gelu"}, "name": "sum",
   "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__",
     "config": {"keras_history": ["sequence", 0, 0]}}], "kwargs": {}}]},
  {"class_name": "MultiHeadAttention", "config": {"name": "attention", "num_heads": 2, "key_dim": 3,
   "value_dim": 3, "use_bias": false, "attention_axes": [1]}, "name": "attention",
   "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__",
     "config": {"keras_history": ["sum", 0, 0]}}], "kwargs": {"value": {"class_name":
     "__keras_tensor__", "config": {"keras_history": ["sum", 0, 0]}}, "use_causal_mask": false}}]},
  {"class_name": "Sequential", "config": {"name": "inner", "layers": [
    {"class_name": "GroupNormalization", "config": {"name": "norm", "groups": 2, "axis": -1}},
    {"class_name": "AttentionPool1D", "config": {"name": "pool", "pool_size": 2}}]},
   "name": "inner", "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__",
     "config": {"keras_history": ["attention", 0, 0]}}], "kwargs": {}}]}],
 "input_layers": [["sequence", 0, 0]], "output_layers": [["inner", 0, 0]]}})";

seqlift::KerasFile archive_of(const std::string& text) {
  const std::string attention = "layers/multi_head_attention/";
  const std::string inner = "layers/sequential/layers/";
  seqlift::KerasFile file;
  file.config = text;
  file.keras_version = "3.9.2";
  file.layers = seqlift::keras_archive_weights(
      text, {{"layers/einsum_dense/vars/0", at::ones({4, 6})},
             {"layers/einsum_dense/vars/1", at::ones({6})},
             {attention + "query_dense/vars/0", at::ones({6, 2, 3})},
             {attention + "key_dense/vars/0", at::ones({6, 2, 3})},
             {attention + "value_dense/vars/0", at::ones({6, 2, 3})},
             {attention + "output_dense/vars/0", at::ones({2, 3, 6})},
             {inner + "group_normalization/vars/0", at::ones({6})},
             {inner + "group_normalization/vars/1", at::ones({6})},
             {inner + "attention_pool1d/vars/0", at::ones({6, 6})}});
  return file;
}

// Characters and whole pieces of the text changed, moved and left out.
std::string changed_text(const std::string& text, std::mt19937& random) {
  const std::vector<std::string> pieces = {"null",
                                           "-1",
                                           "0",
                                           "[]",
                                           "{}",
                                           "\"\"",
                                           "1e9",
                                           "[[\"conv\", 0, 0]]",
                                           "true",
                                           "\"same\"",
                                           "\"Add\"",
                                           "\"LSTM\"",
                                           "\"Bidirectional\"",
                                           "\"Concatenate\"",
                                           "[1, 2]",
                                           "99999999999999999999",
                                           "\"BatchNormalization\"",
                                           "\"Reshape\"",
                                           "\"channels_first\"",
                                           "\"Conv2D\"",
                                           "\"MultiHeadAttention\"",
                                           "\"EinsumDense\"",
                                           "\"GroupNormalization\""};
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  std::string changed = text;
  const size_t times = 1 + below(3);
  for (size_t i = 0; i < times; ++i) {
    const size_t at = below(changed.size());
    const size_t kind = below(4);
    if (kind == 0) {
      changed[at] = static_cast<char>(below(128));
    } else if (kind == 1) {
      changed.erase(at, below(20));
    } else if (kind == 2) {
      changed.insert(at, changed.substr(below(changed.size()), below(40)));
    } else {
      // A value for a value.
      const size_t colon = changed.find(':', at);
      if (colon != std::string::npos) {
        const size_t end = changed.find_first_of(",}", colon);
        changed.replace(colon + 1, (end == std::string::npos ? changed.size() : end) - colon - 1,
                        pieces[below(pieces.size())]);
      }
    }
  }
  return changed;
}

// Every changed text ends in a model or in an error of the core's own.
void check_changes(const std::string& text,
                   const std::function<seqlift::KerasFile(const std::string&)>& file_of_text) {
  std::mt19937 random(1);
  int models = 0, errors = 0;
  for (int round = 0; round < 10000; ++round) {
    const std::string changed = changed_text(text, random);
    std::string kind;
    try {
      kind = kind_of(file_of_text(changed));
    } catch (const seqlift::Error& error) {
      kind = error.kind();
    }
    const bool known = kind.empty() || kind == "file" || kind == "model";
    if (!known) {
      FAIL(kind << " of " << changed);
    }
    (kind.empty() ? models : errors) += 1;
  }
  CHECK(models > 100);
  CHECK(errors > 5000);
}

}  // namespace

TEST_CASE("A graph with a model inside and two outputs is built", "[keras]") {
  const auto model = seqlift::keras_model(file_of(config));
  REQUIRE(model.part.output_names == std::vector<std::string>{"inner", "top"});
  auto module = seqlift::build_module(model.part);
  const auto outputs = module.forward({at::ones({5, 4, 12})}).toTuple()->elements();
  CHECK(outputs[0].toTensor().sizes() == at::IntArrayRef({5, 2}));
  // Twelve letters of ones under three, and the bias.
  CHECK(at::equal(outputs[1].toTensor(), at::full({5, 3}, 13)));
}

TEST_CASE("All that is wrong with the weights is said at once", "[keras]") {
  auto file = file_of(config);
  file.layers[0].weights[0].second = at::ones({3, 5, 3});
  file.layers[1].weights.pop_back();
  file.layers.push_back({"other", {{"other/kernel:0", at::ones({1})}}});
  const std::string message = message_of(file);
  CHECK(message.find("`conv/kernel:0` of Conv1D \"conv\" is [3, 5, 3] and should be "
                     "[3, 4, 3]") != std::string::npos);
  CHECK(message.find("`bias` [2] of Dense \"head\" is missing") != std::string::npos);
  CHECK(message.find("`other/kernel:0` of \"other\" belongs to no layer") != std::string::npos);
}

TEST_CASE("Options that would need much memory, and depth without end, are refused", "[keras]") {
  const std::string text = config;
  CHECK(kind_of(file_of(files::replaced(text, "\"filters\": 3", "\"filters\": 2000000000"))) ==
        "model");
  CHECK(kind_of(file_of(files::replaced(text, "\"units\": 2", "\"units\": 1e300"))) == "model");
  CHECK(kind_of(file_of(files::replaced(text, "[null, 12, 4]", "[null, 2147483648, 4]"))) ==
        "model");
  CHECK(kind_of(file_of(std::string(1000000, '['))) == "file");
  CHECK(kind_of(file_of("")) == "file");
  CHECK(kind_of(file_of("[]")) == "model");
  const std::string cyclic =
      files::replaced(text, "[[[\"sequence\", 0, 0, {}]]]", "[[[\"conv\", 0, 0, {}]]]");
  CHECK(message_of(file_of(cyclic)).find("depends on its own output") != std::string::npos);
}

TEST_CASE("An archive's weights come to the layers that its configuration counts", "[keras]") {
  CHECK(message_of(archive_of(archive_config)).empty());
  CHECK(kind_of(archive_of(archive_config)).empty());
  seqlift::KerasFile file = archive_of(archive_config);
  CHECK(file.layers.size() == 4);
  const auto lost = seqlift::keras_archive_weights(
      archive_config,
      {{"layers/einsum_dense_1/vars/0", at::ones({1})}, {"optimizer/vars/0", at::ones({1})}});
  CHECK(lost.back().name == "layers/einsum_dense_1/vars/0");
}

TEST_CASE("Configurations that have been changed end in a model or an error", "[keras]") {
  check_changes(config, file_of);
  check_changes(archive_config, archive_of);
}
