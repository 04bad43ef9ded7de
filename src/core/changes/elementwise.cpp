// Operations that act at each position by itself. What is linear applies to the differences; for
// the others f(x + d) - f(x), x being the original in the same window.

#include <algorithm>

#include "core/changes/change.h"
#include "core/halves/constants.h"
#include "core/model/operation_table.h"
#include "core/numeric/loops.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace changes {

namespace {

// The dimensions in which several operands are seen together: those of the output, or those from
// before a view merged them, where all operands with windows were merged alike.
struct Frame {
  std::vector<int64_t> sizes;
  int64_t axis = 0;
  bool merged = false;
  bool fits = false;

  int64_t length() const { return sizes[axis]; }
};

Frame frame_of(const ChangeCall& call) {
  Frame frame;
  if (call.others_differ() || !call.outputs[0].isTensor()) {
    return frame;
  }
  const at::Tensor output = call.output();
  const std::vector<int> windowed = call.windowed();
  for (const int i : windowed) {
    const Change& change = call.change(i);
    const bool merged = change.is_merged(call.original(i));
    if (i == windowed[0]) {
      frame.axis = change.axis;
      frame.merged = merged;
      frame.sizes = merged ? change.sizes : output.sizes().vec();
    }
    const bool same_place =
        merged == frame.merged && change.axis == frame.axis &&
        change.sizes.size() == frame.sizes.size() &&
        (merged ? change.sizes == frame.sizes && output.sizes().equals(call.original(i).sizes())
                : change.length() == frame.length());
    if (!same_place) {
      return frame;
    }
  }
  const bool number =
      at::isFloatingType(output.scalar_type()) || at::isComplexType(output.scalar_type());
  frame.fits = number && frame.sizes[0] == 1 && frame.axis > 0;
  return frame;
}

// Where any operand changes.
std::vector<Range> together(const ChangeCall& call) {
  std::vector<Range> changed(call.rows);
  for (const int i : call.windowed()) {
    const Change& change = call.change(i);
    for (int64_t j = 0; j < call.rows; ++j) {
      changed[j] = changed[j].with({change.start[j], change.start[j] + change.width()});
    }
  }
  return changed;
}

OutputWindows windows_of(ChangeCall& call, const Frame& frame) {
  const OutputWindows output = fit(call, 0, together(call), frame.length());
  for (const int i : call.windowed()) {
    look_at(call, output, call.change(i), [](const Range& range) { return range; });
  }
  return output;
}

Value in_frame(const ChangeCall& call, const Frame& frame, const OutputWindows& output,
               at::Tensor delta) {
  return changed_value(call.outputs[0], output, std::move(delta), frame.axis, frame.sizes);
}

// An operand that is the same for all rows, as the windows see it; undefined where it is not seen
// position by position.
at::Tensor constant_in(const at::Tensor& given, const Frame& frame, const Windows1d& windows) {
  if (given.numel() == 1) {
    return given.dim() == 0 ? given : given.reshape({1});
  }
  const auto rank = static_cast<int64_t>(frame.sizes.size());
  if (frame.merged || given.dim() > rank) {
    return {};
  }
  std::vector<int64_t> sizes(rank - given.dim(), 1);
  sizes.insert(sizes.end(), given.sizes().begin(), given.sizes().end());
  if (sizes[0] != 1) {
    return {};
  }
  const at::Tensor whole = given.reshape(sizes);
  if (sizes[frame.axis] == 1) {
    return whole;
  }
  if (sizes[frame.axis] != frame.length()) {
    return {};
  }
  return to_graph(gather_windows(original_rows(whole, sizes, frame.axis), windows), frame.axis);
}

}  // namespace

// The output is the input, perhaps of another type.
std::vector<Value> pass(ChangeCall& call) {
  const Frame frame = frame_of(call);
  const bool first = call.windowed() == std::vector<int>{0};
  if (!frame.fits || !first || !call.output().sizes().equals(call.original(0).sizes())) {
    return {};
  }
  const OutputWindows output = windows_of(call, frame);
  const at::Tensor delta = move_windows(call.change(0), output.windows);
  return {in_frame(call, frame, output, delta.to(call.output().scalar_type()))};
}

