// Independent pieces of work on a few threads, without LibTorch, while the calling thread watches
// for an interruption.
#pragma once

#include <cstddef>
#include <functional>

namespace seqlift {

struct WorkerOptions {
  std::size_t threads = 1;  // 0: as many as the process may use cores
  // Asked about ten times a second on the calling thread with the share of pieces that are done;
  // false ends the work (error kind "interrupt").
  std::function<bool(double done)> poll;
};

// As many as are asked for, and no more than there are pieces.
std::size_t worker_count(std::size_t pieces, const WorkerOptions& options);

// Calls `work(piece, worker)` for pieces 0 .. pieces - 1, each once; a worker, counted from 0 to
// worker_count() - 1, has one piece at a time, so that memory may be kept for each. The first
// exception ends everything and is thrown here.
void run_workers(std::size_t pieces,
                 const std::function<void(std::size_t piece, std::size_t worker)>& work,
                 const WorkerOptions& options);

// For pieces that take long: ends the piece, by an exception that run_workers() does not pass on,
// once the work that it belongs to has ended. Does nothing outside of run_workers().
void leave_if_cancelled();

}  // namespace seqlift
