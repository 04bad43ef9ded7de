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
#include <optional>
#include <string>
#include <vector>

namespace seqlift {

struct BatchTrace {
  int64_t sequences = 0;                     // in the example that it was traced with
  std::shared_ptr<torch::jit::Graph> graph;  // of forward(self, x, ...)
};

// How a number follows the number of sequences: a g(n) + b.
struct BatchNumber {
  enum class Form { linear, inverse, root, inverse_root, square };
  Form form = Form::linear;
  double a = 0;
  double b = 0;
  double at(int64_t sequences) const;
};

// The function that gives `values` for `sequences`, or nothing. `whole`: for whole numbers, with
// whole a and b. Two values are equal within `tolerance`, relative. At least three values, or two
// of a function with b = 0 (then a chance is too likely: the caller has to try it).
std::optional<BatchNumber> find_batch_number(const std::vector<int64_t>& sequences,
                                             const std::vector<double>& values, bool whole,
                                             double tolerance = 1e-12);

// Makes the first graph right for every number of sequences; returns how many numbers it replaced.
// Errors: kind "trace", which name the operation, where the graphs differ in another way.
int64_t free_traced_batch(const std::vector<BatchTrace>& traces);

// What an operation of a trace is called in a message: "`view` (after `conv2`)", the last module
// before it whose weights were read.
std::string name_of_operation(const torch::jit::Node* node);

}  // namespace seqlift
