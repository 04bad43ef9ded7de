// Memory that is let go and taken again by the megabyte, hundreds of times a second. glibc gives it
// back to the system at once and takes it anew, page by page, which costs a fifth of the time
// (bench/).
#pragma once

#include <cstddef>
#include <cstdint>

namespace seqlift {

// As long as an object lives, freed memory is kept for whoever asks next; afterwards it is given
// back, but for what the next call of a loop would take again. Any number of objects may live at
// once, on any threads.
//
// What is too large for glibc to keep (tensors of 32 MB and more) is kept by LibTorch's allocator
// of the CPU, behind which we stand in meanwhile: never so much that more is taken of the system
// than what was in use at once, so that keeping it costs no memory.
class SteadyMemory {
 public:
  SteadyMemory();
  ~SteadyMemory();
  SteadyMemory(const SteadyMemory&) = delete;
  SteadyMemory& operator=(const SteadyMemory&) = delete;
};

// For tests: bytes in large blocks that are kept, that are in use, that were in use at the most,
// and of all pages that they may have.
struct SteadyBlocks {
  int64_t kept = 0;
  int64_t used = 0;
  int64_t most = 0;
  int64_t resident = 0;
};
SteadyBlocks steady_blocks();
// Blocks from this size on are kept by us.
constexpr size_t large_block = 32 << 20;

}  // namespace seqlift
