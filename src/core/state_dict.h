// Weights from files, without running anything: what torch.save() wrote (a zip archive since
// PyTorch 1.6, a pickle before, a tar archive in the beginning) and safetensors.
#pragma once

#include <string>

#include "mapped_file.h"
#include "modules.h"

namespace seqlift {

struct StateDict {
  // Names as PyTorch has them ("conv.weight"), tensors in their own types, in the file's order.
  // They view the file where they can, and keep it.
  NamedTensors tensors;
  std::string format;  // "PyTorch", "PyTorch pickle", "PyTorch tar", "safetensors"

  // Undefined where there is none of this name.
  at::Tensor find(const std::string& name) const;
};

// The format is told by the file's content. Of a checkpoint, what it holds under "state_dict",
// "model_state_dict" or "model" is read; else keys of dicts inside dicts are joined by dots.
// What is no tensor is left out.
// Errors: kind "file" (missing, damaged, another format, asks for objects that are not read, or
// holds no tensors).
StateDict read_state_dict(const std::string& path);
// `name`: of the file, for messages.
StateDict read_state_dict(const Bytes& file, const std::string& name);

}  // namespace seqlift
