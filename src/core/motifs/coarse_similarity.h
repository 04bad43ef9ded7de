// How alike seqlets are by the gapped k-mers of their most important positions: the first, coarse
// comparison of TF-MoDISco (Shrikumar et al. 2018, arXiv:1811.00416; parameters of its lite
// version, Schreiber), which chooses the neighbours that the fine one looks at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/motifs/scored_regions.h"
#include "core/motifs/workers.h"

namespace seqlift {

struct GappedKmerOptions {
  std::size_t n_positions = 20;  // the most important of a seqlet
  std::size_t min_k = 4;         // positions in a k-mer
  std::size_t max_k = 6;         // the same
  std::size_t max_length = 15;   // from its first to its last position, in bp
  std::size_t max_kmers = 500;   // of a seqlet, those of the largest scores
};

struct GappedKmer {
  // sum over its positions of (letter + 1) 5^(position - first position)
  std::uint64_t key;
  double score;
};

// Of one seqlet as it is read, by key. Positions count `sign` (1 or -1) times their contribution;
// an occurrence scores the mean of its positions, a k-mer the sum of its occurrences.
std::vector<GappedKmer> seqlet_kmers(const ScoredRegions& regions, const MotifSeqlet& seqlet,
                                     int sign, const GappedKmerOptions& options);

// The `count` seqlets that are most like each, itself among them.
struct Neighbors {
  std::size_t count = 0;
  std::vector<std::uint32_t> index;  // [seqlets, count], most alike first, equals by number
  std::vector<double> cosine;        // [seqlets, count], of the better strand

  std::size_t rows() const { return count == 0 ? 0 : index.size() / count; }
};

Neighbors kmer_neighbors(const ScoredRegions& regions, const std::vector<MotifSeqlet>& seqlets,
                         int sign, std::size_t count, const GappedKmerOptions& options,
                         const WorkerOptions& workers);

}  // namespace seqlift
