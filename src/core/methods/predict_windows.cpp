// What windows take is found out by one edit of each size (a scout) before the others are
// evaluated: how wide the windows become, which positions the output looks at, what windows and
// what whole copies cost. A scout tells by the shapes of what would be computed, and is no
// sequence's: neither the choice nor a batch depends on which sequence comes first. A sequence's
// edits are then evaluated in windows, the sequence itself but once, where that is less than a
// whole copy for each.

#include "core/methods/predict_windows.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <tuple>

#include "core/base/error.h"
#include "core/base/memory.h"
#include "core/evaluate/recompute.h"
#include "core/methods/batch_check.h"
#include "core/methods/chunks.h"
#include "core/methods/edited_copies.h"
#include "core/methods/pairs.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// Numbers in the largest activation of a batch of windows: what stays in a core's own cache.
constexpr int64_t batch_numbers = 1 << 20;
constexpr int64_t largest_batch = 256;
// Windows that cost more than this share of whole copies are not worth the risk of the estimate.
constexpr double worthwhile = 0.8;
// So many edits of a sequence are worth another evaluation of it on another thread.
constexpr int64_t worth_sharing = 64;

using Outputs = std::vector<at::Tensor>;
using Edits = std::vector<int64_t>;

// Wider edits are most of what their windows hold, so that each is to have hardly more than its own
// width: insertions and deletions, behind which everything moves.
constexpr int64_t wide = 64;

// Edits of up to twice the width of each other go together, wide ones of up to five quarters.
int size_of(int64_t width) {
  int size = 0;
  for (int64_t limit = 1; limit < width; limit = limit < wide ? 2 * limit : limit + limit / 4) {
    ++size;
  }
  return size;
}

// What a scout told of the edits of its size.
struct Plan {
  ChangeLog log;
  int64_t batch = 1;  // windows evaluated together
  bool possible = false;
};

// How many sequences' activations, all of them, the call's memory (memory.h) has room for beside
// what the largest operation takes of a sequence and its copy. By the shapes alone, so that the
// number of threads does not change a result.
int64_t originals_in_memory(const EditedCall& call) {
  constexpr int64_t any = std::numeric_limits<int64_t>::max();
  const auto budget = memory_share().budget;
  if (!budget || !call.constants.device().is_cpu()) {
    return any;
  }
  Footprint footprint;
  try {
    footprint =
        footprint_of(call.graph, call.constants,
                     first_row(to_compute(call.sequences.X(0, 1), call.constants),
                               batch_of_args(call.sequences, call.constants, 0, 1), call.graph));
  } catch (const Error& error) {
    if (error.kind() == "memory" || error.kind() == "interrupt") {
      throw;
    }
    return any;  // told of by the evaluation itself
  }
  const double each = memo_bytes(footprint, {1, 0}) + plain_bytes(footprint, 2);
  return each > 0 ? static_cast<int64_t>(std::min(1e9, static_cast<double>(*budget) / each)) : any;
}

class Prediction {
 public:
  Prediction(const EditedCall& call, const PredictWindowsOptions& options, int64_t copies)
      : call_(call), options_(options), copies_(copies), edits_(call.sequences.count) {}

  PredictWindowsResult run(const WorkOptions& work);

 private:
  // A share of the batches of one sequence's edits. The batches do not depend on the shares, so
  // that the number of threads does not change a result.
  struct Task {
    int64_t row = 0;
    int64_t share = 0;
    int64_t shares = 1;
  };

  void sort_edits();
  void scout(const std::atomic<bool>& cancelled);
  void scout(int size, int64_t edit, const std::atomic<bool>& cancelled);
  void choose(int64_t row, int threads);
  bool in_windows(int64_t row) const;
  void divide(int threads);
  int64_t chunks() const { return static_cast<int64_t>(tasks_.size() + starts_.size()) - 1; }
  void run_chunk(int64_t chunk, const std::atomic<bool>& cancelled);
  void run_task(const Task& task, const std::atomic<bool>& cancelled);
  void run_whole(int64_t begin, int64_t end, const std::atomic<bool>& cancelled);
  void keep(Outputs& kept, int64_t size, const Outputs& outputs, const Edits& places);
  void keep_edits(const Outputs& outputs, const Edits& edits) {
    keep(result_.outputs, static_cast<int64_t>(call_.edits.row.size()), outputs, edits);
  }
  void keep_original(int64_t row, const Outputs& outputs) {
    keep(result_.originals, call_.sequences.count, outputs, {row});
  }
  bool originals() const { return options_.originals != PredictWindowsOptions::Originals::none; }
  void count(EditedCopies& copies);

