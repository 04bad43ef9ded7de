#include "core/motifs/merge_patterns.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "core/motifs/sort_values.h"
#include "core/sequences/random.h"

namespace seqlift {

namespace {

constexpr std::uint32_t subsample_seed = 1234;

// The seqlets of the child where they lie on the parent.
std::vector<MotifSeqlet> shifted(const ScoredRegions& regions,
                                 const std::vector<MotifSeqlet>& seqlets, const Alignment& place) {
  std::vector<MotifSeqlet> on_parent;
  for (const MotifSeqlet& seqlet : seqlets) {
    MotifSeqlet one = place.reversed ? turned(seqlet) : seqlet;
    const std::int32_t by = one.reversed ? place.offset : -place.offset;
    one.start += by;
    one.end += by;
    // The peer wants a position to spare behind the last one.
    if (one.start >= 0 && one.end < static_cast<std::int32_t>(regions.length())) {
      on_parent.push_back(one);
    }
  }
  return on_parent;
}

// The chance that a number of the first is larger than one of the second, ties half; both sorted.
// The first are those of each pair of `n` seqlets; each counts twice, and each seqlet is like
// itself, 1.
double area_under_curve(const std::vector<float>& first, std::size_t n,
                        const std::vector<float>& second) {
  double larger = 0;
  auto below = second.begin();
  auto up_to = below;
  for (const float value : first) {
    while (below != second.end() && *below < value) {
      ++below;
    }
    up_to = std::max(up_to, below);
    while (up_to != second.end() && *up_to <= value) {
      ++up_to;
    }
    larger += static_cast<double>(below - second.begin()) + static_cast<double>(up_to - below) / 2;
  }
  const auto less = std::lower_bound(second.begin(), second.end(), 1.0F);
  const double of_itself =
      static_cast<double>(less - second.begin()) + static_cast<double>(second.end() - less) / 2;
  const auto all = static_cast<double>(n);
  return (2 * larger + all * of_itself) / (all * all * static_cast<double>(second.size()));
}

struct Item {
  std::shared_ptr<Pattern> pattern;
  std::shared_ptr<std::vector<float>> within;
};

struct Relation {
  double similarity = 1;
  double auroc = 0.5;
};

double contamination(const Relation& relation) { return 2 * (1 - std::max(relation.auroc, 0.5)); }

using Relations = std::vector<std::vector<Relation>>;

struct Candidate {
  std::size_t first;
  std::size_t second;
  double similarity;
};

double symmetric_similarity(const Relations& relations, std::size_t i, std::size_t j) {
  return (relations[i][j].similarity + relations[j][i].similarity) / 2;
}

bool reaches(const std::vector<std::pair<double, double>>& thresholds, double cross, double like) {
  return std::any_of(thresholds.begin(), thresholds.end(), [&](const auto& threshold) {
    return cross >= threshold.first && like >= threshold.second;
  });
}

bool breaks(const Relations& relations, const std::vector<std::size_t>& group,
            const MergeOptions& options) {
  for (std::size_t a = 0; a < group.size(); ++a) {
    for (std::size_t b = a + 1; b < group.size(); ++b) {
      const std::size_t i = group[a];
      const std::size_t j = group[b];
      const double cross = (contamination(relations[i][j]) + contamination(relations[j][i])) / 2;
      const double like = symmetric_similarity(relations, i, j);
      for (const auto& threshold : options.dealbreakers) {
        if (cross <= threshold.first && like <= threshold.second) {
          return true;
        }
      }
    }
  }
  return false;
}

// Pairs to be merged, in their order.
std::vector<Candidate> pairs_to_merge(const Relations& relations, const MergeOptions& options) {
  const std::size_t n = relations.size();
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i + 1; j < n; ++j) {
      candidates.push_back({i, j, symmetric_similarity(relations, i, j)});
    }
  }
  std::stable_sort(
      candidates.begin(), candidates.end(),
      [](const Candidate& a, const Candidate& b) { return a.similarity > b.similarity; });
  std::vector<std::vector<std::size_t>> groups(n);
  for (std::size_t i = 0; i < n; ++i) {
    groups[i] = {i};
  }
  std::vector<Candidate> chosen;
  for (const Candidate& pair : candidates) {
    const double cross = std::min(contamination(relations[pair.first][pair.second]),
                                  contamination(relations[pair.second][pair.first]));
    if (!reaches(options.merge, cross, pair.similarity)) {
      continue;
    }
    std::vector<std::size_t> united = groups[pair.first];
    for (const std::size_t member : groups[pair.second]) {
      if (std::find(united.begin(), united.end(), member) == united.end()) {
        united.push_back(member);
      }
    }
    if (breaks(relations, united, options)) {
      continue;
    }
    chosen.push_back(pair);
    for (const std::size_t member : united) {
      groups[member] = united;
    }
  }
  return chosen;
}

