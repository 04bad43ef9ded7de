#include "core/motifs/tomtom.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "core/base/error.h"
#include "core/motifs/tomtom_null.h"

namespace seqlift {

namespace {

struct Alignment {
  std::int64_t score = 0;
  std::int64_t offset = 0;
  std::int64_t overlap = 0;
};

// What one worker keeps from query to query.
struct Space {
  ScoreSpace scores;
  NullSpace null;
  QueryScores query;
  std::vector<std::int32_t> sums;
};

// The best way to lay the query along a target. Sums of scores are those from where the query's
// last column meets the target's first, on.
Alignment best_alignment(const QueryScores& query, const TargetColumns& targets, std::size_t target,
                         std::vector<std::int32_t>& sums) {
  const std::size_t width = targets.width(target);
  const std::size_t n = query.width + width - 1;
  const auto none =
      static_cast<std::int32_t>(query.offset * static_cast<std::int64_t>(query.width));
  sums.assign(width + query.stride, none);
  const std::int32_t largest = loops::add_rows(query.scores.data(), query.stride,
                                               targets.columns(target), width, sums.data(), n);
  Alignment best;
  best.score = largest;
  bool found = false;
  const auto query_width = static_cast<std::int64_t>(query.width);
  const auto target_width = static_cast<std::int64_t>(width);
  for (std::int64_t k = 0; k < static_cast<std::int64_t>(n); ++k) {
    if (sums[k] != largest) {
      continue;
    }
    const std::int64_t overlap =
        std::min(k + 1, query_width) - std::max<std::int64_t>(0, k - target_width + 1);
    // memelite compares the offset of the one with the overlap of the other.
    if (found && best.offset >= overlap) {
      continue;
    }
    found = true;
    best.offset = k - query_width + 1;
    best.overlap = overlap;
  }
  return best;
}

TomtomMatch best_match(std::size_t target, std::size_t n_targets, const QueryScores& query,
                       const TargetColumns& targets, const BestScoreNull& null,
                       std::vector<std::int32_t>& sums, bool reverse_complement) {
  Alignment best = best_alignment(query, targets, target, sums);
  bool reverse = false;
  if (reverse_complement) {
    const Alignment other = best_alignment(query, targets, n_targets + target, sums);
    reverse = other.score >= best.score;
    best = reverse ? other : best;
  }
  // Both strands have one null distribution: the better score has the smaller chance.
  double p_value = null.p_value(targets.width(target), best.score);
  if (reverse_complement) {
    p_value *= 2 - p_value;
  }
  TomtomMatch match;
  match.p_value = std::min(p_value, 1.0);
  match.q_value = 1;
  match.target = static_cast<std::uint32_t>(target);
  match.score = static_cast<std::int32_t>(best.score);
  match.offset = static_cast<std::int32_t>(best.offset);
  match.overlap = static_cast<std::int32_t>(best.overlap);
  match.reverse_complement = reverse;
  return match;
}

void sort_and_cut(std::vector<TomtomMatch>& matches, const TomtomOptions& options) {
  std::sort(matches.begin(), matches.end(), [](const TomtomMatch& x, const TomtomMatch& y) {
    if (x.p_value != y.p_value) {
      return x.p_value < y.p_value;
    }
    return x.score != y.score ? x.score > y.score : x.target < y.target;
  });
  const auto n = static_cast<double>(matches.size());
  double smallest = 1;
  for (std::size_t k = matches.size(); k > 0; --k) {
    smallest = std::min(smallest, matches[k - 1].p_value * n / static_cast<double>(k));
    matches[k - 1].q_value = smallest;
  }
  std::size_t kept =
      options.n_nearest == 0 ? matches.size() : std::min(options.n_nearest, matches.size());
  while (kept > 0 && matches[kept - 1].p_value > options.max_p_value) {
    --kept;
  }
  matches.resize(kept);
  matches.shrink_to_fit();
}

}  // namespace

std::vector<std::vector<TomtomMatch>> tomtom(const MotifSet& queries, const MotifSet& targets,
                                             const TomtomOptions& options) {
  const TargetColumns columns(targets, options.n_target_bins, options.reverse_complement);
  std::vector<std::size_t> widths = targets.widths;
  std::sort(widths.begin(), widths.end());
  widths.erase(std::unique(widths.begin(), widths.end()), widths.end());
  std::vector<std::size_t> starts(queries.size());
  std::exclusive_scan(queries.widths.begin(), queries.widths.end(), starts.begin(), std::size_t{0});

  std::vector<std::vector<TomtomMatch>> matches(queries.size());
  std::vector<Space> spaces(worker_count(queries.size(), options.workers));
  run_workers(
      queries.size(),
      [&](std::size_t i, std::size_t worker) {
        Space& space = spaces[worker];
        QueryScores& query = space.query;
        if (!score_columns(queries.values.data() + starts[i] * queries.n_rows, queries.widths[i],
                           columns, options.scores, space.scores, query)) {
          throw Error("motifs", std::to_string(i + 1));
        }
        const BestScoreNull null(query, widths, space.null);
        std::vector<TomtomMatch>& own = matches[i];
        own.reserve(targets.size());
        for (std::size_t t = 0; t < targets.size(); ++t) {
          own.push_back(best_match(t, targets.size(), query, columns, null, space.sums,
                                   options.reverse_complement));
        }
        sort_and_cut(own, options);
      },
      options.workers);
  return matches;
}

}  // namespace seqlift
