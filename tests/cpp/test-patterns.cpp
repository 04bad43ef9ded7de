#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.h"
#include "core/base/error.h"
#include "core/motifs/patterns.h"
#include "core/sequences/random.h"
#include "planted.h"

using planted_site::even;
using planted_site::gata_site;
using planted_site::is_gata;
using planted_site::planted;
using planted_site::Planted;
using planted_site::strongest_letters;
using seqlift::MotifSeqlet;
using seqlift::Pattern;
using seqlift::RandomState;

TEST_CASE("a pattern holds a place once and has the means of its seqlets", "[patterns]") {
  RandomState random(4);
  const Planted all = planted(5, gata_site, random);
  std::vector<MotifSeqlet> seqlets = all.seqlets;
  seqlets.push_back(seqlift::turned(seqlets.front()));
  seqlets.push_back(seqlets.back());
  const Pattern pattern(all.regions, seqlets);
  CHECK(pattern.size() == 5);
  const std::vector<double> hypothetical = pattern.hypothetical();
  for (std::size_t i = 0; i < 20; ++i) {
    for (std::size_t base = 0; base < 4; ++base) {
      double sum = 0;
      for (const MotifSeqlet& one : all.seqlets) {
        sum += all.regions.hypothetical(one, i, base);
      }
      CHECK(std::abs(hypothetical[i * 4 + base] - sum / 5) < 1e-12);
    }
  }
}

TEST_CASE("patterns grow where a seqlet sticks out, and lose what leaves its sequence",
          "[patterns]") {
  RandomState random(5);
  const Planted all = planted(3, gata_site, random);
  Pattern pattern(all.regions, {all.seqlets[0]});
  pattern.add(all.seqlets[2], -3);
  CHECK(pattern.length() == 23);
  CHECK(pattern.size() == 2);
  CHECK(pattern.seqlets()[0].start == all.seqlets[0].start - 3);
  CHECK(pattern.seqlets()[1].end == all.seqlets[2].end + 3);
  pattern.extend(-2, -1);
  CHECK(pattern.length() == 20);
  // 18 + 20 + 40 is beyond the sequence of either.
  pattern.extend(0, 40);
  CHECK(pattern.size() == 0);
}

TEST_CASE("seqlets are laid where their sites lie on top of each other", "[patterns]") {
  RandomState random(6);
  const Planted all = planted(30, gata_site, random);
  for (const auto likeness : {seqlift::Likeness::jaccard, seqlift::Likeness::correlation}) {
    Pattern pattern(all.regions, {all.seqlets.front()});
    seqlift::add_seqlets(all.regions, pattern, {all.seqlets.begin() + 1, all.seqlets.end()},
                         likeness, 0.7);
    CHECK(pattern.size() == 30);
    CHECK(is_gata(strongest_letters(pattern, 6)));
    // Everyone's site is at the same position of the pattern: six letters are certain.
    const std::vector<double> bits = seqlift::information_of(pattern.letters(), even, 0.001);
    CHECK(std::count_if(bits.begin(), bits.end(), [](double bit) { return bit > 1.9; }) >= 6);
  }
}

TEST_CASE("information is that of its formula, and polishing keeps the window of the most",
          "[patterns]") {
  const double c = 0.001;
  const std::vector<double> bits =
      seqlift::information_of({1, 0, 0, 0, 0.25, 0.25, 0.25, 0.25}, even, c);
  CHECK(std::abs(bits[0] - (2 + std::log2((1 + c) / (1 + 4 * c)))) < 1e-12);
  CHECK(std::abs(bits[1] - (2 + std::log2((0.25 + c) / (1 + 4 * c)))) < 1e-12);
  RandomState random(7);
  const Planted all = planted(40, gata_site, random);
  seqlift::PatternOptions options;
  options.trim_to_window = 6;
  options.flank = 2;
  const std::vector<Pattern> found = seqlift::patterns_of(
      all.regions, all.seqlets, std::vector<std::uint32_t>(40, 0), 1, even, options);
  REQUIRE(found.size() == 1);
  CHECK(found.front().length() == 10);
  CHECK(found.front().size() == 40);
  const std::vector<std::uint8_t> letters = strongest_letters(found.front(), 6);
  CHECK(is_gata(letters));
  // Of the other sign there is nothing.
  CHECK(seqlift::patterns_of(all.regions, all.seqlets, std::vector<std::uint32_t>(40, 0), -1, even,
                             options)
            .empty());
}

TEST_CASE("patterns of clusters do not depend on threads, and are interrupted within one",
          "[patterns]") {
  RandomState random(8);
  const Planted all = planted(60, gata_site, random);
  std::vector<std::uint32_t> membership;
  for (std::uint32_t i = 0; i < 60; ++i) {
    membership.push_back(i % 3);
  }
  seqlift::WorkerOptions workers;
  const auto one = seqlift::patterns_of(all.regions, all.seqlets, membership, 1, even, {}, workers);
  workers.threads = 3;
  const auto three =
      seqlift::patterns_of(all.regions, all.seqlets, membership, 1, even, {}, workers);
  REQUIRE(one.size() == three.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(one[i].contributions() == three[i].contributions());
  }
  // One cluster of so many seqlets that it would take minutes.
  std::vector<MotifSeqlet> many;
  for (int k = 0; k < 20000; ++k) {
    many.insert(many.end(), all.seqlets.begin(), all.seqlets.end());
  }
  workers.poll = [](double) { return false; };
  std::string kind;
  try {
    seqlift::patterns_of(all.regions, many, std::vector<std::uint32_t>(many.size(), 0), 1, even, {},
                         workers);
  } catch (const seqlift::Error& error) {
    kind = error.kind();
  }
  CHECK(kind == "interrupt");
}
