#include "core/sequences/edits.h"

#include <algorithm>

namespace seqlift {

namespace {

const Code* motif_for(const CodesView& motif, std::size_t i) {
  return motif.sequence(motif.count == 1 ? 0 : i);
}

}  // namespace

void substitute_motif(const CodesView& sequences, const CodesView& motif, std::size_t start,
                      Code* edited) {
  std::copy_n(sequences.codes, sequences.length * sequences.count, edited);
  for (std::size_t i = 0; i < sequences.count; ++i) {
    const Code* const letters = motif_for(motif, i);
    Code* const out = edited + i * sequences.length + start;
    for (std::size_t k = 0; k < motif.length; ++k) {
      if (letters[k] < n_bases) {
        out[k] = letters[k];
      }
    }
  }
}

void insert_motif(const CodesView& sequences, const CodesView& motif, std::size_t start,
                  Code* edited) {
  for (std::size_t i = 0; i < sequences.count; ++i) {
    const Code* const in = sequences.sequence(i);
    edited = std::copy_n(in, start, edited);
    edited = std::copy_n(motif_for(motif, i), motif.length, edited);
    edited = std::copy_n(in + start, sequences.length - start, edited);
  }
}

void delete_region(const CodesView& sequences, const Region& region, Code* edited) {
  for (std::size_t i = 0; i < sequences.count; ++i) {
    const Code* const in = sequences.sequence(i);
    edited = std::copy_n(in, region.start, edited);
    edited = std::copy(in + region.end, in + sequences.length, edited);
  }
}

void randomize_region(const CodesView& sequences, const Region& region, std::size_t n,
                      const std::vector<std::vector<double>>& cumulative, RandomState& random,
                      Code* randomized) {
  const std::size_t block = sequences.length * sequences.count;
  for (std::size_t j = 0; j < n; ++j) {
    Code* out = std::copy_n(sequences.codes, block, randomized + j * block) - block;
    for (std::size_t i = 0; i < sequences.count; ++i, out += sequences.length) {
      const std::vector<double>& shares = cumulative[cumulative.size() == 1 ? 0 : i];
      random_letters(random, shares, region.length(), out + region.start);
    }
  }
}

}  // namespace seqlift
