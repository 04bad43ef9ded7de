#include "core/import/architectures/architectures.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

const char* const wrapper = "module.";

bool starts_with(const std::string& text, const std::string& beginning) {
  return text.compare(0, beginning.size(), beginning) == 0;
}

// A damaged file can hold any bytes for a name.
std::string quoted(std::string key) {
  std::replace_if(
      key.begin(), key.end(), [](char letter) { return letter < ' ' || letter > '~'; }, '?');
  return "`" + key + "`";
}

template <typename Sizes>
std::string sizes_text(const Sizes& sizes) {
  std::string text = "[";
  for (size_t d = 0; d < sizes.size(); ++d) {
    text += (d ? ", " : "") + (sizes[d] < 0 ? std::string("any") : std::to_string(sizes[d]));
  }
  return text + "]";
}

// A wrong file can make hundreds of complaints of one sort.
const size_t most_listed = 8;

std::string listed(const std::vector<std::string>& items, const std::string& separator) {
  std::string text;
  for (size_t i = 0; i < std::min(most_listed, items.size()); ++i) {
    text += (i ? separator : "") + items[i];
  }
  if (items.size() > most_listed) {
    text += " and " + std::to_string(items.size() - most_listed) + " more";
  }
  return text + ".";
}

bool is_number(const at::Tensor& tensor) {
  return tensor.layout() == at::kStrided && !tensor.is_quantized() &&
         (tensor.is_floating_point() || at::isIntegralType(tensor.scalar_type(), true));
}

// Of its own memory alone: a view would be written with all that it is a view of.
at::Tensor compact(const at::Tensor& tensor, at::ScalarType dtype) {
  const at::Tensor whole = tensor.detach().to(dtype).contiguous();
  const auto bytes = static_cast<size_t>(whole.numel()) * whole.element_size();
  return whole.storage().nbytes() > bytes ? whole.clone() : whole;
}

}  // namespace

Weights::Weights(const NamedTensors& state_dict) {
  const bool wrapped = !state_dict.empty() &&
                       std::all_of(state_dict.begin(), state_dict.end(), [](const auto& entry) {
                         return starts_with(entry.first, wrapper);
                       });
  // Half precision is for storage: what is computed with it is computed in float32.
  at::ScalarType dtype = at::kFloat;
  for (const auto& entry : state_dict) {
    if (entry.second.is_floating_point()) {
      dtype = c10::promoteTypes(dtype, entry.second.scalar_type());
    }
  }
  for (const auto& entry : state_dict) {
    const std::string key = wrapped ? entry.first.substr(std::string(wrapper).size()) : entry.first;
    const bool number = is_number(entry.second);
    if (!number) {
      complain(quoted(key) + " is a " + entry.second.toString() + ", not a tensor of numbers.");
    }
    keys_.push_back(key);
    tensors_[key] = number ? compact(entry.second, dtype) : entry.second;
  }
}

int64_t Weights::size(const std::string& key, int64_t dimension) const {
  const auto found = tensors_.find(key);
  return found == tensors_.end() || found->second.dim() <= dimension
             ? -1
             : found->second.size(dimension);
}

std::vector<std::string> Weights::names_below(const std::string& prefix) const {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const std::string& key : keys_) {
    if (!starts_with(key, prefix + ".")) {
      continue;
    }
    const std::string rest = key.substr(prefix.size() + 1);
    const std::string name = rest.substr(0, rest.find('.'));
    if (seen.insert(name).second) {
      names.push_back(name);
    }
  }
  return names;
}

int64_t Weights::count(const std::string& prefix) const {
  const std::vector<std::string> below = names_below(prefix);
  const std::set<std::string> names(below.begin(), below.end());
  int64_t layers = 0;
  // A number beyond what so many names can count is no layer's.
  const int64_t most = 2 * static_cast<int64_t>(names.size());
  for (int64_t i = 0; i < most; ++i) {
    if (names.count(std::to_string(i)) > 0) {
      layers = i + 1;
    }
  }
  return layers;
}

