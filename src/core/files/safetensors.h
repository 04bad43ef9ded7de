// safetensors: the length of a header, the header (JSON: name, type, shape and place of each
// tensor), the tensors. https://github.com/huggingface/safetensors
#pragma once

#include <string>

#include "core/files/mapped_file.h"
#include "core/numeric/named_tensors.h"

namespace seqlift {

// Whether the file begins like one.
bool is_safetensors(const Bytes& file);

// Errors: kind "file" (damaged; tensors that overlap, leave bytes out or leave the file; a type
// that LibTorch does not have).
NamedTensors read_safetensors(const Bytes& file, const std::string& name);

}  // namespace seqlift
