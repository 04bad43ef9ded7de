#include "core/motifs/tomtom_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace seqlift {

namespace {

// Columns of all targets and, if asked for, their reverse complements: n_rows numbers each.
std::vector<double> all_columns(const MotifSet& targets, bool reverse_complement) {
  std::vector<double> columns = targets.values;
  if (!reverse_complement) {
    return columns;
  }
  columns.reserve(2 * columns.size());
  std::size_t start = 0;
  for (const std::size_t width : targets.widths) {
    // Both axes turned round: the numbers of a motif in reverse.
    const std::size_t end = start + width * targets.n_rows;
    for (std::size_t k = end; k > start; --k) {
      columns.push_back(targets.values[k - 1]);
    }
    start = end;
  }
  return columns;
}

// The bins of each column's numbers, n_rows for each column.
std::vector<std::uint32_t> bins_of(const std::vector<double>& columns, std::size_t n_rows,
                                   std::size_t n_bins) {
  std::vector<double> lowest(n_rows, std::numeric_limits<double>::infinity());
  std::vector<double> highest(n_rows, -std::numeric_limits<double>::infinity());
  for (std::size_t k = 0; k < columns.size(); ++k) {
    lowest[k % n_rows] = std::min(lowest[k % n_rows], columns[k]);
    highest[k % n_rows] = std::max(highest[k % n_rows], columns[k]);
  }
  std::vector<std::uint32_t> bins(columns.size());
  for (std::size_t k = 0; k < columns.size(); ++k) {
    const double low = lowest[k % n_rows];
    const double range = highest[k % n_rows] == low ? 1.0 : highest[k % n_rows] - low;
    bins[k] = static_cast<std::uint32_t>(
        std::nearbyint((columns[k] - low) / range * static_cast<double>(n_bins - 1)));
  }
  return bins;
}

struct Extent {
  double lowest;
  double highest;
};

// Minus the distances of a query's columns to all target columns, in space.distances.
void find_distances(const double* query, std::size_t width, const TargetColumns& targets,
                    ScoreSpace& space) {
  constexpr std::size_t block = TargetColumns::block;
  const std::size_t n_rows = targets.n_rows();
  space.norms.assign(width, 0.0);
  for (std::size_t k = 0; k < width * n_rows; ++k) {
    space.norms[k / n_rows] += query[k] * query[k];
  }
  space.distances.resize(width * targets.size());
  space.lowest.assign(width * block, std::numeric_limits<double>::infinity());
  space.highest.assign(width * block, -std::numeric_limits<double>::infinity());
  loops::negative_distances(query, space.norms.data(), width, n_rows, targets.row(0),
                            targets.norms().data(), targets.size(), space.distances.data(),
                            space.lowest.data(), space.highest.data());
}

Extent extent_of(const ScoreSpace& space, std::size_t i) {
  constexpr auto block = static_cast<std::ptrdiff_t>(TargetColumns::block);
  const auto at = static_cast<std::ptrdiff_t>(i) * block;
  return {*std::min_element(space.lowest.begin() + at, space.lowest.begin() + at + block),
          *std::max_element(space.highest.begin() + at, space.highest.begin() + at + block)};
}

// The mean of the bin in which the median lies, of `n_bins` between the lowest and the highest.
double binned_median(const double* values, const Extent& extent, const TargetColumns& targets,
                     std::size_t n_bins, ScoreSpace& space) {
  const double range = extent.highest - extent.lowest;
  if (!(range > 0)) {
    return extent.lowest;
  }
  const std::size_t n = targets.size();
  const std::vector<std::uint32_t>& counts = targets.counts();
  space.bins.resize(n);
  space.counts.assign(n_bins, 0);
  loops::cut_into_bins(values, n, extent.lowest, range, static_cast<double>(n_bins - 1),
                       space.bins.data());
  for (std::size_t j = 0; j < n; ++j) {
    space.counts[space.bins[j]] += counts[j];
  }
  std::int32_t median = 0;
  std::uint64_t passed = space.counts[0];
  while (2 * passed < targets.total()) {
    passed += space.counts[++median];
  }
  // In the order of the columns, as memelite adds them.
  double sum = 0;
  for (std::size_t j = 0; j < n; j += TargetColumns::block) {
    if (!loops::block_has(space.bins.data() + j, median)) {
      continue;
    }
    for (std::size_t k = j; k < j + TargetColumns::block; ++k) {
      sum += space.bins[k] == median ? values[k] * counts[k] : 0;
    }
  }
  return sum / static_cast<double>(space.counts[median]);
}

}  // namespace

