// How large the best score of a query against a target is by chance: the second half of Tomtom (see
// tomtom.h).
//
// Columns of targets are taken to be independent draws from all columns of all targets, so that the
// score of query columns a .. b against as many target columns follows the convolution of their
// columns' shares. A target of a given width can lie along a query in (query width + target width -
// 1) ways, each of which aligns a span of the query; the best of them is taken to be the largest of
// as many independent scores.
//
// As memelite 0.2 does, the lowest score of all (shifted score 0, which hardly ever occurs) is left
// out of the convolutions: its share is missing from the distributions. What is missing counts as
// larger than every score. Without `compatible` nothing is missing.
#pragma once

#include <cstddef>
#include <vector>

#include "core/motifs/tomtom_scores.h"

namespace seqlift {

// Memory that is kept from query to query.
struct NullSpace {
  std::vector<double> sum;
  std::vector<double> next;
  std::vector<double> padded;
};

class BestScoreNull {
 public:
  // `widths`: those of the targets, each once, ascending.
  BestScoreNull(const QueryScores& query, const std::vector<std::size_t>& widths, NullSpace& space);

  // The chance that the best score, shifted, of a target of this width is at least `score`.
  double p_value(std::size_t width, std::int64_t score) const;

 private:
  // The chance of a larger sum than x, of the columns of a span: for x = 0 .. n_bins * columns,
  // where it is what is missing.
  struct Span {
    std::vector<double> larger;
    std::size_t first = 0;
    std::size_t last = 0;
  };

  void find_spans(const QueryScores& query, const std::vector<std::size_t>& widths,
                  NullSpace& space);
  // The chance that the largest of what `largest` says and a span's score is larger than each
  // score. Larger scores than the span's own range leave the chance of `largest` as it is.
  void take_in(const Span& span, std::vector<double>& largest) const;

  const Span& span(std::size_t first, std::size_t last) const {
    return spans_[first * width_ + last];
  }

  std::size_t width_;
  std::size_t n_bins_;
  std::size_t offset_;
  std::vector<Span> spans_;                  // by first and last column, those that are needed
  std::vector<std::vector<double>> larger_;  // by target width, then by shifted score
};

}  // namespace seqlift
