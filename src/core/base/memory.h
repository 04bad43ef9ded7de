// How much memory a call may use.
#pragma once

#include <cstdint>
#include <optional>

namespace seqlift {

// The bytes that this process can still get without anything being swapped: what the system has,
// or what is left of the limit of a control group (a container, a batch job), if that is less.
// Nothing where the system does not tell.
std::optional<int64_t> available_memory();

// The bytes that a call may use; nothing: no limit is known. Unless it was set, half of what is
// available when it is asked.
std::optional<int64_t> memory_budget();
void set_memory_budget(std::optional<int64_t> bytes);

// What one of several threads may use, settled before any of them began: as long as an object
// lives, that of the thread it is made on.
struct MemoryShare {
  std::optional<int64_t> budget;  // what it should do with
  std::optional<int64_t> most;    // beyond this it is refused
};
// That of a call whose memory is divided among so many threads.
MemoryShare divide_memory(int threads);
class MemoryShareGuard {
 public:
  explicit MemoryShareGuard(const MemoryShare& share);
  ~MemoryShareGuard();
  MemoryShareGuard(const MemoryShareGuard&) = delete;
  MemoryShareGuard& operator=(const MemoryShareGuard&) = delete;

 private:
  std::optional<MemoryShare> before_;
};
// Of the calling thread; that of a call on one thread where nothing was settled.
MemoryShare memory_share();

}  // namespace seqlift
