// Recursive seqlets: the null distributions are those of Tomtom (Gupta et al. 2007, Genome Biology
// 8:R24) and FIMO, the rule that all inner spans must pass is tangermeme's. TF-MoDISco's
// seqlets are in tfmodisco_seqlets.cpp.
#include "core/sequences/seqlets.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace seqlift {

SpanDistribution::SpanDistribution(const TracksView& tracks, std::size_t max_length,
                                   const RecursiveSeqletOptions& options) {
  const std::size_t n_bins = options.n_bins;
  const std::size_t n_values = tracks.length * tracks.count;
  const auto range = std::minmax_element(tracks.values, tracks.values + n_values);
  lowest_ = *range.first;
  bin_width_ = (*range.second - lowest_) / static_cast<double>(n_bins - 1);
  if (is_constant()) {
    return;
  }
  std::vector<double> share(n_bins, 0.0);
  for (std::size_t i = 0; i < n_values; ++i) {
    ++share[static_cast<std::size_t>(std::floor((tracks.values[i] - lowest_) / bin_width_))];
  }
  for (double& one : share) {
    one /= static_cast<double>(n_values);
  }
  tails_.resize(max_length + 1);
  std::vector<double> density = share;
  for (std::size_t m = 1; m <= max_length; ++m) {
    if (m > 1) {
      std::vector<double> longer(n_bins * m, 0.0);
      for (std::size_t i = 0; i < density.size(); ++i) {
        if (density[i] == 0) {
          continue;
        }
        for (std::size_t j = 0; j < n_bins; ++j) {
          longer[i + j] += density[i] * share[j];
        }
      }
      density = std::move(longer);
    }
    std::vector<double>& tail = tails_[m];
    tail.assign(density.size(), 1.0);
    if (options.compatible) {
      for (std::size_t i = 1; i < density.size(); ++i) {
        tail[i] = std::max(tail[i - 1] - density[i], 0.0);
      }
      continue;
    }
    // From the top, so that small chances keep their digits.
    double higher = 0;
    for (std::size_t i = density.size() - 1; i > 0; --i) {
      tail[i] = std::min(higher, 1.0);
      higher += density[i];
    }
  }
}

double SpanDistribution::p_value(double sum, std::size_t m) const {
  const double bin = std::floor((sum - lowest_ * static_cast<double>(m)) / bin_width_);
  // Rounding of the sum can lead just below the lowest bin.
  const double highest = static_cast<double>(tails_[m].size() - 1);
  return tails_[m][static_cast<std::size_t>(std::clamp(bin, 0.0, highest))];
}

namespace {

// p-values of all spans of one track: row m - min_length, column start. Those of a span are never
// below those of the shorter spans with the same start.
class SpanPValues {
 public:
  SpanPValues(const std::vector<double>& sums, const SpanDistribution& null,
              const RecursiveSeqletOptions& options)
      : min_length_(options.min_length), length_(sums.size() - 1) {
    const std::size_t longest = std::min(options.max_length, length_);
    for (std::size_t m = min_length_; m <= longest; ++m) {
      std::vector<double> row(length_ - m + 1);
      for (std::size_t k = 0; k < row.size(); ++k) {
        row[k] = null.p_value(sums[k + m] - sums[k], m);
        if (m > min_length_) {
          row[k] = std::max(row[k], rows_.back()[k]);
        }
      }
      rows_.push_back(std::move(row));
    }
  }

  std::size_t longest() const { return min_length_ + rows_.size() - 1; }
  double at(std::size_t m, std::size_t start) const { return rows_[m - min_length_][start]; }
  std::size_t count(std::size_t m) const { return rows_[m - min_length_].size(); }

 private:
  std::size_t min_length_;
  std::size_t length_;
  std::vector<std::vector<double>> rows_;
};

// Whether every span inside start, ..., start + m - 1 that begins after `start` and ends with it
// passes; the others are covered by the p-values' order.
bool inner_spans_pass(const SpanPValues& p_values, const std::vector<bool>& taken,
                      std::size_t start, std::size_t m, const RecursiveSeqletOptions& options) {
  for (std::size_t k = 1; k < m; ++k) {
    if (taken[start + k]) {
      return false;
    }
    if (m - k >= options.min_length && p_values.at(m - k, start + k) >= options.threshold) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::vector<Seqlet> recursive_seqlets(const TracksView& tracks, std::size_t example,
                                      const SpanDistribution& null,
                                      const RecursiveSeqletOptions& options) {
  std::vector<Seqlet> seqlets;
  const std::size_t length = tracks.length;
  if (null.is_constant() || length < options.min_length) {
    return seqlets;
  }
  std::vector<double> sums(length + 1, 0.0);
  std::partial_sum(tracks.track(example), tracks.track(example) + length, sums.begin() + 1);
  const SpanPValues p_values(sums, null, options);

  std::vector<bool> taken(length, false);
  taken[length - options.min_length] = true;
  std::vector<std::size_t> starts;
  for (std::size_t m = p_values.longest(); m >= options.min_length; --m) {
    starts.clear();
    for (std::size_t k = 0; k < p_values.count(m); ++k) {
      if (!taken[k] && p_values.at(m, k) < options.threshold) {
        starts.push_back(k);
      }
    }
    std::stable_sort(starts.begin(), starts.end(), [&](std::size_t a, std::size_t b) {
      return p_values.at(m, a) < p_values.at(m, b);
    });
    for (const std::size_t start : starts) {
      if (taken[start] || !inner_spans_pass(p_values, taken, start, m, options)) {
        continue;
      }
      std::fill_n(taken.begin() + static_cast<std::ptrdiff_t>(start), m, true);
      Seqlet seqlet;
      seqlet.example = example;
      seqlet.start = start - std::min(start, options.additional_flanks);
      seqlet.end = std::min(start + m + options.additional_flanks, length - 1);
      seqlet.attribution = sums[seqlet.end] - sums[seqlet.start];
      seqlet.p_value = p_values.at(m, start);
      seqlets.push_back(seqlet);
    }
  }
  return seqlets;
}

}  // namespace seqlift