void relate(const ScoredRegions& regions, std::vector<Item>& items,
            const std::vector<std::pair<std::size_t, std::size_t>>& unknown, Relations& relations,
            const MergeOptions& options) {
  for (const auto& pair : unknown) {
    Item& parent = items[pair.first];
    if (!parent.within) {
      parent.within = std::make_shared<std::vector<float>>(
          similarities_within(regions, *parent.pattern, options.workers));
    }
  }
  run_workers(
      unknown.size(),
      [&](std::size_t i, std::size_t) {
        const Item& parent = items[unknown[i].first];
        const PatternPair found = compare_patterns(regions, *parent.pattern, *parent.within,
                                                   *items[unknown[i].second].pattern, options);
        relations[unknown[i].first][unknown[i].second] = {found.place.similarity, found.auroc};
      },
      options.workers);
}

std::shared_ptr<Pattern> merged(const ScoredRegions& regions, const Pattern& first,
                                const Pattern& second, const std::vector<double>& background,
                                const MergeOptions& options) {
  const bool swapped = first.size() < second.size();
  auto pattern = std::make_shared<Pattern>(swapped ? second : first);
  // One piece, but one that can be interrupted.
  run_workers(
      1,
      [&](std::size_t, std::size_t) {
        add_seqlets(regions, *pattern, (swapped ? first : second).seqlets(), Likeness::correlation,
                    options.patterns.min_overlap);
        polish(*pattern, background, options.patterns);
      },
      options.workers);
  return pattern;
}

}  // namespace

std::vector<float> similarities_within(const ScoredRegions& regions, const Pattern& pattern,
                                       const WorkerOptions& workers) {
  const SeqletTracks tracks(regions, pattern.seqlets());
  const std::size_t n = pattern.size();
  std::vector<float> within(n * (n - 1) / 2);
  run_workers(
      n,
      [&](std::size_t i, std::size_t) {
        float* const row = within.data() + (i == 0 ? 0 : i * (i - 1) / 2);
        for (std::size_t j = 0; j < i; ++j) {
          row[j] = static_cast<float>(tracks.similarity(i, tracks, j));
        }
      },
      workers);
  sort_values(within, workers);
  return within;
}

PatternPair compare_patterns(const ScoredRegions& regions, const Pattern& parent,
                             const std::vector<float>& within_parent, const Pattern& child,
                             const MergeOptions& options) {
  PatternPair pair;
  pair.place = align(parent, child, Likeness::correlation, options.patterns.min_overlap);
  std::vector<MotifSeqlet> seqlets = child.seqlets();
  if (seqlets.size() > options.max_seqlets) {
    std::vector<std::uint32_t> order(seqlets.size());
    std::iota(order.begin(), order.end(), 0);
    RandomState(subsample_seed).permute(order.data(), order.size());
    std::vector<MotifSeqlet> some;
    for (std::size_t i = 0; i < options.max_seqlets; ++i) {
      some.push_back(seqlets[order[i]]);
    }
    seqlets = some;
  }
  seqlets = shifted(regions, seqlets, pair.place);
  // Patterns of sequences too short for their flanks may differ in length: their seqlets are
  // compared over the parent's.
  for (MotifSeqlet& seqlet : seqlets) {
    const auto more =
        static_cast<std::int32_t>(parent.length()) - static_cast<std::int32_t>(seqlet.length());
    seqlet = extended(seqlet, 0, more);
  }
  seqlets.erase(std::remove_if(seqlets.begin(), seqlets.end(),
                               [&](const MotifSeqlet& one) { return !regions.contains(one); }),
                seqlets.end());
  if (seqlets.empty()) {
    pair.place.similarity = 0;
    return pair;
  }
  const SeqletTracks rows(regions, seqlets);
  const SeqletTracks columns(regions, parent.seqlets());
  std::vector<float> between(rows.size() * columns.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    leave_if_cancelled();
    for (std::size_t j = 0; j < columns.size(); ++j) {
      between[i * columns.size() + j] = static_cast<float>(rows.similarity(i, columns, j));
    }
  }
  std::sort(between.begin(), between.end());
  pair.auroc = area_under_curve(within_parent, parent.size(), between);
  return pair;
}

