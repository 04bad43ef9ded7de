// How much work the chunks of a method are.
#pragma once

#include <cstdint>

#include "core/model/graph.h"
#include "core/numeric/work.h"

namespace seqlift {

// Forward and backward: about so many times the work of a prediction.
constexpr int64_t passes = 3;

// `count` chunks of `rows` sequences of so many positions, as if each position met each weight.
Chunks chunks_of(int64_t count, const Graph& graph, int64_t rows, int64_t length);

}  // namespace seqlift
