// How alike seqlets are position by position: continuous Jaccard similarity of their contributions
// and hypothetical contributions, sum sgn(x) sgn(y) min(|x|, |y|) / sum max(|x|, |y|), the second
// comparison of TF-MoDISco.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/motifs/coarse_similarity.h"
#include "core/motifs/scored_regions.h"
#include "core/motifs/workers.h"

namespace seqlift {

constexpr std::size_t n_tracks = 8;  // four hypothetical contributions, four of the letter there

// Tracks of one seqlet or pattern, [length, 8], each half scaled to a sum of sizes of 1.
std::vector<float> scaled_tracks(const ScoredRegions& regions, const MotifSeqlet& seqlet);
std::vector<float> scaled_tracks(const std::vector<double>& hypothetical,
                                 const std::vector<double>& contributions);

struct Alignment {
  std::int32_t offset = 0;  // of the second's first position from the first's
  bool reversed = false;    // the second is turned over
  double similarity = 0;
};

// `second` slides over `first`, up to `padding` positions beyond its ends. What of the first lies
// outside the second is not counted. The first of equally good offsets; not reversed.
Alignment slide(const std::vector<float>& first, const std::vector<float>& second,
                std::size_t padding);

// Numbers by row, as far as they are stored.
template <class T>
struct SparseRows {
  std::vector<std::size_t> begin{0};
  std::vector<std::uint32_t> index;
  std::vector<T> value;

  std::size_t rows() const { return begin.size() - 1; }
};

// The similarity of each seqlet to its neighbours, in their order, of the better strand and offset.
// `min_overlap`: the share of a seqlet that stays on the other.
std::vector<float> neighbor_similarities(const ScoredRegions& regions,
                                         const std::vector<MotifSeqlet>& seqlets,
                                         const Neighbors& neighbors, double min_overlap,
                                         const WorkerOptions& workers);

// Spearman's correlation of the fine with the coarse similarities of each seqlet, where the fine
// ones are not 0; NaN where it is not defined.
std::vector<double> agreement(const Neighbors& neighbors, const std::vector<float>& similarities,
                              const WorkerOptions& workers);

// Seqlets of one length that are compared without sliding.
class SeqletTracks {
 public:
  SeqletTracks(const ScoredRegions& regions, const std::vector<MotifSeqlet>& seqlets);

  std::size_t size() const { return tracks_.size(); }
  double similarity(std::size_t i, const SeqletTracks& others, std::size_t j) const;

 private:
  std::vector<std::vector<double>> tracks_;
};

}  // namespace seqlift
