// Edits of sequences given as codes: a motif set or inserted, a region removed or drawn anew.
#pragma once

#include <cstddef>
#include <vector>

#include "core/sequences/random.h"
#include "core/sequences/sequence.h"

namespace seqlift {

// In all of these `motif` is one motif for all sequences or one for each, `start` counts from 0,
// and the caller has made sure that everything fits.

// Sets the motif at `start`. Unknown bases of the motif leave the sequence as it is there.
void substitute_motif(const CodesView& sequences, const CodesView& motif, std::size_t start,
                      Code* edited);

// Puts the motif before position `start` (start = length: at the end). `edited` holds sequences
// of length + motif.length.
void insert_motif(const CodesView& sequences, const CodesView& motif, std::size_t start,
                  Code* edited);

// Removes the region. `edited` holds sequences of length - region.length().
void delete_region(const CodesView& sequences, const Region& region, Code* edited);

// Draws the region anew, `n` times for every sequence: `randomized` is n blocks of the shape of
// `sequences`, filled block by block, sequence by sequence. `cumulative` holds the cumulative
// shares of the bases, once for all sequences or once for each.
void randomize_region(const CodesView& sequences, const Region& region, std::size_t n,
                      const std::vector<std::vector<double>>& cumulative, RandomState& random,
                      Code* randomized);

}  // namespace seqlift
