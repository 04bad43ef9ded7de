#include "core/changes/change.h"

#include <algorithm>
#include <cstring>

#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

bool is_plain(const at::Tensor& a) {
  return a.is_cpu() && a.is_contiguous() &&
         (a.scalar_type() == at::kFloat || a.scalar_type() == at::kDouble);
}

int64_t row_size(const at::Tensor& rows) {
  int64_t size = 1;
  for (int64_t d = 2; d < rows.dim(); ++d) {
    size *= rows.size(d);
  }
  return size;
}

// The part of [start, start + width) that lies in [other, other + other_width).
Range overlap(int64_t start, int64_t width, int64_t other, int64_t other_width) {
  return {std::max(start, other), std::min(start + width, other + other_width)};
}

at::Tensor index_of(const std::vector<int64_t>& start, int64_t width, const at::Device& device) {
  const at::Tensor first = at::tensor(start, at::TensorOptions(at::kLong)).to(device);
  return first.unsqueeze(1) + at::arange(width, first.options());
}

// [rows, width, ...] taken from `source` [rows, from_width, ...] at `index` [rows, width], `fill`
// where that is outside.
at::Tensor take_rows(const at::Tensor& source, const at::Tensor& index, double fill) {
  const int64_t width = source.size(1);
  const at::Tensor inside = (index >= 0).logical_and(index < width);
  const at::Tensor row =
      at::arange(source.size(0), index.options()).unsqueeze(1).expand_as(index) * width;
  const at::Tensor flat = source.flatten(0, 1);
  const at::Tensor place = row + index.clamp(0, std::max<int64_t>(width - 1, 0));
  std::vector<int64_t> sizes = source.sizes().vec();
  sizes[1] = index.size(1);
  const at::Tensor taken = flat.index_select(0, place.flatten()).view(sizes);
  std::vector<int64_t> mask(sizes.size(), 1);
  mask[0] = sizes[0];
  mask[1] = sizes[1];
  return taken.masked_fill(inside.logical_not().view(mask), fill);
}

template <typename T>
void add_rows(T* to, const T* from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] += from[i];
  }
}

}  // namespace

bool are_numbers(const at::Tensor& delta, const ChangeLog& log) {
  return log.shapes_alone || delta.isfinite().all().item<bool>();
}

Range Range::with(const Range& other) const {
  if (empty() || other.empty()) {
    return empty() ? other : *this;
  }
  return {std::min(begin, other.begin), std::max(end, other.end)};
}

at::Tensor original_rows(const at::Tensor& original, const std::vector<int64_t>& sizes,
                         int64_t axis) {
  const at::Tensor whole = original.sizes().equals(sizes) ? original : original.reshape(sizes);
  return whole.select(0, 0).movedim(axis - 1, 0).contiguous();
}

at::Tensor gather_windows(const at::Tensor& original, const Windows1d& windows, double fill) {
  const auto rows = static_cast<int64_t>(windows.start.size());
  std::vector<int64_t> sizes = original.sizes().vec();
  const int64_t length = sizes[0];
  sizes[0] = windows.width;
  sizes.insert(sizes.begin(), rows);
  if (!is_plain(original)) {
    return take_rows(original.unsqueeze(0).expand([&] {
      std::vector<int64_t> all = original.sizes().vec();
      all.insert(all.begin(), rows);
      return all;
    }()),
                     index_of(windows.start, windows.width, original.device()), fill);
  }
  const at::Tensor result = at::empty(sizes, original.options());
  const int64_t item = row_size(result) * static_cast<int64_t>(original.element_size());
  for (int64_t j = 0; j < rows; ++j) {
    const int64_t start = windows.start[j];
    const Range inside = overlap(start, windows.width, 0, length);
    if (inside.end - inside.begin < windows.width) {
      result[j].fill_(fill);
    }
    if (!inside.empty()) {
      std::memcpy(
          static_cast<char*>(result.data_ptr()) + (j * windows.width + inside.begin - start) * item,
          static_cast<const char*>(original.data_ptr()) + inside.begin * item,
          (inside.end - inside.begin) * item);
    }
  }
  return result;
}

