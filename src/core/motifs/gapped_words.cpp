#include "core/motifs/gapped_words.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <unordered_map>

namespace seqlift {

namespace {

// A word as a number in base 5: 0 is a gap, 1 to 4 the letters, the first letter the lowest digit.
using Key = std::int64_t;
constexpr Key digits = 5;

// A word that begins at a given place.
struct Grown {
  std::size_t last;  // place of its last letter
  double sum;        // of the letters' scores
  Key key;
};

std::string letters_of(Key key) {
  constexpr const char* letters = ".ACGT";
  std::string word;
  for (; key > 0; key /= digits) {
    word += letters[key % digits];
  }
  return word;
}

// The positions that are looked at, from left to right.
std::vector<std::size_t> places_of(const Code* sequence, const double* scores, std::size_t length,
                                   const GappedWordOptions& options) {
  std::vector<std::size_t> places(length);
  std::iota(places.begin(), places.end(), std::size_t{0});
  if (options.max_positions > 0 && options.max_positions < length) {
    std::stable_sort(places.begin(), places.end(),
                     [&](std::size_t x, std::size_t y) { return scores[x] > scores[y]; });
    places.resize(options.max_positions);
    std::sort(places.begin(), places.end());
  }
  places.erase(std::remove_if(places.begin(), places.end(),
                              [&](std::size_t at) { return sequence[at] >= n_bases; }),
               places.end());
  return places;
}

}  // namespace

std::vector<GappedWord> gapped_words(const Code* sequence, const double* scores, std::size_t length,
                                     const GappedWordOptions& options) {
  const std::vector<std::size_t> places = places_of(sequence, scores, length, options);
  const std::size_t n = places.size();
  const auto digit = [&](std::size_t at) { return static_cast<Key>(sequence[places[at]]) + 1; };
  std::vector<Key> powers(options.max_length, 1);
  for (std::size_t k = 1; k < powers.size(); ++k) {
    powers[k] = powers[k - 1] * digits;
  }

  std::unordered_map<Key, std::size_t> number;
  std::vector<Key> keys;
  std::vector<double> sums;
  std::vector<std::vector<Grown>> words(n);
  for (std::size_t j = 0; j < n; ++j) {
    words[j] = {{j, scores[places[j]], digit(j)}};
  }
  for (std::size_t k = 2; k <= options.max_letters; ++k) {
    for (std::size_t j = 0; j < n; ++j) {
      std::vector<Grown> longer;
      for (std::size_t i = j + 1; i < n; ++i) {
        const std::size_t distance = places[i] - places[j];
        if (distance >= options.max_length) {
          break;
        }
        for (const Grown& word : words[j]) {
          if (word.last >= i) {
            break;
          }
          if (places[i] - places[word.last] > options.max_step) {
            continue;
          }
          const Grown grown{i, word.sum + scores[places[i]],
                            word.key + digit(i) * powers[distance]};
          longer.push_back(grown);
          if (k >= options.min_letters) {
            const auto entry = number.emplace(grown.key, keys.size());
            if (entry.second) {
              keys.push_back(grown.key);
              sums.push_back(0);
            }
            sums[entry.first->second] += grown.sum / static_cast<double>(k);
          }
        }
      }
      words[j].swap(longer);
    }
  }

  std::vector<std::size_t> order(keys.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t x, std::size_t y) {
    return std::abs(sums[x]) > std::abs(sums[y]);
  });
  order.resize(std::min(order.size(), options.max_words));
  std::vector<GappedWord> kept;
  kept.reserve(order.size());
  for (const std::size_t at : order) {
    kept.push_back({letters_of(keys[at]), sums[at]});
  }
  return kept;
}

}  // namespace seqlift
