// Memory in tests: what a call may use, and what it does.
//
// LibTorch's memory on the CPU is counted while an object lives. Unlike LimitedMemory it serves the
// libraries below LibTorch, too, which take an address and give an address back.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "core/base/memory.h"

namespace nets {

// seqlift_memory() as long as an object lives.
class Budget {
 public:
  explicit Budget(int64_t bytes) { seqlift::set_memory_budget(bytes); }
  ~Budget() { seqlift::set_memory_budget({}); }
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;
};

class CountedMemory {
 public:
  CountedMemory() : before_(c10::GetCPUAllocator()) {
    used() = most_used() = 0;
    c10::SetCPUAllocator(&counting_);
  }
  ~CountedMemory() { c10::SetCPUAllocator(before_); }
  CountedMemory(const CountedMemory&) = delete;
  CountedMemory& operator=(const CountedMemory&) = delete;

  int64_t most() const { return most_used(); }  // bytes in use at once

 private:
  // What outlives an object gives its memory back later: the counters outlive them all.
  static std::atomic<int64_t>& used() {
    static std::atomic<int64_t> bytes{0};
    return bytes;
  }
  static std::atomic<int64_t>& most_used() {
    static std::atomic<int64_t> bytes{0};
    return bytes;
  }
  static void release(void* data) {
    used() -= static_cast<int64_t>(malloc_usable_size(data));
    free(data);
  }
  static at::DataPtr counted(size_t bytes) {
    constexpr size_t alignment = 64;
    void* data = nullptr;
    if (bytes > 0 && posix_memalign(&data, alignment, bytes) == 0) {
      used() += static_cast<int64_t>(malloc_usable_size(data));
      most_used() = std::max<int64_t>(most_used(), used());
    }
    return {data, data, &release, at::Device(at::kCPU)};
  }

  struct Counting : public at::Allocator {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
    at::DataPtr allocate(size_t bytes) override { return counted(bytes); }
    void copy_data(void* to, const void* from, std::size_t bytes) const override {
      default_copy_data(to, from, bytes);
    }
#else
    at::DataPtr allocate(size_t bytes) const override { return counted(bytes); }
#endif
    at::DeleterFnPtr raw_deleter() const override { return &release; }
  };

  at::Allocator* before_;
  Counting counting_;
};

}  // namespace nets
