// Gapped k-mers: words of letters in the order of a sequence, with gaps between them; as
// tangermeme 1.4.0 (Schreiber) finds them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/sequences/sequence.h"

namespace seqlift {

struct GappedWordOptions {
  std::size_t min_letters = 4;    // of a word, its gaps left out
  std::size_t max_letters = 8;    // the same
  std::size_t max_step = 2;       // positions from a letter to the next, at most; 1: no gap
  std::size_t max_length = 10;    // of a word with its gaps, at most 27
  std::size_t max_words = 10;     // kept, those of the largest absolute scores
  std::size_t max_positions = 0;  // looked at, those of the highest scores; 0: all
};

struct GappedWord {
  std::string letters;  // A, C, G, T, and "." for a gap
  double score;         // sum over its occurrences of the mean score of its letters
};

// The words of one sequence, the largest absolute score first, of equal ones the one that is found
// first: of fewer letters, then from a start further left. Unknown bases are in no word.
std::vector<GappedWord> gapped_words(const Code* sequence, const double* scores, std::size_t length,
                                     const GappedWordOptions& options);

}  // namespace seqlift
