// Chunks of work on threads: all of them, once; the first error; interruption.
#include <ATen/Parallel.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <vector>

#include "catch.h"
#include "core/base/error.h"
#include "core/methods/chunks.h"
#include "core/numeric/threads.h"
#include "core/numeric/work.h"
#include "nets.h"

using nets::error_of;
using seqlift::run_chunks;
using seqlift::WorkOptions;

TEST_CASE("every chunk is worked on once, whatever the threads", "[work]") {
  for (const int threads : {1, 2, 5}) {
    for (const bool here : {false, true}) {
      WorkOptions options;
      options.threads = threads;
      options.here = here;
      std::mutex mutex;
      std::multiset<int64_t> seen;
      run_chunks(
          17,
          [&](int64_t chunk, const std::atomic<bool>&) {
            const std::lock_guard<std::mutex> lock(mutex);
            seen.insert(chunk);
          },
          options);
      CHECK(seen.size() == 17);
      CHECK(std::set<int64_t>(seen.begin(), seen.end()).size() == 17);
    }
  }
}

TEST_CASE("a small chunk stays on one thread, a large one has all", "[work]") {
  for (const bool here : {false, true}) {
    WorkOptions options;
    options.threads = 4;
    options.here = here;
    for (const double operations : {0.0, 0.5 * seqlift::large_chunk, seqlift::large_chunk}) {
      seqlift::Chunks chunks;
      chunks.count = 1;
      chunks.operations = operations;
      int threads = 0;
      run_chunks(
          chunks, [&](int64_t, const std::atomic<bool>&) { threads = at::get_num_threads(); },
          options);
      CHECK(threads == (operations < seqlift::large_chunk ? 1 : 4));
    }
  }
}

TEST_CASE("threads are shared by workers, and small chunks have one each", "[work]") {
  seqlift::Chunks chunks;
  // operations as a share of the threshold, threads, workers, threads for each
  const std::vector<std::tuple<double, int, int, int>> rows{
      {0, 8, 1, 1}, {0.99, 8, 1, 1}, {0.99, 8, 4, 1}, {1, 8, 1, 8},   {1, 8, 2, 4},  {1, 8, 3, 2},
      {1, 8, 8, 1}, {1, 2, 8, 1},    {1, 1, 1, 1},    {100, 2, 1, 2}, {100, 3, 0, 3}};
  for (const auto& [share, threads, workers, each] : rows) {
    chunks.operations = share * seqlift::large_chunk;
    CHECK(seqlift::threads_of_each(chunks, threads, workers) == each);
  }
}

TEST_CASE("what a chunk costs is told by weights, rows and positions, and else taken for much",
          "[work]") {
  seqlift::Graph graph;
  CHECK(seqlift::chunks_of(2, graph, 6, 500).operations == seqlift::large_chunk);
  const auto model = std::make_shared<seqlift::Model>();
  graph.model = model;
  CHECK(seqlift::chunks_of(2, graph, 6, 500).operations == seqlift::large_chunk);
  // Six sequences of the network that the package ships are small; a batch of a full BPNet is not.
  model->parameters = 26480;
  const seqlift::Chunks small = seqlift::chunks_of(2, graph, 6, 500);
  CHECK(small.count == 2);
  CHECK(small.operations == 2.0 * 26480 * 6 * 500);
  CHECK(seqlift::threads_of_each(small, 2, 1) == 1);
  model->parameters = 110000;
  CHECK(seqlift::threads_of_each(seqlift::chunks_of(1, graph, 32, 2114), 2, 1) == 2);
  CHECK(seqlift::threads_of_each(seqlift::chunks_of(1, graph, 1, 2114), 2, 1) == 1);
}

