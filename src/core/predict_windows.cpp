#include "predict_windows.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>

#include "batch_check.h"
#include "change.h"
#include "device.h"
#include "error.h"
#include "evaluate.h"
#include "tensor_functions.h"

namespace seqlift {

namespace {

// Numbers in the largest activation of a batch of windows: what stays in a core's own cache.
constexpr int64_t batch_numbers = 1 << 20;
constexpr int64_t largest_batch = 256;
// Windows that cost more than this share of whole copies are not worth the risk of the estimate.
constexpr double worthwhile = 0.8;

// The edits of one sequence, in the order of their positions, and which share of its batches is
// done here. The batches do not depend on the shares, so that neither the number of threads nor
// that of sequences changes a result.
struct Task {
  int64_t row = 0;
  std::shared_ptr<const std::vector<int64_t>> edits;
  int64_t share = 0;
  int64_t shares = 1;
};

std::vector<Task> make_tasks(const WindowEdits& edits, int64_t sequences, int threads) {
  std::vector<int64_t> order(edits.row.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return std::make_pair(edits.row[a], edits.start[a]) <
           std::make_pair(edits.row[b], edits.start[b]);
  });
  // Every thread has something to do, also where there are fewer sequences than threads.
  const int64_t pieces =
      threads > 1 ? std::max<int64_t>(1, (2 * threads + sequences - 1) / sequences) : 1;
  std::vector<Task> tasks;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && edits.row[order[end]] == edits.row[order[begin]]) {
      ++end;
    }
    const auto own = std::make_shared<const std::vector<int64_t>>(order.begin() + begin,
                                                                  order.begin() + end);
    const auto fewest = static_cast<int64_t>((own->size() + 63) / 64);
    const int64_t shares = std::min(pieces, fewest);
    for (int64_t share = 0; share < shares; ++share) {
      tasks.push_back({edits.row[order[begin]], own, share, shares});
    }
  }
  return tasks;
}

// The part of `count` edits in batches of `size` that belongs to a share: [first, last).
std::pair<int64_t, int64_t> own_edits(const Task& task, int64_t count, int64_t size) {
  const int64_t batches = (count + size - 1) / size;
  const auto edge = [&](int64_t share) {
    return std::min(count, batches * share / task.shares * size);
  };
  return {edge(task.share), edge(task.share + 1)};
}

class EditedCopies {
 public:
  EditedCopies(const Graph& graph, Constants& constants, const Sequences& sequences,
               const WindowEdits& edits, const PredictWindowsOptions& options, int64_t copies,
               Batches& batches, Batches& window_batches, const std::atomic<bool>& cancelled)
      : graph_(graph),
        constants_(constants),
        sequences_(sequences),
        edits_(edits),
        options_(options),
        copies_(copies),
        batches_(batches),
        window_batches_(window_batches),
        cancelled_(cancelled) {}

  // The outputs of those of a task's edits that it says it has `done`, in that order.
  std::vector<at::Tensor> run(const Task& task, std::vector<int64_t>& done);

  ChangeLog log;
  WindowCosts costs;
  int64_t evaluated_whole = 0;

 private:
  using Outputs = std::vector<at::Tensor>;

  Outputs whole(const int64_t* edits, int64_t count);
  // Nothing where the copies must be evaluated whole.
  Outputs in_windows(const int64_t* edits, int64_t count, bool ranges);
  Outputs in_windows_or_whole(const int64_t* edits, int64_t count, bool ranges);
  std::vector<Value> unchanged_args(int64_t rows) const;
  Value changed_X(const int64_t* edits, int64_t rows) const;

  const Graph& graph_;
  Constants& constants_;
  const Sequences& sequences_;
  const WindowEdits& edits_;
  const PredictWindowsOptions& options_;
  const int64_t copies_;     // in a batch of them
  Batches& batches_;         // of copies evaluated whole
  Batches& window_batches_;  // of windows
  const std::atomic<bool>& cancelled_;
  at::Tensor X_;  // [1, C, L]
  std::vector<Value> args_;
  at::Tensor content_;
  Memo memo_;
  bool local_ = true;
};

std::vector<Value> repeated(const std::vector<Value>& args, int64_t rows) {
  std::vector<Value> result = args;
  for (Value& arg : result) {
    std::vector<int64_t> sizes = arg.x.toTensor().sizes().vec();
    sizes[0] = rows;
    arg.x = arg.x.toTensor().expand(sizes).contiguous();
  }
  return result;
}

