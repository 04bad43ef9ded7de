// Clusters of a weighted graph by modularity: the Leiden algorithm (Traag, Waltman and van Eck
// 2019, Scientific Reports 9:5233).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/motifs/fine_similarity.h"
#include "core/motifs/workers.h"

namespace seqlift {

struct LeidenOptions {
  std::size_t runs = 50;   // from different orders of the nodes; the best is taken
  std::uint32_t seed = 0;  // run r, from 0, is that of seed + r
  WorkerOptions workers;
};

struct Clusters {
  std::vector<std::uint32_t> membership;  // by falling size, from 0
  double modularity = 0;
  std::vector<double> of_runs;
};

// Every stored number of the symmetric matrix is an edge of its own: a pair has two, the diagonal
// are loops, which add twice their weight to the strength of their node. With W the sum of all
// edges, the modularity is the sum over clusters of (weight inside / W - (strength / (2 W))^2).
// Runs go on until nothing changes. Equally good runs: the first.
Clusters leiden(const SparseRows<double>& weights, const LeidenOptions& options);

double modularity(const SparseRows<double>& weights, const std::vector<std::uint32_t>& membership);

}  // namespace seqlift
