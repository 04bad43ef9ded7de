// Patterns: seqlets laid on top of each other, with their means. TF-MoDISco's aggregation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/motifs/fine_similarity.h"
#include "core/motifs/scored_regions.h"
#include "core/motifs/workers.h"

namespace seqlift {

struct PatternOptions {
  double min_overlap = 0.7;         // share of a seqlet that stays on the pattern
  std::size_t trim_to_window = 30;  // bp with the most information, kept of a pattern
  std::size_t flank = 10;           // bp added around it
  double pseudocount = 0.001;       // of letters, where information is computed
};

// All seqlets have the length of the pattern, and each place occurs once.
class Pattern {
 public:
  explicit Pattern(const ScoredRegions& regions) : regions_(&regions) {}
  // Seqlets of one length; of those at the same place, whichever way they are read, the first.
  Pattern(const ScoredRegions& regions, const std::vector<MotifSeqlet>& seqlets);

  const std::vector<MotifSeqlet>& seqlets() const { return seqlets_; }
  std::size_t size() const { return seqlets_.size(); }
  std::size_t length() const { return seqlets_.empty() ? 0 : seqlets_.front().length(); }

  // Means, [length, 4].
  std::vector<double> letters() const { return mean(letters_); }
  std::vector<double> hypothetical() const { return mean(hypothetical_); }
  std::vector<double> contributions() const { return mean(contributions_); }

  // Of the contributions of each seqlet.
  std::vector<double> sums() const;

  // Lays a seqlet at an offset from the pattern's start; both are made longer where one sticks out.
  // Seqlets that would leave their sequence are left out: the new one, or those of the pattern.
  void add(MotifSeqlet seqlet, std::int32_t offset);
  // Positions more, or less where negative, at both ends.
  void extend(std::int32_t left, std::int32_t right);

 private:
  std::vector<double> mean(const std::vector<double>& sums) const;
  bool insert(const MotifSeqlet& seqlet);
  void rebuild(const std::vector<MotifSeqlet>& seqlets);

  const ScoredRegions* regions_;
  std::vector<MotifSeqlet> seqlets_;
  std::vector<std::uint64_t> places_;  // of the seqlets, sorted
  std::vector<double> letters_;        // sums
  std::vector<double> hypothetical_;
  std::vector<double> contributions_;
};

// What the similarity of patterns looks at.
enum class Likeness { jaccard, correlation };

// The best place of `second` along `first`, either way round; reversed only where that is better.
// Correlation: of the contributions, less their mean.
Alignment align(const Pattern& first, const Pattern& second, Likeness likeness, double min_overlap);

// Adds seqlets one by one, each where it fits best. A piece of work: see leave_if_cancelled().
void add_seqlets(const ScoredRegions& regions, Pattern& pattern,
                 const std::vector<MotifSeqlet>& seqlets, Likeness likeness, double min_overlap);

// Bits of each position: the entropy of the background less that of the letters, as the peer has
// it: sum_b p log2((p + c) / (1 + 4 c)) - bg log2(bg).
std::vector<double> information_of(const std::vector<double>& letters,
                                   const std::vector<double>& background, double pseudocount);

// The window of the most information, with flanks. May be empty: no seqlet is far enough from the
// ends of its sequence.
void polish(Pattern& pattern, const std::vector<double>& background, const PatternOptions& options);

// A pattern of each cluster, the seqlets of which go in by falling importance; those whose
// contributions have the other sign than `sign` are left out.
std::vector<Pattern> patterns_of(const ScoredRegions& regions,
                                 const std::vector<MotifSeqlet>& seqlets,
                                 const std::vector<std::uint32_t>& membership, int sign,
                                 const std::vector<double>& background,
                                 const PatternOptions& options, const WorkerOptions& workers = {});

}  // namespace seqlift
