#include "core/motifs/workers.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/base/error.h"

namespace seqlift {

namespace {

struct Shared {
  std::mutex mutex;
  std::condition_variable finished;
  std::atomic<bool> cancelled{false};
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> done{0};
  std::size_t running = 0;
  std::exception_ptr error;
};

// Of the work that this thread has a piece of.
thread_local const std::atomic<bool>* cancelled_here = nullptr;

struct Cancelled {};

void cancel(Shared& shared, std::exception_ptr error) {
  const std::lock_guard<std::mutex> lock(shared.mutex);
  if (!shared.error) {
    shared.error = std::move(error);
  }
  shared.cancelled = true;
}

}  // namespace

void leave_if_cancelled() {
  if (cancelled_here != nullptr && *cancelled_here) {
    throw Cancelled();
  }
}

std::size_t worker_count(std::size_t pieces, const WorkerOptions& options) {
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t wanted = options.threads == 0 ? cores : options.threads;
  return std::max<std::size_t>(1, std::min(wanted, pieces));
}

void run_workers(std::size_t pieces,
                 const std::function<void(std::size_t piece, std::size_t worker)>& work,
                 const WorkerOptions& options) {
  constexpr std::chrono::milliseconds pause(100);
  Shared shared;
  const auto take_pieces = [&](std::size_t worker) {
    const std::atomic<bool>* const outside = cancelled_here;
    cancelled_here = &shared.cancelled;
    while (!shared.cancelled) {
      const std::size_t piece = shared.next++;
      if (piece >= pieces) {
        break;
      }
      try {
        work(piece, worker);
        ++shared.done;
      } catch (const Cancelled&) {
        break;
      } catch (...) {
        cancel(shared, std::current_exception());
      }
    }
    cancelled_here = outside;
    const std::lock_guard<std::mutex> lock(shared.mutex);
    --shared.running;
    shared.finished.notify_all();
  };
  const std::size_t wanted = worker_count(pieces, options);
  std::vector<std::thread> threads;
  for (std::size_t worker = 0; worker < wanted; ++worker) {
    {
      const std::lock_guard<std::mutex> lock(shared.mutex);
      ++shared.running;
    }
    try {
      threads.emplace_back(take_pieces, worker);
    } catch (const std::system_error&) {
      // The system gives no more threads: those that run do all of it.
      const std::lock_guard<std::mutex> lock(shared.mutex);
      --shared.running;
      break;
    }
  }
  if (threads.empty()) {
    shared.running = 1;
    take_pieces(0);
  }
  {
    std::unique_lock<std::mutex> lock(shared.mutex);
    while (!shared.finished.wait_for(lock, pause, [&] { return shared.running == 0; })) {
      lock.unlock();
      const double share = static_cast<double>(shared.done) / static_cast<double>(pieces);
      if (!shared.cancelled && options.poll && !options.poll(share)) {
        cancel(shared, std::make_exception_ptr(Error("interrupt", "Interrupted.")));
      }
      lock.lock();
    }
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  if (shared.error) {
    std::rethrow_exception(shared.error);
  }
}

}  // namespace seqlift
