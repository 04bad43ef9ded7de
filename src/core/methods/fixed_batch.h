// A trace made with the number of sequences written into it (`h.view(32, -1)`, zeros of a fixed
// size): the model works on so many at a time and on no other number.
#pragma once

#include <cstdint>

#include "core/methods/predict.h"

namespace seqlift {

// That number, or 0 where the model does not work on any that its code holds, or works on others
// too. Of the sequences the first is looked at.
int64_t fixed_batch(const Graph& graph, Constants& constants, const Sequences& sequences);

}  // namespace seqlift