EditedCopies::Outputs EditedCopies::whole(const int64_t* edits, int64_t count) {
  std::vector<Outputs> parts;
  batches_.run(0, count, [&](int64_t begin, int64_t end) {
    const int64_t rows = end - begin;
    const at::Tensor X = X_.repeat({rows, 1, 1});
    const int64_t width = content_.size(2);
    for (int64_t j = 0; j < rows; ++j) {
      const int64_t edit = edits[begin + j];
      X[j].narrow(0, 0, content_.size(1))
          .narrow(1, edits_.start[edit], width)
          .copy_(content_[edit]);
    }
    parts.push_back(predict_rows(graph_, constants_, X, repeated(args_, rows), cancelled_));
  });
  evaluated_whole += count;
  return join_batches(parts);
}

// Further inputs are the same for all copies of a sequence.
std::vector<Value> EditedCopies::unchanged_args(int64_t rows) const {
  std::vector<Value> values = args_;
  int index = 1;
  for (Value& value : values) {
    const at::Tensor arg = value.x.toTensor();
    value.paired = true;
    if (arg.dim() < 2) {
      value.ref = repeated({value}, rows)[0].x;
      continue;
    }
    auto change = std::make_shared<Change>();
    change->axis = arg.dim() - 1;
    change->sizes = arg.sizes().vec();
    std::vector<int64_t> sizes{rows, 0};
    for (int64_t d = 1; d < change->axis; ++d) {
      sizes.push_back(arg.size(d));
    }
    change->delta = at::zeros(sizes, arg.options());
    change->start.assign(rows, 0);
    change->known = {0, change->length()};
    change->key = {nullptr, 0, index++};
    change->never = true;
    value.change = std::move(change);
  }
  return values;
}

Value EditedCopies::changed_X(const int64_t* edits, int64_t rows) const {
  auto change = std::make_shared<Change>();
  const int64_t width = content_.size(2);
  const int64_t bases = content_.size(1);
  change->axis = 2;
  change->sizes = X_.sizes().vec();
  change->delta = at::zeros({rows, width, X_.size(1)}, X_.options());
  for (int64_t j = 0; j < rows; ++j) {
    const int64_t start = edits_.start[edits[j]];
    const at::Tensor before = X_[0].narrow(0, 0, bases).narrow(1, start, width);
    change->delta[j].narrow(1, 0, bases).copy_((content_[edits[j]] - before).t());
    change->start.push_back(start);
  }
  change->known = {0, X_.size(2)};
  Value value;
  value.x = X_;
  value.paired = true;
  value.change = std::move(change);
  return value;
}

EditedCopies::Outputs EditedCopies::in_windows(const int64_t* edits, int64_t count, bool ranges) {
  EvaluateOptions options;
  options.cancelled = &cancelled_;
  options.pairs = true;
  options.batch.sequences = 1;
  options.batch.references = count;
  options.batch.memo = &memo_;
  options.changes = &log;
  memo_.start();
  log.start(ranges);
  std::vector<Value> inputs{changed_X(edits, count)};
  for (const Value& arg : unchanged_args(count)) {
    inputs.push_back(arg);
  }
  Outputs outputs;
  for (const Value& value : evaluate(graph_, constants_, inputs, options)) {
    at::Tensor values;
    if (value.change) {
      log.demand(*value.change);
      values = all_values(value.x.toTensor(), *value.change);
    } else if (value.paired && value.ref.isTensor()) {
      values = value.ref.toTensor();
    }
    // Anything but plain numbers is what a prediction makes of it, or refuses.
    const bool plain = values.defined() && values.layout() == at::kStrided &&
                       !values.is_quantized() && !values.is_complex();
    if (!plain || values.dim() == 0 || values.size(0) != count) {
      return {};
    }
    outputs.push_back(values.detach().cpu());
  }
  return outputs;
}

EditedCopies::Outputs EditedCopies::in_windows_or_whole(const int64_t* edits, int64_t count,
                                                        bool ranges) {
  Outputs outputs;
  try {
    outputs = in_windows(edits, count, ranges);
  } catch (const NotLocal&) {
    local_ = false;
  } catch (const BatchMoved&) {
    // The code does one thing for a single sequence and another for several.
    local_ = false;
  } catch (const RangeExceeded&) {
    return in_windows_or_whole(edits, count, false);
  } catch (const std::exception& error) {
    // What fails on the copies fails there, too, in the words of a prediction. Where memory runs
    // out fewer windows may fit; where not one does beside what is remembered of the sequence, a
    // copy may.
    const auto* own = dynamic_cast<const Error*>(&error);
    const bool memory = is_out_of_memory(error);
    if (memory ? count > 1 : !own || own->kind() == "interrupt") {
      throw;
    }
    memo_ = memory ? Memo() : memo_;
    local_ = false;
  }
  const auto bad = [](const at::Tensor& output) {
    return at::isFloatingType(output.scalar_type()) && !output.isfinite().all().item<bool>();
  };
  if (outputs.empty() || std::any_of(outputs.begin(), outputs.end(), bad)) {
    return whole(edits, count);
  }
  return outputs;
}

