#include "core/sequences/shuffle.h"

#include <algorithm>
#include <numeric>

namespace seqlift {

bool shuffle_can_change(const Code* sequence, const Region& region) {
  const Code* const first = sequence + region.start;
  return std::any_of(first, sequence + region.end, [&](Code code) { return code != *first; });
}

void shuffle_region(const CodesView& sequences, const Region& region, std::size_t n,
                    RandomState& random, Code* shuffled) {
  const std::size_t block = sequences.length * sequences.count;
  std::vector<std::size_t> order(region.length());
  for (std::size_t j = 0; j < n; ++j) {
    std::iota(order.begin(), order.end(), region.start);
    random.permute(order.data(), order.size());
    Code* out = std::copy_n(sequences.codes, block, shuffled + j * block) - block;
    for (std::size_t i = 0; i < sequences.count; ++i, out += sequences.length) {
      for (std::size_t k = 0; k < order.size(); ++k) {
        out[region.start + k] = sequences.sequence(i)[order[k]];
      }
    }
  }
}

DinucleotideShuffler::DinucleotideShuffler(const Code* sequence, const Region& region) {
  const Code* const bases = sequence + region.start;
  const std::size_t length = region.length();
  for (std::size_t i = 0; i < length; ++i) {
    if (bases[i] >= n_bases) {
      continue;
    }
    if (i == 0 || bases[i - 1] >= n_bases) {
      walks_.push_back({i, 0, bases[i], {}});
    } else {
      walks_.back().followers[bases[i - 1]].push_back(bases[i]);
    }
    ++walks_.back().length;
  }
}

bool DinucleotideShuffler::can_change() const {
  const auto has_choice = [](const std::vector<Code>& followers) {
    return followers.size() > 2 &&
           std::any_of(followers.begin(), followers.end() - 1,
                       [&](Code code) { return code != followers.front(); });
  };
  return std::any_of(walks_.begin(), walks_.end(), [&](const Walk& walk) {
    return std::any_of(walk.followers.begin(), walk.followers.end(), has_choice);
  });
}

void DinucleotideShuffler::next(RandomState& random, Code* shuffled) {
  for (Walk& walk : walks_) {
    std::array<const Code*, n_bases> follower;
    for (std::size_t base = 0; base < n_bases; ++base) {
      std::vector<Code>& followers = walk.followers[base];
      random.permute(followers.data(), followers.empty() ? 0 : followers.size() - 1);
      follower[base] = followers.data();
    }
    Code* const out = shuffled + walk.offset;
    out[0] = walk.first;
    for (std::size_t i = 1; i < walk.length; ++i) {
      out[i] = *follower[out[i - 1]]++;
    }
  }
}

DinucleotideShuffleResult dinucleotide_shuffle(const Code* sequence, std::size_t length,
                                               const DinucleotideShuffleOptions& options,
                                               Code* shuffled) {
  const DinucleotideShuffler original(sequence, options.region);
  DinucleotideShuffler shuffler = original;
  RandomState random(options.seed);
  for (std::size_t j = 0; j < options.n; ++j) {
    if (options.reseed_each && j > 0) {
      shuffler = original;
      random = RandomState(options.seed + static_cast<std::uint32_t>(j));
    }
    Code* const out = shuffled + j * options.out_stride;
    std::copy_n(sequence, length, out);
    shuffler.next(random, out + options.region.start);
  }
  return {original.can_change()};
}

}  // namespace seqlift
