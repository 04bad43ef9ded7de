#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "catch.h"
#include "core/motifs/merge_patterns.h"
#include "core/sequences/random.h"
#include "planted.h"

using planted_site::even;
using planted_site::gata_site;
using planted_site::is_gata;
using planted_site::planted;
using planted_site::Planted;
using planted_site::planted_length;
using planted_site::short_patterns;
using planted_site::strongest_letters;
using seqlift::MotifSeqlet;
using seqlift::Pattern;
using seqlift::RandomState;
using seqlift::ScoredRegions;

TEST_CASE("two halves of a motif become one, two motifs stay two", "[merge_patterns]") {
  RandomState random(9);
  const std::vector<std::uint8_t> other{1, 0, 1, 1, 3, 2};
  const Planted all = planted(60, gata_site, random, 0.3);
  seqlift::MergeOptions options;
  options.patterns = short_patterns();
  std::vector<std::uint32_t> halves(60, 0);
  std::fill(halves.begin() + 30, halves.end(), 1);
  const auto parts =
      seqlift::patterns_of(all.regions, all.seqlets, halves, 1, even, short_patterns());
  REQUIRE(parts.size() == 2);
  const auto merged = seqlift::collapse(all.regions, parts, even, options);
  REQUIRE(merged.size() == 1);
  CHECK(merged.front().size() == 60);
  CHECK(is_gata(strongest_letters(merged.front(), 6)));

  // Both motifs in one set of regions.
  ScoredRegions both(120, planted_length);
  std::vector<MotifSeqlet> seqlets;
  const Planted second = planted(60, other, random, 0.3);
  for (const Planted* part : {&all, &second}) {
    for (std::uint32_t i = 0; i < 60; ++i) {
      std::vector<std::uint8_t> codes;
      std::vector<float> scores;
      MotifSeqlet whole;
      whole.example = i;
      whole.end = planted_length;
      for (std::size_t l = 0; l < planted_length; ++l) {
        codes.push_back(part->regions.letter(whole, l));
        for (std::size_t base = 0; base < 4; ++base) {
          scores.push_back(static_cast<float>(part->regions.hypothetical(whole, l, base)));
        }
      }
      const std::uint32_t number = i + (part == &all ? 0U : 60U);
      both.add(number, codes, scores);
      MotifSeqlet seqlet = part->seqlets[i];
      seqlet.example = number;
      seqlets.push_back(seqlet);
    }
  }
  std::vector<std::uint32_t> motifs(120, 0);
  std::fill(motifs.begin() + 60, motifs.end(), 1);
  const auto apart = seqlift::collapse(
      both, seqlift::patterns_of(both, seqlets, motifs, 1, even, short_patterns()), even, options);
  REQUIRE(apart.size() == 2);
  CHECK(apart[0].size() == 60);
  CHECK(apart[1].size() == 60);
}

TEST_CASE("seqlets of the same motif are as alike within as between", "[merge_patterns]") {
  RandomState random(10);
  const Planted all = planted(80, gata_site, random, 0.3);
  std::vector<std::uint32_t> halves;
  for (std::uint32_t i = 0; i < 80; ++i) {
    halves.push_back(i / 40);
  }
  const auto parts =
      seqlift::patterns_of(all.regions, all.seqlets, halves, 1, even, short_patterns());
  REQUIRE(parts.size() == 2);
  seqlift::MergeOptions options;
  options.patterns = short_patterns();
  const std::vector<float> within = seqlift::similarities_within(all.regions, parts[0], {});
  CHECK(within.size() == parts[0].size() * (parts[0].size() - 1) / 2);
  CHECK(std::is_sorted(within.begin(), within.end()));
  const auto pair = seqlift::compare_patterns(all.regions, parts[0], within, parts[1], options);
  CHECK(pair.place.similarity > 0.95);
  CHECK(std::abs(pair.auroc - 0.5) < 0.1);
}

TEST_CASE("subpatterns hold every seqlet once, the largest first", "[merge_patterns]") {
  RandomState random(11);
  const Planted all = planted(50, gata_site, random, 0.3);
  const Pattern pattern(all.regions, all.seqlets);
  seqlift::SubclusterOptions options;
  options.leiden.runs = 3;
  const auto parts = seqlift::subpatterns(all.regions, pattern, options);
  std::size_t total = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    total += parts[i].size();
    CHECK((i == 0 || parts[i].size() <= parts[i - 1].size()));
  }
  CHECK(total == 50);
  CHECK(seqlift::is_motif(pattern, even, 20, 6, 0.6, 0.001));
  CHECK_FALSE(seqlift::is_motif(pattern, even, 51, 6, 0.6, 0.001));
  CHECK_FALSE(seqlift::is_motif(pattern, even, 20, 6, 12.1, 0.001));
}