// a + alpha b, a - alpha b.
std::vector<Value> sum(ChangeCall& call) {
  const Frame frame = frame_of(call);
  const int scale = call.call.find("alpha");
  if (!frame.fits || call.call.inputs.size() < 2 ||
      (scale >= 0 && (!call.call.inputs[scale].x.isScalar() || call.changed(scale)))) {
    return {};
  }
  const double alpha = scale < 0 ? 1 : call.call.inputs[scale].x.toScalar().toDouble();
  const OutputWindows output = windows_of(call, frame);
  std::vector<int64_t> sizes{call.rows, output.windows.width};
  for (int64_t d = 1; d < static_cast<int64_t>(frame.sizes.size()); ++d) {
    if (d != frame.axis) {
      sizes.push_back(frame.sizes[d]);
    }
  }
  std::vector<int> order = call.windowed();
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return call.change(a).width() > call.change(b).width(); });
  at::Tensor total;
  for (const int i : order) {
    const Change& change = call.change(i);
    const Form form = call.call.row->form;
    const bool reversed = form == Form::reversed_difference;
    const bool turned = i == 1 ? form == Form::difference : reversed;
    const double factor = (turned ? -1 : 1) * ((i == 1) != reversed ? alpha : 1);
    if (change.delta.scalar_type() != call.output().scalar_type()) {
      return {};
    }
    const bool full = change.delta.sizes().slice(2).equals(at::IntArrayRef(sizes).slice(2));
    if (total.defined() && factor == 1 && full) {
      add_change(total, output.windows, change);
      continue;
    }
    at::Tensor moved = move_windows(change, output.windows);
    moved = factor == 1 ? moved : moved * factor;
    moved = full ? moved : moved.expand(sizes).contiguous();
    const bool same = moved.is_same(change.delta) && order.size() > 1;
    total = total.defined() ? total + moved : same ? moved.clone() : moved;
  }
  return {in_frame(call, frame, output, total)};
}

// Any function of the values at one position.
std::vector<Value> elementwise(ChangeCall& call) {
  const Frame frame = frame_of(call);
  if (!frame.fits) {
    return {};
  }
  const OutputWindows output = windows_of(call, frame);
  std::vector<int64_t> sizes{call.rows, output.windows.width};
  for (int64_t d = 1; d < static_cast<int64_t>(frame.sizes.size()); ++d) {
    if (d != frame.axis) {
      sizes.push_back(frame.sizes[d]);
    }
  }
  if (output.windows.width == 0) {
    return {in_frame(call, frame, output, at::zeros(sizes, call.output().options()))};
  }
  std::vector<c10::IValue> inputs;
  for (const Value& input : call.call.inputs) {
    const Change* change = input.change();
    if (change && !change->never) {
      const at::Tensor rows = original_rows(input.x.toTensor(), change->sizes, change->axis);
      at::Tensor values = gather_windows(rows, output.windows);
      add_change(values, output.windows, *change);
      inputs.emplace_back(to_graph(values, frame.axis));
    } else if (input.x.isTensor() && input.x.toTensor().defined()) {
      const at::Tensor seen = constant_in(input.x.toTensor(), frame, output.windows);
      if (!seen.defined()) {
        return {};
      }
      inputs.emplace_back(seen);
    } else {
      inputs.push_back(input.half(true));
    }
  }
  const at::Tensor values = call.call.evaluate(std::move(inputs))[0].toTensor();
  const at::Tensor rows = from_graph(values, frame.axis);
  if (!rows.sizes().equals(sizes)) {
    return {};
  }
  const at::Tensor before =
      gather_windows(original_rows(call.output(), frame.sizes, frame.axis), output.windows);
  const at::Tensor delta = rows - before;
  if (!are_numbers(delta, call.log)) {
    return {};
  }
  return {in_frame(call, frame, output, delta)};
}

