// TF-MoDISco's seqlets: Shrikumar et al. (2018), arXiv:1811.00416.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "core/sequences/order_statistics.h"
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

// Numbers one by one.
template <class F>
void each(const NumberSource& numbers, const F& f) {
  numbers([&](const double* values, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      f(values[i]);
    }
  });
}

NumberSource all_of(const WindowSums& sums) {
  return [&sums](const NumberVisitor& visit) { sums.sums().read(1, visit); };
}

// What `f` makes of each number, `false` where it leaves it out.
template <class F>
NumberSource changed(const NumberSource& numbers, const F& f) {
  return [&numbers, f](const NumberVisitor& visit) {
    std::vector<double> own;
    numbers([&](const double* values, std::size_t n) {
      own.clear();
      for (std::size_t i = 0; i < n; ++i) {
        double value = values[i];
        if (f(value)) {
          own.push_back(value);
        }
      }
      visit(own.data(), own.size());
    });
  };
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  std::size_t count = 0;
};

Range range_of(const NumberSource& numbers) {
  Range range;
  each(numbers, [&](double value) {
    range.low = std::min(range.low, value);
    range.high = std::max(range.high, value);
    ++range.count;
  });
  return range;
}

// The fullest bin of a histogram from the smallest to the largest value, the first of several.
Interval fullest_bin(const NumberSource& numbers, Range range) {
  double low = range.low;
  double high = range.high;
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
  each(numbers, [&](double value) {
    const auto above = std::upper_bound(edges.begin(), edges.end(), value);
    const auto bin = static_cast<std::size_t>(std::max<std::ptrdiff_t>(above - edges.begin(), 1));
    ++counts[std::min(bin, n_histogram_bins) - 1];
  });
  const auto peak =
      static_cast<std::size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
  return {edges[peak], edges[peak + 1]};
}

// The quantiles of `count` numbers, linear between the order statistics.
std::vector<double> quantiles(const NumberSource& numbers, std::size_t count,
                              const std::vector<double>& shares) {
  std::vector<std::uint64_t> places;
  for (const double share : shares) {
    const auto below = static_cast<std::uint64_t>(share * static_cast<double>(count - 1));
    places.push_back(below);
    places.push_back(std::min<std::uint64_t>(below + 1, count - 1));
  }
  const std::vector<double> at = order_statistics(numbers, places);
  std::vector<double> found;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double rank = shares[i] * static_cast<double>(count - 1);
    found.push_back(at[2 * i] +
                    (rank - static_cast<double>(places[2 * i])) * (at[2 * i + 1] - at[2 * i]));
  }
  return found;
}

