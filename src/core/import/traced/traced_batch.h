// A trace holds as plain numbers what the code of a module read from its input: where that code
// asks for sizes and gets numbers (as in R's torch), the number of sequences is fixed. Traces of
// one module for several numbers of sequences tell which of its numbers follow it.
//
// The graphs are walked side by side. They must have the same operations on the same values; a
// number that is another one in each is written as a function of the number of sequences n, which
// the graph then reads from its first input: a n + b, and for numbers that need not be whole also
// a / n + b, a sqrt(n) + b, a / sqrt(n) + b; both kinds a n^2 + b. Numbers inside of lists of
// sizes, tensors of one number, tensors that repeat the same numbers for each sequence, and the
// places of sequences one after the other (both strands in one batch, taken apart again) are found
// too.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <string>
#include <vector>

#include "core/import/traced/batch_number.h"
#include "core/import/traced/trace_names.h"

namespace seqlift {

struct BatchTrace {
  int64_t sequences = 0;                     // in the example that it was traced with
  std::shared_ptr<torch::jit::Graph> graph;  // of forward(self, x, ...)
};

// Makes the first graph right for every number of sequences; returns how many numbers it replaced.
// Errors: kind "trace", which name the operation, where the graphs differ in another way.
int64_t free_traced_batch(const std::vector<BatchTrace>& traces);

}  // namespace seqlift
