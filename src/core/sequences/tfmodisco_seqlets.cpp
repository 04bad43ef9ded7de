// TF-MoDISco's seqlets: Shrikumar et al. (2018), arXiv:1811.00416.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <numeric>
#include <vector>

#include "core/sequences/random.h"
#include "core/sequences/seqlets.h"

namespace seqlift {

namespace {

constexpr std::size_t n_histogram_bins = 1000;
constexpr std::size_t n_null_values = 10000;
constexpr std::uint32_t null_seed = 1234;    // of the draws, so that a result can be repeated
constexpr std::size_t max_values = 1000000;  // that thresholds are found from
constexpr double min_null_share = 0.95;      // of the windows that are background, at least
constexpr double min_precision = 1e-7;

struct Interval {
  double left;
  double right;
  double middle() const { return (left + right) / 2; }
};

// The fullest bin of a histogram from the smallest to the largest value, the first of several.
Interval fullest_bin(const std::vector<double>& values) {
  const auto range = std::minmax_element(values.begin(), values.end());
  double low = *range.first;
  double high = *range.second;
  if (low == high) {
    low -= 0.5;
    high += 0.5;
  }
  // Counted from the nearer end, as linspace does.
  std::vector<double> edges(n_histogram_bins + 1);
  const double step = (high - low) / static_cast<double>(n_histogram_bins);
  for (std::size_t i = 0; i < edges.size(); ++i) {
    edges[i] = i < edges.size() / 2 ? low + step * static_cast<double>(i)
                                    : high - step * static_cast<double>(n_histogram_bins - i);
  }
  std::vector<std::size_t> counts(n_histogram_bins, 0);
  for (const double value : values) {
    const auto above = std::upper_bound(edges.begin(), edges.end(), value);
    const auto bin = static_cast<std::size_t>(std::max<std::ptrdiff_t>(above - edges.begin(), 1));
    ++counts[std::min(bin, n_histogram_bins) - 1];
  }
  const auto peak =
      static_cast<std::size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
  return {edges[peak], edges[peak + 1]};
}

// Linear between the order statistics.
double quantile(const std::vector<double>& sorted, double share) {
  const double rank = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (rank - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

// The rate of an exponential distribution of these distances (sorted) that has the shortest tail
// among those that agree with one of its quantiles, 5, 10, ... %.
double steepest_rate(const std::vector<double>& distances, int n_quantiles) {
  double rate = 0;
  for (int i = 1; i <= n_quantiles; ++i) {
    const double share = i * 0.05;
    rate = std::max(rate, -std::log(1 - share) / quantile(distances, share));
  }
  return rate;
}

struct Signed {
  std::vector<double> positive;  // and zero
  std::vector<double> negative;
};

Signed split_by_sign(const std::vector<double>& values) {
  Signed parts;
  for (const double value : values) {
    (value >= 0 ? parts.positive : parts.negative).push_back(value);
  }
  return parts;
}

// Draws from the two halves of a Laplace distribution around the mode of the values, each half
// with its own rate.
Signed draw_null(const std::vector<double>& values, int n_quantiles) {
  const Interval peak = fullest_bin(values);
  std::vector<double> inside;
  std::copy_if(values.begin(), values.end(), std::back_inserter(inside),
               [&](double value) { return peak.left < value && value < peak.right; });
  const double mode = inside.empty() ? peak.middle() : fullest_bin(inside).middle();
  std::vector<double> above;
  std::vector<double> below;
  for (const double value : values) {
    if (value >= mode) above.push_back(value - mode);
    if (value <= mode) below.push_back(mode - value);
  }
  std::sort(above.begin(), above.end());
  std::sort(below.begin(), below.end());
  const double above_rate = steepest_rate(above, n_quantiles);
  const double below_rate = steepest_rate(below, n_quantiles);
  const double above_share = static_cast<double>(above.size()) / static_cast<double>(values.size());
  RandomState random(null_seed);
  std::vector<double> drawn(n_null_values);
  for (double& value : drawn) {
    const bool is_above = random.uniform() < above_share;
    const double distance = -std::log(1 - random.uniform());
    value = is_above ? mode + distance / above_rate : mode - distance / below_rate;
  }
  return split_by_sign(drawn);
}

struct Group {
  double x;
  double y;  // weighted mean
  double weight;
};

// Isotonic regression (increasing in the groups' order): neighbours that fall are pooled.
void pool_adjacent_violators(std::vector<Group>& groups) {
  struct Block {
    double y;
    double weight;
    std::size_t size;
  };
  std::vector<Block> blocks;
  for (const Group& group : groups) {
    blocks.push_back({group.y, group.weight, 1});
    while (blocks.size() > 1 && blocks[blocks.size() - 2].y >= blocks.back().y) {
      const Block last = blocks.back();
      blocks.pop_back();
      Block& block = blocks.back();
      const double weight = block.weight + last.weight;
      block.y = (block.y * block.weight + last.y * last.weight) / weight;
      block.weight = weight;
      block.size += last.size;
    }
  }
  auto group = groups.begin();
  for (const Block& block : blocks) {
    for (std::size_t i = 0; i < block.size; ++i) {
      (group++)->y = block.y;
    }
  }
}

// How likely a window is one of `values` and not one of `null`, as a function that rises with the
// distance from zero, at every distance that occurs (ascending).
std::vector<Group> fit_precision(const std::vector<double>& values,
                                 const std::vector<double>& null) {
  const double null_weight = static_cast<double>(values.size()) / static_cast<double>(null.size());
  std::vector<Group> points;
  for (const double value : values) points.push_back({std::abs(value), 1.0, 1.0});
  for (const double value : null) points.push_back({std::abs(value), 0.0, null_weight});
  std::stable_sort(points.begin(), points.end(),
                   [](const Group& a, const Group& b) { return a.x < b.x; });
  std::vector<Group> groups;
  for (const Group& point : points) {
    if (groups.empty() || groups.back().x != point.x) {
      groups.push_back(point);
      continue;
    }
    Group& group = groups.back();
    const double weight = group.weight + point.weight;
    group.y = (group.y * group.weight + point.y * point.weight) / weight;
    group.weight = weight;
  }
  pool_adjacent_violators(groups);
  return groups;
}

// The distance from zero beyond which windows of one sign pass: that of the first window, in the
// order of the tracks, whose precision reaches 1 - target_fdr; the last always does. No window of
// this sign: none can pass. No draw of it: no background is expected there, all pass.
double isotonic_threshold(const std::vector<double>& values, const std::vector<double>& null,
                          double target_fdr) {
  if (values.empty()) {
    return std::numeric_limits<double>::infinity();
  }
  if (null.empty()) {
    return std::abs(*std::min_element(values.begin(), values.end(), [](double a, double b) {
      return std::abs(a) < std::abs(b);
    }));
  }
  const std::vector<Group> fitted = fit_precision(values, null);
  // What the weakest windows say of the share of background among them.
  const double weakest = std::max(fitted.front().y, min_precision);
  const double null_share = std::clamp(-1 / (1 - 1 / weakest), min_null_share, 1.0);
  for (const double value : values) {
    const auto group = std::lower_bound(fitted.begin(), fitted.end(), std::abs(value),
                                        [](const Group& one, double x) { return one.x < x; });
    const double precision = 1 + null_share * (1 - 1 / std::max(group->y, min_precision));
    if (precision >= 1 - target_fdr) {
      return std::abs(value);
    }
  }
  return std::abs(values.back());
}

std::vector<double> window_sums(const TracksView& tracks, std::size_t window_size) {
  const std::size_t n_windows = tracks.length - window_size + 1;
  std::vector<double> sums(n_windows * tracks.count);
  for (std::size_t i = 0; i < tracks.count; ++i) {
    for (std::size_t k = 0; k < n_windows; ++k) {
      // Summed anew, so that equal windows have equal sums.
      const double* const first = tracks.track(i) + k;
      sums[i * n_windows + k] = std::accumulate(first, first + window_size, 0.0);
    }
  }
  return sums;
}

// At most `max_values` of them, drawn without replacement.
std::vector<double> draw_values(std::vector<double> values) {
  if (values.size() > max_values) {
    RandomState(null_seed).permute(values.data(), values.size());
    values.resize(max_values);
  }
  return values;
}

struct Thresholds {
  double positive;  // windows of at least this pass
  double negative;  // and those of at most minus this
  bool pass(double sum) const { return sum >= positive || sum <= -negative; }
};

Thresholds find_thresholds(const std::vector<double>& sums, const TfModiscoSeqletOptions& options) {
  std::vector<double> values = draw_values(sums);
  Signed windows = split_by_sign(values);
  if (options.sorted) {
    std::sort(windows.positive.begin(), windows.positive.end());
    std::sort(windows.negative.rbegin(), windows.negative.rend());
  }
  const Signed null = draw_null(sums, options.n_quantiles);
  Thresholds thresholds{isotonic_threshold(windows.positive, null.positive, options.target_fdr),
                        isotonic_threshold(windows.negative, null.negative, options.target_fdr)};
  const auto n_passing = std::count_if(values.begin(), values.end(),
                                       [&](double value) { return thresholds.pass(value); });
  const double share = static_cast<double>(n_passing) / static_cast<double>(values.size());
  const double allowed = std::clamp(share, options.min_passing_frac, options.max_passing_frac);
  if (share != allowed) {
    for (double& value : values) {
      value = std::abs(value);
    }
    std::sort(values.begin(), values.end());
    thresholds.positive = thresholds.negative = quantile(values, 1 - allowed);
  }
  return thresholds;
}

double sign_threshold(const std::vector<double>& sums, const Thresholds& thresholds,
                      double weak_quantile) {
  std::vector<double> sizes = sums;
  for (double& size : sizes) {
    size = std::abs(size);
  }
  std::sort(sizes.begin(), sizes.end());
  const auto n = static_cast<double>(sizes.size());
  const auto share_below = [&](double threshold) {
    return static_cast<double>(std::lower_bound(sizes.begin(), sizes.end(), std::abs(threshold)) -
                               sizes.begin()) /
           n;
  };
  const double weaker =
      std::min(share_below(thresholds.positive), share_below(thresholds.negative));
  const double share = std::clamp(weaker - 0.0001, 0.0, weak_quantile);
  return sizes[std::min(static_cast<std::size_t>(share * n), sizes.size() - 1)];
}

}  // namespace

std::vector<Seqlet> tfmodisco_seqlets(const TracksView& tracks,
                                      const TfModiscoSeqletOptions& options) {
  TfModiscoThresholds unused;
  return tfmodisco_seqlets(tracks, options, 0, unused);
}

std::vector<Seqlet> tfmodisco_seqlets(const TracksView& tracks,
                                      const TfModiscoSeqletOptions& options, double weak_quantile,
                                      TfModiscoThresholds& used) {
  std::vector<Seqlet> seqlets;
  if (tracks.length < options.window_size) {
    return seqlets;
  }
  const std::vector<double> sums = window_sums(tracks, options.window_size);
  const auto range = std::minmax_element(sums.begin(), sums.end());
  if (*range.first == *range.second) {
    return seqlets;  // no window stands out
  }
  const Thresholds thresholds = find_thresholds(sums, options);
  used = {thresholds.positive, thresholds.negative,
          weak_quantile > 0 ? sign_threshold(sums, thresholds, weak_quantile) : 0};
  const std::size_t n_windows = tracks.length - options.window_size + 1;
  const std::size_t suppress = options.window_size / 2 + options.flank;
  for (std::size_t i = 0; i < tracks.count; ++i) {
    const double* const own = sums.data() + i * n_windows;
    std::vector<std::size_t> passing;
    // Windows whose flanks would leave the track are out.
    for (std::size_t k = options.flank; k + options.flank < n_windows; ++k) {
      if (thresholds.pass(own[k])) {
        passing.push_back(k);
      }
    }
    std::stable_sort(passing.begin(), passing.end(), [&](std::size_t a, std::size_t b) {
      return std::abs(own[a]) > std::abs(own[b]);
    });
    std::vector<bool> suppressed(n_windows, false);
    for (const std::size_t k : passing) {
      if (suppressed[k]) {
        continue;
      }
      const std::size_t first = k - std::min(k, suppress);
      const std::size_t last = std::min(k + suppress, n_windows - 1);
      for (std::size_t j = first; j <= last; ++j) {
        suppressed[j] = true;
      }
      seqlets.push_back({i, k - options.flank, k + options.window_size + options.flank, own[k]});
    }
  }
  return seqlets;
}

}  // namespace seqlift