at::Tensor move_windows(const Change& change, const Windows1d& windows) {
  if (change.start == windows.start && change.width() == windows.width) {
    return change.delta;
  }
  const at::Tensor& delta = change.delta;
  if (!is_plain(delta)) {
    std::vector<int64_t> shift;
    for (size_t j = 0; j < windows.start.size(); ++j) {
      shift.push_back(windows.start[j] - change.start[j]);
    }
    std::vector<int64_t> sizes = delta.sizes().vec();
    sizes[1] = windows.width;
    return delta.size(1) == 0 ? at::zeros(sizes, delta.options())
                              : take_rows(delta, index_of(shift, windows.width, delta.device()), 0);
  }
  std::vector<int64_t> sizes = delta.sizes().vec();
  sizes[1] = windows.width;
  const at::Tensor result = at::zeros(sizes, delta.options());
  const int64_t item = row_size(result) * static_cast<int64_t>(delta.element_size());
  for (int64_t j = 0; j < delta.size(0); ++j) {
    const int64_t start = windows.start[j];
    const Range both = overlap(start, windows.width, change.start[j], change.width());
    if (!both.empty()) {
      std::memcpy(
          static_cast<char*>(result.data_ptr()) + (j * windows.width + both.begin - start) * item,
          static_cast<const char*>(delta.data_ptr()) +
              (j * change.width() + both.begin - change.start[j]) * item,
          (both.end - both.begin) * item);
    }
  }
  return result;
}

void add_change(at::Tensor& values, const Windows1d& windows, const Change& change) {
  if (!is_plain(values) || !is_plain(change.delta)) {
    values = values + move_windows(change, windows);
    return;
  }
  const int64_t item = row_size(values);
  for (int64_t j = 0; j < values.size(0); ++j) {
    const int64_t start = windows.start[j];
    const Range both = overlap(start, windows.width, change.start[j], change.width());
    const int64_t count = (both.end - both.begin) * item;
    const int64_t to = (j * windows.width + both.begin - start) * item;
    const int64_t from = (j * change.width() + both.begin - change.start[j]) * item;
    if (both.empty()) {
      continue;
    }
    if (values.scalar_type() == at::kFloat) {
      add_rows(values.data_ptr<float>() + to, change.delta.data_ptr<float>() + from, count);
    } else {
      add_rows(values.data_ptr<double>() + to, change.delta.data_ptr<double>() + from, count);
    }
  }
}

at::Tensor all_values(const at::Tensor& original, const Change& change) {
  Windows1d windows;
  windows.start.assign(change.rows(), 0);
  windows.width = change.length();
  at::Tensor values = gather_windows(original_rows(original, change.sizes, change.axis), windows);
  add_change(values, windows, change);
  std::vector<int64_t> sizes = original.sizes().vec();
  sizes[0] = change.rows();
  return to_graph(values, change.axis).reshape(sizes);
}

at::Tensor to_graph(const at::Tensor& rows, int64_t axis) { return rows.movedim(1, axis); }

at::Tensor from_graph(const at::Tensor& tensor, int64_t axis) {
  return tensor.movedim(axis, 1).contiguous();
}

// The log ---------------------------------------------------------------------------------------

void ChangeLog::start(bool ranges) {
  visits_.clear();
  ranges_ = ranges;
}

ChangeKey ChangeLog::key(const torch::jit::Node* node, int output) const {
  const auto visits = visits_.find(node);
  return {node, visits == visits_.end() ? 0 : visits->second, output};
}

Range ChangeLog::needed(const ChangeKey& key, int64_t length) const {
  if (!ranges_) {
    return {0, length};
  }
  const auto known = needed_.find(key);
  return known == needed_.end() ? Range{} : known->second;
}

void ChangeLog::link(const ChangeKey& output, const Range& range, const Change& input,
                     const std::function<Range(const Range&)>& seen) {
  if (recording_) {
    links_.push_back({output, input.key, seen});
  } else if (!range.empty() && !input.known.holds(seen(range))) {
    throw RangeExceeded();
  }
}