TargetColumns::TargetColumns(const MotifSet& targets, std::size_t n_bins, bool reverse_complement)
    : n_rows_(targets.n_rows) {
  const std::vector<double> columns = all_columns(targets, reverse_complement);
  const std::size_t n = columns.size() / n_rows_;
  widths_ = targets.widths;
  if (reverse_complement) {
    widths_.insert(widths_.end(), targets.widths.begin(), targets.widths.end());
  }
  starts_.resize(widths_.size());
  std::exclusive_scan(widths_.begin(), widths_.end(), starts_.begin(), std::size_t{0});

  std::vector<std::uint32_t> bins;
  if (n_bins > 0) {
    bins = bins_of(columns, n_rows_, n_bins);
  }
  // In the order of memelite's keys, in which the last letter weighs most.
  const auto compare = [&](std::uint32_t x, std::uint32_t y) {
    for (std::size_t a = n_rows_; a > 0; --a) {
      const std::uint32_t bx = bins[x * n_rows_ + a - 1];
      const std::uint32_t by = bins[y * n_rows_ + a - 1];
      if (bx != by) {
        return bx < by ? -1 : 1;
      }
    }
    return 0;
  };
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  if (n_bins > 0) {
    std::stable_sort(order.begin(), order.end(),
                     [&](std::uint32_t x, std::uint32_t y) { return compare(x, y) < 0; });
  }
  column_of_.resize(n);
  std::vector<std::uint32_t> first;
  for (std::size_t k = 0; k < n; ++k) {
    if (k == 0 || n_bins == 0 || compare(order[k - 1], order[k]) != 0) {
      first.push_back(order[k]);
      counts_.push_back(0);
    }
    column_of_[order[k]] = static_cast<std::uint32_t>(first.size() - 1);
    ++counts_.back();
  }
  while (first.size() % block != 0) {
    first.push_back(first.front());
    counts_.push_back(0);
  }
  values_.resize(first.size() * n_rows_);
  norms_.assign(first.size(), 0.0);
  for (std::size_t j = 0; j < first.size(); ++j) {
    for (std::size_t a = 0; a < n_rows_; ++a) {
      const double value = columns[first[j] * n_rows_ + a];
      values_[a * first.size() + j] = value;
      norms_[j] += value * value;
    }
  }
}

bool score_columns(const double* query, std::size_t width, const TargetColumns& targets,
                   const ScoreOptions& options, ScoreSpace& space, QueryScores& result) {
  const std::size_t n = targets.size();
  const auto n_bins = static_cast<double>(options.n_score_bins);
  find_distances(query, width, targets, space);
  space.medians.resize(width);
  double lowest = std::numeric_limits<double>::infinity();
  double highest = -std::numeric_limits<double>::infinity();
  bool differs = false;
  for (std::size_t i = 0; i < width; ++i) {
    const double* distances = space.distances.data() + i * n;
    const Extent extent = extent_of(space, i);
    const double median = binned_median(distances, extent, targets, options.n_median_bins, space);
    space.medians[i] = median;
    lowest = std::min(lowest, extent.lowest - median);
    highest = std::max(highest, extent.highest - median);
    differs = differs || extent.highest > extent.lowest;
  }
  if (!differs) {
    return false;
  }
  lowest = std::floor(lowest);
  // Where less than one whole step would be left, as of counts, steps are parts of one.
  const double scale = n_bins / (highest - lowest);
  result.scale = scale >= 1 ? std::floor(scale) : scale;
  result.offset = static_cast<std::int64_t>(std::floor(-lowest * result.scale + 0.5));
  result.width = width;
  result.n_bins = options.n_score_bins;
  result.compatible = options.compatible;
  space.scores.resize(width * n);
  result.shares.resize(width * (result.n_bins + 1));
  for (std::size_t i = 0; i < width; ++i) {
    const double* distances = space.distances.data() + i * n;
    const double zero = space.medians[i] + lowest;
    space.counts.assign(result.n_bins + 1, 0);
    // Shifted scores are at least 0, so that to cut is to take the floor.
    space.bins.resize(n);
    loops::round_to_steps(distances, n, zero, result.scale,
                          static_cast<std::int32_t>(result.offset), space.bins.data(),
                          space.scores.data() + i * n);
    for (std::size_t j = 0; j < n; ++j) {
      space.counts[space.bins[j]] += targets.counts()[j];
    }
    double* shares = result.shares.data() + i * (result.n_bins + 1);
    for (std::size_t x = 0; x <= result.n_bins; ++x) {
      shares[x] = static_cast<double>(space.counts[x]) / static_cast<double>(targets.total());
    }
  }
  constexpr std::size_t block = TargetColumns::block;
  result.stride = (width + block - 1) / block * block;
  result.scores.assign(n * result.stride, 0);
  loops::transpose_scores(space.scores.data(), width, n, result.stride, result.scores.data());
  return true;
}

}  // namespace seqlift
