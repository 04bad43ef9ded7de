// What evaluating edited copies of a sequence takes, in windows and as whole sequences: an
// estimate, of counts alone, so that the choice between the two is the same on every machine and in
// every run.
//
// A product of matrices costs by its multiplications, nearly everything else by the numbers that it
// reads and writes: a softmax of an attention's T x T numbers takes as long as the product before
// it, although that multiplies T x T x d. Numbers are the dearer the farther from the core they
// are: in its own cache, in memory, or in memory that the system must map and clear first.
#pragma once

#include <cstdint>
#include <vector>

namespace seqlift {

// Of one row, and of all rows together.
struct OperationWork {
  double products = 0;  // multiplications and additions of matrix products and convolutions
  double numbers = 0;   // read and written
  double weights = 0;   // read once for all rows: a dense layer's take longer than its products
};

// One operation: of a copy evaluated whole, and as it is done in windows.
struct CountedOperation {
  OperationWork whole;
  OperationWork done;
  bool in_windows = false;  // it was done by a rule for windows, or windows were filled up for it
};

// Nanoseconds of one core for `rows` rows together.
double operation_cost(const OperationWork& one, double rows);

struct WindowCosts {
  double original = 0;  // the sequence itself, with all that is kept of it
  double window = 0;    // a copy in windows, of a batch
  double whole = 0;     // a copy as a whole, of a batch
};
WindowCosts window_costs(const std::vector<CountedOperation>& operations, int64_t window_rows,
                         int64_t whole_rows);

}  // namespace seqlift
