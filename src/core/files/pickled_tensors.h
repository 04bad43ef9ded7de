// The tensors of a pickle that torch.save() wrote, with the names of where they are.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "core/files/mapped_file.h"
#include "core/files/pickle_reader.h"
#include "core/files/pickled_modules.h"
#include "core/numeric/named_tensors.h"

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

// A module of a whole model that was pickled.
struct PickledModule {
  std::string path;        // "" for the outermost, else as in the tensors' names
  std::string class_name;  // "torch.nn.modules.conv.Conv1d"
  std::vector<PickledSetting> settings;
};

struct PickledWeights {
  NamedTensors tensors;
  std::vector<PickledModule> modules;    // none where the file holds dicts of tensors
  std::vector<PickledSetting> settings;  // what the training was started with
  bool of_lightning = false;             // a checkpoint of PyTorch Lightning
  std::string from;  // the keys that lead to the state dict, joined by dots; "" for the whole file
  // Objects among the weights that are no tensors, and what they are: "scale (numpy.ndarray)".
  std::vector<std::string> unknown;
};

// Of a checkpoint, the state dict in it: the only dict of tensors below a key that training code
// puts weights under, or the one that `prefix` leads to; else the whole file, names joined by dots.
// What a training keeps beside weights (optimizer, callbacks, random numbers) is never looked at.
// `name`: of the file, for messages. Errors: kind "state_dict" where several dicts have the same
// names, so that any of them may be meant; kind "file" where tensors are not read.
PickledWeights pickled_tensors(const Pickle& pickle, const PickledObjects& objects,
                               const std::string& name, const std::string& prefix = "");

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
