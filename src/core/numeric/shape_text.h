// Shapes in words.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace seqlift {

// "3 x 1000", for messages.
std::string shape_text(const at::Tensor& tensor);

}  // namespace seqlift
