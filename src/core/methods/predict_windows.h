// Predictions for edited copies of sequences: each copy is a sequence with one window of positions
// rewritten. Saturation mutagenesis, variants, motif screens and design are lists of such edits.
//
// `incremental` evaluates the copies only where they differ from their sequence (change.h), `full`
// as sequences of their own; both give the same numbers to rounding.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/changes/window_costs.h"
#include "core/methods/predict.h"

namespace seqlift {

// Edit i writes content[i] over the positions start[i] .. start[i] + width - 1 of sequence row[i].
struct WindowEdits {
  std::vector<int64_t> row;
  std::vector<int64_t> start;
  at::Tensor content;  // [edits, bases, width]; channels of X behind the bases stay as they are
  // Of each edit, at least 1 and at most that of `content`, whose first positions they are; empty:
  // as `content`.
  std::vector<int64_t> width;
};

struct PredictWindowsOptions {
  enum class Method { automatic, incremental, full };
  // Whether the sequences are predicted as they are, too. That is a part of evaluating their edits
  // in windows; the other sequences go into the batches of whole copies (`batched`), or each is
  // evaluated by itself (`alone`), so that all of them are what predict() gives of a single
  // sequence, to the last bit.
  enum class Originals { none, batched, alone };
  Method method = Method::automatic;      // automatic: what window_costs.h estimates to be cheaper
  int64_t batch_size = 32;                // copies evaluated as a whole at a time
  Originals originals = Originals::none;  // which of these
  // Entries of the first output's rows, from 0, that must be there. Asked of the first prediction.
  std::vector<int64_t> targets;
  WorkOptions work;
};

struct PredictWindowsResult {
  std::vector<at::Tensor> outputs;    // one per output of the graph, [edits, ...]
  std::vector<at::Tensor> originals;  // where asked for, [sequences, ...]
  // Multiplications and additions done, and those of evaluating every copy as a whole.
  double done_work = 0;
  double whole_work = 0;
  int64_t evaluated_whole = 0;  // edits that were evaluated as sequences of their own
  WindowCosts costs;  // what the choice between the two was made by, of the narrowest edits
};

// Errors: as predict(); kind "target" where there is no such entry.
PredictWindowsResult predict_windows(const Graph& graph, Constants& constants,
                                     const Sequences& sequences, const WindowEdits& edits,
                                     const PredictWindowsOptions& options);

}  // namespace seqlift
