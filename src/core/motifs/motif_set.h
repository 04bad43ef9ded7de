// Motifs laid side by side, as the functions that compare them take them.
#pragma once

#include <cstddef>
#include <vector>

namespace seqlift {

// Each motif is a matrix with a row for each letter and a column for each position, its columns one
// after another; all have the same number of rows.
struct MotifSet {
  std::size_t n_rows = 4;
  std::vector<double> values;       // n_rows for each column of all motifs
  std::vector<std::size_t> widths;  // of each motif, at least 1

  std::size_t size() const { return widths.size(); }
  std::size_t n_columns() const { return n_rows == 0 ? 0 : values.size() / n_rows; }
};

}  // namespace seqlift