void ChangeLog::demand(const Change& input) {
  const Range all{0, input.length()};
  if (recording_) {
    needed_[input.key] = needed_[input.key].with(all);
  } else if (!input.known.holds(all)) {
    throw RangeExceeded();
  }
}

// The links stand in the order of the evaluation: backwards, each output's range is known before
// it is handed on.
void ChangeLog::find_ranges() {
  for (auto link = links_.rbegin(); link != links_.rend(); ++link) {
    const auto output = needed_.find(link->output);
    if (output != needed_.end() && !output->second.empty()) {
      const Range seen = link->seen(output->second);
      needed_[link->input] = needed_[link->input].with(seen);
    }
  }
  links_.clear();
  recording_ = false;
}

void ChangeLog::count(const OperationWork& whole, const OperationWork& done, bool in_windows,
                      int64_t rows) {
  whole_work += (whole.products + whole.numbers) * static_cast<double>(rows);
  done_work += (done.products + done.numbers) * static_cast<double>(rows);
  if (recording_) {
    operations_.push_back({whole, done, in_windows});
  }
}

void ChangeLog::count_filled(int64_t numbers) {
  if (recording_) {
    // The original is laid out, copied, changed, and laid out as the graph has it.
    constexpr double passes = 4;
    operations_.push_back({{}, {0, passes * static_cast<double>(numbers), 0}, true});
  }
}

// Calls -----------------------------------------------------------------------------------------

std::vector<int> ChangeCall::windowed() const {
  std::vector<int> found;
  std::vector<int> same;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    if (call.inputs[i].change()) {
      (change(i).never ? same : found).push_back(static_cast<int>(i));
    }
  }
  return found.empty() ? same : found;
}

bool ChangeCall::others_differ() const {
  return std::any_of(call.inputs.begin(), call.inputs.end(), [](const Value& input) {
    return input.parts() || (input.paired() && !input.change() && input.x.isTensor());
  });
}

bool ChangeCall::one_change() const {
  return windowed() == std::vector<int>{0} && !others_differ() && !change(0).is_merged(original(0));
}

const c10::IValue& ChangeCall::argument(const char* name) const {
  return call.inputs[call.find(name)].half(true);
}

OutputWindows fit(ChangeCall& call, int output, const std::vector<Range>& changed, int64_t length) {
  OutputWindows result;
  result.key = call.log.key(call.call.node, output);
  result.known = call.log.needed(result.key, length);
  int64_t width = 0;
  for (const Range& range : changed) {
    const Range seen{std::max(range.begin, result.known.begin),
                     std::min(range.end, result.known.end)};
    width = std::max(width, seen.end - seen.begin);
  }
  result.windows.width = width;
  for (const Range& range : changed) {
    const int64_t last = std::max(result.known.end - width, result.known.begin);
    result.windows.start.push_back(std::min(std::max(range.begin, result.known.begin), last));
  }
  return result;
}

void look_at(ChangeCall& call, const OutputWindows& output, const Change& input,
             const std::function<Range(const Range&)>& seen) {
  const int64_t length = input.length();
  const auto inside = [seen, length](const Range& range) {
    const Range wanted = seen(range);
    return Range{std::max<int64_t>(wanted.begin, 0), std::min(wanted.end, length)};
  };
  call.log.link(output.key, output.known, input, inside);
}

Value changed_value(const c10::IValue& original, const OutputWindows& output, at::Tensor delta,
                    int64_t axis, std::vector<int64_t> sizes) {
  auto change = std::make_shared<Change>();
  change->delta = std::move(delta);
  change->start = output.windows.start;
  change->axis = axis;
  change->sizes = std::move(sizes);
  change->known = output.known;
  change->key = output.key;
  Value value;
  value.x = original;
  value.set_change(std::move(change));
  return value;
}

std::vector<Range> ranges_of(const Change& change) {
  std::vector<Range> ranges;
  for (const int64_t start : change.start) {
    ranges.push_back({start, start + change.width()});
  }
  return ranges;
}

}  // namespace seqlift
