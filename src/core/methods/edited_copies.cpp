#include "core/methods/edited_copies.h"

#include <algorithm>
#include <exception>
#include <memory>

#include "core/base/error.h"
#include "core/changes/shapes_alone.h"
#include "core/evaluate/evaluate.h"
#include "core/methods/chunks.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

std::vector<Value> repeated(const std::vector<Value>& args, int64_t rows) {
  std::vector<Value> result = args;
  for (Value& arg : result) {
    std::vector<int64_t> sizes = arg.x.toTensor().sizes().vec();
    sizes[0] = rows;
    arg.x = arg.x.toTensor().expand(sizes).contiguous();
  }
  return result;
}

// Anything but plain numbers is what a prediction makes of it, or refuses.
bool is_plain(const at::Tensor& values, int64_t rows) {
  return values.defined() && values.layout() == at::kStrided && !values.is_quantized() &&
         !values.is_complex() && values.dim() > 0 && values.size(0) == rows;
}

}  // namespace

std::vector<at::Tensor> evaluate_whole(const EditedCall& call, const std::vector<WholeCopy>& copies,
                                       const std::atomic<bool>& cancelled) {
  const at::NoGradGuard guard;
  std::vector<std::vector<at::Tensor>> parts;
  call.batches.run(0, static_cast<int64_t>(copies.size()), [&](int64_t begin, int64_t end) {
    std::vector<at::Tensor> rows;
    std::vector<std::vector<at::Tensor>> args;
    at::Tensor X;
    std::vector<at::Tensor> own;
    for (int64_t i = begin; i < end; ++i) {
      const WholeCopy& copy = copies[i];
      if (i == begin || copy.row != copies[i - 1].row) {
        X = to_compute(call.sequences.X(copy.row, copy.row + 1), call.constants);
        own = arg_rows(call.sequences, call.constants, copy.row, copy.row + 1);
      }
      rows.push_back(copy.edit < 0 ? X : X.clone());
      if (copy.edit >= 0) {
        const int64_t width = call.width(copy.edit);
        rows.back()[0]
            .narrow(0, 0, call.content.size(1))
            .narrow(1, call.edits.start[copy.edit], width)
            .copy_(call.content[copy.edit].narrow(1, 0, width));
      }
      args.push_back(own);
    }
    parts.push_back(predict_rows(call.graph, call.constants, at::cat(rows),
                                 values_of(join_rows(args)), cancelled));
  });
  return join_rows(parts);
}

EditedCopies::EditedCopies(const EditedCall& call, int64_t row)
    : call_(call),
      row_(row),
      X_(to_compute(call.sequences.X(row, row + 1), call.constants)),
      args_(batch_of_args(call.sequences, call.constants, row, row + 1)) {}

EditedCopies::Outputs EditedCopies::whole(const int64_t* edits, int64_t count) {
  std::vector<WholeCopy> copies;
  for (int64_t i = 0; i < count; ++i) {
    copies.push_back({row_, edits[i]});
  }
  evaluated_whole += count;
  return evaluate_whole(call_, copies, *cancelled_);
}

