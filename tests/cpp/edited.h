// Edited copies of sequences, evaluated in windows and as a whole.
#pragma once

#include "nets.h"

namespace nets {

struct Edits {
  std::vector<int64_t> row;
  std::vector<int64_t> start;
  at::Tensor content;          // [edits, 4, width]
  std::vector<int64_t> width;  // of each, or none: as `content`
};

// Every substitution of every base that is not there, at every position.
Edits all_substitutions(const at::Tensor& X);
// `count` windows of this width with other bases, both ends of the sequences among them.
Edits random_windows(const at::Tensor& X, int64_t width, int64_t count, int64_t seed);

// The same of several widths, up to the widest.
Edits random_edits(const at::Tensor& X, int64_t widest, int64_t count, int64_t seed);

// Insertions and deletions of 1 to 3 bases at every position: what is behind moves, out at the end
// or in from there.
Edits all_shifts(const at::Tensor& X, int64_t seed);

struct Edited {
  // Largest difference to copies and originals evaluated whole, by max(1, |value|).
  double apart = 0;
  double share = 0;                    // of the work
  int64_t whole = 0;                   // copies that could not be evaluated in windows
  double effect = 0;                   // largest change that an edit makes
  bool originals_as_predicted = true;  // those of predict() in batches of one, to the last bit
};

// Each edit by predict_windows(), against LibTorch's own interpreter on the edited sequences, and
// the sequences as they are.
Edited edited(const ModelPointer& model, const at::Tensor& X, const Edits& edits,
              const std::vector<at::Tensor>& args = {}, const Settings& settings = {});

}  // namespace nets
