// How many threads the system lets this process start.
#pragma once

namespace seqlift {

// Of `wanted` beside the one that asks, at least 1: that one can do the work itself. Where OpenMP
// cannot start a thread it ends the process, so this is asked before work begins.
int threads_to_be_had(int wanted);

}  // namespace seqlift
