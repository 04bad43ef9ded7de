// One operation of a torch.export graph as lines of TorchScript.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/import/exported/program.h"

namespace seqlift {

// The name that a value of the program has in the code.
using ValueName = std::function<std::string(const std::string&)>;

// A value that is not in the file: the device that the model runs on, which tensors made in the
// middle of the model go to.
extern const char* const exported_device;

// Names of the values that an operation reads.
std::vector<std::string> values_read(const ExportedNode& node);

// `value`: what a value is called in the code, read or assigned. Errors: kind "model", naming the
// operation and its line, when this LibTorch has no such operation, or it cannot be part of a model
// here.
std::vector<std::string> write_operation(const ExportedProgram& program, const ExportedNode& node,
                                         const ValueName& value);

// "torch.ops.aten.relu.default (net.py:12)", for messages.
std::string place_of(const ExportedNode& node);
// "net.py"
std::string file_name(const std::string& path);
// Whether a text can be a name in TorchScript: letters, digits and "_", no digit first.
bool is_identifier(const std::string& text);

}  // namespace seqlift
