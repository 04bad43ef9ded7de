// PyTorch's own layers as modules made here: its classes, its names of weights, its arguments, so
// that module rules and registrations know them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/modules.h"

namespace seqlift {

struct ConvolutionOptions {
  std::vector<int64_t> stride{1};    // one number for every dimension, or one number for all
  std::vector<int64_t> padding{0};   // on both sides alike
  std::vector<int64_t> dilation{1};  // positions from one weight of a kernel to the next
  int64_t groups = 1;                // of channels, each with kernels of its own
};

// weight [out, in / groups, width] (Conv1d) or [out, in / groups, height, width] (Conv2d); bias
// [out] or undefined.
ModulePart convolution_layer(const at::Tensor& weight, const at::Tensor& bias,
                             const ConvolutionOptions& options = {});

// weight [out, in]; bias [out] or undefined.
ModulePart linear_layer(const at::Tensor& weight, const at::Tensor& bias);

struct BatchNormOptions {
  int64_t dimensions = 1;  // BatchNorm1d or BatchNorm2d
  double eps = 1e-5;       // added to the variance
};

// All [channels]; weight and bias may be undefined.
ModulePart batch_norm_layer(const at::Tensor& weight, const at::Tensor& bias,
                            const at::Tensor& running_mean, const at::Tensor& running_var,
                            const BatchNormOptions& options = {});

struct PoolOptions {
  std::string kind = "max";         // max, average
  std::vector<int64_t> size;        // of one dimension (MaxPool1d) or of two
  std::vector<int64_t> stride;      // empty: size
  std::vector<int64_t> padding{0};  // on both sides alike
};

ModulePart pool_layer(const PoolOptions& options);

// "torch.nn.modules.activation." + class_name, computing `expression` of `input`:
// activation_layer("ReLU", "torch.relu(input)").
ModulePart activation_layer(const std::string& class_name, const std::string& expression);

// What holds numbered modules: a Sequential calls each with what the one before it returns.
ModulePart sequential(std::vector<ModulePart> layers);

// With enough digits to read the same number back.
std::string source_number(double number);
// "[1, 2]", as TorchScript writes a list.
std::string source_list(const std::vector<int64_t>& numbers);

}  // namespace seqlift
