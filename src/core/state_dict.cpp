#include "state_dict.h"

#include "error.h"
#include "safetensors.h"
#include "tensor_functions.h"
#include "torch_files.h"

namespace seqlift {

namespace {

bool starts_with(const Bytes& file, const std::string& start) {
  return file.size >= start.size() && std::string(file.data, start.size()) == start;
}

}  // namespace

at::Tensor StateDict::find(const std::string& name) const {
  for (const auto& one : tensors) {
    if (one.first == name) {
      return one.second;
    }
  }
  return at::Tensor();
}

StateDict read_state_dict(const std::string& path) { return read_state_dict(map_file(path), path); }

StateDict read_state_dict(const Bytes& file, const std::string& name) {
  StateDict state_dict;
  if (starts_with(file, "PK")) {
    state_dict.format = "PyTorch";
    state_dict.tensors = read_torch_zip(file, name);
  } else if (starts_with(file, "\x80")) {
    state_dict.format = "PyTorch pickle";
    state_dict.tensors = read_torch_pickle(file, name);
  } else if (is_tar(file)) {
    state_dict.format = "PyTorch tar";
    state_dict.tensors = read_torch_tar(file, name);
  } else if (is_safetensors(file)) {
    state_dict.format = "safetensors";
    state_dict.tensors = read_safetensors(file, name);
  } else if (starts_with(file, "\x89HDF\r\n\x1a\n")) {
    throw Error("file",
                "\"" + name + "\" is an HDF5 file: read a Keras model by load_keras_model().");
  } else {
    throw Error("file", "\"" + name +
                            "\" is none of the files that hold weights: neither of "
                            "torch.save() nor safetensors.");
  }
  if (state_dict.tensors.empty()) {
    throw Error("file", "\"" + name + "\" holds no tensors.");
  }
  return state_dict;
}

}  // namespace seqlift
