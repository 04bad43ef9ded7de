// Tomtom: how alike two motifs are, and how likely so good an alignment is by chance (Gupta,
// Stamatoyannopoulos, Bailey and Noble 2007, Genome Biology 8:R24; complete scores as of Tanaka,
// Bailey, Grant, Noble and Keich 2011, Bioinformatics 27:1603). The approximations, and so the
// numbers, are those of memelite 0.2 (Schreiber): columns of targets that are nearly equal are
// merged, medians are those of bins, scores are whole numbers.
//
// A query is laid along a target, and along its reverse complement, in every way in which they
// overlap by at least a column. The score of an alignment is the sum over the overlap of what the
// columns score (tomtom_scores.h); columns of the query beyond the target score 0. The p-value of
// the best alignment is the chance of one as good along a target of that width (tomtom_null.h), of
// both strands 1 - (1 - p)^2 with the smaller of theirs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/motifs/motif_set.h"
#include "core/motifs/tomtom_scores.h"
#include "core/motifs/workers.h"

namespace seqlift {

struct TomtomOptions {
  ScoreOptions scores;
  std::size_t n_target_bins = 100;  // 0: columns of targets are not merged
  bool reverse_complement = true;   // of each target, the better strand counts
  std::size_t n_nearest = 0;  // targets kept of each query, those of the smallest p-values; 0: all
  double max_p_value = 1;     // targets kept have at most this one
  WorkerOptions workers;
};

struct TomtomMatch {
  double p_value;
  double q_value;        // Benjamini and Hochberg, over all targets of the query
  std::uint32_t target;  // from 0
  std::int32_t score;    // shifted: with `offset` steps for each column of the query
  // Of the query's first column from the target's first, or from that of its reverse complement;
  // negative where the query begins before it.
  std::int32_t offset;
  std::int32_t overlap : 31;    // columns that are aligned
  bool reverse_complement : 1;  // the alignment is with the target's reverse complement
};

// The matches of each query, by p-value, then from the best score down, then by target. Of equally
// good alignments the one is given that memelite gives, with few exceptions the last; of equally
// good strands the reverse one.
//
// Errors: kind "motifs", with the number of the query from 1 as its message, when all columns of a
// query are as far from each target column as from any other.
std::vector<std::vector<TomtomMatch>> tomtom(const MotifSet& queries, const MotifSet& targets,
                                             const TomtomOptions& options);

}  // namespace seqlift
