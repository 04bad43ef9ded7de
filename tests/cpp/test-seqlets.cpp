#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "catch.h"
#include "core/sequences/random.h"
#include "core/sequences/seqlets.h"

using seqlift::RandomState;
using seqlift::RecursiveSeqletOptions;
using seqlift::Seqlet;
using seqlift::SpanDistribution;
using seqlift::TfModiscoSeqletOptions;
using seqlift::TracksView;

namespace {

TracksView view(const std::vector<double>& values, std::size_t length) {
  return {values.data(), length, values.size() / length};
}

std::vector<Seqlet> call_recursive(const std::vector<double>& values, std::size_t length,
                                   const RecursiveSeqletOptions& options) {
  const TracksView tracks = view(values, length);
  const SpanDistribution null(tracks, options.max_length, options);
  std::vector<Seqlet> all;
  for (std::size_t i = 0; i < tracks.count; ++i) {
    const auto own = seqlift::recursive_seqlets(tracks, i, null, options);
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

// Noise of either sign with `n_sites` runs of high values, in `count` tracks.
std::vector<double> noisy_tracks(std::uint32_t seed, std::size_t length, std::size_t count,
                                 std::size_t n_sites) {
  RandomState random(seed);
  std::vector<double> values(length * count);
  for (double& value : values) {
    value = 0.2 * (random.uniform() - 0.5);
  }
  for (std::size_t i = 0; i < n_sites * count; ++i) {
    const std::size_t size = 4 + random.integer_up_to(8);
    const std::size_t start = random.integer_up_to(static_cast<std::uint32_t>(length - size));
    for (std::size_t k = 0; k < size; ++k) {
      values[(i % count) * length + start + k] += 0.3 + random.uniform();
    }
  }
  return values;
}

double sum_of(const std::vector<double>& values, std::size_t start, std::size_t end) {
  double sum = 0;
  for (std::size_t k = start; k < end; ++k) {
    sum += values[k];
  }
  return sum;
}

}  // namespace

TEST_CASE("the null distribution of spans is the histogram convolved with itself") {
  // Three zeros and a one in two bins: shares 3/4 and 1/4, of two positions 9/16, 6/16, 1/16.
  const std::vector<double> values{0, 0, 1, 0};
  RecursiveSeqletOptions options;
  options.n_bins = 2;
  const SpanDistribution null(view(values, 4), 2, options);
  CHECK_FALSE(null.is_constant());
  CHECK(null.p_value(0, 1) == 1);
  CHECK(null.p_value(1, 1) == 0);
  CHECK(null.p_value(0, 2) == 1);
  CHECK(null.p_value(1, 2) == 1.0 / 16);
  CHECK(null.p_value(2, 2) == 0);
  // Rounding may lead below the lowest bin; that is the least surprising sum, too.
  CHECK(null.p_value(-1e-17, 2) == 1);

  options.compatible = true;
  const SpanDistribution peer(view(values, 4), 2, options);
  CHECK(peer.p_value(0, 1) == 1);
  CHECK(peer.p_value(1, 1) == 0.75);
  CHECK(peer.p_value(1, 2) == 10.0 / 16);
  CHECK(peer.p_value(2, 2) == 9.0 / 16);
}

TEST_CASE("p-values are chances of a larger sum, whatever the lowest number's share") {
  // All sums of three draws from the values themselves, counted one by one.
  for (const std::vector<double>& values :
       {std::vector<double>{0, 0, 0, 0, 0, 1, 3}, {-2, 0, 0, 1, 4, 4}, {-1, -1, -1, -1, 0}}) {
    RecursiveSeqletOptions options;
    const auto range = std::minmax_element(values.begin(), values.end());
    options.n_bins = static_cast<std::size_t>(*range.second - *range.first) + 1;
    const SpanDistribution null(view(values, values.size()), 3, options);
    for (double sum = 3 * *range.first + 1; sum <= 3 * *range.second; ++sum) {
      double larger = 0;
      for (const double a : values) {
        for (const double b : values) {
          for (const double c : values) {
            larger += a + b + c > sum ? 1 : 0;
          }
        }
      }
      CHECK(null.p_value(sum, 3) == Approx(larger / std::pow(values.size(), 3)));
    }
    CHECK(null.p_value(3 * *range.first, 3) == 1);
  }
}

TEST_CASE("sites stand out of tracks whose lowest number is the most frequent") {
  std::vector<double> values(400, 0.0);
  RandomState random(3);
  for (double& value : values) {
    value = std::max(0.0, 0.4 * (random.uniform() - 0.7));
  }
  for (std::size_t k = 100; k < 108; ++k) {
    values[k] = 1 + random.uniform();
  }
  RecursiveSeqletOptions options;
  const auto seqlets = call_recursive(values, 400, options);
  REQUIRE(!seqlets.empty());
  for (const Seqlet& seqlet : seqlets) {
    CHECK(seqlet.start >= 96);
    CHECK(seqlet.end <= 112);
  }
  options.compatible = true;
  CHECK(call_recursive(values, 400, options).empty());
}

TEST_CASE("a run of high values is called with its place, sum and p-value") {
  std::vector<double> values(60);
  for (std::size_t k = 0; k < values.size(); ++k) {
    values[k] = 0.1 * static_cast<double>(k % 3);
  }
  for (std::size_t k = 20; k < 26; ++k) {
    values[k] = 2;
  }
  // A larger one by itself, so that no sum is the largest that there can be.
  values[50] = 2.5;
  RecursiveSeqletOptions options;
  options.max_length = 6;
  const auto seqlets = call_recursive(values, 60, options);
  REQUIRE(seqlets.size() == 1);
  CHECK(seqlets[0].example == 0);
  CHECK(seqlets[0].start == 20);
  CHECK(seqlets[0].end == 26);
  CHECK(seqlets[0].attribution == Approx(12));
  const SpanDistribution null(view(values, 60), 6, options);
  // Of the spans that start there the one of four positions is the least surprising.
  CHECK(null.p_value(8, 4) > null.p_value(12, 6));
  CHECK(seqlets[0].p_value == null.p_value(8, 4));

  options.additional_flanks = 3;
  const auto flanked = call_recursive(values, 60, options);
  REQUIRE(flanked.size() == 1);
  CHECK(flanked[0].start == 17);
  CHECK(flanked[0].end == 29);
  CHECK(flanked[0].attribution == Approx(sum_of(values, 17, 29)));
  CHECK(flanked[0].p_value == seqlets[0].p_value);

  options.additional_flanks = 100;
  const auto whole = call_recursive(values, 60, options);
  REQUIRE(whole.size() == 1);
  CHECK(whole[0].start == 0);
  CHECK(whole[0].end == 59);
}

TEST_CASE("seqlets are what their definition says, and nothing is left that could be one") {
  RecursiveSeqletOptions options;
  options.n_bins = 100;
  options.min_length = 3;
  options.max_length = 9;
  options.threshold = 0.05;
  std::size_t n_called = 0;
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    INFO("seed " << seed);
    const std::size_t length = 70;
    const auto values = noisy_tracks(seed, length, 2, 3);
    const TracksView tracks = view(values, length);
    const SpanDistribution null(tracks, options.max_length, options);
    for (std::size_t i = 0; i < 2; ++i) {
      const std::vector<double> own(tracks.track(i), tracks.track(i) + length);
      // Whether each span of at least min_length inside has a p-value below the threshold.
      const auto all_pass = [&](std::size_t start, std::size_t end) {
        for (std::size_t a = start; a < end; ++a) {
          for (std::size_t b = a + options.min_length; b <= end; ++b) {
            if (null.p_value(sum_of(own, a, b), b - a) >= options.threshold) {
              return false;
            }
          }
        }
        return true;
      };
      std::vector<bool> taken(length, false);
      const auto seqlets = seqlift::recursive_seqlets(tracks, i, null, options);
      n_called += seqlets.size();
      for (const Seqlet& seqlet : seqlets) {
        CHECK(seqlet.end - seqlet.start >= options.min_length);
        CHECK(seqlet.end - seqlet.start <= options.max_length);
        CHECK(seqlet.end <= length - options.min_length);
        CHECK(all_pass(seqlet.start, seqlet.end));
        CHECK(seqlet.p_value < options.threshold);
        for (std::size_t k = seqlet.start; k < seqlet.end; ++k) {
          CHECK_FALSE(taken[k]);
          taken[k] = true;
        }
      }
      for (std::size_t m = options.min_length; m <= options.max_length; ++m) {
        for (std::size_t start = 0; start + m <= length - options.min_length; ++start) {
          const auto first = taken.begin() + static_cast<std::ptrdiff_t>(start);
          const bool is_free = std::none_of(first, first + static_cast<std::ptrdiff_t>(m),
                                            [](bool one) { return one; });
          CHECK_FALSE((is_free && all_pass(start, start + m)));
        }
      }
    }
  }
  CHECK(n_called > 60);
}

TEST_CASE("tracks of one number have no seqlets") {
  for (const double value : {0.0, 0.1, -3.0}) {
    const std::vector<double> values(120, value);
    CHECK(call_recursive(values, 60, {}).empty());
    CHECK(seqlift::tfmodisco_seqlets(view(values, 60), {}).empty());
  }
}

TEST_CASE("TF-MoDISco's seqlets are the strongest windows, far enough from each other") {
  TfModiscoSeqletOptions options;
  options.window_size = 7;
  options.flank = 2;
  const std::size_t suppress = 3 + 2;
  std::size_t n_called = 0;
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    INFO("seed " << seed);
    const std::size_t length = 120;
    const auto values = noisy_tracks(seed, length, 3, 2);
    const auto seqlets = seqlift::tfmodisco_seqlets(view(values, length), options);
    n_called += seqlets.size();
    for (std::size_t a = 0; a < seqlets.size(); ++a) {
      const Seqlet& seqlet = seqlets[a];
      CHECK(seqlet.end - seqlet.start == 11);
      CHECK(seqlet.end <= length);
      CHECK(std::isnan(seqlet.p_value));
      const std::size_t window = seqlet.example * length + seqlet.start + 2;
      CHECK(seqlet.attribution == Approx(sum_of(values, window, window + 7)));
      for (std::size_t b = 0; b < a; ++b) {
        if (seqlets[b].example == seqlet.example) {
          const auto apart =
              std::max(seqlet.start, seqlets[b].start) - std::min(seqlet.start, seqlets[b].start);
          CHECK(apart > suppress);
          CHECK(std::abs(seqlets[b].attribution) >= std::abs(seqlet.attribution));
        }
      }
    }
  }
  CHECK(n_called > 80);
}

