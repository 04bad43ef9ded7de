// What an operation would give, by shape and type alone: its numbers are not computed and take no
// memory. So an evaluation of a whole sequence costs next to nothing, and tells what others cost.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/model/operation.h"

namespace seqlift {

// Thrown where the model's code asks for the numbers themselves (a branch, an index, a count).
struct NotMeasurable {};

// A tensor of these sizes whose numbers all stand in one place.
at::Tensor shape_alone(at::IntArrayRef sizes, const at::TensorOptions& options);

// From now on the call evaluates shapes alone.
void evaluate_shapes(Call& call);

}  // namespace seqlift