// Further inputs are the same for all copies of a sequence.
std::vector<Value> EditedCopies::unchanged_args(int64_t rows) const {
  std::vector<Value> values = args_;
  int index = 1;
  for (Value& value : values) {
    const at::Tensor arg = value.x.toTensor();
    if (arg.dim() < 2) {
      value.set_ref(repeated({value}, rows)[0].x);
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
    value.set_change(std::move(change));
  }
  return values;
}

// Narrower edits have windows of the largest width, which are moved in from the end of the sequence
// where they would reach over it, and differ in the edit alone.
Value EditedCopies::changed_X(const int64_t* edits, int64_t rows) const {
  auto change = std::make_shared<Change>();
  const int64_t bases = call_.content.size(1);
  int64_t width = 0;
  for (int64_t j = 0; j < rows; ++j) {
    width = std::max(width, call_.width(edits[j]));
  }
  change->axis = 2;
  change->sizes = X_.sizes().vec();
  change->delta = at::zeros({rows, width, X_.size(1)}, X_.options());
  for (int64_t j = 0; j < rows; ++j) {
    const int64_t own = call_.width(edits[j]);
    const int64_t place = call_.edits.start[edits[j]];
    const int64_t start = std::min(place, X_.size(2) - width);
    const at::Tensor before = X_[0].narrow(0, 0, bases).narrow(1, place, own);
    const at::Tensor after = call_.content[edits[j]].narrow(1, 0, own);
    change->delta[j].narrow(0, place - start, own).narrow(1, 0, bases).copy_((after - before).t());
    change->start.push_back(start);
  }
  change->known = {0, X_.size(2)};
  Value value;
  value.x = X_;
  value.set_change(std::move(change));
  return value;
}

std::vector<Value> EditedCopies::evaluate_windows(const int64_t* edits, int64_t count, bool ranges,
                                                  Memo* memo) {
  EvaluateOptions options;
  options.cancelled = cancelled_;
  options.mode = EvaluateOptions::Edits{count, &log_, memo};
  if (memo) {
    memo->start();
  }
  log_.start(ranges);
  std::vector<Value> inputs{changed_X(edits, count)};
  for (const Value& arg : unchanged_args(count)) {
    inputs.push_back(arg);
  }
  return evaluate(call_.graph, call_.constants, inputs, options);
}

EditedCopies::Outputs EditedCopies::in_windows(const int64_t* edits, int64_t count, bool ranges) {
  Outputs outputs;
  Outputs originals;
  for (const Value& value : evaluate_windows(edits, count, ranges, keeps_ ? &memo_ : nullptr)) {
    at::Tensor values;
    if (value.change()) {
      log_.demand(*value.change());
      values = all_values(value.x.toTensor(), *value.change());
    } else if (value.ref().isTensor()) {
      values = value.ref().toTensor();
    }
    if (!is_plain(values, count) || !is_plain(value.x.toTensor(), 1)) {
      return {};
    }
    outputs.push_back(values.detach().cpu());
    if (original_.empty()) {
      originals.push_back(value.x.toTensor().detach().cpu());
    }
  }
  original_ = original_.empty() ? originals : original_;
  return outputs;
}

EditedCopies::Outputs EditedCopies::in_windows_if_possible(const int64_t* edits, int64_t count,
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
    return in_windows_if_possible(edits, count, false);
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
  return std::any_of(outputs.begin(), outputs.end(), bad) ? Outputs{} : outputs;
}

EditedCopies::Outputs EditedCopies::in_windows_or_whole(const int64_t* edits, int64_t count) {
  const Outputs outputs = in_windows_if_possible(edits, count, true);
  return outputs.empty() ? whole(edits, count) : outputs;
}

// What shapes alone find wrong with a model is to be said of its numbers.
bool EditedCopies::scout_by_shapes(int64_t edit, const std::atomic<bool>& cancelled) {
  const at::NoGradGuard guard;
  cancelled_ = &cancelled;
  log_ = ChangeLog();
  log_.shapes_alone = true;
  try {
    for (const Value& value : evaluate_windows(&edit, 1, false, nullptr)) {
      if (value.change()) {
        log_.demand(*value.change());
      }
    }
  } catch (const NotLocal&) {
    local_ = false;
  } catch (const BatchMoved&) {
    return false;
  } catch (const NotMeasurable&) {
    return false;
  } catch (const std::exception& error) {
    const auto* own = dynamic_cast<const Error*>(&error);
    if (own && own->kind() == "interrupt") {
      throw;
    }
    return false;
  }
  end_scouting();
  return true;
}

void EditedCopies::scout_by_numbers(int64_t edit, const std::atomic<bool>& cancelled) {
  const at::NoGradGuard guard;
  cancelled_ = &cancelled;
  log_ = ChangeLog();
  keeps_ = false;
  in_windows_if_possible(&edit, 1, false);
  keeps_ = true;
  original_.clear();
  end_scouting();
}

void EditedCopies::end_scouting() {
  log_.shapes_alone = false;
  log_.done_work = 0;
  log_.whole_work = 0;
  log_.find_ranges();
}

EditedCopies::Outputs EditedCopies::run(const int64_t* edits, int64_t count,
                                        const ChangeLog& scouted,
                                        const std::atomic<bool>& cancelled) {
  const at::NoGradGuard guard;
  cancelled_ = &cancelled;
  if (!local_) {
    return whole(edits, count);
  }
  log_ = scouted;
  log_.done_work = 0;
  log_.whole_work = 0;
  std::vector<Outputs> parts;
  call_.window_batches.run(0, count, [&](int64_t begin, int64_t end) {
    parts.push_back(in_windows_or_whole(edits + begin, end - begin));
  });
  done_work += log_.done_work;
  whole_work += log_.whole_work;
  return join_rows(parts);
}

}  // namespace seqlift
