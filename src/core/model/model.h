// A TorchScript file as the core sees it. Loaded once, put in evaluation mode, never written to:
// every evaluation works on the graph and on detached constants.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <memory>
#include <string>
#include <vector>

namespace seqlift {

struct Model {
  torch::jit::Module module;
  at::ScalarType dtype = at::kFloat;      // of the parameters; float32 where there are none
  std::string class_name;                 // of the outermost module, without TorchScript's mangling
  std::vector<std::string> output_names;  // empty where the file has none
  std::vector<std::string> argument_names;  // of forward, without self; the first one is X
  std::vector<bool> argument_has_default;
  std::vector<c10::IValue> argument_defaults;  // None where there is none
  std::vector<std::string> module_paths;       // every module inside, and its class
  std::vector<std::string> module_classes;
  int64_t parameters = 0;               // how many numbers were trained
  std::vector<std::string> not_finite;  // names of parameters and buffers with NaN or Inf
};

// Reads a TorchScript file, scripted or traced, saved in training or evaluation mode.
// Errors: kind "file" (missing, a directory, truncated, not TorchScript), "model" (no forward,
// no tensor input).
std::shared_ptr<const Model> load_model(const std::string& path);

// A class name without TorchScript's prefix and mangling: "torch.nn.modules.activation.ReLU".
std::string plain_class_name(const std::string& qualified);
// The last part of it: "ReLU".
std::string short_class_name(const std::string& qualified);

}  // namespace seqlift
