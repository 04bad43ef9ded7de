// A model of ONNX as TorchScript: the operators of its graph become LibTorch's operations, in a
// module for each node, so that everything else needs to know nothing of ONNX.
#pragma once

#include <string>

#include "core/import/exported/program.h"
#include "core/import/onnx/model.h"

namespace torch {
namespace jit {
struct Module;
}
}  // namespace torch

namespace seqlift {

struct OnnxProgram {
  ExportedProgram program;
  std::string layout;  // of the sequences, as the declared sizes tell it: "NCL", "NLC"; "" else
};

// `file`: the name of the file, `file_size` its bytes. Errors: kind "model" (operators, attributes
// and forms of these that are not known, by the node's name), "file" (a graph that is none).
OnnxProgram onnx_program(const onnx::Model& model, const std::string& file, size_t file_size);

// Writes the module to `to`, and returns the layout. forward takes the inputs that are no weights,
// sequences first, and returns the outputs in their order, by their names. A number of sequences
// that is fixed in the file is set free as that of an exported program is.
std::string convert_onnx(const std::string& path, const std::string& to);

}  // namespace seqlift
