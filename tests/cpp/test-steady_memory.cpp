// Large blocks that are kept while a call works: served again, never more than was in use at once,
// and given back in the end.
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <unistd.h>

#include <fstream>
#include <thread>
#include <vector>

#include "catch.h"
#include "core/numeric/steady_memory.h"
#include "core/numeric/tensor_functions.h"

using namespace seqlift;

namespace {

constexpr int64_t block = int64_t{large_block};

int64_t resident_bytes() {
  int64_t pages = 0;
  std::ifstream statm("/proc/self/statm");
  statm >> pages >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

at::Tensor bytes(int64_t count) { return at::empty({count}, at::kByte); }

}  // namespace

TEST_CASE("a large block that was let go serves the next request of its size", "[work]") {
  const SteadyMemory memory;
  const void* first = nullptr;
  {
    const at::Tensor tensor = bytes(block + 1000);
    first = tensor.data_ptr();
    CHECK(steady_blocks().used >= block);
    CHECK(steady_blocks().kept == 0);
  }
  CHECK(steady_blocks().used == 0);
  CHECK(steady_blocks().kept >= block);
  const at::Tensor again = bytes(block);
  CHECK(again.data_ptr() == first);
  CHECK(steady_blocks().kept == 0);
}

TEST_CASE("what is kept and what is used is never more than what was used at once", "[work]") {
  const SteadyMemory memory;
  std::vector<at::Tensor> held;
  uint64_t random = 7;
  for (int step = 0; step < 300; ++step) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto choice = static_cast<int64_t>(random >> 33);
    if (choice % 3 == 0 && !held.empty()) {
      held.erase(held.begin() + choice % static_cast<int64_t>(held.size()));
    } else if (held.size() < 12) {
      held.push_back(bytes(block + choice % 5 * block / 3));
    }
    const SteadyBlocks blocks = steady_blocks();
    CHECK(blocks.used + blocks.kept <= blocks.resident);
    CHECK(blocks.resident <= blocks.most);
  }
  held.clear();
  CHECK(steady_blocks().used == 0);
  CHECK(steady_blocks().kept > 0);
}

TEST_CASE("a block serves what fills a part of it, and its other pages go where others need room",
          "[work]") {
  const SteadyMemory memory;
  const void* first = nullptr;
  {
    const at::Tensor tensor = at::ones({5 * block}, at::kByte);
    first = tensor.data_ptr();
  }
  const at::Tensor little = bytes(block);
  CHECK(little.data_ptr() != first);  // would leave four fifths of it to nobody
  at::Tensor most = bytes(2 * block);
  REQUIRE(most.data_ptr() == first);
  most.fill_(7);
  CHECK(steady_blocks().resident <= steady_blocks().most);
  const at::Tensor other = at::ones({5 * block / 2}, at::kByte);
  CHECK(steady_blocks().resident <= steady_blocks().most);
  CHECK(steady_blocks().kept == 0);
  // Pages that were given back are zeros, if they are looked at at all.
  CHECK(most.sum().item<int64_t>() == 7 * 2 * block);
  CHECK(other.sum().item<int64_t>() == 5 * block / 2);
  most = at::Tensor();
  const at::Tensor whole = at::ones({5 * block}, at::kByte);
  CHECK(whole.data_ptr() == first);
  CHECK(whole.sum().item<int64_t>() == 5 * block);
}

TEST_CASE("what a call took is kept for the next one, but not much", "[work]") {
  malloc_trim(0);
  constexpr int64_t mib = 1 << 20;
  // The resident size after a call that took so many tensors of a megabyte, less that before it.
  const auto kept_of = [](int64_t count) {
    const int64_t before = resident_bytes();
    {
      const SteadyMemory memory;
      std::vector<at::Tensor> tensors;
      for (int64_t i = 0; i < count; ++i) {
        tensors.push_back(at::ones({mib}, at::kByte));
      }
    }
    return resident_bytes() - before;
  };
  CHECK(kept_of(100) > 80 * mib);
  CHECK(kept_of(600) < 100 * mib);
}

TEST_CASE("a block may outlive the memory that it is of, and small ones are none of it", "[work]") {
  at::Tensor kept;
  at::Tensor before = bytes(block);
  {
    const SteadyMemory memory;
    const SteadyMemory another;
    kept = at::ones({block}, at::kByte);
    before = at::Tensor();  // not one of ours: it goes at once
    CHECK(steady_blocks().kept == 0);
    const at::Tensor small = bytes(block / 2);
    CHECK(steady_blocks().used < 2 * block);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([]() {
        for (int j = 0; j < 20; ++j) {
          bytes(block)[0].fill_(1);
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CHECK(steady_blocks().resident <= steady_blocks().most);
  }
  CHECK(steady_blocks().kept == 0);
  CHECK(c10::GetCPUAllocator() == c10::GetDefaultCPUAllocator());
  CHECK(kept.sum().item<int64_t>() == block);
}
