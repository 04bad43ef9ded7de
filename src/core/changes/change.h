// Edited copies of one sequence, evaluated only where they differ from it.
//
// The original is evaluated once. Of every activation of the edited copies (the rows) a window of
// positions is kept, all rows' windows of one width: the difference to the original inside of it;
// outside there is none. A linear operation applies to the differences as they are (its bias
// cancels, and zero padding stays zero); any other one gets the values, original plus difference,
// and what it gives is compared with what it gave of the original. An operation that does not say
// how far it spreads a change gets all values of every row: more work, the same numbers.
//
// How far a window must reach is known twice: forwards, from where the edits are, and backwards,
// from what the output looks at (a crop, a chosen strand). The first few edits of a sequence are
// evaluated forwards alone and tell which range of each activation is looked at; the others leave
// out what lies outside of it.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "core/changes/window_costs.h"
#include "core/model/operation.h"

namespace seqlift {

class ChangeLog;

// Positions begin .. end - 1.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;

  bool empty() const { return begin >= end; }
  bool holds(const Range& other) const {
    return other.empty() || (begin <= other.begin && other.end <= end);
  }
  Range with(const Range& other) const;
};

// Which value of the graph a change belongs to: an operation, how often it was come to before, and
// which of its outputs.
using ChangeKey = std::tuple<const torch::jit::Node*, int, int>;

struct Change {
  // [rows, width, ...]: the difference to the original, positions second, the other dimensions of
  // one row behind them in their order.
  at::Tensor delta;
  std::vector<int64_t> start;  // of every row's window
  int64_t axis = 2;            // the dimension of positions
  // The sizes of one row before views merged its dimensions ([1, C, L] for a flattened value);
  // `axis` counts in these.
  std::vector<int64_t> sizes;
  Range known;    // the positions for which the windows speak
  ChangeKey key;  // whose they are
  // Further inputs of the model, and what is computed of them alone, are the same for all rows.
  bool never = false;

  int64_t width() const { return delta.size(1); }
  int64_t rows() const { return delta.size(0); }
  int64_t length() const { return sizes[axis]; }
  bool is_merged(const at::Tensor& original) const { return !original.sizes().equals(sizes); }
};

// Windows of one width, one for each row.
struct Windows1d {
  std::vector<int64_t> start;
  int64_t width = 0;
};

// Whether the differences are numbers: infinite values have none. Shapes alone say nothing of it.
bool are_numbers(const at::Tensor& delta, const ChangeLog& log);
// A row's positions first: [length, ...] for an original of these sizes, [1, ..., length, ...].
at::Tensor original_rows(const at::Tensor& original, const std::vector<int64_t>& sizes,
                         int64_t axis);
// [rows, width, ...] of the original, `fill` beyond its ends.
at::Tensor gather_windows(const at::Tensor& original, const Windows1d& windows, double fill = 0);
// The differences seen through other windows; zero where they hold none.
at::Tensor move_windows(const Change& change, const Windows1d& windows);
// `values` [rows, width, ...] in `windows` plus the differences there.
void add_change(at::Tensor& values, const Windows1d& windows, const Change& change);
// All values of every row, in the dimensions of `original`.
at::Tensor all_values(const at::Tensor& original, const Change& change);
// From [rows, width, ...] to the order of the graph, positions at `axis`, and back.
at::Tensor to_graph(const at::Tensor& rows, int64_t axis);
at::Tensor from_graph(const at::Tensor& tensor, int64_t axis);

// Thrown where windows cannot be kept (the model writes into what others see of the memory): the
// edited copies must be evaluated whole.
struct NotLocal {};
// Thrown where an operation looks at more than the first edits did: evaluate without ranges.
struct RangeExceeded {};

// What the batches of edits of one sequence share: the ranges that are looked at, and the work.
class ChangeLog {
 public:
  // Before each batch. `ranges`: leave out what the batches so far did not look at.
  void start(bool ranges);
  // After the first batch.
  void find_ranges();
  ChangeKey key(const torch::jit::Node* node, int output) const;
  void enter(const torch::jit::Node* node) { ++visits_[node]; }

  // The range of a value that is looked at; all of it while that is not known.
  Range needed(const ChangeKey& key, int64_t length) const;
  // An operation forms `output` in a range by looking at `input` in the range that `seen` tells.
  void link(const ChangeKey& output, const Range& range, const Change& input,
            const std::function<Range(const Range&)>& seen);
  // All of it is looked at.
  void demand(const Change& input);

