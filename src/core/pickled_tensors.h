// The tensors of a pickle that torch.save() wrote, with the names of where they are.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "mapped_file.h"
#include "modules.h"
#include "pickle_reader.h"

namespace seqlift {

struct Storage {
  Bytes bytes;
  at::ScalarType dtype = at::kByte;
  bool typed = true;  // untyped ones are of the type that the tensor says
};

// What stands for an object outside of the pickle: a storage, or in tar archives a tensor.
struct PickledObjects {
  std::function<Storage(const Pickle& pickle, uint32_t id)> storage;
  std::function<at::Tensor(const Pickle& pickle, uint32_t id)> tensor;  // or none
};

// Of a checkpoint, the state dict in it. `name`: of the file, for messages.
NamedTensors pickled_tensors(const Pickle& pickle, const PickledObjects& objects,
                             const std::string& name);

// "torch.FloatStorage" and its like. Errors: kind "file" when it is none.
Storage storage_type(const Pickle& pickle, uint32_t id, const std::string& name);

// Items of a tuple of at least so many. Errors: kind "file".
const std::vector<uint32_t>& tuple_items(const Pickle& pickle, uint32_t id, size_t at_least,
                                         const std::string& name);
int64_t integer_of(const Pickle& pickle, uint32_t id, const std::string& name);
std::string text_of(const Pickle& pickle, uint32_t id, const std::string& name);

// For a pickle that is whole, but not what torch.save() writes.
[[noreturn]] void not_torch_save(const std::string& name, const std::string& why);

}  // namespace seqlift
