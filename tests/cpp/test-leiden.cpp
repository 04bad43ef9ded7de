#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "catch.h"
#include "core/motifs/leiden.h"
#include "core/sequences/random.h"

using seqlift::LeidenOptions;
using seqlift::RandomState;
using seqlift::SparseRows;

namespace {

using Matrix = std::vector<std::vector<double>>;

SparseRows<double> sparse(const Matrix& weights) {
  SparseRows<double> rows;
  for (const auto& row : weights) {
    for (std::uint32_t j = 0; j < row.size(); ++j) {
      if (row[j] != 0) {
        rows.index.push_back(j);
        rows.value.push_back(row[j]);
      }
    }
    rows.begin.push_back(rows.index.size());
  }
  return rows;
}

Matrix random_weights(std::size_t n, RandomState& random) {
  Matrix weights(n, std::vector<double>(n, 0.0));
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      if (random.uniform() < 0.6) {
        weights[i][j] = weights[j][i] = random.uniform();
      }
    }
  }
  return weights;
}

// Every way of putting n nodes into clusters: each into one of those before it or into a new one.
double best_of_all(const SparseRows<double>& weights, std::vector<std::uint32_t>& membership,
                   std::size_t node, std::uint32_t used) {
  if (node == membership.size()) {
    return seqlift::modularity(weights, membership);
  }
  double best = -1;
  for (std::uint32_t cluster = 0; cluster <= used; ++cluster) {
    membership[node] = cluster;
    best = std::max(best, best_of_all(weights, membership, node + 1,
                                      std::max(used, cluster == used ? used + 1 : used)));
  }
  return best;
}

}  // namespace

// Two pairs with an edge of 1 in each and one of 0.5 between them. Each stands twice, so W = 2 (1 +
// 1
// + 0.5) = 5; inside a pair is 2, its strength is 2 (2 + 0.5) = 5: 2 (2 / 5 - (5 / 10)^2) = 0.3.
TEST_CASE("modularity counts both entries of a pair as edges", "[leiden]") {
  const SparseRows<double> weights =
      sparse({{0, 1, 0.5, 0}, {1, 0, 0, 0}, {0.5, 0, 0, 1}, {0, 0, 1, 0}});
  CHECK(std::abs(seqlift::modularity(weights, {0, 0, 1, 1}) - 0.3) < 1e-12);
  CHECK(std::abs(seqlift::modularity(weights, {0, 0, 0, 0})) < 1e-12);
}

// A loop of weight 2 beside an edge of 1 (twice): W = 4; alone, node 0 has 2 inside and strength
// 2 x 2 + 2 = 6, node 1 strength 2: 2 / 4 - (6 / 8)^2 - (2 / 8)^2 = -0.125.
TEST_CASE("loops add twice their weight to a strength", "[leiden]") {
  const SparseRows<double> weights = sparse({{2, 1}, {1, 0}});
  CHECK(std::abs(seqlift::modularity(weights, {0, 1}) + 0.125) < 1e-12);
}

TEST_CASE("Leiden finds the best of all clusterings of small graphs", "[leiden]") {
  RandomState random(5);
  for (int graph = 0; graph < 40; ++graph) {
    const SparseRows<double> weights = sparse(random_weights(7, random));
    if (weights.index.empty()) {
      continue;
    }
    LeidenOptions options;
    options.runs = 20;
    const seqlift::Clusters found = seqlift::leiden(weights, options);
    std::vector<std::uint32_t> membership(7, 0);
    INFO("graph " << graph);
    CHECK(std::abs(found.modularity - best_of_all(weights, membership, 0, 0)) < 1e-12);
    CHECK(std::abs(found.modularity - seqlift::modularity(weights, found.membership)) < 1e-12);
    std::vector<int> sizes(7, 0);
    for (const std::uint32_t cluster : found.membership) {
      ++sizes[cluster];
    }
    CHECK(std::is_sorted(sizes.rbegin(), sizes.rend()));
  }
}

TEST_CASE("clusters do not depend on the number of threads", "[leiden]") {
  RandomState random(6);
  const SparseRows<double> weights = sparse(random_weights(60, random));
  LeidenOptions options;
  options.runs = 8;
  const auto one = seqlift::leiden(weights, options);
  options.workers.threads = 3;
  const auto three = seqlift::leiden(weights, options);
  CHECK(one.membership == three.membership);
  CHECK(one.of_runs == three.of_runs);
}
