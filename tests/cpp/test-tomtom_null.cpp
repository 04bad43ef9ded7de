#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "catch.h"
#include "core/motifs/tomtom_null.h"
#include "core/sequences/random.h"

using seqlift::BestScoreNull;
using seqlift::NullSpace;
using seqlift::QueryScores;
using seqlift::RandomState;

namespace {

// Random shares of few steps, without the lowest score: nothing is missing.
QueryScores random_query(std::size_t width, std::size_t n_bins, std::int64_t offset,
                         RandomState& random) {
  QueryScores query;
  query.width = width;
  query.n_bins = n_bins;
  query.offset = offset;
  query.shares.assign(width * (n_bins + 1), 0.0);
  for (std::size_t i = 0; i < width; ++i) {
    double* share = query.shares.data() + i * (n_bins + 1);
    double sum = 0;
    for (std::size_t x = 1; x <= n_bins; ++x) {
      share[x] = random.uniform() < 0.4 ? 0 : random.uniform();
      sum += share[x];
    }
    share[n_bins] += sum == 0 ? 1 : 0;
    sum += sum == 0 ? 1 : 0;
    for (std::size_t x = 1; x <= n_bins; ++x) {
      share[x] /= sum;
    }
  }
  return query;
}

// The chance that the sum of columns first .. last is at least `score`, by every combination.
double span_tail(const QueryScores& query, std::size_t first, std::size_t last,
                 std::int64_t score) {
  if (first > last) {
    return score <= 0 ? 1 : 0;
  }
  double tail = 0;
  for (std::size_t x = 1; x <= query.n_bins; ++x) {
    tail += query.share(first)[x] *
            span_tail(query, first + 1, last, score - static_cast<std::int64_t>(x));
  }
  return tail;
}

double best_tail(const QueryScores& query, std::size_t width, std::int64_t score) {
  double none = 1;
  for (std::int64_t k = 0; k < static_cast<std::int64_t>(query.width + width) - 1; ++k) {
    // The query columns that meet a target column.
    const std::int64_t begin =
        std::max<std::int64_t>(0, static_cast<std::int64_t>(query.width) - 1 - k);
    const std::int64_t end = std::min<std::int64_t>(
        static_cast<std::int64_t>(query.width),
        begin + std::min<std::int64_t>(k + 1, static_cast<std::int64_t>(width)));
    const std::int64_t end_of_target = static_cast<std::int64_t>(query.width + width) - 1 - k;
    const std::int64_t last = std::min(end, end_of_target) - 1;
    const std::int64_t outside =
        query.offset * (static_cast<std::int64_t>(query.width) - (last - begin + 1));
    none *= 1 - span_tail(query, begin, last, score - outside);
  }
  return 1 - none;
}

}  // namespace

TEST_CASE("chances of best scores are those of all combinations and alignments") {
  RandomState random(1);
  NullSpace space;
  for (std::size_t width = 1; width <= 4; ++width) {
    for (const std::int64_t offset : {0, 1, 3}) {
      const QueryScores query = random_query(width, 5, offset, random);
      const std::vector<std::size_t> widths = {1, 2, 4, 6};
      const BestScoreNull null(query, widths, space);
      for (const std::size_t target : widths) {
        for (std::int64_t score = 0; score <= static_cast<std::int64_t>(width) * (5 + offset);
             ++score) {
          CAPTURE(width, offset, target, score);
          const double expected = score <= 0 ? 1 : best_tail(query, target, score);
          CHECK(null.p_value(target, score) == Approx(expected).margin(1e-12));
        }
      }
    }
  }
}

TEST_CASE("chances fall with the score, and grow with the width of the target") {
  RandomState random(2);
  NullSpace space;
  const QueryScores query = random_query(8, 40, 20, random);
  const BestScoreNull null(query, {3, 8, 12, 20}, space);
  for (std::int64_t score = 1; score <= 8 * 60; ++score) {
    CHECK(null.p_value(12, score) <= null.p_value(12, score - 1));
    CHECK(null.p_value(20, score) >= null.p_value(12, score));
    CHECK(null.p_value(12, score) >= null.p_value(8, score));
  }
  // Nothing is larger than everything.
  CHECK(null.p_value(12, 8 * 60 + 1) == 0);
}

TEST_CASE("chances far below the rounding of 1 are exact") {
  QueryScores query;
  query.width = 20;
  query.n_bins = 10;
  query.offset = 0;
  query.shares.assign(20 * 11, 0.0);
  for (std::size_t i = 0; i < 20; ++i) {
    query.shares[i * 11 + 1] = 0.9;
    query.shares[i * 11 + 10] = 0.1;
  }
  NullSpace space;
  const BestScoreNull null(query, {20}, space);
  // All twenty columns at their best, in the one alignment that has all.
  CHECK(null.p_value(20, 200) == Approx(1e-20).epsilon(1e-10));
}

TEST_CASE("the share of the lowest score counts as larger than all") {
  QueryScores query;
  query.width = 1;
  query.n_bins = 4;
  query.offset = 0;
  query.shares = {0.25, 0.25, 0, 0, 0.5};
  NullSpace space;
  const BestScoreNull null(query, {1}, space);
  CHECK(null.p_value(1, 1) == 1);
  CHECK(null.p_value(1, 2) == 0.75);
  CHECK(null.p_value(1, 4) == 0.75);
  query.compatible = false;
  const BestScoreNull complete(query, {1}, space);
  CHECK(complete.p_value(1, 0) == 1);
  CHECK(complete.p_value(1, 1) == 0.75);
  CHECK(complete.p_value(1, 2) == 0.5);
}
