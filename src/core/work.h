// Work in chunks on a few threads, while the calling thread watches for an interruption. Several
// sequences at once on one thread each are faster than one sequence on several (DESIGN section 5).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace seqlift {

struct WorkOptions {
  int threads = 1;
  // Asked about ten times a second on the calling thread with the share of chunks done (0 to 1);
  // false stops the work (error kind "interrupt").
  std::function<bool(double done)> poll;
  // Run on the calling thread: for work that calls back into R.
  bool here = false;
};

using Chunk = std::function<void(int64_t chunk, const std::atomic<bool>& cancelled)>;

// Calls `work` for chunks 0 .. chunks - 1. The first exception ends everything and is thrown here.
void run_chunks(int64_t chunks, const Chunk& work, const WorkOptions& options);

}  // namespace seqlift
