// The scores of a query's columns against all columns of all targets, as whole numbers: the first
// half of Tomtom (see tomtom.h), with the approximations of memelite 0.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/motifs/motif_set.h"
#include "core/motifs/tomtom_loops.h"

namespace seqlift {

// The columns of all targets, and those of their reverse complements behind them, equal ones once.
// Two columns are equal when each of their numbers falls into the same of `n_bins` bins between the
// smallest and the largest number of its row; the first of them stands for all. 0 bins: every
// column stands for itself.
class TargetColumns {
 public:
  TargetColumns(const MotifSet& targets, std::size_t n_bins, bool reverse_complement);

  // Columns are padded to whole blocks, with copies of the first that count 0 times.
  static constexpr std::size_t block = loops::tomtom_block;

  std::size_t n_rows() const { return n_rows_; }
  std::size_t size() const { return norms_.size(); }
  const double* row(std::size_t letter) const { return values_.data() + letter * size(); }
  const std::vector<double>& norms() const { return norms_; }           // sums of squares
  const std::vector<std::uint32_t>& counts() const { return counts_; }  // columns behind each
  std::size_t total() const { return column_of_.size(); }               // columns of all targets

  // Targets, and their reverse complements behind them.
  std::size_t n_targets() const { return widths_.size(); }
  std::size_t width(std::size_t target) const { return widths_[target]; }
  // Of each position of a target, the number of its column.
  const std::uint32_t* columns(std::size_t target) const {
    return column_of_.data() + starts_[target];
  }

 private:
  std::size_t n_rows_;
  std::vector<double> values_;
  std::vector<double> norms_;
  std::vector<std::uint32_t> counts_;
  std::vector<std::uint32_t> column_of_;
  std::vector<std::size_t> widths_;
  std::vector<std::size_t> starts_;
};

// The scores of one query. A column's score is minus its Euclidean distance, less the median over
// all target columns, in whole steps; 0 is the median, which is also what a column that lies
// beyond the other motif counts. `shifted` scores are at least 0: `offset` is added to each.
struct QueryScores {
  std::size_t width = 0;
  std::size_t n_bins = 0;  // the largest shifted score
  bool compatible = true;  // as of the options
  std::int64_t offset = 0;
  double scale = 0;  // steps for a distance of 1
  // By target column, `stride` numbers each: those of the query's columns, the last first, then
  // zeros. Not shifted.
  std::vector<std::int16_t> scores;
  std::size_t stride = 0;
  std::vector<double> shares;  // by query column, then by shifted score (n_bins + 1)

  const double* share(std::size_t i) const { return shares.data() + i * (n_bins + 1); }
};

struct ScoreOptions {
  std::size_t n_score_bins = 100;    // steps of scores, at most
  std::size_t n_median_bins = 1000;  // steps of distances, where a median is looked for
  // The lowest score of all is left out of the null distributions, see tomtom_null.h.
  bool compatible = true;
};

// Memory that is kept from query to query.
struct ScoreSpace {
  std::vector<double> distances;
  std::vector<double> norms;
  std::vector<double> lowest;
  std::vector<double> highest;
  std::vector<double> medians;
  std::vector<std::int16_t> scores;
  std::vector<std::int32_t> bins;
  std::vector<std::uint32_t> counts;
};

// Fills `result` for the query whose columns begin at `query`. False when every column of the query
// is as far from each target column as from any other: nothing can be told apart.
bool score_columns(const double* query, std::size_t width, const TargetColumns& targets,
                   const ScoreOptions& options, ScoreSpace& space, QueryScores& result);

}  // namespace seqlift