// max(x + d, 0) - max(x, 0) in one pass.
std::vector<Value> relu(ChangeCall& call) {
  const Frame frame = frame_of(call);
  const at::ScalarType type = call.outputs[0].toTensor().scalar_type();
  const bool plain = type == at::kFloat || type == at::kDouble;
  if (!frame.fits || !plain || !call.output().is_cpu()) {
    return elementwise(call);
  }
  const OutputWindows output = windows_of(call, frame);
  const Change& change = call.change(0);
  const at::Tensor x = original_rows(call.original(0), frame.sizes, frame.axis);
  const at::Tensor moved = move_windows(change, output.windows);
  const at::Tensor delta = at::empty_like(moved);
  const int64_t row = call.rows == 0 ? 0 : delta.numel() / call.rows;
  const int64_t item = output.windows.width == 0 ? 0 : row / output.windows.width;
  for (int64_t j = 0; j < call.rows; ++j) {
    const int64_t at = output.windows.start[j] * item;
    if (type == at::kFloat) {
      loops::relu_change(x.data_ptr<float>() + at, moved.data_ptr<float>() + j * row,
                         delta.data_ptr<float>() + j * row, row);
    } else {
      loops::relu_change(x.data_ptr<double>() + at, moved.data_ptr<double>() + j * row,
                         delta.data_ptr<double>() + j * row, row);
    }
  }
  return {in_frame(call, frame, output, delta)};
}

// In evaluation mode a scale and a shift of each channel: the differences are scaled.
std::vector<Value> batch_norm(ChangeCall& call) {
  const Frame frame = frame_of(call);
  const int training = call.call.find("training");
  const c10::IValue& variance = call.call.constant(call.call.find("running_var"));
  const bool evaluating = training >= 0 && !call.call.constant(training).toBool();
  if (!frame.fits || frame.merged || frame.axis == 1 || call.windowed() != std::vector<int>{0} ||
      !evaluating || !variance.isTensor() || !variance.toTensor().defined()) {
    return {};
  }
  at::Tensor scale = (variance.toTensor() + call.argument("eps").toDouble()).rsqrt();
  const c10::IValue& weight = call.call.constant(call.call.find("weight"));
  if (weight.isTensor() && weight.toTensor().defined()) {
    scale = scale * weight.toTensor();
  }
  // [rows, width, C, ...]: channels come right behind the positions.
  std::vector<int64_t> sizes(call.change(0).delta.dim() - 2, 1);
  sizes[0] = scale.numel();
  const OutputWindows output = windows_of(call, frame);
  const at::Tensor delta = move_windows(call.change(0), output.windows) * scale.view(sizes);
  return {in_frame(call, frame, output, delta)};
}

// Functions of all channels of a position: softmax over the channels, layer normalisation over the
// last dimension, gated linear units.
std::vector<Value> over_channels(ChangeCall& call) {
  if (call.windowed() != std::vector<int>{0} || call.others_differ()) {
    return {};
  }
  const Change& change = call.change(0);
  const auto rank = static_cast<int64_t>(change.sizes.size());
  int64_t first = rank;
  int64_t last = rank - 1;
  if (call.has("normalized_shape")) {
    first = rank - static_cast<int64_t>(call.argument("normalized_shape").toIntVector().size());
  } else if (call.has("dim") && call.argument("dim").isInt()) {
    const int64_t dim = call.argument("dim").toInt();
    first = last = counted_from_front(dim, rank);
  }
  const at::Tensor result = call.output();
  const bool apart = (change.axis < first || change.axis > last) && first > 0 && first < rank;
  if (!apart || change.is_merged(call.original(0)) || result.dim() != rank || result.size(0) != 1 ||
      result.size(change.axis) != change.length()) {
    return {};
  }
  // Weights lie along the channels alone: the values are those of a batch of shorter sequences.
  const OutputWindows output = fit(call, 0, ranges_of(change), change.length());
  look_at(call, output, change, [](const Range& range) { return range; });
  std::vector<int64_t> sizes = result.sizes().vec();
  const at::Tensor rows = original_rows(call.original(0), change.sizes, change.axis);
  at::Tensor values = gather_windows(rows, output.windows);
  add_change(values, output.windows, change);
  const at::Tensor before =
      gather_windows(original_rows(result, sizes, change.axis), output.windows);
  at::Tensor delta = at::zeros_like(before);
  if (output.windows.width > 0) {
    std::vector<c10::IValue> inputs;
    for (const Value& input : call.call.inputs) {
      inputs.push_back(input.half(!input.change()));
    }
    inputs[0] = to_graph(values, change.axis);
    const at::Tensor after = call.call.evaluate(std::move(inputs))[0].toTensor();
    delta = from_graph(after, change.axis) - before;
    if (!are_numbers(delta, call.log)) {
      return {};
    }
  }
  return {changed_value(call.outputs[0], output, delta, change.axis, sizes)};
}

}  // namespace changes
}  // namespace seqlift