  const EditedCall& call_;
  const PredictWindowsOptions& options_;
  const int64_t copies_;                     // evaluated whole at a time
  int64_t originals_ = 0;                    // whose activations there is memory for
  std::vector<std::map<int, Edits>> edits_;  // of each sequence, by size, in order of their places
  std::map<int, Plan> plans_;                // by size
  std::vector<Task> tasks_;
  std::vector<WholeCopy> whole_;
  std::vector<int64_t> starts_;  // of the batches of whole copies, and their end
  PredictWindowsResult result_;
  std::mutex mutex_;
};

void Prediction::sort_edits() {
  Edits order(call_.edits.row.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return call_.edits.start[a] < call_.edits.start[b];
  });
  for (const int64_t edit : order) {
    edits_[call_.edits.row[edit]][size_of(call_.width(edit))].push_back(edit);
  }
}

void Prediction::keep(Outputs& kept, int64_t size, const Outputs& outputs, const Edits& places) {
  const at::Tensor index = at::tensor(places, at::TensorOptions(at::kLong));
  const std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (kept.size() == i) {
      if (i == 0) {
        check_targets(options_.targets, outputs[i].dim() > 1 ? outputs[i].size(1) : 1);
      }
      std::vector<int64_t> sizes = outputs[i].sizes().vec();
      sizes[0] = size;
      kept.push_back(at::zeros(sizes, outputs[i].options()));
    }
    kept[i].index_copy_(0, index, outputs[i]);
  }
}

void Prediction::count(EditedCopies& copies) {
  const std::lock_guard<std::mutex> lock(mutex_);
  result_.done_work += copies.done_work;
  result_.whole_work += copies.whole_work;
  result_.evaluated_whole += copies.evaluated_whole;
  copies.done_work = copies.whole_work = 0;
  copies.evaluated_whole = 0;
}

void Prediction::scout(int size, int64_t edit, const std::atomic<bool>& cancelled) {
  EditedCopies copies(call_, call_.edits.row[edit]);
  if (!copies.scout_by_shapes(edit, cancelled)) {
    copies.scout_by_numbers(edit, cancelled);
  }
  Plan& plan = plans_[size];
  plan.log = copies.log();
  plan.possible = copies.local();
  plan.batch =
      std::clamp<int64_t>(batch_numbers / std::max<int64_t>(plan.log.widest, 1), 1, largest_batch);
}

// Of each size the widest edit, and of those the one nearest to the middle: near the ends windows
// are smaller.
void Prediction::scout(const std::atomic<bool>& cancelled) {
  const int64_t length = call_.sequences.X(0, 1).size(2);
  const auto rank = [&](int64_t edit) {
    const int64_t width = call_.width(edit);
    const int64_t start = call_.edits.start[edit];
    return std::make_tuple(-width, std::abs(2 * start + width - length), start);
  };
  std::map<int, int64_t> scouts;
  for (const auto& own : edits_) {
    for (const auto& [size, edits] : own) {
      for (const int64_t edit : edits) {
        const auto known = scouts.find(size);
        if (known == scouts.end()) {
          scouts[size] = edit;
        } else if (rank(edit) < rank(known->second)) {
          known->second = edit;
        }
      }
    }
  }
  for (const auto& [size, edit] : scouts) {
    scout(size, edit, cancelled);
    if (!plans_[size].possible) {
      return;  // nor are others
    }
  }
}