std::vector<Pattern> collapse(const ScoredRegions& regions, std::vector<Pattern> patterns,
                              const std::vector<double>& background, const MergeOptions& options) {
  std::vector<Item> items;
  for (Pattern& pattern : patterns) {
    items.push_back({std::make_shared<Pattern>(std::move(pattern)), nullptr});
  }
  Relations relations(items.size(), std::vector<Relation>(items.size()));
  std::vector<std::pair<std::size_t, std::size_t>> unknown;
  for (std::size_t i = 0; i < items.size(); ++i) {
    for (std::size_t j = 0; j < items.size(); ++j) {
      if (i != j) {
        unknown.emplace_back(i, j);
      }
    }
  }
  while (true) {
    relate(regions, items, unknown, relations, options);
    const std::vector<Candidate> pairs = pairs_to_merge(relations, options);
    std::vector<Item> next = items;
    bool changed = false;
    for (const Candidate& pair : pairs) {
      const std::shared_ptr<Pattern> first = next[pair.first].pattern;
      const std::shared_ptr<Pattern> second = next[pair.second].pattern;
      if (first == second) {
        continue;
      }
      const auto one = merged(regions, *first, *second, background, options);
      if (one->size() == 0) {
        continue;
      }
      changed = true;
      for (Item& item : next) {
        if (item.pattern == first || item.pattern == second) {
          item = {one, nullptr};
        }
      }
    }
    // A pattern that was lost in polishing is no change: the same pair would come again for ever.
    if (!changed) {
      break;
    }
    std::vector<std::size_t> order(next.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return next[a].pattern->size() > next[b].pattern->size();
    });
    std::vector<std::size_t> left;
    for (const std::size_t i : order) {
      const bool seen = std::any_of(left.begin(), left.end(), [&](std::size_t other) {
        return next[other].pattern == next[i].pattern;
      });
      if (!seen) {
        left.push_back(i);
      }
    }
    Relations known(left.size(), std::vector<Relation>(left.size()));
    std::vector<Item> remaining;
    unknown.clear();
    for (std::size_t a = 0; a < left.size(); ++a) {
      remaining.push_back(next[left[a]]);
      for (std::size_t b = 0; b < left.size(); ++b) {
        const bool same = next[left[a]].pattern == items[left[a]].pattern &&
                          next[left[b]].pattern == items[left[b]].pattern;
        if (a != b && same) {
          known[a][b] = relations[left[a]][left[b]];
        } else if (a != b) {
          unknown.emplace_back(a, b);
        }
      }
    }
    items = std::move(remaining);
    relations = std::move(known);
  }
  std::vector<Pattern> result;
  for (const Item& item : items) {
    result.push_back(*item.pattern);
  }
  return result;
}

RowNeighbors subcluster_neighbors(const ScoredRegions& regions,
                                  const std::vector<MotifSeqlet>& seqlets, double perplexity,
                                  const WorkerOptions& workers) {
  const SeqletTracks tracks(regions, seqlets);
  const std::size_t n = seqlets.size();
  const auto count = std::min(static_cast<std::size_t>(3 * perplexity + 2), n);
  RowNeighbors neighbors;
  neighbors.count = count;
  neighbors.index.resize(n * count);
  neighbors.similarity.resize(n * count);
  std::vector<std::vector<double>> rows(worker_count(n, workers), std::vector<double>(n));
  run_workers(
      n,
      [&](std::size_t i, std::size_t worker) {
        std::vector<double>& row = rows[worker];
        for (std::size_t j = 0; j < n; ++j) {
          row[j] = tracks.similarity(i, tracks, j);
        }
        const std::vector<std::uint32_t> order = largest(row, count);
        for (std::size_t r = 0; r < count; ++r) {
          neighbors.index[i * count + r] = order[r];
          neighbors.similarity[i * count + r] = row[order[r]];
        }
      },
      workers);
  return neighbors;
}

std::vector<Pattern> subpatterns(const ScoredRegions& regions, const Pattern& pattern,
                                 const SubclusterOptions& options) {
  const SparseRows<double> weights = perplexity_affinities(
      subcluster_neighbors(regions, pattern.seqlets(), options.perplexity, options.leiden.workers),
      options.perplexity, options.leiden.workers);
  const Clusters clusters = leiden(weights, options.leiden);
  std::vector<std::vector<MotifSeqlet>> members;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    members.resize(std::max<std::size_t>(members.size(), clusters.membership[i] + 1));
    members[clusters.membership[i]].push_back(pattern.seqlets()[i]);
  }
  std::vector<Pattern> parts;
  for (const std::vector<MotifSeqlet>& own : members) {
    parts.emplace_back(regions, own);
  }
  return parts;
}

bool is_motif(const Pattern& pattern, const std::vector<double>& background,
              std::size_t min_seqlets, std::size_t window, double min_information,
              double pseudocount) {
  if (pattern.size() < min_seqlets) {
    return false;
  }
  const std::vector<double> bits = information_of(pattern.letters(), background, pseudocount);
  const std::size_t width = std::min(window, bits.size());
  double most = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i + width <= bits.size(); ++i) {
    most =
        std::max(most, std::accumulate(bits.begin() + static_cast<std::ptrdiff_t>(i),
                                       bits.begin() + static_cast<std::ptrdiff_t>(i + width), 0.0));
  }
  return most >= min_information;
}

}  // namespace seqlift