EditedCopies::Outputs EditedCopies::run(const Task& task, std::vector<int64_t>& done) {
  const at::NoGradGuard guard;
  X_ = to_compute(sequences_.X(task.row, task.row + 1), constants_);
  args_ = batch_of_args(sequences_, constants_, task.row, task.row + 1);
  content_ = to_compute(edits_.content, constants_);
  using Method = PredictWindowsOptions::Method;
  const int64_t* edits = task.edits->data();
  const auto count = static_cast<int64_t>(task.edits->size());
  // The original is a single sequence.
  const bool special = graph_.findings->alone_differs;
  std::vector<Outputs> parts;
  const auto add_done = [&](int64_t first, int64_t last) {
    done.insert(done.end(), edits + first, edits + last);
  };
  const auto joined = [&]() { return parts.empty() ? Outputs{} : join_batches(parts); };
  const auto run_whole = [&](int64_t number) {
    const auto [first, last] = own_edits(task, number, copies_);
    if (first < last) {
      parts.push_back(whole(edits + first, last - first));
      add_done(first, last);
    }
  };
  if (options_.method == Method::full || constants_.reduced() || special) {
    run_whole(count);
    return joined();
  }
  const auto run_windows = [&](int64_t first, int64_t last, bool ranges) {
    window_batches_.run(first, last, [&](int64_t begin, int64_t end) {
      parts.push_back(in_windows_or_whole(edits + begin, end - begin, ranges));
    });
  };
  // The one in the middle tells how much there is to do: near the ends windows are smaller. Every
  // share looks at the same one: what it tells decides about all batches.
  std::vector<int64_t> edits_left(edits, edits + count);
  const int64_t scout = edits_left[count / 2];
  edits_left.erase(edits_left.begin() + count / 2);
  edits = edits_left.data();
  parts.push_back(in_windows_or_whole(&scout, 1, false));
  if (task.share == 0) {
    done.push_back(scout);
  } else {
    parts.clear();
    evaluated_whole = 0;
  }
  log.find_ranges();
  const int64_t left = count - 1;
  const int64_t size =
      std::clamp<int64_t>(batch_numbers / std::max<int64_t>(log.widest, 1), 1, largest_batch);
  costs = window_costs(log.operations(), std::min(size, std::max<int64_t>(left, 1)),
                       std::min(copies_, std::max<int64_t>(left, 1)));
  const bool too_wide = costs.window > worthwhile * costs.whole;
  if (!local_ || (options_.method == Method::automatic && too_wide)) {
    memo_ = Memo();
    run_whole(left);
    return joined();
  }
  const auto [first, last] = own_edits(task, left, size);
  for (int64_t begin = first; begin < last; begin += size) {
    const int64_t end = std::min(begin + size, last);
    run_windows(begin, end, true);
    add_done(begin, end);
  }
  return joined();
}

}  // namespace

PredictWindowsResult predict_windows(const Graph& graph, Constants& constants,
                                     const Sequences& sequences, const WindowEdits& edits,
                                     const PredictWindowsOptions& options) {
  const WorkOptions work_options = work_on(constants.device(), options.work);
  const std::vector<Task> tasks = make_tasks(edits, sequences.count, work_options.threads);
  if (tasks.empty()) {
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
  PredictWindowsResult result;
  std::mutex mutex;
  const auto count = static_cast<int64_t>(edits.row.size());
  const Chunk work = [&](int64_t chunk, const std::atomic<bool>& cancelled) {
    EditedCopies copies(graph, constants, sequences, edits, options, of_copies.most, batches,
                        window_batches, cancelled);
    std::vector<int64_t> done;
    const std::vector<at::Tensor> outputs = copies.run(tasks[chunk], done);
    if (done.empty()) {
      return;
    }
    const at::Tensor place = at::tensor(done, at::TensorOptions(at::kLong));
    const std::lock_guard<std::mutex> lock(mutex);
    result.costs = chunk == 0 ? copies.costs : result.costs;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (result.outputs.size() == i) {
        std::vector<int64_t> sizes = outputs[i].sizes().vec();
        sizes[0] = count;
        result.outputs.push_back(at::zeros(sizes, outputs[i].options()));
      }
      result.outputs[i].index_copy_(0, place, outputs[i]);
    }
    result.done_work += copies.log.done_work;
    result.whole_work += copies.log.whole_work;
    result.evaluated_whole += copies.evaluated_whole;
  };
  run_chunks(static_cast<int64_t>(tasks.size()), work, work_options);
  return result;
}

}  // namespace seqlift