  // Of an operation, one row's work as a whole, and what was done of it for every row.
  void count(const OperationWork& whole, const OperationWork& done, bool in_windows, int64_t rows);
  // The windows of a value of so many numbers were filled up.
  void count_filled(int64_t numbers);
  // Of the batches before find_ranges().
  const std::vector<CountedOperation>& operations() const { return operations_; }
  // Multiplications and additions, and one for each number: of all rows as a whole, and those done.
  double whole_work = 0;
  double done_work = 0;
  int64_t widest = 0;         // numbers in one row's largest window
  bool shapes_alone = false;  // what values hold is not computed (shapes_alone.h)

 private:
  struct Link {
    ChangeKey output;
    ChangeKey input;
    std::function<Range(const Range&)> seen;
  };
  std::vector<Link> links_;
  std::vector<CountedOperation> operations_;
  std::map<ChangeKey, Range> needed_;
  std::map<const torch::jit::Node*, int> visits_;
  bool recording_ = true;
  bool ranges_ = false;
};

// An operation about to be applied to changes.
struct ChangeCall {
  Call& call;
  const std::vector<c10::IValue>& outputs;  // of the original
  ChangeLog& log;
  int64_t rows = 0;

  bool changed(int input) const { return call.inputs[input].change() != nullptr; }
  const Change& change(int input) const { return *call.inputs[input].change(); }
  at::Tensor original(int input) const { return call.inputs[input].x.toTensor(); }
  at::Tensor output(int i = 0) const { return outputs[i].toTensor(); }
  // Inputs that change (all with windows where none does); and whether any other input differs
  // between the rows and the original.
  std::vector<int> windowed() const;
  bool others_differ() const;
  // Nothing but the first input changes, in windows, and its dimensions are its own.
  bool one_change() const;
  // The argument called `name`, as the rows have it.
  const c10::IValue& argument(const char* name) const;
  bool has(const char* name) const { return call.find(name) >= 0; }
};

// The windows of output `i` where its rows change in begin .. end - 1 (any that are outside of what
// is looked at are cut off), and the links to the inputs that they are formed from.
struct OutputWindows {
  Windows1d windows;
  Range known;
  ChangeKey key;
};
OutputWindows fit(ChangeCall& call, int output, const std::vector<Range>& changed, int64_t length);
void look_at(ChangeCall& call, const OutputWindows& output, const Change& input,
             const std::function<Range(const Range&)>& seen);
// The result of a change rule: the differences in these windows.
Value changed_value(const c10::IValue& original, const OutputWindows& output, at::Tensor delta,
                    int64_t axis, std::vector<int64_t> sizes);
// The changed range of every row.
std::vector<Range> ranges_of(const Change& change);

// The rules, by file; each returns no values where it does not apply.
namespace changes {
std::vector<Value> pass(ChangeCall& call);           // changes/elementwise.cpp
std::vector<Value> sum(ChangeCall& call);            // changes/elementwise.cpp
std::vector<Value> elementwise(ChangeCall& call);    // changes/elementwise.cpp
std::vector<Value> relu(ChangeCall& call);           // changes/elementwise.cpp
std::vector<Value> batch_norm(ChangeCall& call);     // changes/elementwise.cpp
std::vector<Value> over_channels(ChangeCall& call);  // changes/elementwise.cpp
std::vector<Value> convolution(ChangeCall& call);    // changes/local.cpp
std::vector<Value> max_pool(ChangeCall& call);       // changes/local.cpp
std::vector<Value> avg_pool(ChangeCall& call);       // changes/local.cpp
std::vector<Value> dense(ChangeCall& call);          // changes/dense.cpp
std::vector<Value> matmul(ChangeCall& call);         // changes/dense.cpp
std::vector<Value> reduce(ChangeCall& call);         // changes/dense.cpp
std::vector<Value> maximum(ChangeCall& call);        // changes/dense.cpp
std::vector<Value> view(ChangeCall& call);           // changes/shape.cpp
std::vector<Value> permute(ChangeCall& call);        // changes/shape.cpp
std::vector<Value> slice(ChangeCall& call);          // changes/shape.cpp
std::vector<Value> split(ChangeCall& call);          // changes/shape.cpp
std::vector<Value> join(ChangeCall& call);           // changes/shape.cpp
std::vector<Value> flip(ChangeCall& call);           // changes/shape.cpp
std::vector<Value> pad(ChangeCall& call);            // changes/shape.cpp
}  // namespace changes

}  // namespace seqlift
