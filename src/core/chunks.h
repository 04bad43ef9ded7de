// What can be told of the chunks of some work beside their number.
#pragma once

#include <cstdint>
#include <functional>

#include "graph.h"
#include "work.h"

namespace seqlift {

// A chunk of fewer additions and multiplications than this runs on one thread. The threads of one
// operation wait for each other, and where a core is busy with something else every one of a
// hundred short operations waits for it.
constexpr double large_chunk = 1e10;

// Forward and backward: about so many times the work of a prediction.
constexpr int64_t passes = 3;

struct Chunks {
  int64_t count = 0;
  double operations = large_chunk;  // of a chunk, about
  // Tells `poll` the share done (0 to 1) where chunks are few and long. Asked on the calling
  // thread.
  std::function<double()> share_done;
};

// `count` chunks of `rows` sequences of so many positions, as if each position met each weight.
Chunks chunks_of(int64_t count, const Graph& graph, int64_t rows, int64_t length);

// How many threads each of `workers` (one for a chunk at a time) has of `threads` in all.
int threads_of_each(const Chunks& chunks, int threads, int workers);

// As run_chunks() of work.h.
void run_chunks(const Chunks& chunks, const Chunk& work, const WorkOptions& options);

// Errors: kind "interrupt" when the work is to end.
void stop_if(const std::atomic<bool>& cancelled);

}  // namespace seqlift
