// What is found out about a graph, and taken out of it, once all calls are opened.
#pragma once

#include <vector>

#include "graph.h"

namespace seqlift {

// All nodes of these kinds, in the order of the code, those of inner blocks included.
void collect_nodes(torch::jit::Block* block, const std::vector<c10::Symbol>& kinds,
                   std::vector<torch::jit::Node*>& found);

// Branches whose condition is an attribute that nothing sets, such as `if self.inplace`, are known
// beforehand: the one that is taken stays, without its condition. What stands in the other one
// (a batch norm that counts its batches) no longer looks like something the model does.
void take_known_branches(Graph& graph);

// lift() and lift_fresh(), which tracing writes down, return what they are given; what autograd of
// LibTorch 1.13 makes of that refers to itself and is never freed.
void drop_lifts(Graph& graph);

// Graph::written_attributes, written_results, written_inputs and plain_slices.
void find_written(Graph& graph);

}  // namespace seqlift