TEST_CASE("TF-MoDISco finds a site of either sign, and of one sign where there is no other") {
  TfModiscoSeqletOptions options;
  options.window_size = 5;
  options.flank = 3;
  auto values = noisy_tracks(1, 200, 1, 0);
  for (std::size_t k = 50; k < 55; ++k) {
    values[k] = 2;
    values[k + 80] = -1.5;
  }
  const auto both = seqlift::tfmodisco_seqlets(view(values, 200), options);
  REQUIRE(both.size() >= 2);
  CHECK(both[0].start == 47);
  CHECK(both[0].attribution == Approx(10));
  CHECK(both[1].start == 127);
  CHECK(both[1].attribution == Approx(-7.5));

  for (double& value : values) {
    value = std::abs(value);
  }
  const auto positive = seqlift::tfmodisco_seqlets(view(values, 200), options);
  REQUIRE(positive.size() >= 2);
  CHECK(positive[0].start == 47);
  CHECK(positive[1].start == 127);
  CHECK(positive[1].attribution == Approx(7.5));
}

TEST_CASE("the shares of passing windows are kept to") {
  // Windows of one position: each that passes, and is not suppressed, is a seqlet.
  TfModiscoSeqletOptions options;
  options.window_size = 1;
  options.flank = 0;
  const auto values = noisy_tracks(3, 1000, 1, 0);
  for (const double share : {0.05, 0.1, 0.5}) {
    options.min_passing_frac = options.max_passing_frac = share;
    const auto seqlets = seqlift::tfmodisco_seqlets(view(values, 1000), options);
    CHECK(std::abs(static_cast<double>(seqlets.size()) - 1000 * share) <= 1);
  }
}

