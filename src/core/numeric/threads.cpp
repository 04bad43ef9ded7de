#include "core/numeric/threads.h"

#include <algorithm>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace seqlift {

int threads_to_be_had(int wanted) {
  std::mutex closed;
  std::vector<std::thread> threads;
  {
    // They all wait, so that they are there at the same time.
    const std::lock_guard<std::mutex> lock(closed);
    try {
      while (static_cast<int>(threads.size()) < wanted) {
        threads.emplace_back([&]() { const std::lock_guard<std::mutex> wait(closed); });
      }
    } catch (const std::system_error&) {
      // As many as there are.
    }
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  return std::max(1, static_cast<int>(threads.size()));
}

}  // namespace seqlift
