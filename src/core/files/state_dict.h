// Weights from files, without running anything: what torch.save() wrote (a zip archive since
// PyTorch 1.6, a pickle before, a tar archive in the beginning) and safetensors.
#pragma once

#include <string>

#include "core/files/mapped_file.h"
#include "core/files/pickled_tensors.h"
#include "core/numeric/named_tensors.h"

namespace seqlift {

struct StateDict {
  // Names as PyTorch has them ("conv.weight"), tensors in their own types, in the file's order.
  // They view the file where they can, and keep it.
  NamedTensors tensors;
  std::string format;                  // "PyTorch", "PyTorch pickle", "PyTorch tar", "safetensors"
  std::vector<PickledModule> modules;  // of a whole model, in the order of its own
  std::vector<PickledSetting> settings;  // what a checkpoint's training was started with
  bool of_lightning = false;
  std::vector<std::string> notes;  // what was left out, a sentence each

  // Undefined where there is none of this name.
  at::Tensor find(const std::string& name) const;
};

// The format is told by the file's content. Of a checkpoint, the state dict in it is read, see
// pickled_tensors(); of the whole file, keys of dicts inside dicts are joined by dots. What
// wrappers put into names is left out, see without_wrappers(). What is no tensor is left out.
// `prefix`: what leads to the weights, keys of dicts and the beginning of names joined by dots.
// Errors: kind "file" (missing, damaged, another format, tensors that are not read, or no tensors),
// "state_dict" (two state dicts of the same names, or no name that begins with `prefix`).
StateDict read_state_dict(const std::string& path, const std::string& prefix = "");
// `name`: of the file, for messages.
StateDict read_state_dict(const Bytes& file, const std::string& name, const std::string& prefix);

// Lightning trains a module that holds the network, by custom as its `model`. Where all names of
// its checkpoint begin so, that is left out.
void drop_lightning_attribute(StateDict& state_dict);

// Of the modules of a whole model, the one that holds the parts `parts` ("iconv", "fconv"), at
// `prefix` where one is given. Null where there is none, or several.
const PickledModule* find_module(const std::vector<PickledModule>& modules,
                                 const std::vector<std::string>& parts, const std::string& prefix);
// The number that a module has by this name, or `otherwise`.
double find_number(const std::vector<PickledSetting>& settings, const std::string& name,
                   double otherwise);

// The tensors with the names that the file has, nothing left out.
NamedTensors read_tensors(const Bytes& file, const std::string& name);

}  // namespace seqlift
