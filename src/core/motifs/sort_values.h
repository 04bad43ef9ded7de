// Sorting on a few threads. Only for values of which equal ones cannot be told apart, so that the
// result is the same for any number of threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "core/motifs/workers.h"

namespace seqlift {

template <class T>
void sort_values(std::vector<T>& values, const WorkerOptions& workers) {
  constexpr std::size_t worth_a_thread = std::size_t{1} << 15;
  const std::size_t parts = worker_count(values.size() / worth_a_thread, workers);
  std::vector<typename std::vector<T>::iterator>
      ends;  // of the parts, before the first one its begin
  for (std::size_t i = 0; i <= parts; ++i) {
    ends.push_back(values.begin() + static_cast<std::ptrdiff_t>(values.size() * i / parts));
  }
  run_workers(
      parts, [&](std::size_t i, std::size_t) { std::sort(ends[i], ends[i + 1]); }, workers);
  for (std::size_t step = 1; step < parts; step *= 2) {
    // Of parts that are apart by 2 step, each with the one that is apart by step.
    run_workers((parts + step - 1) / (2 * step),
                [&](std::size_t i, std::size_t) {
                  const std::size_t first = 2 * step * i;
                  std::inplace_merge(ends[first], ends[first + step],
                                     ends[std::min(first + 2 * step, parts)]);
                },
                workers);
  }
}

}  // namespace seqlift
