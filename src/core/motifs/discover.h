// Motif discovery: TF-MoDISco (Shrikumar et al. 2018, arXiv:1811.00416), with the steps and
// defaults of its lite version (Schreiber, tfmodisco 2.6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/motifs/affinity.h"
#include "core/motifs/merge_patterns.h"

namespace seqlift {

struct DiscoverOptions {
  GappedKmerOptions kmers;
  std::size_t n_neighbors = 500;       // of a seqlet, beside itself, that are compared finely
  double min_correlation = 0.15;       // of the fine with the coarse similarities of a seqlet
  double perplexity = 10;              // of the graphs of seqlets
  double subcluster_perplexity = 50;   // and of those of one pattern's seqlets
  std::size_t min_seqlets = 20;        // of a pattern
  double min_information = 0.6;        // bits in the best window of a pattern
  std::size_t information_window = 6;  // bp, that window
  std::size_t n_leiden_runs = 50;      // the best of them is taken
  std::uint32_t seed = 0;              // of the first run
  MergeOptions merging;
  // Told what begins: a word for the step.
  std::function<void(const std::string& step)> report;
  WorkerOptions workers;
};

struct FoundPattern {
  Pattern pattern;
  std::vector<Pattern> subpatterns;  // the largest first
};

// The patterns of seqlets of one sign (1 or -1), the one of the most seqlets first. The seqlets are
// in the order in which they were called; all have one length.
std::vector<FoundPattern> discover(const ScoredRegions& regions,
                                   const std::vector<MotifSeqlet>& seqlets, int sign,
                                   const DiscoverOptions& options);

}  // namespace seqlift
