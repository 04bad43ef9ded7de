// What a model returns: a tensor, or several in a tuple, a list or a dictionary.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <string>
#include <vector>

namespace seqlift {

class Constants;
struct Graph;
struct Model;

// In place of a dictionary that the graph returns, the tuple of its values in the order in which
// they were written down; of one alone the value. Returns the names of the outputs: the keys, or
// the fields of a NamedTuple; empty where they have none. A dictionary whose keys the code does not
// tell, or that something else reads, or that is filled in a branch or a loop, stays.
std::vector<std::string> open_outputs(torch::jit::Graph& graph);

// For what is returned and is no tensor. Kind "output".
[[noreturn]] void refuse_output(const c10::IValue& returned);

// For what cannot hold a tensor (nothing, an empty tuple, a text). Kind "output".
void check_output(const torch::jit::Value* output);

// How many tensors are returned; 0 where reading does not tell, of a list that the code fills.
int64_t count_outputs(const torch::jit::Value* output);

// The same, counted by running the model where reading does not tell; 0 where no input was found
// that it takes. In model_description.cpp.
int64_t count_outputs(const std::shared_ptr<const Model>& model, Constants& constants,
                      const Graph& graph);

// Output `index` of the graph. Where the tuple is built in the graph its part is taken directly, so
// that what only the other parts need becomes dead. Errors: kind "model".
torch::jit::Value* select_output(torch::jit::Graph& graph, torch::jit::Value* output,
                                 int64_t index);

}  // namespace seqlift
