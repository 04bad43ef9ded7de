// The inputs of an operation that depend on X, and the operation as a function of them.
#pragma once

#include <vector>

#include "core/halves/integrate.h"
#include "core/model/operation.h"

namespace seqlift {

// A tensor that depends on X, and where it stands among the operation's inputs: directly, or as an
// element of a list (einsum).
struct Slot {
  int input;
  int element;  // -1: the input itself
};

std::vector<Slot> dependent_slots(const Call& call);
Halves slot_halves(const Call& call, const Slot& slot);
// The operation's outputs that are tensors, given the operands at `slots`; its other inputs as they
// are on one half.
MultiOutput function_of(const Call& call, const std::vector<Slot>& slots, bool ref);
// The operation's first output, given the inputs at `positions`. Rules call it in double: the
// tensors among the other inputs follow.
Nary function_in_type(const Call& call, const std::vector<int>& positions, bool ref);

}  // namespace seqlift
