// A tensor of an ONNX file: its numbers are in the file, or in another one beside it.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>

#include "core/import/onnx/wire.h"

namespace seqlift {
namespace onnx {

// ONNX's number of a type. Errors: kind "model", for texts, complex numbers and those of less than
// eight bits. `of`: what has it, for the message.
at::ScalarType scalar_type(int64_t type, const std::string& of);

// Its name and itself. Errors: kind "file", "model".
std::pair<std::string, at::Tensor> read_tensor(Span span, const std::string& folder);

}  // namespace onnx
}  // namespace seqlift