TEST_CASE("long chunks tell their own share of the work, and end where they are asked to",
          "[work]") {
  WorkOptions options;
  std::vector<double> seen;
  std::atomic<int> steps{0};
  options.poll = [&](double share) {
    seen.push_back(share);
    return share < 0.5;
  };
  seqlift::Chunks chunks;
  chunks.count = 1;
  chunks.share_done = [&]() { return steps / 100.0; };
  const auto work = [&](int64_t, const std::atomic<bool>& cancelled) {
    for (; steps < 100; ++steps) {
      seqlift::stop_if(cancelled);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  };
  CHECK(error_of([&]() { run_chunks(chunks, work, options); }) == "interrupt: Interrupted.");
  CHECK(steps < 100);
  CHECK(seen.back() >= 0.5);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
}

TEST_CASE("no chunks are no work", "[work]") {
  for (const bool here : {false, true}) {
    WorkOptions options;
    options.here = here;
    CHECK_NOTHROW(run_chunks(
        0, [](int64_t, const std::atomic<bool>&) { throw std::runtime_error("never"); }, options));
  }
}

TEST_CASE("an exception of a chunk is thrown to the caller and stops the others", "[work]") {
  for (const int threads : {1, 2}) {
    for (const bool here : {false, true}) {
      WorkOptions options;
      options.threads = threads;
      options.here = here;
      std::atomic<int> begun{0};
      const auto work = [&](int64_t chunk, const std::atomic<bool>&) {
        ++begun;
        if (chunk == 3) {
          throw std::runtime_error("chunk three");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      };
      CHECK_THROWS_WITH(run_chunks(500, work, options), "chunk three");
      CHECK(begun < 100);
    }
  }
}

TEST_CASE("the caller's thread has as many of LibTorch's threads afterwards as before", "[work]") {
  const int before = at::get_num_threads();
  for (const bool here : {false, true}) {
    for (const bool fails : {false, true}) {
      WorkOptions options;
      options.threads = before + 3;
      options.here = here;
      int during = 0;
      const std::string error = error_of([&]() {
        run_chunks(
            1,
            [&](int64_t, const std::atomic<bool>&) {
              during = at::get_num_threads();
              if (fails) {
                throw seqlift::Error("evaluation", "a chunk fails");
              }
            },
            options);
      });
      CHECK(during == before + 3);
      CHECK(!error.empty() == fails);
      CHECK(at::get_num_threads() == before);
    }
  }
}

TEST_CASE("work on the caller's own thread stays there", "[work]") {
  WorkOptions options;
  options.threads = 2;
  options.here = true;
  const auto caller = std::this_thread::get_id();
  run_chunks(
      3, [&](int64_t, const std::atomic<bool>&) { CHECK(std::this_thread::get_id() == caller); },
      options);
}

TEST_CASE("a poll that says stop ends the work within a moment", "[work]") {
  for (const bool here : {false, true}) {
    WorkOptions options;
    options.threads = 2;
    options.here = here;
    int polls = 0;
    options.poll = [&](double) { return ++polls < 3; };
    std::atomic<int> begun{0};
    const auto work = [&](int64_t, const std::atomic<bool>& cancelled) {
      ++begun;
      for (int i = 0; i < 20 && !cancelled; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    };
    const auto start = std::chrono::steady_clock::now();
    CHECK(error_of([&]() { run_chunks(10000, work, options); }) == "interrupt: Interrupted.");
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
    CHECK(begun < 10000);
  }
}

TEST_CASE("a poll is asked at least once, however soon the work ends", "[work]") {
  for (int i = 0; i < 200; ++i) {
    double last = -1;
    WorkOptions options;
    options.threads = 2;
    options.poll = [&](double share) {
      last = share;
      return true;
    };
    run_chunks(
        2, [](int64_t, const std::atomic<bool>&) {}, options);
    REQUIRE(last == 1);
  }
}

TEST_CASE("a poll is asked on the calling thread, and what it throws is thrown", "[work]") {
  WorkOptions options;
  options.threads = 2;
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> elsewhere{false};
  options.poll = [&](double) -> bool {
    elsewhere = elsewhere || std::this_thread::get_id() != caller;
    throw std::runtime_error("from the poll");
  };
  const auto work = [](int64_t, const std::atomic<bool>&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  };
  CHECK_THROWS_WITH(run_chunks(100, work, options), "from the poll");
  CHECK(!elsewhere);
}

namespace {

// What `action` returns in a child process that may start no further thread. Root is bound by no
// limit, so the child becomes somebody else first; -1 where that is not possible.
int without_threads(const std::function<int()>& action) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{1, 1};
    const bool bound = (getuid() != 0 || setuid(65534) == 0) && setrlimit(RLIMIT_NPROC, &none) == 0;
    int result = 99;
    try {
      result = bound ? action() : 98;
    } catch (...) {
      result = 97;
    }
    _exit(result);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const int result = WIFEXITED(status) ? WEXITSTATUS(status) : 96;
  return result == 98 ? -1 : result;
}

}  // namespace

// Asked for their number only: OpenBLAS itself ends a forked process that it cannot start its own
// threads in.
TEST_CASE("where no thread can be started one is counted on", "[work]") {
  const int threads = without_threads([] { return seqlift::threads_to_be_had(4); });
  if (threads < 0) {
    WARN("This system lets nobody be limited to one thread");
    return;
  }
  CHECK(threads == 1);
  CHECK(seqlift::threads_to_be_had(3) == 3);
}
