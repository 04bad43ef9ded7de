// Work in chunks on a few threads, while the calling thread watches for an interruption. Several
// sequences at once on one thread each are faster than one sequence on several.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>

namespace seqlift {

struct WorkOptions {
  int threads = 1;  // that take chunks; the calling thread waits
  // At most so many chunks at a time, each with the more threads.
  int64_t at_once = std::numeric_limits<int64_t>::max();
  // Asked about ten times a second on the calling thread with the share of chunks done (0 to 1);
  // false stops the work (error kind "interrupt").
  std::function<bool(double done)> poll;
  // Run on the calling thread: for work that calls back into R.
  bool here = false;
};

// A chunk of fewer additions and multiplications than this runs on one thread. The threads of one
// operation wait for each other, and where a core is busy with something else every one of a
// hundred short operations waits for it.
constexpr double large_chunk = 1e10;

// What can be told of the chunks of some work beside their number.
struct Chunks {
  int64_t count = 0;
  double operations = large_chunk;  // of a chunk, about
  // Tells `poll` the share done (0 to 1) where chunks are few and long. Asked on the calling
  // thread.
  std::function<double()> share_done;
};

using Chunk = std::function<void(int64_t chunk, const std::atomic<bool>& cancelled)>;

// Calls `work` for chunks 0 .. chunks - 1. The first exception ends everything and is thrown here.
void run_chunks(int64_t chunks, const Chunk& work, const WorkOptions& options);

// How many threads each of `workers` (one for a chunk at a time) has of `threads` in all.
int threads_of_each(const Chunks& chunks, int threads, int workers);

// The same for chunks of which more is known.
void run_chunks(const Chunks& chunks, const Chunk& work, const WorkOptions& options);

// Errors: kind "interrupt" when the work is to end.
void stop_if(const std::atomic<bool>& cancelled);

}  // namespace seqlift