// Whether windows cost less than whole copies, all edits of a sequence together; sizes for which
// they do not are left out.
void Prediction::choose(int64_t row, int threads) {
  const bool asked = options_.method == PredictWindowsOptions::Method::incremental;
  std::map<int, Edits> chosen;
  double windows = 0;
  double whole = 0;
  double original = 0;
  int64_t number = 0;
  for (auto& [size, edits] : edits_[row]) {
    const auto plan = plans_.find(size);
    const auto own = static_cast<int64_t>(edits.size());
    if (edits.empty() || plan == plans_.end() || !plan->second.possible) {
      continue;
    }
    const int64_t batch = std::min(plan->second.batch, own);
    WindowCosts costs = window_costs(plan->second.log.operations(), batch, copies_);
    if (originals_ == 0) {
      // Not kept, the original is evaluated with each batch.
      costs.window += costs.original / static_cast<double>(batch);
      costs.original = 0;
    }
    if (asked || costs.window <= worthwhile * costs.whole) {
      windows += costs.window * static_cast<double>(own);
      whole += costs.whole * static_cast<double>(own);
      original = costs.original;
      number += own;
      chosen[size] = edits;
      edits.clear();
    }
  }
  if (originals() && number > 0) {
    whole += whole / static_cast<double>(number);
  }
  if (!asked && windows + original > worthwhile * whole) {
    for (auto& [size, edits] : chosen) {
      edits_[row][size] = edits;
    }
    chosen.clear();
  }
  const bool in_windows = !chosen.empty();
  if (originals() && !in_windows) {
    if (options_.originals == PredictWindowsOptions::Originals::alone) {
      tasks_.push_back({row, 0, 1});  // which has no edits left
    } else {
      whole_.push_back({row, -1});
    }
  }
  for (const auto& own : edits_[row]) {
    for (const int64_t edit : own.second) {
      whole_.push_back({row, edit});
    }
  }
  edits_[row] = std::move(chosen);
  if (in_windows) {
    const int64_t sequences = call_.sequences.count;
    const int64_t pieces =
        threads > 1 ? std::max<int64_t>(1, (2 * threads + sequences - 1) / sequences) : 1;
    const int64_t shares = std::min(pieces, (number + worth_sharing - 1) / worth_sharing);
    for (int64_t share = 0; share < shares; ++share) {
      tasks_.push_back({row, share, shares});
    }
  }
}

void Prediction::run_task(const Task& task, const std::atomic<bool>& cancelled) {
  EditedCopies own(call_, task.row);
  int64_t own_batches = 0;
  for (const auto& [size, edits] : edits_[task.row]) {
    const int64_t batch = plans_.at(size).batch;
    own_batches += (static_cast<int64_t>(edits.size()) + batch - 1) / batch;
  }
  own.keep_original(own_batches > 1 && originals_ > 0);
  for (const auto& [size, edits] : edits_[task.row]) {
    const Plan& plan = plans_.at(size);
    const auto number = static_cast<int64_t>(edits.size());
    const int64_t batches = (number + plan.batch - 1) / plan.batch;
    const int64_t last = batches * (task.share + 1) / task.shares;
    for (int64_t batch = batches * task.share / task.shares; batch < last; ++batch) {
      const auto begin = edits.begin() + batch * plan.batch;
      const Edits some(begin, edits.begin() + std::min(number, (batch + 1) * plan.batch));
      keep_edits(own.run(some.data(), static_cast<int64_t>(some.size()), plan.log, cancelled),
                 some);
    }
  }
  if (task.share == 0 && originals()) {
    keep_original(task.row, own.original().empty()
                                ? evaluate_whole(call_, {{task.row, -1}}, cancelled)
                                : own.original());
  }
  count(own);
}

