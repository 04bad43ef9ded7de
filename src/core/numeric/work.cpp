#include "core/numeric/work.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/base/memory.h"
#include "core/numeric/steady_memory.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// OpenBLAS has threads of its own, which would fight with ours; whoever else uses it in this
// process (R) gets them back.
class BlasThreads {
 public:
  explicit BlasThreads(int threads) {
    get_ = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "openblas_get_num_threads"));
    set_ = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
    if (get_ && set_) {
      before_ = get_();
      set_(threads);
    }
  }
  ~BlasThreads() {
    if (get_ && set_) {
      set_(before_);
    }
  }
  BlasThreads(const BlasThreads&) = delete;
  BlasThreads& operator=(const BlasThreads&) = delete;

 private:
  int (*get_)() = nullptr;
  void (*set_)(int) = nullptr;
  int before_ = 1;
};

// oneDNN compiles code for each shape that it meets and keeps the last 1024, some of a megabyte:
// sequences of many lengths fill it. A model's own shapes are fewer. What the user chose (by
// ONEDNN_PRIMITIVE_CACHE_CAPACITY) stays.
constexpr int usual_shapes = 1024;
constexpr int enough_shapes = 256;

void bound_compiled_shapes() {
  auto* get =
      reinterpret_cast<int (*)(int*)>(dlsym(RTLD_DEFAULT, "dnnl_get_primitive_cache_capacity"));
  auto* set =
      reinterpret_cast<int (*)(int)>(dlsym(RTLD_DEFAULT, "dnnl_set_primitive_cache_capacity"));
  int capacity = 0;
  if (get && set && get(&capacity) == 0 && capacity == usual_shapes) {
    set(enough_shapes);
  }
}

// LibTorch keeps as much again, what it has prepared for each of the last 1024 shapes. It is told
// how many by the environment alone, where it looks with its first convolution: one of a single
// number. What the user has set stays, and nothing else finds it there.
void bound_prepared_shapes() {
  constexpr const char* name = "LRU_CACHE_CAPACITY";
  if (!at::hasMKLDNN() || std::getenv(name) ||
      setenv(name, std::to_string(enough_shapes).c_str(), 0) != 0) {
    return;
  }
  const at::NoGradGuard guard;
  const at::Tensor one = at::ones({1, 1, 1, 1}, at::kFloat);
  at::mkldnn_convolution(one, one, {}, {0, 0}, {1, 1}, {1, 1}, 1);
  unsetenv(name);
}

void bound_shapes() {
  static const bool once = [] {
    bound_compiled_shapes();
    bound_prepared_shapes();
    return true;
  }();
  (void)once;
}

struct Shared {
  std::mutex mutex;
  std::condition_variable finished;
  std::atomic<bool> cancelled{false};
  std::atomic<int64_t> next{0};
  std::atomic<int64_t> done{0};
  int running = 0;
  std::exception_ptr error;
};

void take_chunks(Shared& shared, int64_t chunks, const Chunk& work, int threads_each,
                 const MemoryShare& share) {
  const MemoryShareGuard memory(share);
  at::set_num_threads(threads_each);
  while (!shared.cancelled) {
    const int64_t chunk = shared.next++;
    if (chunk >= chunks) {
      break;
    }
    try {
      work(chunk, shared.cancelled);
      ++shared.done;
    } catch (...) {
      const std::lock_guard<std::mutex> lock(shared.mutex);
      if (!shared.error) {
        shared.error = std::current_exception();
      }
      shared.cancelled = true;
    }
  }
  const std::lock_guard<std::mutex> lock(shared.mutex);
  --shared.running;
  shared.finished.notify_all();
}

// LibTorch's threads of one operation, as long as an object lives: the thread is the caller's.
class OperationThreads {
 public:
  explicit OperationThreads(int threads) : before_(at::get_num_threads()) {
    at::set_num_threads(threads);
  }
  ~OperationThreads() { at::set_num_threads(before_); }
  OperationThreads(const OperationThreads&) = delete;
  OperationThreads& operator=(const OperationThreads&) = delete;

 private:
  int before_;
};

void run_here(const Chunks& all, const Chunk& work, const WorkOptions& options) {
  const int64_t chunks = all.count;
  const int threads = threads_of_each(all, options.threads, 1);
  const BlasThreads blas(threads);
  const MemoryShareGuard memory(divide_memory(1));
  const OperationThreads own(threads);
  const std::atomic<bool> never{false};
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    if (options.poll && !options.poll(static_cast<double>(chunk) / static_cast<double>(chunks))) {
      throw Error("interrupt", "Interrupted.");
    }
    work(chunk, never);
  }
}

}  // namespace

void stop_if(const std::atomic<bool>& cancelled) {
  if (cancelled.load(std::memory_order_relaxed)) {
    throw Error("interrupt", "The evaluation was interrupted.");
  }
}

int threads_of_each(const Chunks& chunks, int threads, int workers) {
  return chunks.operations < large_chunk ? 1 : std::max(1, threads / std::max(1, workers));
}

void run_chunks(int64_t chunks, const Chunk& work, const WorkOptions& options) {
  Chunks all;
  all.count = chunks;
  run_chunks(all, work, options);
}

void run_chunks(const Chunks& all, const Chunk& work, const WorkOptions& options) {
  const int64_t chunks = all.count;
  const SteadyMemory memory;
  bound_shapes();
  if (options.here) {
    run_here(all, work, options);
    return;
  }
  const int workers =
      static_cast<int>(std::min({static_cast<int64_t>(options.threads), chunks, options.at_once}));
  if (workers < 1) {
    return;
  }
  const int each = threads_of_each(all, options.threads, workers);
  const BlasThreads blas(each);
  const MemoryShare share = divide_memory(workers);
  Shared shared;
  std::vector<std::thread> threads;
  try {
    for (int i = 0; i < workers; ++i) {
      {
        const std::lock_guard<std::mutex> lock(shared.mutex);
        ++shared.running;
      }
      threads.emplace_back([&]() { take_chunks(shared, chunks, work, each, share); });
    }
  } catch (const std::system_error&) {
    // As many as the system gives.
    const std::lock_guard<std::mutex> lock(shared.mutex);
    --shared.running;
  }
  if (threads.empty()) {
    WorkOptions alone = options;
    alone.threads = 1;
    run_here(all, work, alone);
    return;
  }
  bool stopped = false;
  {
    std::unique_lock<std::mutex> lock(shared.mutex);
    // Once at least: work that ends at once is seen, and can be stopped, too.
    bool running = true;
    while (running) {
      running = !shared.finished.wait_for(lock, std::chrono::milliseconds(100),
                                          [&]() { return shared.running == 0; });
      lock.unlock();
      const double share = all.share_done
                               ? all.share_done()
                               : static_cast<double>(shared.done) / static_cast<double>(chunks);
      try {
        stopped = stopped || (options.poll && !options.poll(share));
      } catch (...) {
        // The threads must end before anything is thrown past them.
        const std::lock_guard<std::mutex> own(shared.mutex);
        shared.error = std::current_exception();
        shared.cancelled = true;
      }
      shared.cancelled = shared.cancelled || stopped;
      lock.lock();
    }
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  if (stopped) {
    throw Error("interrupt", "Interrupted.");
  }
  if (shared.error) {
    std::rethrow_exception(shared.error);
  }
}

}  // namespace seqlift
