// What is found out about a graph, and taken out of it, once all calls are opened.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/model/graph.h"

namespace seqlift {

// All nodes of these kinds, in the order of the code, those of inner blocks included.
void collect_nodes(torch::jit::Block* block, const std::vector<c10::Symbol>& kinds,
                   std::vector<torch::jit::Node*>& found);

// All nodes, in the order of the code, those of inner blocks included.
std::vector<torch::jit::Node*> all_nodes(torch::jit::Block* block);

// The object or attribute that a chain of accesses from the model itself leads to, or nothing.
std::optional<c10::IValue> attribute_value(const Graph& graph, const torch::jit::Value* value);

// Branches whose condition is an attribute that nothing sets, such as `if self.inplace`, are known
// beforehand: the one that is taken stays, without its condition. What stands in the other one
// (a batch norm that counts its batches) no longer looks like something the model does.
// `names`: of further attributes that are set, by calls that are not opened.
void take_known_branches(Graph& graph, std::set<std::string> names = {});

// lift() and lift_fresh(), which tracing writes down, return what they are given; what autograd of
// LibTorch 1.13 makes of that refers to itself and is never freed.
void drop_lifts(Graph& graph);

// What code asks about the run rather than about its input (whether a tensor has a gradient,
// autocast is on, a tensor overrides functions) has the answers of a prediction in every method: a
// model that takes another branch where gradients are recorded is explained by the branch that
// predicts. Whether they are recorded at all is the evaluation's to say, which knows what the code
// itself has set.
void answer_as_predicting(Graph& graph);

// Graph::written_attributes, written_results, written_inputs and plain_slices.
void find_written(Graph& graph);

// Of Model::not_finite, what the graph looks at: more than its size or type, as far as that can be
// told.
std::vector<std::string> read_not_finite(const Graph& graph);

bool is_tensor(const torch::jit::Value* value);

// The number of sequences as the model's code asks for it: x.size(0), len(x), x.shape[0].
bool is_batch_size(const torch::jit::Value* value);

// Whether the model's code does something else for a single sequence: squeeze() of its dimension, a
// branch on the number of sequences.
bool asks_for_one(const Graph& graph);

// Refuses a graph with an operation in it that acts outside of memory (effects.h). Kind "code".
void check_effects(const torch::jit::Block* block);

}  // namespace seqlift
