#include "core/model/standard_layers.h"

#include <limits>
#include <sstream>

#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// One argument written out: every layer is called by position with `input`.
std::string method(const std::string& expression) {
  return "def forward(self, input: Tensor):\n    return " + expression + "\n";
}

// The weights that are there; the source names the others None.
std::string add(ModulePart& part, const char* name, const at::Tensor& weight) {
  if (!weight.defined()) {
    return "None";
  }
  part.parameters.emplace_back(name, weight);
  return std::string("self.") + name;
}

std::string dimensions_of(size_t dimensions) { return std::to_string(dimensions) + "d"; }

}  // namespace

std::string source_list(const std::vector<int64_t>& numbers) {
  std::string text = "[";
  for (size_t i = 0; i < numbers.size(); ++i) {
    text += (i ? ", " : "") + std::to_string(numbers[i]);
  }
  return text + "]";
}

std::string source_number(double number) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out.precision(std::numeric_limits<double>::max_digits10);
  out << std::scientific << number;
  return out.str();
}

ModulePart convolution_layer(const at::Tensor& weight, const at::Tensor& bias,
                             const ConvolutionOptions& options) {
  const std::string dimensions = dimensions_of(static_cast<size_t>(weight.dim() - 2));
  ModulePart part;
  part.class_name = "torch.nn.modules.conv.Conv" + dimensions;
  const std::string w = add(part, "weight", weight);
  const std::string b = add(part, "bias", bias);
  part.source = method("torch.conv" + dimensions + "(input, " + w + ", " + b + ", " +
                       source_list(options.stride) + ", " + source_list(options.padding) + ", " +
                       source_list(options.dilation) + ", " + std::to_string(options.groups) + ")");
  return part;
}

ModulePart linear_layer(const at::Tensor& weight, const at::Tensor& bias) {
  ModulePart part;
  part.class_name = "torch.nn.modules.linear.Linear";
  const std::string w = add(part, "weight", weight);
  const std::string b = add(part, "bias", bias);
  part.source = method("torch.linear(input, " + w + ", " + b + ")");
  return part;
}

ModulePart batch_norm_layer(const at::Tensor& weight, const at::Tensor& bias,
                            const at::Tensor& running_mean, const at::Tensor& running_var,
                            const BatchNormOptions& options) {
  ModulePart part;
  part.class_name = "torch.nn.modules.batchnorm.BatchNorm" +
                    dimensions_of(static_cast<size_t>(options.dimensions));
  const std::string w = add(part, "weight", weight);
  const std::string b = add(part, "bias", bias);
  part.buffers = {{"running_mean", running_mean}, {"running_var", running_var}};
  part.source = method("torch.batch_norm(input, " + w + ", " + b +
                       ", self.running_mean, self.running_var, False, 0.1, " +
                       source_number(options.eps) + ", False)");
  return part;
}

ModulePart pool_layer(const PoolOptions& options) {
  const std::string dimensions = dimensions_of(options.size.size());
  const bool max = options.kind == "max";
  ModulePart part;
  part.class_name =
      std::string("torch.nn.modules.pooling.") + (max ? "MaxPool" : "AvgPool") + dimensions;
  const std::string window = "input, " + source_list(options.size) + ", " +
                             source_list(options.stride.empty() ? options.size : options.stride) +
                             ", " + source_list(options.padding);
  part.source =
      method((max ? "torch.max_pool" : "torch.avg_pool") + dimensions + "(" + window + ")");
  return part;
}

ModulePart activation_layer(const std::string& class_name, const std::string& expression) {
  ModulePart part;
  part.class_name = "torch.nn.modules.activation." + class_name;
  part.source = method(expression);
  return part;
}

ModulePart sequential(std::vector<ModulePart> layers) {
  ModulePart part;
  part.class_name = "torch.nn.modules.container.Sequential";
  part.source = "def forward(self, input: Tensor):\n";
  for (size_t i = 0; i < layers.size(); ++i) {
    const std::string name = std::to_string(i);
    part.source += "    input = getattr(self, \"" + name + "\").forward(input)\n";
    part.parts.emplace_back(name, std::move(layers[i]));
  }
  part.source += "    return input\n";
  return part;
}

}  // namespace seqlift
