#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "catch.h"
#include "core/base/error.h"
#include "core/motifs/tomtom.h"
#include "core/sequences/random.h"

using seqlift::MotifSet;
using seqlift::RandomState;
using seqlift::TargetColumns;
using seqlift::TomtomMatch;
using seqlift::TomtomOptions;

namespace {

MotifSet random_motifs(std::uint32_t seed, const std::vector<std::size_t>& widths) {
  RandomState random(seed);
  MotifSet set;
  set.widths = widths;
  for (const std::size_t width : widths) {
    for (std::size_t i = 0; i < width; ++i) {
      double shares[4];
      double sum = 0;
      for (double& share : shares) {
        share = std::pow(random.uniform(), 4);
        sum += share;
      }
      for (const double share : shares) {
        set.values.push_back(share / sum);
      }
    }
  }
  return set;
}

MotifSet turned_round(const MotifSet& set) {
  MotifSet turned = set;
  auto begin = turned.values.begin();
  for (const std::size_t width : set.widths) {
    std::reverse(begin, begin + static_cast<std::ptrdiff_t>(4 * width));
    begin += static_cast<std::ptrdiff_t>(4 * width);
  }
  return turned;
}

}  // namespace

TEST_CASE("columns of targets that fall into the same bins are one column, the first of them") {
  MotifSet set;
  set.widths = {2, 1};
  set.values = {0, 0, 0, 1, 1, 0, 0, 0, 0.001, 0, 0, 0.999};
  const TargetColumns merged(set, 100, false);
  CHECK(merged.total() == 3);
  CHECK(merged.columns(0)[0] == merged.columns(1)[0]);
  CHECK(merged.columns(0)[0] != merged.columns(0)[1]);
  const std::uint32_t first = merged.columns(0)[0];
  CHECK(merged.counts()[first] == 2);
  CHECK(merged.row(3)[first] == 1);
  CHECK(merged.size() % TargetColumns::block == 0);
  const TargetColumns each(set, 0, true);
  CHECK(each.n_targets() == 4);
  CHECK(each.total() == 6);
  CHECK(each.columns(1)[0] != each.columns(0)[0]);
  // The second column of the first motif, A, is T at the start of its reverse complement.
  CHECK(each.row(3)[each.columns(2)[0]] == 1);
  std::size_t counted = 0;
  for (const std::uint32_t count : each.counts()) {
    counted += count;
  }
  CHECK(counted == 6);
}

TEST_CASE("motifs find themselves on either strand, whatever else is among the targets") {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < 30; ++i) {
    widths.push_back(6 + i % 9);
  }
  const MotifSet targets = random_motifs(1, widths);
  TomtomOptions options;
  options.n_nearest = 1;
  options.n_target_bins = 0;  // merged columns are not quite the same on both strands
  const auto own = seqlift::tomtom(targets, targets, options);
  const auto turned = seqlift::tomtom(turned_round(targets), targets, options);
  for (std::size_t i = 0; i < widths.size(); ++i) {
    CHECK(own[i].front().target == i);
    CHECK_FALSE(own[i].front().reverse_complement);
    CHECK(own[i].front().overlap == static_cast<int>(widths[i]));
    CHECK(own[i].front().offset == 0);
    CHECK(turned[i].front().target == i);
    CHECK(turned[i].front().reverse_complement);
    CHECK(turned[i].front().p_value == Approx(own[i].front().p_value).epsilon(1e-6));
  }
}

TEST_CASE("matches are sorted, cut and the same for any number of threads") {
  const MotifSet queries = random_motifs(2, {1, 4, 9, 9, 30, 12});
  const MotifSet targets = random_motifs(3, {9, 2, 14, 30, 1, 8, 8, 11, 40});
  TomtomOptions options;
  const auto all = seqlift::tomtom(queries, targets, options);
  options.workers.threads = 4;
  const auto again = seqlift::tomtom(queries, targets, options);
  options.n_nearest = 4;
  options.max_p_value = 0.7;
  const auto few = seqlift::tomtom(queries, targets, options);
  for (std::size_t i = 0; i < queries.size(); ++i) {
    REQUIRE(all[i].size() == targets.size());
    REQUIRE(few[i].size() <= 4);
    for (std::size_t k = 0; k < all[i].size(); ++k) {
      const TomtomMatch& match = all[i][k];
      CHECK(match.p_value >= 0);
      CHECK(match.q_value <= 1);
      CHECK(match.q_value >= match.p_value);
      CHECK(again[i][k].target == match.target);
      CHECK(again[i][k].p_value == match.p_value);
      CHECK((k == 0 || all[i][k - 1].p_value <= match.p_value));
      if (k < few[i].size()) {
        CHECK(few[i][k].target == match.target);
        CHECK(few[i][k].q_value == match.q_value);
        CHECK(match.p_value <= 0.7);
      }
    }
  }
}

TEST_CASE("a query that tells nothing apart is named") {
  MotifSet flat;
  flat.widths = {2};
  flat.values.assign(8, 0.25);
  MotifSet targets;
  targets.widths = {2};
  targets.values = {1, 0, 0, 0, 0, 0, 0, 1};
  MotifSet queries = targets;
  queries.widths.push_back(2);
  queries.values.insert(queries.values.end(), flat.values.begin(), flat.values.end());
  try {
    seqlift::tomtom(queries, targets, {});
    FAIL("a flat query was compared");
  } catch (const seqlift::Error& error) {
    CHECK(error.kind() == "motifs");
    CHECK(std::string(error.what()) == "2");
  }
}
