// A tensor in a file's bytes.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/files/mapped_file.h"

namespace seqlift {

struct StoredTensor {
  at::ScalarType dtype = at::kFloat;
  int64_t offset = 0;  // of its first element, in elements
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
};

// How many elements the tensor has. Errors: kind "file" when one would lie outside of the `held`
// elements that its data hold, or they cannot be counted.
int64_t check_stored(int64_t held, const StoredTensor& stored, const std::string& what);

// A view of the bytes, or a copy where a type's alignment or values ask for one. The tensor keeps
// the bytes' owner. `what` names file and tensor in messages: "\"a.pt\": the tensor \"weight\"".
// Errors: kind "file" when an element would lie outside the bytes, or more elements are asked for
// than they hold.
at::Tensor view_stored(const Bytes& bytes, const StoredTensor& stored, const std::string& what);

// The strides of a tensor whose last dimension runs fastest.
std::vector<int64_t> contiguous_strides(const std::vector<int64_t>& sizes);

// A name that R and TorchScript can have: UTF-8 without zeros, at most 1000 bytes.
bool is_name(const std::string& name);

}  // namespace seqlift