void Prediction::run_whole(int64_t begin, int64_t end, const std::atomic<bool>& cancelled) {
  const std::vector<WholeCopy> copies(whole_.begin() + begin, whole_.begin() + end);
  const Outputs outputs = evaluate_whole(call_, copies, cancelled);
  int64_t edits = 0;
  for (int64_t i = begin; i < end; ++i) {
    const WholeCopy& copy = whole_[i];
    Outputs one;
    for (const at::Tensor& output : outputs) {
      one.push_back(output.narrow(0, i - begin, 1));
    }
    if (copy.edit < 0) {
      keep_original(copy.row, one);
    } else {
      keep_edits(one, {copy.edit});
      ++edits;
    }
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  result_.evaluated_whole += edits;
}

// The choices, once the scouts are back, and the chunks that are left.
void Prediction::divide(int threads) {
  if (!plans_.empty()) {
    const Plan& plan = plans_.begin()->second;
    result_.costs = window_costs(plan.log.operations(), plan.batch, copies_);
  }
  for (int64_t row = 0; row < call_.sequences.count; ++row) {
    choose(row, threads);
  }
  // Sequences whose batches belong together are not mixed.
  const bool joint = call_.constants.conduct().joint;
  for (int64_t i = 0; i < static_cast<int64_t>(whole_.size()); ++i) {
    const bool other = joint && i > 0 && whole_[i].row != whole_[i - 1].row;
    if (starts_.empty() || i - starts_.back() == copies_ || other) {
      starts_.push_back(i);
    }
  }
  starts_.push_back(static_cast<int64_t>(whole_.size()));
}

void Prediction::run_chunk(int64_t chunk, const std::atomic<bool>& cancelled) {
  const auto tasks = static_cast<int64_t>(tasks_.size());
  if (chunk < tasks) {
    run_task(tasks_[chunk], cancelled);
  } else {
    run_whole(starts_[chunk - tasks], starts_[chunk - tasks + 1], cancelled);
  }
}

PredictWindowsResult Prediction::run(const WorkOptions& work) {
  sort_edits();
  // A model that does something else for a single sequence does so for the original.
  const bool possible = options_.method != PredictWindowsOptions::Method::full &&
                        !call_.constants.reduced() && !call_.graph.findings->alone_differs &&
                        !call_.edits.row.empty();
  const auto look = [&](const std::atomic<bool>& cancelled) {
    scout(cancelled);
    originals_ = plans_.begin()->second.possible ? originals_in_memory(call_) : 0;
  };
  if (work.threads > 1) {
    // As if the copies were whole, whatever the number of sequences and threads: neither may decide
    // whether the operations of a chunk have several.
    const int64_t length = call_.sequences.X(0, 1).size(2);
    int64_t most = 1;
    for (const auto& own : edits_) {
      int64_t number = 0;
      for (const auto& of_size : own) {
        number += static_cast<int64_t>(of_size.second.size());
      }
      most = std::max(most, number);
    }
    most = std::min(most, largest_batch);
    if (possible) {
      WorkOptions first = work;
      if (work.poll) {
        first.poll = [&](double) { return work.poll(0); };
      }
      run_chunks(
          chunks_of(1, call_.graph, 1, length),
          [&](int64_t, const std::atomic<bool>& cancelled) { look(cancelled); }, first);
    }
    divide(work.threads);
    WorkOptions rest = work;
    if (!tasks_.empty() && originals_ > 0) {
      rest.at_once = std::min(rest.at_once, originals_);
    }
    run_chunks(
        chunks_of(chunks(), call_.graph, most, length),
        [&](int64_t i, const std::atomic<bool>& cancelled) { run_chunk(i, cancelled); }, rest);
    return std::move(result_);
  }
  // One thread does all of it in one go: memory that it has stays warm.
  std::atomic<double> done{0};
  Chunks all;
  all.count = 1;
  all.share_done = [&]() { return done.load(); };
  const Chunk everything = [&](int64_t, const std::atomic<bool>& cancelled) {
    if (possible) {
      look(cancelled);
    }
    divide(1);
    for (int64_t i = 0; i < chunks(); ++i) {
      stop_if(cancelled);
      run_chunk(i, cancelled);
      done = static_cast<double>(i + 1) / static_cast<double>(chunks());
    }
  };
  run_chunks(all, everything, work);
  return std::move(result_);
}

}  // namespace

PredictWindowsResult predict_windows(const Graph& graph, Constants& constants,
                                     const Sequences& sequences, const WindowEdits& edits,
                                     const PredictWindowsOptions& options) {
  const WorkOptions work = work_on(constants.device(), options.work);
  const bool originals = options.originals != PredictWindowsOptions::Originals::none;
  if (sequences.count == 0 || (edits.row.empty() && !originals)) {
    return {};
  }
  check_batch(graph, constants, sequences, options.batch_size);
  BatchOptions of_copies;
  of_copies.most = rows_at_once(options.batch_size, sequences.X(0, 1).size(2), graph, constants);
  Batches batches(constants.device(), of_copies);
  // Windows are few numbers: they are halved if need be, not sized.
  BatchOptions of_windows;
  of_windows.most = largest_batch;
  of_windows.measure = false;
  Batches window_batches(constants.device(), of_windows);
  const EditedCall call{
      graph,   constants,     sequences, edits, to_compute(edits.content, constants),
      batches, window_batches};
  return Prediction(call, options, of_copies.most).run(work);
}

}  // namespace seqlift
