#include "core/motifs/affinity.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>

namespace seqlift {

namespace {

constexpr double least_similarity = 1e-7;
constexpr double entropy_tolerance = 1e-5;
constexpr int max_steps = 100;

double distance_of(double similarity) {
  return std::max(std::log(1 / (0.5 * std::max(similarity, least_similarity)) - 1), 0.0);
}

// Bisection for the beta at which `entropy_of(beta)` is `wanted`; entropy falls with beta.
template <class Entropy>
double find_beta(double wanted, const Entropy& entropy_of) {
  const double infinity = std::numeric_limits<double>::infinity();
  double beta = 1;
  double low = -infinity;
  double high = infinity;
  for (int step = 0; step < max_steps; ++step) {
    const double excess = entropy_of(beta) - wanted;
    if (std::abs(excess) <= entropy_tolerance) {
      break;
    }
    if (excess > 0) {
      low = beta;
      beta = high == infinity ? 2 * beta : (beta + high) / 2;
    } else {
      high = beta;
      beta = low == -infinity ? beta / 2 : (beta + low) / 2;
    }
  }
  return beta;
}

struct Entry {
  std::uint32_t column;
  double value;
};

// The sums of the two entries of each pair, and how many there are of them, rows sorted by column.
SparseRows<double> symmetric(const std::vector<std::vector<Entry>>& rows, bool average,
                             const WorkerOptions& workers) {
  const std::size_t n = rows.size();
  std::vector<std::vector<Entry>> both(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (const Entry& entry : rows[i]) {
      both[i].push_back(entry);
      both[entry.column].push_back({static_cast<std::uint32_t>(i), entry.value});
    }
  }
  run_workers(
      n,
      [&](std::size_t i, std::size_t) {
        std::vector<Entry>& row = both[i];
        std::stable_sort(row.begin(), row.end(),
                         [](const Entry& a, const Entry& b) { return a.column < b.column; });
        std::size_t kept = 0;
        for (std::size_t e = 0; e < row.size();) {
          std::size_t end = e;
          double sum = 0;
          while (end < row.size() && row[end].column == row[e].column) {
            sum += row[end++].value;
          }
          row[kept++] = {row[e].column, average ? sum / static_cast<double>(end - e) : sum};
          e = end;
        }
        row.resize(kept);
      },
      workers);
  SparseRows<double> result;
  for (std::vector<Entry>& row : both) {
    for (const Entry& entry : row) {
      result.index.push_back(entry.column);
      result.value.push_back(entry.value);
    }
    result.begin.push_back(result.index.size());
    std::vector<Entry>().swap(row);
  }
  return result;
}

}  // namespace

SparseRows<float> kept_neighbors(const Neighbors& neighbors, const std::vector<float>& similarities,
                                 const std::vector<bool>& kept) {
  std::vector<std::uint32_t> number(kept.size(), 0);
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    number[i] = next;
    next += kept[i] ? 1 : 0;
  }
  SparseRows<float> rows;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (!kept[i]) {
      continue;
    }
    for (std::size_t e = i * neighbors.count; e < (i + 1) * neighbors.count; ++e) {
      if (kept[neighbors.index[e]]) {
        rows.index.push_back(number[neighbors.index[e]]);
        rows.value.push_back(similarities[e]);
      }
    }
    rows.begin.push_back(rows.index.size());
  }
  return rows;
}

