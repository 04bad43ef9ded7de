// Modules made here, without Python: a class, what it holds, and the TorchScript source of its
// methods. Every model that did not come as TorchScript is turned into one of these.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "core/numeric/named_tensors.h"

namespace torch {
namespace jit {
struct Graph;
struct Module;
struct Value;
}  // namespace jit
}  // namespace torch

namespace seqlift {

struct ModulePart {
  std::string class_name = "Net";  // "torch.nn.modules.conv.Conv1d"
  // Methods, as "def forward(self, x: Tensor): ..."; modules inside are called by `forward`, and
  // those whose name is a number by getattr(self, "0").
  std::string source;
  NamedTensors parameters;
  std::vector<std::pair<std::string, ModulePart>> parts;  // the modules inside, by their names
  NamedTensors buffers;
  std::vector<std::string> output_names;  // of the outermost module, see name_outputs()
};

// In evaluation mode unless `training`. Two parts of one class name become two classes, mangled as
// TorchScript does it. Errors: kind "model" when the source is not TorchScript.
torch::jit::Module build_module(const ModulePart& part, bool training = false);

// Puts a call of the module's `forward` at the graph's insertion point and returns what it gives of
// `input`, a tensor. The module is the attribute `path` of `holder`, which is set.
torch::jit::Value* call_module(torch::jit::Graph& graph, const torch::jit::Module& module,
                               const std::string& path, torch::jit::Value* input,
                               torch::jit::Value*& holder);

// TorchScript has no names for the elements of a tuple: they are kept as an attribute of the
// module, a list of texts, which stays with the file and computes nothing. Where the model has
// something else by that name it keeps it, and the outputs have no names.
void name_outputs(torch::jit::Module& module, const std::vector<std::string>& names);
// Empty where they have none.
std::vector<std::string> output_names(const torch::jit::Module& module);

}  // namespace seqlift