at::Tensor Weights::take(const std::string& key, const std::vector<int64_t>& shape) {
  used_.insert(key);
  const auto found = tensors_.find(key);
  if (found == tensors_.end()) {
    missing_.push_back(quoted(key));
  } else {
    const at::IntArrayRef given = found->second.sizes();
    bool same = given.size() == shape.size();
    for (size_t d = 0; same && d < shape.size(); ++d) {
      same = shape[d] < 0 || shape[d] == given[d];
    }
    if (same) {
      return found->second;
    }
    misshapen_.push_back(quoted(key) + " is " + sizes_text(given) + ", expected " +
                         sizes_text(shape));
  }
  return at::zeros(std::vector<int64_t>(shape.size(), 1));
}

void Weights::ignore(const std::string& prefix) {
  for (const std::string& key : keys_) {
    if (starts_with(key, prefix)) {
      used_.insert(key);
    }
  }
}

at::Tensor Weights::bias_of(const std::string& prefix, int64_t out, Bias bias) {
  const std::string key = prefix + ".bias";
  if (bias == Bias::no || (bias == Bias::optional && !has(key))) {
    return {};
  }
  return take(key, {out});
}

ModulePart Weights::convolution(const std::string& prefix, const std::vector<int64_t>& shape,
                                const ConvolutionOptions& options, Bias bias) {
  const at::Tensor weight = take(prefix + ".weight", shape);
  return convolution_layer(weight, bias_of(prefix, shape[0], bias), options);
}

int64_t Weights::odd_width(const std::string& prefix) {
  const int64_t width = size(prefix + ".weight", 2);
  if (width >= 0 && width % 2 == 0) {
    complain(quoted(prefix + ".weight") + " is " + std::to_string(width) +
             " wide, not an odd number.");
  }
  return width;
}

ModulePart Weights::same_convolution(const std::string& prefix, int64_t out, int64_t in,
                                     int64_t dilation, Bias bias) {
  const int64_t width = odd_width(prefix);
  ConvolutionOptions options;
  options.dilation = {dilation};
  options.padding = {width > 0 ? dilation * (width / 2) : 0};
  return convolution(prefix, {out, in, width}, options, bias);
}

ModulePart Weights::linear(const std::string& prefix, int64_t out, int64_t in, Bias bias) {
  const at::Tensor weight = take(prefix + ".weight", {out, in});
  return linear_layer(weight, bias_of(prefix, out, bias));
}

ModulePart Weights::layer_norm(const std::string& prefix, int64_t channels, double eps) {
  ModulePart part = plain_layer("torch.nn.modules.normalization.LayerNorm",
                                "torch.layer_norm(input, [" + std::to_string(channels) +
                                    "], self.weight, self.bias, " + source_number(eps) + ")");
  part.parameters = {{"weight", take(prefix + ".weight", {channels})},
                     {"bias", take(prefix + ".bias", {channels})}};
  return part;
}

ModulePart Weights::batch_norm(const std::string& prefix, int64_t channels, int64_t dimensions,
                               double eps) {
  ignore(prefix + ".num_batches_tracked");
  const at::Tensor weight = take(prefix + ".weight", {channels});
  const at::Tensor bias = take(prefix + ".bias", {channels});
  const at::Tensor mean = take(prefix + ".running_mean", {channels});
  const at::Tensor variance = take(prefix + ".running_var", {channels});
  BatchNormOptions options;
  options.dimensions = dimensions;
  options.eps = eps;
  return batch_norm_layer(weight, bias, mean, variance, options);
}

void Weights::check(const std::string& architecture) const {
  std::vector<std::string> left;
  for (const std::string& key : keys_) {
    if (used_.count(key) == 0) {
      left.push_back(quoted(key));
    }
  }
  if (missing_.empty() && misshapen_.empty() && others_.empty() && left.empty()) {
    return;
  }
  std::string message = "The state dict does not fit " + architecture + ".";
  if (!missing_.empty()) {
    message += "\nMissing: " + listed(missing_, ", ");
  }
  if (!left.empty()) {
    message += "\nLeft over: " + listed(left, ", ");
  }
  if (!misshapen_.empty()) {
    message += "\nOf the wrong shape: " + listed(misshapen_, "; ");
  }
  for (size_t i = 0; i < std::min(most_listed, others_.size()); ++i) {
    message += "\n" + others_[i];
  }
  throw Error("model", message);
}

