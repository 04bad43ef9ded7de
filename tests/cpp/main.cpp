// Runs the tests and, whatever reporter is chosen, ends with one line for tools/run-tests:
//   catch2: <passed> passed, <failed> failed, <skipped> skipped
// in test cases. A run that dies before its end prints no such line.
#define CATCH_CONFIG_RUNNER
#include <cstddef>
#include <iostream>

#include "catch.h"
#include "skip.h"

#ifdef SEQLIFT_WITH_TORCH
#include <ATen/Parallel.h>
#include <torch/csrc/jit/python/update_graph_executor_opt.h>
#endif

namespace {

#if CATCH_VERSION_MAJOR >= 3
using Listener = Catch::EventListenerBase;
std::size_t skipped_of(const Catch::Counts& counts) { return counts.skipped; }
#else
using Listener = Catch::TestEventListenerBase;
std::size_t skipped_of(const Catch::Counts&) { return nets::skipped_before_catch3(); }
#endif

Catch::Counts test_cases;

class Totals : public Listener {
 public:
  using Listener::Listener;
  void testRunEnded(const Catch::TestRunStats& stats) override {
    test_cases = stats.totals.testCases;
  }
};

CATCH_REGISTER_LISTENER(Totals)

}  // namespace

int main(int count, char** arguments) {
#ifdef SEQLIFT_WITH_TORCH
  // Nets this small gain nothing from LibTorch's own threads. On a busy machine the threads wait
  // for each other after every operation, and the tests take ten times as long.
  at::set_num_threads(1);
  // LibTorch's interpreter, which nets are compared with, would compile each of them (from 2.0 on,
  // by LLVM): minutes for what is run once.
  torch::jit::setGraphExecutorOptimize(false);
#endif
  const int status = Catch::Session().run(count, arguments);
  const std::size_t passed = test_cases.passed + test_cases.failedButOk;
  // Catch2 2 takes what was skipped for passed.
  std::cout << "catch2: " << passed - nets::skipped_before_catch3() << " passed, "
            << test_cases.failed << " failed, " << skipped_of(test_cases) << " skipped"
            << std::endl;
  return status;
}
