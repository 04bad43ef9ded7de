// The score of chosen bins of a long-context model's output, one number a sequence, as modules of
// its own (see profile_score.h): what is not linear in it can be registered.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/modules.h"

namespace seqlift {

// How a prediction was squashed before the model learned it, to be undone: divided by `scale`, what
// lies above `clip` given back its square (clip + (x - clip)^2), to the power 1 / `power`.
struct Squashing {
  double scale = 1;
  double clip = 0;  // 0: nothing was clipped
  double power = 1;

  bool any() const { return scale != 1 || clip > 0 || power != 1; }
};

struct BinScoreOptions {
  bool tracks_first = false;    // [n, tracks, bins], else [n, bins, tracks]
  std::vector<int64_t> bins;    // from 0, ascending, no two alike; empty: all
  std::vector<int64_t> tracks;  // the same
  int64_t bins_in_all = 0;      // how many the output must have; 0: any number that holds `bins`
  int64_t tracks_in_all = 0;    // the same
  Squashing squashing;          // to be undone; none
  bool mean = false;       // over the bins, else their sum; over the tracks it is always the mean
  bool logarithm = false;  // of that number and the pseudocount
  double pseudocount = 0;  // in the units of the output
};

// BinScore with what it holds: outputs [n, bins, tracks] to scores [n, 1]. An output of another
// rank or too small is refused when the score is computed, in its code's own words.
ModulePart bin_score_part(const BinScoreOptions& options);

// All of the options as text, the same for the same options alone.
std::string key_of(const BinScoreOptions& options);

// Where the modules stand in the wrapped model: BinScore here, Unsquash and LogScore below.
constexpr const char* bin_score_path = "select_bins()";

}  // namespace seqlift
