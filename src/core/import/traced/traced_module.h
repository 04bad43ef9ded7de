// Modules that were traced outside of Python, one class for each module and each trace (R's torch).
// They are written again under the names that their classes have, so that a net is the same file
// each time, for any number of sequences, with the names of its arguments.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/api/module.h>

#include <map>
#include <string>
#include <vector>

namespace seqlift {

struct TraceFile {
  std::string path;
  int64_t sequences = 0;  // in the example that it was traced with
};

// The module itself, asked for another number of sequences than in any trace but the last.
struct TraceCheck {
  std::vector<at::Tensor> inputs;
  std::vector<at::Tensor> outputs;
};

struct TracedModuleOptions {
  std::vector<TraceFile> traces;               // one module, each of another number of sequences
  std::vector<std::string> argument_names;     // of forward, X first; those that are missing stay
  std::map<std::string, std::string> classes;  // of modules, by their paths; "" the outermost
  TraceCheck check;                            // nothing is compared where it has no inputs
};

// Errors: kind "trace", where the traces differ in what cannot be a function of the number of
// sequences, or the result differs from the module; "file", "model" of load_model().
torch::jit::Module make_traced_module(const TracedModuleOptions& options);

// The same module with plain class names: without the 24 random letters that R's torch gives them,
// or those in `classes`. Every method is kept; `evalforward` becomes `forward`.
torch::jit::Module with_plain_classes(const torch::jit::Module& original,
                                      const std::map<std::string, std::string>& classes = {});

// A TorchScript file with plain class names, where a trace made some up; else the file as it is.
void convert_script_module(const std::string& path, const std::string& to);

// The name as TorchScript's source can say it: "control.track" is "control_track".
std::string identifier(const std::string& name);

}  // namespace seqlift
