#include "core/motifs/scored_regions.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace seqlift {

void ScoredRegions::add(std::size_t example, const std::vector<std::uint8_t>& codes,
                        const std::vector<float>& scores) {
  row_of_[example] = static_cast<std::int32_t>(codes_.size() / length_);
  codes_.insert(codes_.end(), codes.begin(), codes.end());
  hypothetical_.insert(hypothetical_.end(), scores.begin(), scores.end());
}

double ScoredRegions::importance(const MotifSeqlet& seqlet) const {
  double sum = 0;
  for (std::size_t i = 0; i < seqlet.length(); ++i) {
    sum += std::abs(contribution(seqlet, i));
  }
  return sum;
}

MotifSeqlet turned(MotifSeqlet seqlet) {
  seqlet.reversed = !seqlet.reversed;
  return seqlet;
}

MotifSeqlet extended(MotifSeqlet seqlet, std::int32_t left, std::int32_t right) {
  if (seqlet.reversed) {
    std::swap(left, right);
  }
  seqlet.start -= left;
  seqlet.end += right;
  return seqlet;
}

std::vector<MotifSeqlet> by_importance(const ScoredRegions& regions,
                                       std::vector<MotifSeqlet> seqlets) {
  std::vector<double> importance;
  importance.reserve(seqlets.size());
  for (const MotifSeqlet& seqlet : seqlets) {
    // Summed in the sequence's own direction, so that the strand a seqlet got changes nothing.
    MotifSeqlet forward = seqlet;
    forward.reversed = false;
    importance.push_back(regions.importance(forward));
  }
  std::vector<std::size_t> order(seqlets.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return importance[a] > importance[b]; });
  std::vector<MotifSeqlet> sorted;
  sorted.reserve(seqlets.size());
  for (const std::size_t i : order) {
    sorted.push_back(seqlets[i]);
  }
  return sorted;
}

std::vector<double> letter_shares(const ScoredRegions& regions,
                                  const std::vector<MotifSeqlet>& seqlets) {
  std::vector<double> shares(n_letters, 0.0);
  double positions = 0;
  for (const MotifSeqlet& seqlet : seqlets) {
    for (std::size_t i = 0; i < seqlet.length(); ++i) {
      const std::uint8_t letter = regions.letter(seqlet, i);
      if (letter < n_letters) {
        shares[letter] += 1;
      }
    }
    positions += static_cast<double>(seqlet.length());
  }
  for (double& share : shares) {
    share /= std::max(positions, 1.0);
  }
  return shares;
}

}  // namespace seqlift
