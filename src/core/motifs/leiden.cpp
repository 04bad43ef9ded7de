#include "core/motifs/leiden.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/sequences/random.h"

namespace seqlift {

namespace {

// A graph whose edges are summed up: row i holds the weight of i with each other node, and `loop`
// what is inside of it, each edge counted once; strength = sum of the row + 2 loop.
struct Graph {
  SparseRows<double> edges;
  std::vector<double> loop;
  std::vector<double> strength;
  double total = 0;  // of all edges, each once

  std::size_t nodes() const { return loop.size(); }
};

Graph as_graph(const SparseRows<double>& weights) {
  Graph graph;
  for (std::size_t i = 0; i < weights.rows(); ++i) {
    double loop = 0;
    double strength = 0;
    for (std::size_t e = weights.begin[i]; e < weights.begin[i + 1]; ++e) {
      if (weights.index[e] == i) {
        loop += weights.value[e];
      } else {
        graph.edges.index.push_back(weights.index[e]);
        graph.edges.value.push_back(2 * weights.value[e]);
        strength += 2 * weights.value[e];
      }
    }
    graph.edges.begin.push_back(graph.edges.index.size());
    graph.loop.push_back(loop);
    graph.strength.push_back(strength + 2 * loop);
    graph.total += strength / 2 + loop;
  }
  return graph;
}

std::vector<std::uint32_t> numbered(std::size_t n) {
  std::vector<std::uint32_t> numbers(n);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

// Clusters 0, 1, ... without gaps; how many.
std::size_t renumber(std::vector<std::uint32_t>& membership) {
  constexpr std::uint32_t none = UINT32_MAX;
  std::vector<std::uint32_t> number(membership.size(), none);
  std::uint32_t next = 0;
  for (std::uint32_t& cluster : membership) {
    if (number[cluster] == none) {
      number[cluster] = next++;
    }
    cluster = number[cluster];
  }
  return next;
}

// Weights of one node with the clusters around it.
class Surroundings {
 public:
  explicit Surroundings(std::size_t n) : weight_(n, 0.0), seen_(n, 0) {}

  template <class Counts>
  void look(const Graph& graph, std::size_t node, const std::vector<std::uint32_t>& membership,
            const Counts& counts) {
    for (const std::uint32_t cluster : clusters_) {
      weight_[cluster] = 0;
      seen_[cluster] = 0;
    }
    clusters_.clear();
    for (std::size_t e = graph.edges.begin[node]; e < graph.edges.begin[node + 1]; ++e) {
      const std::uint32_t other = graph.edges.index[e];
      if (!counts(other)) {
        continue;
      }
      const std::uint32_t cluster = membership[other];
      if (seen_[cluster] == 0) {
        seen_[cluster] = 1;
        clusters_.push_back(cluster);
      }
      weight_[cluster] += graph.edges.value[e];
    }
  }
  const std::vector<std::uint32_t>& clusters() const { return clusters_; }
  double weight(std::uint32_t cluster) const { return weight_[cluster]; }

 private:
  std::vector<double> weight_;
  std::vector<char> seen_;
  std::vector<std::uint32_t> clusters_;
};

// A change of the modularity, times W, below which it is rounding.
constexpr double smallest_gain = 1e-13;

// Moves nodes to the cluster next to them that gains most, and looks again at the neighbours of
// those that moved, until no move gains.
bool move_nodes(const Graph& graph, std::vector<std::uint32_t>& membership, RandomState& random) {
  const std::size_t n = graph.nodes();
  std::vector<double> strength(n, 0.0);
  std::vector<std::uint32_t> size(n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    strength[membership[i]] += graph.strength[i];
    ++size[membership[i]];
  }
  std::vector<std::uint32_t> empty;
  for (std::size_t c = n; c-- > 0;) {
    if (size[c] == 0) {
      empty.push_back(static_cast<std::uint32_t>(c));
    }
  }
  std::vector<std::uint32_t> queue = numbered(n);
  random.permute(queue.data(), n);
  std::vector<char> waits(n, 1);
  std::size_t waiting = n;
  std::size_t head = 0;  // the queue is a ring of n places
  Surroundings around(n);
  bool moved = false;
  while (waiting > 0) {
    const std::uint32_t node = queue[head];
    head = (head + 1) % n;
    --waiting;
    waits[node] = 0;
    const std::uint32_t own = membership[node];
    around.look(graph, node, membership, [](std::uint32_t) { return true; });
    // Gain of a cluster, up to what is the same for all: k_in - k_node K / (2 W).
    const auto gain = [&](std::uint32_t cluster, double weight) {
      const double others = strength[cluster] - (cluster == own ? graph.strength[node] : 0);
      return weight - graph.strength[node] * others / (2 * graph.total);
    };
    std::uint32_t best = own;
    double most = gain(own, around.weight(own)) + smallest_gain * graph.total;
    for (const std::uint32_t cluster : around.clusters()) {
      const double found = gain(cluster, around.weight(cluster));
      if (cluster != own && found > most) {
        most = found;
        best = cluster;
      }
    }
    if (size[own] > 1 && !empty.empty() && most < -smallest_gain * graph.total) {
      best = empty.back();  // by itself it gains nothing and loses nothing
    }
    if (best == own) {
      continue;
    }
    if (size[best] == 0) {
      empty.pop_back();
    }
    strength[own] -= graph.strength[node];
    strength[best] += graph.strength[node];
    if (--size[own] == 0) {
      empty.push_back(own);
    }
    ++size[best];
    membership[node] = best;
    moved = true;
    for (std::size_t e = graph.edges.begin[node]; e < graph.edges.begin[node + 1]; ++e) {
      const std::uint32_t other = graph.edges.index[e];
      if (waits[other] == 0 && membership[other] != best) {
        waits[other] = 1;
        queue[(head + waiting++) % n] = other;
      }
    }
  }
  return moved;
}

// Parts of each cluster, from single nodes: those that are still alone join the part of their
// cluster that gains most. Each part is connected.
std::vector<std::uint32_t> refined(const Graph& graph, const std::vector<std::uint32_t>& clusters,
                                   RandomState& random) {
  const std::size_t n = graph.nodes();
  std::vector<std::uint32_t> parts = numbered(n);
  std::vector<double> strength = graph.strength;
  std::vector<std::uint32_t> size(n, 1);
  std::vector<std::uint32_t> order = numbered(n);
  random.permute(order.data(), n);
  Surroundings around(n);
  for (const std::uint32_t node : order) {
    if (size[parts[node]] > 1) {
      continue;
    }
    const std::uint32_t own = parts[node];
    around.look(graph, node, parts,
                [&](std::uint32_t other) { return clusters[other] == clusters[node]; });
    std::uint32_t best = own;
    double most = 0;
    for (const std::uint32_t part : around.clusters()) {
      const double found =
          around.weight(part) - graph.strength[node] * strength[part] / (2 * graph.total);
      if (part != own && found > most) {
        most = found;
        best = part;
      }
    }
    if (best != own) {
      strength[best] += graph.strength[node];
      strength[own] = 0;
      ++size[best];
      size[own] = 0;
      parts[node] = best;
    }
  }
  return parts;
}

Graph merged(const Graph& graph, const std::vector<std::uint32_t>& parts, std::size_t count) {
  Graph small;
  small.total = graph.total;
  small.loop.assign(count, 0.0);
  small.strength.assign(count, 0.0);
  std::vector<std::vector<std::uint32_t>> members(count);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    members[parts[i]].push_back(static_cast<std::uint32_t>(i));
    small.strength[parts[i]] += graph.strength[i];
    small.loop[parts[i]] += graph.loop[i];
  }
  std::vector<double> weight(count, 0.0);
  std::vector<char> seen(count, 0);
  for (std::size_t part = 0; part < count; ++part) {
    std::vector<std::uint32_t> others;
    for (const std::uint32_t node : members[part]) {
      for (std::size_t e = graph.edges.begin[node]; e < graph.edges.begin[node + 1]; ++e) {
        const std::uint32_t other = parts[graph.edges.index[e]];
        if (other == part) {
          small.loop[part] += graph.edges.value[e] / 2;  // met from both ends
          continue;
        }
        if (seen[other] == 0) {
          seen[other] = 1;
          others.push_back(other);
        }
        weight[other] += graph.edges.value[e];
      }
    }
    for (const std::uint32_t other : others) {
      small.edges.index.push_back(other);
      small.edges.value.push_back(weight[other]);
      weight[other] = 0;
      seen[other] = 0;
    }
    small.edges.begin.push_back(small.edges.index.size());
  }
  return small;
}

// One pass: moves on the graph, then on graphs of ever larger parts.
bool improve(const Graph& whole, std::vector<std::uint32_t>& membership, RandomState& random) {
  Graph graph = whole;
  std::vector<std::uint32_t> node_of = numbered(whole.nodes());  // of the current graph
  std::vector<std::uint32_t> clusters = membership;
  bool moved = false;
  while (true) {
    moved = move_nodes(graph, clusters, random) || moved;
    const std::size_t n_clusters = renumber(clusters);
    for (std::size_t i = 0; i < membership.size(); ++i) {
      membership[i] = clusters[node_of[i]];
    }
    if (n_clusters == graph.nodes()) {
      return moved;
    }
    std::vector<std::uint32_t> parts = refined(graph, clusters, random);
    std::size_t count = renumber(parts);
    if (count == graph.nodes()) {
      parts = clusters;  // no part gains: whole clusters go on
      count = n_clusters;
    }
    std::vector<std::uint32_t> of_parts(count);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      of_parts[parts[i]] = clusters[i];
    }
    for (std::uint32_t& node : node_of) {
      node = parts[node];
    }
    graph = merged(graph, parts, count);
    clusters = std::move(of_parts);
  }
}

std::vector<std::uint32_t> by_size(const std::vector<std::uint32_t>& membership) {
  std::vector<std::uint32_t> found = membership;
  const std::size_t count = renumber(found);
  std::vector<std::size_t> size(count, 0);
  for (const std::uint32_t cluster : found) {
    ++size[cluster];
  }
  std::vector<std::uint32_t> order = numbered(count);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return size[a] > size[b]; });
  std::vector<std::uint32_t> number(count);
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    number[order[i]] = i;
  }
  for (std::uint32_t& cluster : found) {
    cluster = number[cluster];
  }
  return found;
}

}  // namespace

