// Operations that draw random numbers. They are refused where their numbers reach the outputs,
// unless the user gives a seed (Conduct::random_state). Then every sequence gets the same draws,
// those of the seed and of the operation's place in the model: what the model gives for a sequence
// depends neither on the call nor on the batch that it is in.
#pragma once

#include <string>

#include "core/model/operation.h"

namespace seqlift {

// Whether an operation draws random numbers when its flags of training are off. Found by what
// LibTorch's registry says of it.
bool draws_random(const torch::jit::Node* node);

// Graph::draws and Graph::random.
void find_random(Graph& graph);
// Graph::training.
void find_training(Graph& graph);

// Whether the numbers that are drawn say nothing of the operation's first input but its shape:
// rand_like(), or what is written over it.
bool draws_alone(const Call& call);

// Makes `call` draw from a seed. `batched`: it draws for each sequence.
void draw_from_seed(Call& call, uint32_t random_state, int visit, bool batched,
                    const at::Device& device);

// Errors: kind "random" where random numbers reach the outputs.
void refuse_random(const Graph& graph);

}  // namespace seqlift
