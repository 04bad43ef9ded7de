// Patterns that are the same motif become one, and one that is several falls apart: what
// TF-MoDISco does after its second round.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/motifs/affinity.h"
#include "core/motifs/leiden.h"
#include "core/motifs/patterns.h"

namespace seqlift {

struct MergeOptions {
  // (cross-contamination, similarity): merged where both are reached ...
  std::vector<std::pair<double, double>> merge{{0.8, 0.8}, {0.5, 0.85}, {0.2, 0.9}};
  // ... unless for a pair of the united groups both are not exceeded.
  std::vector<std::pair<double, double>> dealbreakers{
      {0.4, 0.75}, {0.2, 0.8}, {0.1, 0.85}, {0.0, 0.9}};
  std::size_t max_seqlets = 1000;  // of a pattern that is compared seqlet by seqlet
  PatternOptions patterns;
  WorkerOptions workers;
};

// How a child lies along a parent, and whether seqlets of the parent are more like each other than
// like those of the child (area under the curve; 0.5: they are not).
struct PatternPair {
  Alignment place;
  double auroc = 0.5;
};

// Similarities of each two seqlets of a pattern, sorted.
std::vector<float> similarities_within(const ScoredRegions& regions, const Pattern& pattern,
                                       const WorkerOptions& workers);

// On one thread, a piece of work: see leave_if_cancelled().
PatternPair compare_patterns(const ScoredRegions& regions, const Pattern& parent,
                             const std::vector<float>& within_parent, const Pattern& child,
                             const MergeOptions& options);

// Merges until nothing changes. Where anything was merged the patterns come by falling number of
// seqlets.
std::vector<Pattern> collapse(const ScoredRegions& regions, std::vector<Pattern> patterns,
                              const std::vector<double>& background, const MergeOptions& options);

struct SubclusterOptions {
  double perplexity = 50;  // of the graph of the seqlets
  LeidenOptions leiden;
};

// What the clusters of a pattern's seqlets are found in.
RowNeighbors subcluster_neighbors(const ScoredRegions& regions,
                                  const std::vector<MotifSeqlet>& seqlets, double perplexity,
                                  const WorkerOptions& workers);

// The seqlets of a pattern in clusters, as patterns, the largest first.
std::vector<Pattern> subpatterns(const ScoredRegions& regions, const Pattern& pattern,
                                 const SubclusterOptions& options);

// Enough seqlets, and a window of enough information.
bool is_motif(const Pattern& pattern, const std::vector<double>& background,
              std::size_t min_seqlets, std::size_t window, double min_information,
              double pseudocount);

}  // namespace seqlift
