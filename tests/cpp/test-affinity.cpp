#include <cmath>
#include <cstdint>
#include <vector>

#include "catch.h"
#include "core/motifs/affinity.h"
#include "core/sequences/random.h"

using seqlift::RandomState;
using seqlift::SparseRows;

namespace {

double entropy_of_row(const SparseRows<double>& distances, std::size_t row, double beta) {
  double total = 1;
  double mean = 0;
  for (std::size_t e = distances.begin[row]; e < distances.begin[row + 1]; ++e) {
    total += std::exp(-distances.value[e] * beta);
    mean += distances.value[e] * std::exp(-distances.value[e] * beta);
  }
  return std::log(total) + beta * mean / total;
}

}  // namespace

// Two seqlets of similarity 0.5: distance ln(1 / 0.25 - 1) = ln 3. Their own similarity, 1, is at
// distance 0 and left out.
TEST_CASE("neighbours that are left out are gone from rows and numbers", "[affinity]") {
  seqlift::Neighbors neighbors;
  neighbors.count = 2;
  neighbors.index = {0, 2, 1, 0, 2, 1};
  const std::vector<float> similarities{1, 0.5F, 1, 0.4F, 1, 0.3F};
  const SparseRows<float> rows =
      seqlift::kept_neighbors(neighbors, similarities, {true, false, true});
  CHECK(rows.begin == std::vector<std::size_t>{0, 2, 3});
  CHECK(rows.index == std::vector<std::uint32_t>{0, 1, 1});
  CHECK(rows.value == std::vector<float>{1, 0.5F, 1});
}

TEST_CASE("every row gets the perplexity that is wanted, and weights are symmetric", "[affinity]") {
  RandomState random(2);
  constexpr std::size_t n = 40;
  SparseRows<float> similarities;
  SparseRows<double> distances;
  std::vector<std::vector<double>> matrix(n, std::vector<double>(n, 1));
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      matrix[i][j] = matrix[j][i] = 0.05 + 0.9 * random.uniform();
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const auto similarity = static_cast<float>(matrix[i][j]);
      similarities.index.push_back(static_cast<std::uint32_t>(j));
      similarities.value.push_back(similarity);
      if (i != j) {
        distances.index.push_back(static_cast<std::uint32_t>(j));
        distances.value.push_back(std::log(2 / static_cast<double>(similarity) - 1));
      }
    }
    similarities.begin.push_back(similarities.index.size());
    distances.begin.push_back(distances.index.size());
  }
  const seqlift::Affinities found = seqlift::adapted_affinities(similarities, 10);
  seqlift::WorkerOptions two;
  two.threads = 2;
  CHECK(seqlift::adapted_affinities(similarities, 10, two).weights.value == found.weights.value);
  std::vector<double> norms;
  for (std::size_t i = 0; i < n; ++i) {
    CHECK(std::abs(entropy_of_row(distances, i, found.betas[i]) - std::log(10.0)) < 2e-5);
    double norm = 1;
    for (std::size_t e = distances.begin[i]; e < distances.begin[i + 1]; ++e) {
      norm += std::exp(-distances.value[e] / found.betas[i]);
    }
    norms.push_back(norm);
  }
  REQUIRE(found.weights.index.size() == n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const double weight = found.weights.value[i * n + j];
      CHECK(found.weights.index[i * n + j] == j);
      CHECK(weight == found.weights.value[j * n + i]);
      if (i == j) {
        CHECK(std::abs(weight - 1 / norms[i]) < 1e-12);
      } else {
        const double d = std::log(2 / static_cast<double>(static_cast<float>(matrix[i][j])) - 1);
        const double wanted = std::sqrt(std::exp(-d / found.betas[i]) / norms[i] *
                                        std::exp(-d / found.betas[j]) / norms[j]);
        CHECK(std::abs(weight - wanted) < 1e-12);
      }
    }
  }
}

TEST_CASE("the largest numbers come first, equals by number", "[affinity]") {
  const std::vector<double> values{1, 3, 2, 3, 0, 2};
  CHECK(seqlift::largest(values, 4) == std::vector<std::uint32_t>{1, 3, 2, 5});
  CHECK(seqlift::largest(values, 0).empty());
  CHECK(seqlift::largest(values, 9) == std::vector<std::uint32_t>{1, 3, 2, 5, 0, 4});
}

TEST_CASE("weights of nearest neighbours sum to 1, over both directions", "[affinity]") {
  seqlift::RowNeighbors neighbors;
  neighbors.count = 3;
  neighbors.index = {0, 1, 2, 1, 0, 2, 2, 1, 0, 3, 2, 1};
  neighbors.similarity = {1, 0.9, 0.5, 1, 0.9, 0.4, 1, 0.4, 0.5, 1, 0.3, 0.2};
  const SparseRows<double> weights = seqlift::perplexity_affinities(neighbors, 1.5);
  double sum = 0;
  for (const double weight : weights.value) {
    sum += weight;
  }
  CHECK(std::abs(sum - 1) < 1e-12);
  // No other seqlet has the last among its neighbours, but it has two itself.
  CHECK(weights.begin[4] - weights.begin[3] == 2);
}
