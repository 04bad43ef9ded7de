// What the benchmarks share: sequences from a FASTA file, clocks and medians.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

namespace bench {

inline std::vector<std::string> read_fasta(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> sequences;
  std::string line;
  while (std::getline(file, line)) {
    if (!line.empty() && line[0] == '>') {
      sequences.emplace_back();
    } else if (!sequences.empty()) {
      sequences.back() += line;
    }
  }
  return sequences;
}

inline at::Tensor one_hot(const std::string& letters) {
  const std::string bases = "ACGT";
  at::Tensor result = at::zeros({4, static_cast<int64_t>(letters.size())});
  auto cells = result.accessor<float, 2>();
  for (size_t i = 0; i < letters.size(); ++i) {
    const auto base = bases.find(letters[i]);
    if (base != std::string::npos) {
      cells[static_cast<int64_t>(base)][static_cast<int64_t>(i)] = 1;
    }
  }
  return result;
}

// The first `count` sequences of a file, [count, 4, L].
inline at::Tensor read_one_hot(const std::string& path, int64_t count) {
  std::vector<at::Tensor> rows;
  for (const std::string& letters : read_fasta(path)) {
    rows.push_back(one_hot(letters));
  }
  return at::stack(rows).narrow(0, 0, count);
}

struct Time {
  double wall;
  double cpu;  // of all threads: a busy machine does not change it much
};

template <typename Work>
Time seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  work();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return {taken.count(), static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC};
}

inline double median(const std::vector<Time>& times, double Time::*clock) {
  std::vector<double> values;
  for (const Time& time : times) {
    values.push_back(time.*clock);
  }
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace bench