double modularity(const SparseRows<double>& weights, const std::vector<std::uint32_t>& membership) {
  std::vector<double> inside(membership.size(), 0.0);
  std::vector<double> strength(membership.size(), 0.0);
  double total = 0;
  for (std::size_t i = 0; i < weights.rows(); ++i) {
    for (std::size_t e = weights.begin[i]; e < weights.begin[i + 1]; ++e) {
      const double weight = weights.value[e];
      total += weight;
      strength[membership[i]] += 2 * weight;  // an edge (i, j) and, in row j, its twin
      if (membership[weights.index[e]] == membership[i]) {
        inside[membership[i]] += weight;
      }
    }
  }
  double sum = 0;
  for (std::size_t c = 0; c < inside.size() && total > 0; ++c) {
    const double share = strength[c] / (2 * total);
    sum += inside[c] / total - share * share;
  }
  return sum;
}

Clusters leiden(const SparseRows<double>& weights, const LeidenOptions& options) {
  const Graph graph = as_graph(weights);
  std::vector<std::vector<std::uint32_t>> memberships(options.runs);
  Clusters best;
  best.of_runs.resize(options.runs);
  run_workers(
      options.runs,
      [&](std::size_t run, std::size_t) {
        std::vector<std::uint32_t> membership = numbered(graph.nodes());
        if (graph.total > 0) {
          RandomState random(options.seed + static_cast<std::uint32_t>(run));
          while (improve(graph, membership, random)) {
          }
        }
        best.of_runs[run] = modularity(weights, membership);
        memberships[run] = std::move(membership);
      },
      options.workers);
  const auto found = std::max_element(best.of_runs.begin(), best.of_runs.end());
  best.modularity = *found;
  best.membership = by_size(memberships[static_cast<std::size_t>(found - best.of_runs.begin())]);
  return best;
}

}  // namespace seqlift
