// What the rules of RevealCancel need of an operation on a block, or on copies of it.
#pragma once

#include <vector>

#include "core/halves/blocks.h"
#include "core/model/operation.h"

namespace seqlift {

// The operation's first output for other inputs.
at::Tensor first_output(const Call& call, std::vector<c10::IValue> stack);

// A gradient of a stack from the multipliers of its two parts.
at::Tensor as_gradient(const at::Tensor& plus, const at::Tensor& minus, int64_t rows);

// How many copies of a block an operation is given. Its other inputs may have a row for every row
// of the stack (an argument of the model, or a size that counts them): then as many as the stack
// has blocks.
int64_t copies_for(const Call& call, int64_t rows);

// A block as many times as that, and of what comes of it the first.
at::Tensor in_copies(const at::Tensor& block, int64_t copies);
at::Tensor first_copy(const at::Tensor& rows, int64_t copies);

}  // namespace seqlift
