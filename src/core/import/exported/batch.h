// A graph that torch.export made without a dynamic batch dimension has the number of sequences of
// its example written into its shapes. Sequences are explained in batches of other sizes.
#pragma once

#include <string>
#include <vector>

#include "core/import/exported/program.h"

namespace torch {
namespace jit {
struct Module;
}
}  // namespace torch

namespace seqlift {

// Follows the batch dimension from the inputs through the graph, and puts the number of sequences
// that come in in the place of each size that it makes up. False, and nothing done, where the first
// input's first dimension is free already. Errors: kind "model" where a shape cannot be told.
bool free_batch(ExportedProgram& program);

// Whether each sequence gets its own prediction in batches of any size, which is what makes the
// sizes that free_batch() chose the right ones. Errors: kind "model".
void check_freed_batch(const ExportedProgram& program, torch::jit::Module& module);

// The error of both.
[[noreturn]] void refuse_fixed_batch(const ExportedProgram& program, const std::string& why);
// Of sizes begin .. end - 1; below 0 where it is no 64-bit number.
int64_t product_of_sizes(const std::vector<int64_t>& sizes, size_t begin, size_t end);

}  // namespace seqlift
