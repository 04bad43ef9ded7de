#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "catch.h"
#include "core/motifs/fine_similarity.h"
#include "core/sequences/random.h"

using seqlift::MotifSeqlet;
using seqlift::RandomState;
using seqlift::ScoredRegions;

namespace {

// Sums of sgn(x) sgn(y) min(|x|, |y|) and of max(|x|, |y|) as they are written, at every offset.
seqlift::Alignment slowly(const std::vector<float>& first, const std::vector<float>& second,
                          int padding) {
  const int n = static_cast<int>(first.size() / seqlift::n_tracks);
  const int m = static_cast<int>(second.size() / seqlift::n_tracks);
  seqlift::Alignment best;
  best.similarity = -1e300;
  for (int offset = -padding; offset <= n + padding - m; ++offset) {
    double shared = 0;
    double all = 0;
    for (int row = 0; row < m; ++row) {
      for (int u = 0; u < static_cast<int>(seqlift::n_tracks); ++u) {
        const int at = offset + row;
        const int width = static_cast<int>(seqlift::n_tracks);
        const double x = at >= 0 && at < n ? first[static_cast<std::size_t>(at * width + u)] : 0.0;
        const double y = second[static_cast<std::size_t>(row * width + u)];
        const double sign = x * y > 0 ? 1 : x * y < 0 ? -1 : 0;
        shared += sign * std::min(std::abs(x), std::abs(y));
        all += std::max(std::abs(x), std::abs(y));
      }
    }
    if (shared / all > best.similarity + 1e-6) {
      best.similarity = shared / all;
      best.offset = offset;
    }
  }
  return best;
}

std::vector<float> random_tracks(std::size_t length, RandomState& random) {
  std::vector<float> tracks(length * seqlift::n_tracks);
  for (float& value : tracks) {
    value = static_cast<float>(random.uniform() - 0.5);
  }
  return tracks;
}

ScoredRegions one_region(const std::vector<std::uint8_t>& codes, const std::vector<float>& scores) {
  ScoredRegions regions(1, codes.size());
  regions.add(0, codes, scores);
  return regions;
}

}  // namespace

TEST_CASE("the similarity at the best offset is that of its definition", "[fine_similarity]") {
  RandomState random(3);
  for (const std::size_t length : {5, 8, 13}) {
    const std::vector<float> first = random_tracks(11, random);
    const std::vector<float> second = random_tracks(length, random);
    for (const int padding : {0, 2, 4}) {
      INFO("length " << length << ", padding " << padding);
      if (11 + 2 * padding < static_cast<int>(length)) {
        continue;
      }
      const auto fast = seqlift::slide(first, second, static_cast<std::size_t>(padding));
      const auto slow = slowly(first, second, padding);
      CHECK(std::abs(fast.similarity - slow.similarity) < 1e-6);
      CHECK(fast.offset == slow.offset);
    }
  }
}

// A seqlet read backwards has its letters and scores complemented; a part that was moved is found.
TEST_CASE("seqlets are read in both directions", "[fine_similarity]") {
  const std::vector<std::uint8_t> codes{0, 2, 3, 4};  // A G T N
  std::vector<float> scores(16);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    scores[i] = static_cast<float>(i + 1);
  }
  const ScoredRegions regions = one_region(codes, scores);
  const MotifSeqlet forward{0, 0, 4, false};
  const MotifSeqlet reverse = seqlift::turned(forward);
  CHECK(regions.letter(forward, 1) == 2);
  CHECK(regions.letter(reverse, 0) == 4);
  CHECK(regions.letter(reverse, 1) == 0);
  CHECK(regions.hypothetical(forward, 0, 1) == 2);
  CHECK(regions.hypothetical(reverse, 3, 1) == 3);
  CHECK(regions.contribution(forward, 1) == 7);
  CHECK(regions.contribution(reverse, 2) == 7);
  CHECK(regions.contribution(forward, 3) == 0);
  const MotifSeqlet wider = seqlift::extended(reverse, 2, 1);
  CHECK(wider.start == -1);
  CHECK(wider.end == 6);
}

// x = (1, 0), y = (0.5, 0.5) of the first track: min 0.5 + 0, max 1 + 0.5.
TEST_CASE("Jaccard similarity by hand", "[fine_similarity]") {
  std::vector<float> x(16, 0.0F);
  std::vector<float> y(16, 0.0F);
  x[0] = 1;
  y[0] = y[8] = 0.5F;
  CHECK(std::abs(seqlift::slide(x, y, 0).similarity - 1.0 / 3) < 1e-7);
  CHECK(seqlift::slide(x, x, 0).similarity == 1);
}
