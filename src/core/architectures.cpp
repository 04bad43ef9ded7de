#include "architectures.h"

#include <algorithm>

#include "error.h"
#include "tensor_functions.h"

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
std::string shape_text(const Sizes& sizes) {
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
  c10::optional<at::ScalarType> dtype;
  for (const auto& entry : state_dict) {
    if (entry.second.is_floating_point()) {
      const at::ScalarType own = entry.second.scalar_type();
      dtype = dtype ? c10::promoteTypes(*dtype, own) : own;
    }
  }
  for (const auto& entry : state_dict) {
    const std::string key = wrapped ? entry.first.substr(std::string(wrapper).size()) : entry.first;
    const bool number = is_number(entry.second);
    if (!number) {
      complain(quoted(key) + " is a " + entry.second.toString() + ", not a tensor of numbers.");
    }
    keys_.push_back(key);
    tensors_[key] = number ? compact(entry.second, dtype.value_or(at::kFloat)) : entry.second;
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
    misshapen_.push_back(quoted(key) + " is " + shape_text(given) + ", expected " +
                         shape_text(shape));
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

ModulePart Weights::batch_norm(const std::string& prefix, int64_t channels, int64_t dimensions) {
  ignore(prefix + ".num_batches_tracked");
  const at::Tensor weight = take(prefix + ".weight", {channels});
  const at::Tensor bias = take(prefix + ".bias", {channels});
  const at::Tensor mean = take(prefix + ".running_mean", {channels});
  const at::Tensor variance = take(prefix + ".running_var", {channels});
  BatchNormOptions options;
  options.dimensions = dimensions;
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

ModulePart plain_layer(const std::string& class_name, const std::string& expression) {
  ModulePart part;
  part.class_name = class_name;
  part.source = "def forward(self, input: Tensor):\n    return " + expression + "\n";
  return part;
}

ModulePart relu_layer() { return activation_layer("ReLU", "torch.relu(input)"); }

ModulePart dropout_layer() { return plain_layer("torch.nn.modules.dropout.Dropout", "input"); }

ModulePart module_list(std::vector<ModulePart> parts) {
  ModulePart list;
  list.class_name = "torch.nn.modules.container.ModuleList";
  for (size_t i = 0; i < parts.size(); ++i) {
    list.parts.emplace_back(std::to_string(i), std::move(parts[i]));
  }
  return list;
}

}  // namespace seqlift
