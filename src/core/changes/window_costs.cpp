#include "core/changes/window_costs.h"

#include <algorithm>

namespace seqlift {

namespace {

// Measured on cores of 2020 to 2023, one thread, float32; that one core is twice as fast moves both
// sides of a comparison.
constexpr double of_product = 0.02;  // 100 GFLOP/s: convolutions 50 to 100, large products 130
constexpr double of_cached_number = 0.25;
constexpr double of_number = 0.5;
constexpr double of_fresh_number = 1.2;
// Numbers of an operation that a core's own cache holds (4 MB), and from which on glibc gives the
// memory back to the system after each use (its largest threshold, 32 MB).
constexpr double cached = 1 << 20;
constexpr double kept = 8 << 20;
constexpr double of_call = 4000;
// Places are found, windows moved together, every row is a copy of its own.
constexpr double of_window_call = 15000;
constexpr double of_window = 300;

}  // namespace

double operation_cost(const OperationWork& one, double rows) {
  const double numbers = one.numbers * rows;
  const double each = numbers <= cached ? of_cached_number
                      : numbers <= kept ? of_number
                                        : of_fresh_number;
  return one.products * rows * of_product + numbers * each + one.weights * of_number;
}

WindowCosts window_costs(const std::vector<CountedOperation>& operations, int64_t window_rows,
                         int64_t whole_rows) {
  const auto in_windows = static_cast<double>(std::max<int64_t>(window_rows, 1));
  const auto as_a_whole = static_cast<double>(std::max<int64_t>(whole_rows, 1));
  WindowCosts costs;
  for (const CountedOperation& operation : operations) {
    costs.original += operation_cost(operation.whole, 1) + of_call;
    costs.whole += (operation_cost(operation.whole, as_a_whole) + of_call) / as_a_whole;
    costs.window += operation_cost(operation.done, in_windows) / in_windows;
    costs.window +=
        operation.in_windows ? of_window_call / in_windows + of_window : of_call / in_windows;
  }
  return costs;
}

}  // namespace seqlift
