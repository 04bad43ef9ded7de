// LibTorch's memory on the CPU, counted and limited as a device's is: while an object lives, what
// would go beyond the limit fails as it does on a device.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>

namespace nets {

class LimitedMemory {
 public:
  explicit LimitedMemory(int64_t limit = std::numeric_limits<int64_t>::max())
      : before_(c10::GetCPUAllocator()), counting_(limit, before_) {
    c10::SetCPUAllocator(&counting_);
  }
  ~LimitedMemory() { c10::SetCPUAllocator(before_); }
  LimitedMemory(const LimitedMemory&) = delete;
  LimitedMemory& operator=(const LimitedMemory&) = delete;

  int64_t most() const { return counting_.counts->most; }        // bytes in use at once
  int64_t refused() const { return counting_.counts->refused; }  // requests

 private:
  struct Counts {
    std::atomic<int64_t> used{0};
    std::atomic<int64_t> most{0};
    std::atomic<int64_t> refused{0};
  };
  struct Owned {
    at::DataPtr memory;
    int64_t bytes;
    std::shared_ptr<Counts> counts;
  };

  struct Counting : public at::Allocator {
    Counting(int64_t limit, at::Allocator* below) : limit(limit), below(below) {}

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
    at::DataPtr allocate(size_t bytes) override { return limited(bytes); }
    void copy_data(void* to, const void* from, std::size_t bytes) const override {
      default_copy_data(to, from, bytes);
    }
#else
    at::DataPtr allocate(size_t bytes) const override { return limited(bytes); }
#endif

    at::DataPtr limited(size_t bytes) const {
      const auto wanted = static_cast<int64_t>(bytes);
      if (counts->used + wanted > limit) {
        ++counts->refused;
        TORCH_CHECK_WITH(OutOfMemoryError, false, "out of memory: no ", wanted, " bytes are left");
      }
      counts->used += wanted;
      counts->most = std::max<int64_t>(counts->most, counts->used);
      auto* owned = new Owned{below->allocate(bytes), wanted, counts};
      void* data = owned->memory.get();
      return {data, owned,
              [](void* pointer) {
                auto* given = static_cast<Owned*>(pointer);
                given->counts->used -= given->bytes;
                delete given;
              },
              at::Device(at::kCPU)};
    }

    int64_t limit;
    at::Allocator* below;
    std::shared_ptr<Counts> counts = std::make_shared<Counts>();
  };

  at::Allocator* before_;
  Counting counting_;
};

}  // namespace nets
