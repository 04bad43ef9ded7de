// Regions with a site of a motif, for the tests of motif discovery's steps.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/motifs/patterns.h"
#include "core/sequences/random.h"

namespace planted_site {

inline constexpr std::size_t planted_length = 60;

// Regions of random letters with a site at 27 to 32, every second one as its reverse complement,
// whose letters have scores of 1 and the others of -0.3; noise of `noise` elsewhere.
struct Planted {
  seqlift::ScoredRegions regions;
  std::vector<seqlift::MotifSeqlet> seqlets;  // 20 bp around the site, moved by -2 to 2
};

inline Planted planted(std::size_t n, const std::vector<std::uint8_t>& site,
                       seqlift::RandomState& random, double noise = 0.02) {
  Planted all{seqlift::ScoredRegions(n, planted_length), {}};
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<std::uint8_t> codes;
    std::vector<float> scores;
    for (std::size_t l = 0; l < planted_length; ++l) {
      codes.push_back(static_cast<std::uint8_t>(random.uniform() * 4));
      for (int base = 0; base < 4; ++base) {
        scores.push_back(static_cast<float>(noise * (random.uniform() - 0.5)));
      }
    }
    for (std::size_t k = 0; k < site.size(); ++k) {
      const std::uint8_t letter =
          i % 2 == 1 ? static_cast<std::uint8_t>(3 - site[site.size() - 1 - k]) : site[k];
      codes[27 + k] = letter;
      for (std::uint8_t base = 0; base < 4; ++base) {
        scores[(27 + k) * 4 + base] = base == letter ? 1.0F : -0.3F;
      }
    }
    all.regions.add(i, codes, scores);
    seqlift::MotifSeqlet seqlet;
    seqlet.example = static_cast<std::uint32_t>(i);
    seqlet.start = 18 + static_cast<std::int32_t>(random.uniform() * 5);
    seqlet.end = seqlet.start + 20;
    all.seqlets.push_back(seqlet);
  }
  return all;
}

inline const std::vector<std::uint8_t> gata_site{2, 0, 3, 0, 0, 2};
inline const std::vector<double> even(4, 0.25);

// Where the site begins in the pattern of largest contributions, and the letters there.
inline std::vector<std::uint8_t> strongest_letters(const seqlift::Pattern& pattern,
                                                   std::size_t width) {
  const std::vector<double> contributions = pattern.contributions();
  std::size_t best = 0;
  double most = -1e300;
  for (std::size_t at = 0; at + width <= pattern.length(); ++at) {
    double sum = 0;
    for (std::size_t i = at * 4; i < (at + width) * 4; ++i) {
      sum += contributions[i];
    }
    if (sum > most) {
      most = sum;
      best = at;
    }
  }
  std::vector<std::uint8_t> letters;
  const std::vector<double> shares = pattern.letters();
  for (std::size_t i = best; i < best + width; ++i) {
    const auto first = shares.begin() + static_cast<std::ptrdiff_t>(4 * i);
    letters.push_back(static_cast<std::uint8_t>(std::max_element(first, first + 4) - first));
  }
  return letters;
}

// So short that their flanks never leave the regions.
inline seqlift::PatternOptions short_patterns() {
  seqlift::PatternOptions options;
  options.trim_to_window = 10;
  options.flank = 3;
  return options;
}

inline bool is_gata(const std::vector<std::uint8_t>& letters) {
  std::vector<std::uint8_t> turned(letters.rbegin(), letters.rend());
  for (std::uint8_t& letter : turned) {
    letter = static_cast<std::uint8_t>(3 - letter);
  }
  return letters == gata_site || turned == gata_site;
}

}  // namespace planted_site
