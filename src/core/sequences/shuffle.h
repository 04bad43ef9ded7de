// Shuffles of sequences given as codes. Both are defined, word by word of the random stream, by
// tangermeme 1.4.0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/sequences/random.h"
#include "core/sequences/sequence.h"

namespace seqlift {

// Whether a permutation of the region can give another sequence: it holds two different letters.
bool shuffle_can_change(const Code* sequence, const Region& region);

// `n` uniform shuffles of a region. Shuffle j draws one permutation and applies it to every
// sequence; an unknown base moves like any other. `shuffled` is n blocks of the shape of
// `sequences`.
void shuffle_region(const CodesView& sequences, const Region& region, std::size_t n,
                    RandomState& random, Code* shuffled);

// Shuffles of one sequence that keep the number of every pair of neighbouring bases (Altschul
// and Erickson 1985, Mol Biol Evol 2:526).
//
// The sequence is a walk over the four bases. For each base we list, in order, the bases that
// follow its occurrences. Permuting these lists gives another walk over the same pairs, which
// uses every pair once if the walk's last exit from each base stays where it was: then every
// base still leads to the end. So all but the last entry of each list are permuted, and every
// walk with these last exits is equally likely.
//
// An unknown base ends a walk and the next base starts another: the stretches between unknown
// bases are shuffled apart, and the unknown bases stay in place.
class DinucleotideShuffler {
 public:
  DinucleotideShuffler(const Code* sequence, const Region& region);

  // Whether any shuffle can give another sequence than the one at hand.
  bool can_change() const;

  // Permutes the lists further and writes the region of the next shuffle to `shuffled`, which
  // is the region's first position in a copy of the sequence. Shuffle after shuffle starts from
  // the lists the last one left.
  void next(RandomState& random, Code* shuffled);

 private:
  struct Walk {
    std::size_t offset;  // of its first base, from the region's start
    std::size_t length;
    Code first;
    std::array<std::vector<Code>, n_bases> followers;
  };
  std::vector<Walk> walks_;
};

struct DinucleotideShuffleOptions {
  Region region{0, 0};         // what is shuffled; the rest stays
  std::size_t n = 20;          // shuffles
  std::uint32_t seed = 0;      // of the sequence's own generator
  bool reseed_each = false;    // shuffle j is the first shuffle under seed + j
  std::size_t out_stride = 0;  // bytes from a shuffle to the next in the output
};

struct DinucleotideShuffleResult {
  bool can_change = false;
};

// Writes the shuffles (whole sequences) to `shuffled`.
DinucleotideShuffleResult dinucleotide_shuffle(const Code* sequence, std::size_t length,
                                               const DinucleotideShuffleOptions& options,
                                               Code* shuffled);

}  // namespace seqlift