namespace {

using Keys = std::vector<std::vector<std::string>>;

// Those first that hold others.
const std::vector<std::pair<std::string, Keys>>& all_keys() {
  static const std::vector<std::pair<std::string, Keys>> all{
      {"chrombpnet", {{"accessibility.iconv.weight", "bias.iconv.weight"}}},
      {"cherimoya", {{"iconv.weight", "blocks.0.linear1.weight", "fconv.weight"}}},
      {"bpnet", {{"iconv.weight", "fconv.weight"}}},
      {"procapnet", {{"iconv.weight", "fconv.weight"}}},
      {"basset", {{"21.1.weight", "0.weight"}}},
      {"deepsea", {{"14.1.weight", "0.weight"}}},
      {"beluga", {{"model.1.4.1.weight", "model.0.0.weight"}}},
      {"enformer", {{"stem.0.weight"}, {"_trunk.1.0.weight"}}},
      {"borzoi", {{"conv_dna.conv_layer.weight", "unet1.1.conv_layer.weight"}}}};
  return all;
}

// Whether some beginning of a name has all of these behind it.
bool holds(const std::set<std::string>& names, const std::vector<std::string>& keys) {
  const std::string& first = keys[0];
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    if (name.size() < first.size() ||
        name.compare(name.size() - first.size(), std::string::npos, first) != 0) {
      return false;
    }
    const std::string before = name.substr(0, name.size() - first.size());
    return (before.empty() || before.back() == '.') &&
           std::all_of(keys.begin(), keys.end(),
                       [&](const std::string& key) { return names.count(before + key) > 0; });
  });
}

}  // namespace

const std::vector<std::vector<std::string>>& network_keys(const std::string& architecture) {
  for (const auto& one : all_keys()) {
    if (one.first == architecture) {
      return one.second;
    }
  }
  throw Error("internal", "There is no architecture " + architecture + ".");
}

std::vector<std::string> fitting_architectures(const NamedTensors& tensors) {
  std::set<std::string> names;
  for (const auto& one : tensors) {
    names.insert(one.first);
  }
  std::vector<std::string> fitting;
  for (const auto& one : all_keys()) {
    if (std::any_of(one.second.begin(), one.second.end(),
                    [&](const auto& keys) { return holds(names, keys); })) {
      fitting.push_back(one.first);
    }
  }
  return fitting;
}

ModulePart plain_layer(const std::string& class_name, const std::string& expression) {
  ModulePart part;
  part.class_name = class_name;
  part.source = "def forward(self, input: Tensor):\n    return " + expression + "\n";
  return part;
}

ModulePart relu_layer() { return activation_layer("ReLU", "torch.relu(input)"); }

ModulePart dropout_layer() { return plain_layer("torch.nn.modules.dropout.Dropout", "input"); }

ModulePart residual(ModulePart inner) {
  ModulePart part = plain_layer("Residual", "self.fn.forward(input) + input");
  part.parts.emplace_back("fn", std::move(inner));
  return part;
}

ModulePart target_length_crop(int64_t target_length) {
  if (target_length < 0) {
    return plain_layer("TargetLengthCrop", "input");
  }
  const std::string T = std::to_string(target_length);
  ModulePart part;
  part.class_name = "TargetLengthCrop";
  part.source =
      "def forward(self, input: Tensor):\n    bins = input.size(1)\n    cut = (bins - " + T +
      " + 1) // 2\n    return torch.narrow(input, 1, cut, bins - 2 * cut if bins >= " + T +
      " else " + T + ")\n";
  return part;
}

ModulePart module_list(std::vector<ModulePart> parts) {
  ModulePart list;
  list.class_name = "torch.nn.modules.container.ModuleList";
  for (size_t i = 0; i < parts.size(); ++i) {
    list.parts.emplace_back(std::to_string(i), std::move(parts[i]));
  }
  return list;
}

}  // namespace seqlift
