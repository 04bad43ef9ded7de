// Which line of the model's code an operation comes from.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string>

namespace seqlift {

// A line of Python, and whether it is one of PyTorch's own files: what a module of the library does
// inside says less of a model than the line that calls it.
struct SourcePlace {
  std::string text;  // "model.py:34", or "" where the file does not say
  bool of_torch = false;
};

// The user's own line where the archive remembers it, else that of the code that TorchScript wrote.
SourcePlace source_place(const torch::jit::Node* node);

}  // namespace seqlift
