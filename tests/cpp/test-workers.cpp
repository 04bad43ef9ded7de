#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <vector>

#include "catch.h"
#include "core/base/error.h"
#include "core/motifs/sort_values.h"
#include "core/motifs/workers.h"
#include "core/sequences/random.h"

using seqlift::run_workers;
using seqlift::WorkerOptions;

TEST_CASE("every piece is done once, by a worker that has one piece at a time") {
  for (const std::size_t threads : {1, 2, 5}) {
    WorkerOptions options;
    options.threads = threads;
    std::vector<std::atomic<int>> done(100);
    std::vector<std::atomic<int>> busy(threads);
    std::atomic<bool> shared{false};
    run_workers(
        done.size(),
        [&](std::size_t piece, std::size_t worker) {
          shared = shared || ++busy[worker] > 1;
          ++done[piece];
          --busy[worker];
        },
        options);
    CHECK_FALSE(shared);
    for (const std::atomic<int>& times : done) {
      CHECK(times == 1);
    }
  }
}

TEST_CASE("there are no more workers than pieces, and at least one") {
  WorkerOptions options;
  options.threads = 8;
  CHECK(seqlift::worker_count(3, options) == 3);
  CHECK(seqlift::worker_count(0, options) == 1);
  options.threads = 0;
  CHECK(seqlift::worker_count(1000, options) >= 1);
  run_workers(
      0, [](std::size_t, std::size_t) { throw std::logic_error("no piece"); }, options);
}

TEST_CASE("an exception of a piece ends the work and arrives here") {
  WorkerOptions options;
  options.threads = 2;
  std::atomic<int> begun{0};
  const auto work = [&](std::size_t piece, std::size_t) {
    ++begun;
    if (piece == 3) {
      throw seqlift::Error("motifs", "4");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  };
  CHECK_THROWS_AS(run_workers(100000, work, options), seqlift::Error);
  CHECK(begun < 100000);
}

TEST_CASE("a poll that says no interrupts the work") {
  WorkerOptions options;
  options.threads = 2;
  double share = -1;
  options.poll = [&](double done) {
    share = done;
    return false;
  };
  const auto work = [](std::size_t, std::size_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  };
  try {
    run_workers(10000, work, options);
    FAIL("not interrupted");
  } catch (const seqlift::Error& error) {
    CHECK(error.kind() == "interrupt");
  }
  CHECK(share >= 0);
  CHECK(share < 0.1);
}

TEST_CASE("a long piece ends when the work is interrupted") {
  WorkerOptions options;
  options.threads = 2;
  options.poll = [](double) { return false; };
  std::atomic<int> ended{0};
  bool interrupted = false;
  try {
    run_workers(
        2,
        [&](std::size_t, std::size_t) {
          struct AtEnd {
            std::atomic<int>& count;
            ~AtEnd() { ++count; }
          } at_end{ended};
          while (true) {
            seqlift::leave_if_cancelled();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
          }
        },
        options);
  } catch (const seqlift::Error& error) {
    interrupted = error.kind() == "interrupt";
  }
  CHECK(interrupted);
  CHECK(ended == 2);
  // Outside of work nothing happens.
  seqlift::leave_if_cancelled();
}

TEST_CASE("values are sorted as by one thread, with any number of them") {
  seqlift::RandomState random(3);
  for (const std::size_t n : {0, 1, 1000, 40000, 200001}) {
    std::vector<std::uint64_t> values(n);
    for (std::uint64_t& value : values) {
      value = static_cast<std::uint64_t>(random.uniform() * 5000);  // many equal ones
    }
    std::vector<std::uint64_t> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    for (const std::size_t threads : {1, 2, 3, 5, 6}) {
      seqlift::WorkerOptions workers;
      workers.threads = threads;
      std::vector<std::uint64_t> own = values;
      seqlift::sort_values(own, workers);
      CHECK(own == sorted);
    }
  }
}
