// A module of TorchScript as a file.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>

namespace seqlift {

// Made in memory first: LibTorch's own writer of files ends the process when there is no room.
// Errors: kind "file".
void save_module(const torch::jit::Module& module, const std::string& path);

}  // namespace seqlift
