
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/import/keras/layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace keras {

using nlohmann::json;

namespace {

constexpr int64_t largest_number = int64_t{1} << 31;

// What training, building or naming alone needs, and what a prediction does without.
bool is_of_no_effect(const std::string& option) {
  static const std::set<std::string> names = {"name",
                                              "trainable",
                                              "dtype",
                                              "batch_input_shape",
                                              "batch_shape",
                                              "input_shape",
                                              "input_length",
                                              "input_dim",
                                              "input_dtype",
                                              "init",
                                              "inner_init",
                                              "forget_bias_init",
                                              "seed",
                                              "rate",
                                              "noise_shape",
                                              "stddev",
                                              "momentum",
                                              "renorm",
                                              "renorm_clipping",
                                              "renorm_momentum",
                                              "fused",
                                              "virtual_batch_size",
                                              "synchronized",
                                              "dropout",
                                              "recurrent_dropout",
                                              "dropout_W",
                                              "dropout_U",
                                              "implementation",
                                              "consume_less",
                                              "unroll",
                                              "stateful",
                                              "unit_forget_bias",
                                              "use_cudnn",
                                              "autocast",
                                              "lora_rank",
                                              "lora_alpha",
                                              "lora_enabled",
                                              "quantization_config",
                                              "sparse",
                                              "ragged",
                                              "optional",
                                              "type_spec",
                                              "gamma_init",
                                              "beta_init",
                                              "module",
                                              "registered_name",
                                              "build_config",
                                              "zero_output_for_mask",
                                              "supports_masking"};
  const auto ends = [&](const std::string& end) {
    return option.size() >= end.size() &&
           option.compare(option.size() - end.size(), end.size(), end) == 0;
  };
  return names.count(option) > 0 || ends("_initializer") || ends("_regularizer") ||
         ends("_constraint");
}

}  // namespace

Config::Config(const json& options, std::string layer)
    : options_(options), layer_(std::move(layer)) {
  if (!options_.is_object()) {
    throw Error("model", "The configuration of " + layer_ + " is not a set of options.");
  }
}

const json* Config::find(const char* name) const {
  read_.insert(name);
  const auto found = options_.find(name);
  return found == options_.end() || found->is_null() ? nullptr : &*found;
}

bool Config::has(const char* name) const { return find(name) != nullptr; }

const json* Config::value(const char* name) { return find(name); }

void Config::refuse(const char* name, const std::string& because) const {
  const json* found = find(name);
  std::string what = found ? found->dump(-1, ' ', true, json::error_handler_t::replace) : "null";
  if (what.size() > 60) {
    what = what.substr(0, 60) + "...";
  }
  throw Error("model", "Option `" + std::string(name) + " = " + what + "` of " + layer_ + " " +
                           because + ".");
}

std::string Config::text(const char* name, const std::string& otherwise) {
  const json* found = find(name);
  if (!found) {
    return otherwise;
  }
  if (!found->is_string()) {
    refuse(name, "is not a string");
  }
  return found->get<std::string>();
}

namespace {

// Python writes a whole number as a float here and there.
bool is_whole(const json& value) {
  return value.is_number() && std::abs(value.get<double>()) < largest_number &&
         value.get<double>() == static_cast<double>(value.get<int64_t>());
}

}  // namespace

int64_t Config::whole(const char* name, int64_t least) {
  const json* found = find(name);
  if (!found || !is_whole(*found) || found->get<int64_t>() < least) {
    refuse(name, "is not a whole number of at least " + std::to_string(least));
  }
  return found->get<int64_t>();
}

int64_t Config::whole(const char* name, int64_t least, int64_t otherwise) {
  return has(name) ? whole(name, least) : otherwise;
}

double Config::number(const char* name, double otherwise) {
  const json* found = find(name);
  if (!found) {
    return otherwise;
  }
  if (!found->is_number()) {
    refuse(name, "is not a number");
  }
  return found->get<double>();
}

bool Config::flag(const char* name, bool otherwise) {
  const json* found = find(name);
  if (!found) {
    return otherwise;
  }
  if (!found->is_boolean()) {
    refuse(name, "is not true or false");
  }
  return found->get<bool>();
}

void Config::demand_flag(const char* name, bool expected) {
  if (flag(name, expected) != expected) {
    refuse(name, "is not supported");
  }
}

std::vector<int64_t> Config::list(const char* name) {
  const json* found = find(name);
  std::vector<int64_t> numbers;
  if (!found || !found->is_array()) {
    refuse(name, "is not a list of whole numbers");
  }
  for (const json& one : *found) {
    if (!is_whole(one)) {
      refuse(name, "is not a list of whole numbers");
    }
    numbers.push_back(one.get<int64_t>());
  }
  return numbers;
}

std::vector<int64_t> Config::numbers(const char* name, size_t count, int64_t least,
                                     const std::vector<int64_t>& otherwise) {
  const json* found = find(name);
  if (!found && !otherwise.empty()) {
    return otherwise;
  }
  std::vector<int64_t> numbers =
      found && found->is_number() ? std::vector<int64_t>(count, whole(name, least)) : list(name);
  if (numbers.size() != count) {
    refuse(name, "does not hold " + std::to_string(count) + " numbers");
  }
  for (const int64_t number : numbers) {
    if (number < least) {
      refuse(name, "holds a number below " + std::to_string(least));
    }
  }
  return numbers;
}

std::vector<std::vector<int64_t>> Config::pairs(const char* name, size_t count) {
  const json* found = find(name);
  if (found && found->is_number()) {
    const int64_t both = whole(name, 0);
    return std::vector<std::vector<int64_t>>(count, {both, both});
  }
  if (!found || !found->is_array() || found->empty()) {
    refuse(name, "is neither a number nor pairs of them");
  }
  std::vector<std::vector<int64_t>> pairs;
  const bool of_numbers = found->front().is_number();
  if (of_numbers && count == 1 && found->size() == 2) {
    pairs = {numbers(name, 2, 0)};
  } else if (of_numbers) {
    for (const int64_t both : numbers(name, count, 0)) {
      pairs.push_back({both, both});
    }
  } else {
    for (const json& one : *found) {
      if (!one.is_array() || one.size() != 2 || !is_whole(one[0]) || !is_whole(one[1]) ||
          one[0].get<int64_t>() < 0 || one[1].get<int64_t>() < 0) {
        refuse(name, "is neither a number nor pairs of them");
      }
      pairs.push_back({one[0].get<int64_t>(), one[1].get<int64_t>()});
    }
  }
  if (pairs.size() != count) {
    refuse(name, "does not hold " + std::to_string(count) + " pairs of numbers");
  }
  return pairs;
}

void Config::finish() const {
  for (const auto& option : options_.items()) {
    const json& value = option.value();
    const bool off = value.is_null() || (value.is_boolean() && !value.get<bool>());
    if (!off && read_.count(option.key()) == 0 && !is_of_no_effect(option.key())) {
      refuse(option.key().c_str(), "is not known");
    }
  }
}

// ---- weights -------------------------------------------------------------------------

namespace {

void rename(json& options, const char* from, const char* to) {
  const auto found = options.find(from);
  if (found != options.end()) {
    if (!options.contains(to)) {
      options[to] = *found;
    }
    options.erase(from);
  }
}

void join(json& options, const char* first, const char* second, const char* to) {
  if (options.contains(first) && options.contains(second)) {
    options[to] = json::array({options[first], options[second]});
    options.erase(first);
    options.erase(second);
  }
}

// Keras 1's Merge is a class of its own for each mode in Keras 2.
void split_merge(std::string& class_name, json& options) {
  static const std::map<std::string, std::string> modes = {
      {"sum", "Add"},     {"mul", "Multiply"}, {"concat", "Concatenate"},
      {"ave", "Average"}, {"max", "Maximum"},  {"dot", "Dot"}};
  const auto mode = options.find("mode");
  if (class_name != "Merge" || mode == options.end() || !mode->is_string()) {
    return;
  }
  const auto found = modes.find(mode->get<std::string>());
  const auto inner = options.find("layers");
  const bool of_layers = inner != options.end() && inner->is_array() && !inner->empty();
  if (found == modes.end() || of_layers) {
    return;  // is refused as a Merge layer
  }
  class_name = found->second;
  if (class_name != "Concatenate") {
    options.erase("concat_axis");
  }
  for (const char* gone : {"mode", "mode_type", "dot_axes", "output_shape", "output_shape_type",
                           "output_mask", "output_mask_type", "arguments", "layers"}) {
    options.erase(gone);
  }
}

}  // namespace

void to_keras_2(std::string& class_name, json& options) {
  static const std::map<std::string, std::string> classes = {
      {"Convolution1D", "Conv1D"},
      {"AtrousConvolution1D", "Conv1D"},
      {"AtrousConv1D", "Conv1D"},
      {"Convolution2D", "Conv2D"},
      {"AtrousConvolution2D", "Conv2D"},
      {"AtrousConv2D", "Conv2D"},
      {"TimeDistributedDense", "Dense"},
      {"SeparableConvolution1D", "SeparableConv1D"},
      {"MaxPool1D", "MaxPooling1D"},
      {"MaxPool2D", "MaxPooling2D"},
      {"AvgPool1D", "AveragePooling1D"},
      {"AvgPool2D", "AveragePooling2D"},
      {"Convolution1DTranspose", "Conv1DTranspose"}};
  if (!options.is_object()) {
    return;
  }
  const auto known = classes.find(class_name);
  if (known != classes.end()) {
    class_name = known->second;
  }
  split_merge(class_name, options);
  join(options, "nb_row", "nb_col", "kernel_size");
  const std::pair<const char*, const char*> names[] = {{"nb_filter", "filters"},
                                                       {"filter_length", "kernel_size"},
                                                       {"border_mode", "padding"},
                                                       {"subsample_length", "strides"},
                                                       {"subsample", "strides"},
                                                       {"atrous_rate", "dilation_rate"},
                                                       {"output_dim", "units"},
                                                       {"bias", "use_bias"},
                                                       {"pool_length", "pool_size"},
                                                       {"stride", "strides"},
                                                       {"p", "rate"},
                                                       {"sigma", "stddev"},
                                                       {"inner_activation", "recurrent_activation"},
                                                       {"dim_ordering", "data_format"},
                                                       {"concat_axis", "axis"}};
  for (const auto& name : names) {
    rename(options, name.first, name.second);
  }
  if (class_name == "UpSampling1D") {
    rename(options, "length", "size");
  }
  const auto format = options.find("data_format");
  if (format != options.end() && format->is_string()) {
    const std::string order = format->get<std::string>();
    *format = order == "th" ? "channels_first" : order == "tf" ? "channels_last" : order;
  }
}

}  // namespace keras
}  // namespace seqlift
