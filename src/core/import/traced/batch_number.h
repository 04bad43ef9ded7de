// A number as a function of the number of sequences.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace seqlift {

// How a number follows the number of sequences: a g(n) + b.
struct BatchNumber {
  enum class Form { linear, inverse, root, inverse_root, square };
  Form form = Form::linear;
  double a = 0;
  double b = 0;
  double at(int64_t sequences) const;
};

// The function that gives `values` for `sequences`, or nothing. `whole`: for whole numbers, with
// whole a and b. Two values are equal within `tolerance`, relative. At least three values, or two
// of a function with b = 0 (then a chance is too likely: the caller has to try it).
std::optional<BatchNumber> find_batch_number(const std::vector<int64_t>& sequences,
                                             const std::vector<double>& values, bool whole,
                                             double tolerance = 1e-12);

}  // namespace seqlift