// The rate of an exponential distribution of these distances that has the shortest tail among those
// that agree with one of its quantiles, 5, 10, ... %.
double steepest_rate(const NumberSource& distances, std::size_t count, int n_quantiles) {
  std::vector<double> shares;
  for (int i = 1; i <= n_quantiles; ++i) {
    shares.push_back(i * 0.05);
  }
  const std::vector<double> found = quantiles(distances, count, shares);
  double rate = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    rate = std::max(rate, -std::log(1 - shares[i]) / found[i]);
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
Signed draw_null(const NumberSource& values, int n_quantiles) {
  const Range range = range_of(values);
  const Interval peak = fullest_bin(values, range);
  const NumberSource inside =
      changed(values, [peak](double& value) { return peak.left < value && value < peak.right; });
  const Range inner = range_of(inside);
  const double mode = inner.count == 0 ? peak.middle() : fullest_bin(inside, inner).middle();
  std::size_t n_above = 0;
  std::size_t n_below = 0;
  each(values, [&](double value) {
    n_above += value >= mode ? 1 : 0;
    n_below += value <= mode ? 1 : 0;
  });
  const double above_rate = steepest_rate(changed(values,
                                                  [mode](double& value) {
                                                    value -= mode;
                                                    return value >= 0;
                                                  }),
                                          n_above, n_quantiles);
  const double below_rate = steepest_rate(changed(values,
                                                  [mode](double& value) {
                                                    value = mode - value;
                                                    return value >= 0;
                                                  }),
                                          n_below, n_quantiles);
  const double above_share = static_cast<double>(n_above) / static_cast<double>(range.count);
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

// At most `max_values` of them, drawn without replacement; in another order where it does not
// count.
std::vector<double> draw_values(const NumberSource& numbers, std::size_t n, bool sorted) {
  std::vector<double> values;
  if (n <= max_values || !sorted) {
    each(numbers, [&](double value) { values.push_back(value); });
    if (n > max_values) {
      RandomState(null_seed).permute(values.data(), values.size());
      values.resize(max_values);
    }
    return values;
  }
  const std::vector<bool> chosen = permuted_to_front(RandomState(null_seed), n, max_values);
  std::size_t i = 0;
  each(numbers, [&](double value) {
    if (chosen[i++]) {
      values.push_back(value);
    }
  });
  return values;
}

struct Thresholds {
  double positive;  // windows of at least this pass
  double negative;  // and those of at most minus this
  bool pass(double sum) const { return sum >= positive || sum <= -negative; }
};

Thresholds find_thresholds(const WindowSums& sums, const TfModiscoSeqletOptions& options) {
  const NumberSource all = all_of(sums);
  std::vector<double> values = draw_values(all, sums.sums().size(), options.sorted);
  Signed windows = split_by_sign(values);
  if (options.sorted) {
    std::sort(windows.positive.begin(), windows.positive.end());
    std::sort(windows.negative.rbegin(), windows.negative.rend());
  }
  const Signed null = draw_null(all, options.n_quantiles);
  Thresholds thresholds{isotonic_threshold(windows.positive, null.positive, options.target_fdr),
                        isotonic_threshold(windows.negative, null.negative, options.target_fdr)};
  const auto n_passing = std::count_if(values.begin(), values.end(),
                                       [&](double value) { return thresholds.pass(value); });
  const double share = static_cast<double>(n_passing) / static_cast<double>(values.size());
  const double allowed = std::clamp(share, options.min_passing_frac, options.max_passing_frac);
  if (share != allowed) {
    const NumberSource sizes = [&](const NumberVisitor& visit) {
      visit(values.data(), values.size());
    };
    for (double& value : values) {
      value = std::abs(value);
    }
    thresholds.positive = thresholds.negative =
        quantiles(sizes, values.size(), {1 - allowed}).front();
  }
  return thresholds;
}

double sign_threshold(const WindowSums& sums, const Thresholds& thresholds, double weak_quantile) {
  const NumberSource all = all_of(sums);
  const NumberSource sizes = changed(all, [](double& value) {
    value = std::abs(value);
    return true;
  });
  const auto n = static_cast<double>(sums.sums().size());
  std::size_t below_positive = 0;
  std::size_t below_negative = 0;
  each(sizes, [&](double size) {
    below_positive += size < std::abs(thresholds.positive) ? 1 : 0;
    below_negative += size < std::abs(thresholds.negative) ? 1 : 0;
  });
  const double weaker = static_cast<double>(std::min(below_positive, below_negative)) / n;
  const double share = std::clamp(weaker - 0.0001, 0.0, weak_quantile);
  const auto place = static_cast<std::uint64_t>(share * n);
  return order_statistics(sizes, {std::min<std::uint64_t>(place, sums.sums().size() - 1)}).front();
}

}  // namespace

WindowSums::WindowSums(std::size_t track_length, std::size_t window_size, std::size_t held,
                       const std::string& folder)
    : window_size_(window_size),
      windows_(track_length < window_size ? 0 : track_length - window_size + 1),
      sums_(held, folder) {}

void WindowSums::add(const TracksView& tracks) {
  std::vector<double> sums(windows_);
  for (std::size_t i = 0; i < tracks.count; ++i) {
    for (std::size_t k = 0; k < windows_; ++k) {
      // Summed anew, so that equal windows have equal sums.
      const double* const first = tracks.track(i) + k;
      sums[k] = std::accumulate(first, first + window_size_, 0.0);
    }
    sums_.add(sums.data(), sums.size());
  }
}

std::optional<TfModiscoThresholds> tfmodisco_thresholds(const WindowSums& sums,
                                                        const TfModiscoSeqletOptions& options,
                                                        double weak_quantile) {
  const Range range = range_of(all_of(sums));
  if (range.count == 0 || range.low == range.high) {
    return std::nullopt;
  }
  const Thresholds found = find_thresholds(sums, options);
  return TfModiscoThresholds{found.positive, found.negative,
                             weak_quantile > 0 ? sign_threshold(sums, found, weak_quantile) : 0};
}

void call_windows(const WindowSums& sums, const TfModiscoSeqletOptions& options,
                  const TfModiscoThresholds& thresholds,
                  const std::function<void(const Seqlet&)>& found) {
  const Thresholds limits{thresholds.positive, thresholds.negative};
  const std::size_t n_windows = sums.windows();
  const std::size_t suppress = options.window_size / 2 + options.flank;
  std::size_t example = 0;
  std::vector<std::size_t> passing;
  const auto call_one = [&](const double* own) {
    passing.clear();
    // Windows whose flanks would leave the track are out.
    for (std::size_t k = options.flank; k + options.flank < n_windows; ++k) {
      if (limits.pass(own[k])) {
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
      found({example, k - options.flank, k + options.window_size + options.flank, own[k]});
    }
  };
  sums.sums().read(n_windows, [&](const double* values, std::size_t n) {
    for (std::size_t i = 0; i < n; i += n_windows) {
      call_one(values + i);
      ++example;
    }
  });
}

std::vector<Seqlet> tfmodisco_seqlets(const TracksView& tracks,
                                      const TfModiscoSeqletOptions& options) {
  std::vector<Seqlet> seqlets;
  WindowSums sums(tracks.length, options.window_size, std::numeric_limits<std::size_t>::max(), "");
  sums.add(tracks);
  const std::optional<TfModiscoThresholds> thresholds = tfmodisco_thresholds(sums, options, 0);
  if (thresholds) {
    call_windows(sums, options, *thresholds,
                 [&](const Seqlet& seqlet) { seqlets.push_back(seqlet); });
  }
  return seqlets;
}

}  // namespace seqlift
