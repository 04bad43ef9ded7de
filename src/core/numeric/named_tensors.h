// Tensors by their names, in the order of a file or of a module.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace seqlift {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

}  // namespace seqlift
