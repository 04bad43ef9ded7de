// The graph of a torch.export archive as a TorchScript module: the same operations, in the modules
// that they were called in, so that everything else needs to know nothing of archives.
#pragma once

#include <string>

#include "core/import/exported/program.h"

namespace torch {
namespace jit {
struct Module;
}
}  // namespace torch

namespace seqlift {

// Each call of a module in the user's code becomes a call of a module of that path and class, as
// far as the file tells them apart; the second call of a module is its method forward1, as in a
// trace. Operations keep the line of the user's code. An operation that the graph has among those
// of another module stays where it is, under its own module's path. forward takes the tensors that
// the model takes, and returns the tensors that it returns in the order of its (nested) outputs.
//
// A batch dimension that is fixed in the file is set free where every size that holds it can be
// told from the others, and the result is held against what the file says, on random input.
//
// Errors: kind "model" (an operation that this LibTorch lacks, a fixed batch dimension that cannot
// be set free, training mode), "file" (values that are never computed).
torch::jit::Module make_exported_module(ExportedProgram program);

// By its content; false where there is no such file.
bool is_exported_program(const std::string& path);
// Writes the module to `to`, as TorchScript. Errors: those of read_exported_program() and
// make_exported_module().
void convert_exported_program(const std::string& path, const std::string& to);

}  // namespace seqlift