Affinities adapted_affinities(const SparseRows<float>& similarities, double perplexity,
                              const WorkerOptions& workers) {
  const std::size_t n = similarities.rows();
  std::vector<std::vector<Entry>> distances(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t e = similarities.begin[i]; e < similarities.begin[i + 1]; ++e) {
      const double distance = distance_of(similarities.value[e]);
      if (distance != 0) {
        distances[i].push_back({similarities.index[e], distance});
      }
    }
  }
  const SparseRows<double> pairs = symmetric(distances, true, workers);
  std::vector<std::vector<Entry>>().swap(distances);

  Affinities result;
  result.betas.resize(n);
  std::vector<double> norms(n);
  const double wanted = std::log(perplexity);
  const auto adapt = [&](std::size_t i, std::size_t) {
    const auto sum_over = [&](const auto& term) {
      double sum = 0;
      for (std::size_t e = pairs.begin[i]; e < pairs.begin[i + 1]; ++e) {
        sum += term(pairs.value[e]);
      }
      return sum;
    };
    result.betas[i] = find_beta(wanted, [&](double beta) {
      const double total = 1 + sum_over([&](double d) { return std::exp(-d * beta); });
      return std::log(total) +
             beta * sum_over([&](double d) { return d * std::exp(-d * beta); }) / total;
    });
    norms[i] = 1 + sum_over([&](double d) { return std::exp(-d / result.betas[i]); });
  };
  run_workers(n, adapt, workers);
  // Each row has its diagonal more.
  SparseRows<double>& weights = result.weights;
  for (std::size_t i = 0; i < n; ++i) {
    weights.begin.push_back(pairs.begin[i + 1] + i + 1);
  }
  weights.index.resize(weights.begin.back());
  weights.value.resize(weights.begin.back());
  const auto weigh = [&](std::size_t i, std::size_t) {
    std::size_t next = weights.begin[i];
    const auto add = [&](std::size_t column, double weight) {
      weights.index[next] = static_cast<std::uint32_t>(column);
      weights.value[next++] = weight;
    };
    bool diagonal = false;
    for (std::size_t e = pairs.begin[i]; e < pairs.begin[i + 1]; ++e) {
      const std::size_t j = pairs.index[e];
      if (j > i && !diagonal) {
        add(i, 1 / norms[i]);
        diagonal = true;
      }
      // Of each pair one number, so that the matrix is symmetric to the last bit.
      const std::size_t a = std::min(i, j);
      const std::size_t b = std::max(i, j);
      add(j, std::sqrt(std::exp(-pairs.value[e] / result.betas[a]) / norms[a] *
                       std::exp(-pairs.value[e] / result.betas[b]) / norms[b]));
    }
    if (!diagonal) {
      add(i, 1 / norms[i]);
    }
  };
  run_workers(n, weigh, workers);
  return result;
}

std::vector<std::uint32_t> largest(const std::vector<double>& values, std::size_t count) {
  std::vector<std::uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    return values[a] != values[b] ? values[a] > values[b] : a < b;
  };
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(count, order.size()));
  if (end != order.end()) {
    std::nth_element(order.begin(), end, order.end(), before);
  }
  order.erase(end, order.end());
  std::sort(order.begin(), order.end(), before);
  return order;
}

SparseRows<double> perplexity_affinities(const RowNeighbors& neighbors, double perplexity,
                                         const WorkerOptions& workers) {
  const std::size_t n = neighbors.count == 0 ? 0 : neighbors.index.size() / neighbors.count;
  const auto wanted_neighbors = static_cast<std::size_t>(3 * perplexity + 1);
  const std::size_t used = std::min({n == 0 ? 0 : n - 1, wanted_neighbors, neighbors.count - 1});
  std::vector<std::vector<Entry>> rows(n);
  const auto share_out = [&](std::size_t i, std::size_t) {
    std::vector<float> distances(used);
    std::vector<double> shares(used);
    const std::size_t first = i * neighbors.count + 1;
    for (std::size_t r = 0; r < used; ++r) {
      // The peer searches among distances in single precision.
      distances[r] = static_cast<float>(distance_of(neighbors.similarity[first + r]));
    }
    find_beta(std::log(perplexity), [&](double beta) {
      double sum = 0;
      for (std::size_t r = 0; r < used; ++r) {
        shares[r] = std::exp(-static_cast<double>(distances[r]) * beta);
        sum += shares[r];
      }
      sum = sum == 0 ? 1e-8 : sum;
      double mean = 0;
      for (std::size_t r = 0; r < used; ++r) {
        shares[r] /= sum;
        mean += static_cast<double>(distances[r]) * shares[r];
      }
      return std::log(sum) + beta * mean;
    });
    for (std::size_t r = 0; r < used; ++r) {
      rows[i].push_back({neighbors.index[first + r], shares[r]});
    }
  };
  run_workers(n, share_out, workers);
  double total = 0;
  for (const std::vector<Entry>& row : rows) {
    for (const Entry& entry : row) {
      total += 2 * entry.value;
    }
  }
  SparseRows<double> weights = symmetric(rows, false, workers);
  for (double& weight : weights.value) {
    weight /= std::max(total, std::numeric_limits<double>::min());
  }
  return weights;
}

}  // namespace seqlift
