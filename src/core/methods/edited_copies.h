// Edited copies of one sequence: evaluated in windows, or each as a whole.
#pragma once

#include <atomic>
#include <map>
#include <vector>

#include "core/changes/change.h"
#include "core/methods/predict_windows.h"
#include "core/numeric/device.h"

namespace seqlift {

// What all sequences of a call have in common.
struct EditedCall {
  const Graph& graph;
  Constants& constants;
  const Sequences& sequences;
  const WindowEdits& edits;
  const at::Tensor content;  // of the edits, in the dtype and on the device of the call
  Batches& batches;          // of copies evaluated whole
  Batches& window_batches;   // of windows

  int64_t width(int64_t edit) const {
    return edits.width.empty() ? content.size(2) : edits.width[edit];
  }
};

// A sequence as it is (`edit` below 0) or edited, to be evaluated as a whole.
struct WholeCopy {
  int64_t row = 0;
  int64_t edit = -1;
};

// Their outputs, in that order.
std::vector<at::Tensor> evaluate_whole(const EditedCall& call, const std::vector<WholeCopy>& copies,
                                       const std::atomic<bool>& cancelled);

class EditedCopies {
 public:
  using Outputs = std::vector<at::Tensor>;

  EditedCopies(const EditedCall& call, int64_t row);

  // What one edit tells of others like it: log() then knows the ranges that are looked at, and the
  // work. By shapes alone, which costs next to nothing and is false where the model's code asks for
  // numbers, or by an evaluation. Nothing of the sequence is kept either way.
  bool scout_by_shapes(int64_t edit, const std::atomic<bool>& cancelled);
  void scout_by_numbers(int64_t edit, const std::atomic<bool>& cancelled);
  // Whether the sequence's activations are remembered for further batches of edits (default). What
  // comes in one batch lets each go behind its last user, and the next one takes its warm memory.
  void keep_original(bool keep) { keeps_ = keep; }
  // Edits that are like a scout's, whose log this is; in windows where that is possible. They may
  // be of several widths: the windows have the largest.
  Outputs run(const int64_t* edits, int64_t count, const ChangeLog& scouted,
              const std::atomic<bool>& cancelled);

  // The outputs of the sequence itself, once edits were evaluated in windows; none before.
  const Outputs& original() const { return original_; }
  const ChangeLog& log() const { return log_; }
  int64_t row() const { return row_; }
  // False once windows turned out not to be possible.
  bool local() const { return local_; }

  double done_work = 0;
  double whole_work = 0;
  int64_t evaluated_whole = 0;

 private:
  Outputs whole(const int64_t* edits, int64_t count);
  // Nothing where the copies must be evaluated whole.
  Outputs in_windows(const int64_t* edits, int64_t count, bool ranges);
  void end_scouting();
  std::vector<Value> evaluate_windows(const int64_t* edits, int64_t count, bool ranges, Memo* memo);
  Outputs in_windows_if_possible(const int64_t* edits, int64_t count, bool ranges);
  Outputs in_windows_or_whole(const int64_t* edits, int64_t count);
  std::vector<Value> unchanged_args(int64_t rows) const;
  Value changed_X(const int64_t* edits, int64_t rows) const;

  const EditedCall& call_;
  const int64_t row_;
  const std::atomic<bool>* cancelled_ = nullptr;
  at::Tensor X_;  // [1, C, L]
  std::vector<Value> args_;
  Memo memo_;
  ChangeLog log_;
  Outputs original_;
  bool local_ = true;
  bool keeps_ = true;  // the original's activations, for the next batch
};

}  // namespace seqlift
