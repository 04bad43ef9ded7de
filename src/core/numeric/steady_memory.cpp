#include "core/numeric/steady_memory.h"

// Other C libraries keep what they will.
#ifdef __GLIBC__

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <sys/mman.h>
#include <torch/version.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <unordered_map>

namespace seqlift {

namespace {

// A kept block serves a request of at least this part of it: what is left of it serves nobody.
constexpr double least_filled = 0.25;

// Pages of a block beyond `bytes` go back to the system; their addresses stay the block's.
void drop_pages(void* data, int64_t bytes, int64_t capacity) {
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(data);
  const uintptr_t from = (start + static_cast<uintptr_t>(bytes) + page - 1) / page * page;
  const uintptr_t to = (start + static_cast<uintptr_t>(capacity)) / page * page;
  if (from < to) {
    madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
  }
}

// Pages of 2 MB are not asked for: a virtual machine whose host takes free memory back may need
// milliseconds for each, 1.6 times Beluga's time (bench/README.md).
//
// Large blocks, each of which free() may take back: a block may outlive the calls, or be let go by
// a library that asks for LibTorch's present allocator. New pages cost more than what is computed
// on them: a block serves smaller requests too, and then keeps the pages behind them as long as
// there is room.
class LargeBlocks {
 public:
  void* take(size_t bytes) {
    const auto wanted = static_cast<int64_t>(bytes);
    const std::lock_guard<std::mutex> lock(mutex_);
    void* data = nullptr;
    Block block;
    const auto fitting = kept_.lower_bound(wanted);
    if (fitting != kept_.end() &&
        static_cast<double>(wanted) >= least_filled * static_cast<double>(fitting->first)) {
      data = fitting->second;
      block = all_.at(data);
      kept_.erase(fitting);
      counts_.kept -= block.resident;
    }
    counts_.used += wanted;
    counts_.most = std::max(counts_.most, counts_.used);
    const int64_t more = std::max<int64_t>(0, wanted - block.resident);
    if (data) {
      block.asked = wanted;  // not to be taken from below
      all_[data] = block;
    }
    if (more > 0) {
      make_room(resident_ + more - counts_.most);
    }
    if (!data) {
      try {
        data = c10::GetDefaultCPUAllocator()->raw_allocate(bytes);
      } catch (...) {
        counts_.used -= wanted;
        throw;
      }
      block.capacity = static_cast<int64_t>(malloc_usable_size(data));
    }
    resident_ += more;
    block.resident += more;
    block.asked = wanted;
    all_[data] = block;
    return data;
  }

  // Whether it was one of ours, and is kept.
  bool keep(void* data) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto own = all_.find(data);
    if (own == all_.end()) {
      return false;
    }
    counts_.used -= own->second.asked;
    own->second.asked = 0;
    kept_.emplace(own->second.capacity, data);
    counts_.kept += own->second.resident;
    return true;
  }

  void let_go() {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& block : kept_) {
      free(block.second);
    }
    kept_.clear();
    all_.clear();
    resident_ = 0;
    counts_ = {};
  }

  SteadyBlocks counts() {
    const std::lock_guard<std::mutex> lock(mutex_);
    SteadyBlocks counts = counts_;
    counts.resident = resident_;
    return counts;
  }

 private:
  struct Block {
    int64_t capacity = 0;
    int64_t resident = 0;  // bytes from its start that may have pages
    int64_t asked = 0;     // of who uses it; 0: kept
  };

  // Gives pages back: those behind what is used, then those of what is kept, the largest first.
  void make_room(int64_t bytes) {
    for (auto block = all_.begin(); bytes > 0 && block != all_.end(); ++block) {
      Block& one = block->second;
      if (one.asked > 0 && one.resident > one.asked) {
        drop_pages(block->first, one.asked, one.capacity);
        bytes -= one.resident - one.asked;
        resident_ -= one.resident - one.asked;
        one.resident = one.asked;
      }
    }
    while (bytes > 0 && !kept_.empty()) {
      const auto largest = std::prev(kept_.end());
      Block& one = all_.at(largest->second);
      const int64_t dropped = std::min(bytes, one.resident);
      bytes -= dropped;
      resident_ -= dropped;
      counts_.kept -= dropped;
      one.resident -= dropped;
      if (one.resident > 0) {
        drop_pages(largest->second, one.resident, one.capacity);
      } else {
        free(largest->second);
        all_.erase(largest->second);
        kept_.erase(largest);
      }
    }
  }

  std::mutex mutex_;
  std::multimap<int64_t, void*> kept_;    // by capacity
  std::unordered_map<void*, Block> all_;  // since the first object that is alive now was made
  int64_t resident_ = 0;                  // of all
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

// A call that comes soon takes it again: with little work its pages cost more than the work.
constexpr size_t kept_between_calls = 256 << 20;

size_t free_in_heap() {
#if __GLIBC_PREREQ(2, 33)
  return mallinfo2().fordblks;
#else
  return std::numeric_limits<size_t>::max();  // not told: all is given back
#endif
}

StandIn& stand_in() {
  static auto* one = new StandIn();
  return *one;
}

}  // namespace

SteadyMemory::SteadyMemory() {
  static const bool once = [] {
    mallopt(M_MMAP_THRESHOLD, large_block);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 64 << 20);
    mallopt(M_ARENA_MAX, 1);
    return true;
  }();
  (void)once;
  stand_in().begin();
}

SteadyMemory::~SteadyMemory() {
  stand_in().end();
  if (free_in_heap() > kept_between_calls) {
    malloc_trim(0);
  }
}

SteadyBlocks steady_blocks() { return blocks().counts(); }

}  // namespace seqlift

#else

namespace seqlift {

SteadyMemory::SteadyMemory() {}
SteadyMemory::~SteadyMemory() {}
SteadyBlocks steady_blocks() { return {}; }

}  // namespace seqlift

#endif
