#include "core/numeric/steady_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <torch/version.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <unordered_map>

namespace seqlift {

namespace {

// A kept block serves a request that fills it but for this part.
constexpr double unused = 0.0625;

// Large blocks, each of which free() may take back: a block may outlive the calls, or be let go by
// a library that asks for LibTorch's present allocator.
class LargeBlocks {
 public:
  void* take(size_t bytes) {
    const auto wanted = static_cast<int64_t>(bytes);
    const std::lock_guard<std::mutex> lock(mutex_);
    void* data = nullptr;
    int64_t size = 0;
    const auto fitting = kept_.lower_bound(wanted);
    if (fitting != kept_.end() &&
        static_cast<double>(fitting->first - wanted) <= unused * static_cast<double>(wanted)) {
      size = fitting->first;
      data = fitting->second;
      counts_.kept -= size;
      kept_.erase(fitting);
    } else {
      // What is kept makes room first, the largest first.
      while (!kept_.empty() &&
             counts_.used + counts_.kept + wanted > std::max(counts_.most, counts_.used + wanted)) {
        const auto largest = std::prev(kept_.end());
        counts_.kept -= largest->first;
        free(largest->second);
        kept_.erase(largest);
      }
      data = c10::GetDefaultCPUAllocator()->raw_allocate(bytes);
      size = static_cast<int64_t>(malloc_usable_size(data));
    }
    used_[data] = size;
    counts_.used += size;
    counts_.most = std::max(counts_.most, counts_.used);
    return data;
  }

  // Whether it was one of ours, and is kept.
  bool keep(void* data) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto own = used_.find(data);
    if (own == used_.end()) {
      return false;
    }
    const int64_t size = own->second;
    used_.erase(own);
    counts_.used -= size;
    kept_.emplace(size, data);
    counts_.kept += size;
    return true;
  }

  void let_go() {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& block : kept_) {
      free(block.second);
    }
    kept_.clear();
    used_.clear();
    counts_ = {};
  }

  SteadyBlocks counts() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return counts_;
  }

 private:
  std::mutex mutex_;
  std::multimap<int64_t, void*> kept_;
  std::unordered_map<void*, int64_t> used_;  // since the first object that is alive now was made
  SteadyBlocks counts_;
};

LargeBlocks& blocks() {
  static auto* all = new LargeBlocks();  // tensors of other static objects may be let go after it
  return *all;
}

void let_go_of(void* data) {
  if (data && !blocks().keep(data)) {
    free(data);
  }
}

struct KeepingAllocator : public at::Allocator {
  at::DataPtr take(size_t bytes) const {
    if (bytes < large_block) {
      return c10::GetDefaultCPUAllocator()->allocate(bytes);
    }
    void* data = blocks().take(bytes);
    return {data, data, &let_go_of, at::Device(at::kCPU)};
  }
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
  at::DataPtr allocate(size_t bytes) override { return take(bytes); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
#else
  at::DataPtr allocate(size_t bytes) const override { return take(bytes); }
#endif
  at::DeleterFnPtr raw_deleter() const override { return &let_go_of; }
};

// Whoever put an allocator of their own in place keeps it. Threads that allocate meanwhile come to
// one of two allocators, of which each takes back what the other gave.
class StandIn {
 public:
  void begin() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (++objects_ == 1 && c10::GetCPUAllocator() == c10::GetDefaultCPUAllocator()) {
      c10::SetCPUAllocator(&allocator_);
    }
  }
  void end() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--objects_ > 0) {
      return;
    }
    if (c10::GetCPUAllocator() == &allocator_) {
      c10::SetCPUAllocator(c10::GetDefaultCPUAllocator());
    }
    blocks().let_go();
  }

 private:
  std::mutex mutex_;
  int objects_ = 0;
  KeepingAllocator allocator_;
};

StandIn& stand_in() {
  static auto* one = new StandIn();
  return *one;
}

}  // namespace

SteadyMemory::SteadyMemory() {
#ifdef __GLIBC__
  static const bool once = [] {
    mallopt(M_MMAP_THRESHOLD, large_block);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 64 << 20);
    mallopt(M_ARENA_MAX, 1);
    return true;
  }();
  (void)once;
  stand_in().begin();
#endif
}

SteadyMemory::~SteadyMemory() {
#ifdef __GLIBC__
  stand_in().end();
  malloc_trim(0);
#endif
}

SteadyBlocks steady_blocks() { return blocks().counts(); }

}  // namespace seqlift