TEST_CASE("of Laplace noise next to nothing passes, of what was added to it nearly all") {
  TfModiscoSeqletOptions options;
  options.window_size = 1;
  options.flank = 0;
  options.min_passing_frac = 0;
  options.max_passing_frac = 1;
  RandomState random(8);
  std::vector<double> values(4000);
  for (double& value : values) {
    const double distance = -std::log(1 - random.uniform());
    value = random.uniform() < 0.5 ? distance : -distance;
  }
  // The weakest window first: the threshold is that of the first that passes.
  const auto weaker = [](double a, double b) { return std::abs(a) < std::abs(b); };
  std::sort(values.begin(), values.end(), weaker);
  CHECK(seqlift::tfmodisco_seqlets(view(values, 4000), options).size() < 20);
  for (std::size_t k = 0; k < 4000; k += 20) {
    values[k] = 20 + random.uniform();
    values[k + 10] = -20 - random.uniform();
  }
  std::sort(values.begin(), values.end(), weaker);
  const auto seqlets = seqlift::tfmodisco_seqlets(view(values, 4000), options);
  const auto n_added = std::count_if(seqlets.begin(), seqlets.end(), [](const Seqlet& seqlet) {
    return std::abs(seqlet.attribution) > 19;
  });
  CHECK(n_added == 400);
  // A fifth of the windows that pass may be background.
  CHECK(seqlets.size() < 520);
}
