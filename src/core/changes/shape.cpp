// Operations that move numbers without computing: views, slices, joins, flips, padding. Differences
// move as values do, and what is put between them is the same for all rows.

#include <algorithm>
#include <limits>

#include "core/changes/change.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace changes {

namespace {

// The operation itself on other numbers.
std::vector<c10::IValue> evaluate_on(const ChangeCall& call, const at::Tensor& tensor) {
  std::vector<c10::IValue> inputs;
  for (const Value& input : call.call.inputs) {
    inputs.push_back(input.half(!input.change()));
  }
  inputs[0] = tensor;
  return call.call.evaluate(std::move(inputs));
}

OutputWindows moved_by(ChangeCall& call, int output, const Change& change, int64_t shift,
                       int64_t length) {
  std::vector<Range> changed;
  for (const Range& range : ranges_of(change)) {
    changed.push_back({range.begin + shift, range.end + shift});
  }
  const OutputWindows result = fit(call, output, changed, length);
  look_at(call, result, change, [shift](const Range& range) {
    return Range{range.begin - shift, range.end - shift};
  });
  return result;
}

// The windows of an output that stands `shift` behind the input, as they lie in the input.
Windows1d back(const OutputWindows& output, int64_t shift) {
  Windows1d windows = output.windows;
  for (int64_t& start : windows.start) {
    start -= shift;
  }
  return windows;
}

// Whether a view's sizes, as the rows have them, say [rows, ...] as the original's say [1, ...].
bool keeps_rows(const ChangeCall& call, const at::Tensor& result) {
  for (const char* name : {"start_dim", "dim"}) {
    if (call.has(name)) {
      return call.argument(name).isInt() &&
             counted_from_front(call.argument(name).toInt(), call.original(0).dim()) >= 1;
    }
  }
  for (const char* name : {"size", "shape"}) {
    if (call.has(name)) {
      const std::vector<int64_t> rows = call.argument(name).toIntVector();
      const std::vector<int64_t> one = call.call.constant(call.call.find(name)).toIntVector();
      const bool same = rows.size() == one.size() && !rows.empty() &&
                        std::equal(rows.begin() + 1, rows.end(), one.begin() + 1);
      return same && static_cast<int64_t>(rows.size()) == result.dim() &&
             (rows[0] == call.rows || rows[0] == -1);
    }
  }
  return false;
}

}  // namespace

// Dimensions merged or split. Where the positions keep a dimension of their own they are found by
// what stands before them; merged with others they stay as they were, and the view is remembered.
std::vector<Value> view(ChangeCall& call) {
  if (call.windowed() != std::vector<int>{0} || call.others_differ()) {
    return {};
  }
  const Change& change = call.change(0);
  const at::Tensor result = call.output();
  if (result.dim() < 2 || result.size(0) != 1 || !keeps_rows(call, result)) {
    return {};
  }
  int64_t before = 1;
  for (int64_t d = 1; d < change.axis; ++d) {
    before *= change.sizes[d];
  }
  int64_t axis = 1;
  int64_t passed = 1;
  while (axis < result.dim() && !(passed == before && result.size(axis) == change.length())) {
    passed *= result.size(axis);
    ++axis;
  }
  const OutputWindows output = moved_by(call, 0, change, 0, change.length());
  at::Tensor delta = move_windows(change, output.windows);
  if (axis == result.dim()) {
    return {changed_value(call.outputs[0], output, delta, change.axis, change.sizes)};
  }
  std::vector<int64_t> sizes = result.sizes().vec();
  sizes[0] = call.rows;
  sizes[axis] = output.windows.width;
  // The order of a row's numbers is kept, so a view of each window is one of the whole.
  delta = from_graph(to_graph(delta, change.axis).reshape(sizes), axis);
  return {changed_value(call.outputs[0], output, delta, axis, result.sizes().vec())};
}

// Dimensions in another order, or more or fewer of size one. Where they go is tried out on a small
// tensor whose sizes are all different.
std::vector<Value> permute(ChangeCall& call) {
  const at::Tensor original = call.original(0);
  static const std::vector<int64_t> primes{2, 3, 5, 7, 11, 13, 17};
  if (!call.one_change() || original.dim() > static_cast<int64_t>(primes.size())) {
    return {};
  }
  const Change& change = call.change(0);
  std::vector<int64_t> sizes(primes.begin(), primes.begin() + original.dim());
  for (int64_t d = 1; d < original.dim(); ++d) {
    sizes[d] = original.size(d) == 1 && d != change.axis ? 1 : sizes[d];
  }
  const at::Tensor tried =
      evaluate_on(call, at::empty(sizes, at::TensorOptions(at::kFloat)))[0].toTensor();
  const auto found = std::find(tried.sizes().begin(), tried.sizes().end(), sizes[change.axis]);
  const at::Tensor result = call.output();
  if (tried.dim() == 0 || tried.size(0) != sizes[0] || found == tried.sizes().end() ||
      result.dim() != tried.dim() || result.size(0) != 1) {
    return {};
  }
  const int64_t axis = found - tried.sizes().begin();
  const OutputWindows output = moved_by(call, 0, change, 0, change.length());
  const at::Tensor moved = to_graph(move_windows(change, output.windows), change.axis);
  const at::Tensor delta = from_graph(evaluate_on(call, moved)[0].toTensor(), axis);
  return {changed_value(call.outputs[0], output, delta, axis, result.sizes().vec())};
}

std::vector<Value> slice(ChangeCall& call) {
  if (!call.one_change() || !call.argument("dim").isInt()) {
    return {};
  }
  const Change& change = call.change(0);
  const at::Tensor original = call.original(0);
  const at::Tensor result = call.output();
  const int64_t dim = counted_from_front(call.argument("dim").toInt(), original.dim());
  const bool indexed = call.has("index");
  const bool selects = indexed && call.argument("index").isInt();
  const bool gathers = indexed && !selects;
  const auto at_start = [&]() -> const c10::IValue& {
    return call.argument(selects ? "index" : "start");
  };
  if (gathers && (dim == 0 || dim == change.axis)) {
    return {};
  }
  if (!selects && !gathers && !at_start().isInt() && !at_start().isNone()) {
    return {};
  }
  int64_t start = !gathers && at_start().isInt() ? at_start().toInt() : 0;
  if (dim == 0) {
    // x[:, 2:] takes all rows first.
    const bool all = call.call.is(Trait::slices) && start == 0 &&
                     call.argument("step").toInt() == 1 &&
                     (call.argument("end").isNone() ||
                      call.argument("end").toInt() == std::numeric_limits<int64_t>::max());
    if (!all) {
      return {};
    }
    const OutputWindows output = moved_by(call, 0, change, 0, change.length());
    return {changed_value(call.outputs[0], output, move_windows(change, output.windows),
                          change.axis, change.sizes)};
  }
  if (dim != change.axis) {
    const int64_t axis = change.axis - (selects && dim < change.axis ? 1 : 0);
    const OutputWindows output = moved_by(call, 0, change, 0, change.length());
    const at::Tensor moved = to_graph(move_windows(change, output.windows), change.axis);
    const at::Tensor delta = from_graph(evaluate_on(call, moved)[0].toTensor(), axis);
    return {changed_value(call.outputs[0], output, delta, axis, result.sizes().vec())};
  }
  const bool every =
      call.has("length") || (call.call.is(Trait::slices) && call.argument("step").toInt() == 1);
  if (!every || result.size(dim) == 0) {
    return {};
  }
  start = std::clamp<int64_t>(counted_from_front(start, original.size(dim)), 0, original.size(dim));
  const OutputWindows output = moved_by(call, 0, change, -start, result.size(dim));
  return {changed_value(call.outputs[0], output, move_windows(change, back(output, -start)),
                        change.axis, result.sizes().vec())};
}

// Pieces along another dimension.
std::vector<Value> split(ChangeCall& call) {
  if (!call.one_change()) {
    return {};
  }
  const Change& change = call.change(0);
  const int64_t rank = call.original(0).dim();
  const int64_t dim = counted_from_front(call.has("dim") ? call.argument("dim").toInt() : 0, rank);
  if (dim == 0 || dim == change.axis) {
    return {};
  }
  const std::vector<at::Tensor> originals = call.outputs[0].toTensorVector();
  // unbind() leaves the dimension out.
  const bool dropped = !originals.empty() && originals[0].dim() < rank;
  const int64_t axis = change.axis - (dropped && dim < change.axis ? 1 : 0);
  const at::Tensor all = to_graph(change.delta, change.axis);
  const std::vector<at::Tensor> pieces = evaluate_on(call, all)[0].toTensorVector();
  std::vector<Value> parts;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const OutputWindows output = moved_by(call, static_cast<int>(i), change, 0, change.length());
    Change piece = change;
    piece.delta = from_graph(pieces[i], axis);
    parts.push_back(changed_value(originals[i], output, move_windows(piece, output.windows), axis,
                                  originals[i].sizes().vec()));
  }
  Value result;
  result.x = call.outputs[0];
  result.set_parts(std::make_shared<std::vector<Value>>(std::move(parts)));
  return {result};
}

// Several values side by side: along another dimension their windows are brought together, along
// the positions each stands behind the ones before.
std::vector<Value> join(ChangeCall& call) {
  const Value& list = call.call.inputs[0];
  const at::Tensor result = call.output();
  if (!list.parts() || result.size(0) != 1) {
    return {};
  }
  const std::vector<Value>& parts = *list.parts();
  const bool stacked = call.call.is(Trait::adds_dimension);
  const c10::IValue& given = call.argument("dim");
  const int64_t dim = counted_from_front(given.toInt(), result.dim());
  int64_t axis = -1;
  for (const Value& part : parts) {
    const at::Tensor original = part.x.toTensor();
    const Change* change = part.change();
    if (change && !change->never) {
      const bool same = axis < 0 || axis == change->axis;
      if (!same || change->is_merged(original)) {
        return {};
      }
      axis = change->axis;
    } else if (!change && part.paired()) {
      return {};
    }
  }
  const int64_t out_axis = axis + (stacked && dim <= axis ? 1 : 0);
  if (dim == 0 || axis < 1) {
    return {};
  }
  const bool along = !stacked && dim == axis;
  // Where each part's changes stand in the result.
  std::vector<Range> changed(call.rows);
  std::vector<int64_t> shifts;
  int64_t shift = 0;
  for (const Value& part : parts) {
    const at::Tensor original = part.x.toTensor();
    if (original.size(0) != 1 || original.scalar_type() != result.scalar_type()) {
      return {};
    }
    shifts.push_back(shift);
    const Change* change = part.change();
    if (change && !change->never) {
      for (int64_t j = 0; j < call.rows; ++j) {
        const int64_t start = change->start[j] + shift;
        changed[j] = changed[j].with({start, start + change->width()});
      }
    }
    shift += along ? original.size(axis) : 0;
  }
  const OutputWindows output = fit(call, 0, changed, result.size(out_axis));
  std::vector<at::Tensor> deltas;
  for (size_t i = 0; i < parts.size(); ++i) {
    const at::Tensor original = parts[i].x.toTensor();
    const Change* change = parts[i].change();
    if (change && !change->never) {
      const int64_t by = shifts[i];
      look_at(call, output, *change, [by](const Range& range) {
        return Range{range.begin - by, range.end - by};
      });
      deltas.push_back(to_graph(move_windows(*change, back(output, by)), axis));
    } else if (!along) {
      std::vector<int64_t> sizes = original.sizes().vec();
      sizes[0] = call.rows;
      sizes[axis] = output.windows.width;
      deltas.push_back(at::zeros(sizes, original.options()));
    }
  }
  at::Tensor delta;
  if (stacked) {
    delta = at::stack(deltas, dim);
  } else if (!along) {
    delta = at::cat(deltas, dim);
  } else {
    delta = deltas[0];
    for (size_t i = 1; i < deltas.size(); ++i) {
      delta = delta + deltas[i];
    }
  }
  return {changed_value(call.outputs[0], output, from_graph(delta, out_axis), out_axis,
                        result.sizes().vec())};
}

std::vector<Value> flip(ChangeCall& call) {
  if (!call.one_change()) {
    return {};
  }
  const Change& change = call.change(0);
  const int64_t rank = call.original(0).dim();
  bool turned = false;
  for (const int64_t given : call.argument("dims").toIntVector()) {
    const int64_t dim = counted_from_front(given, rank);
    if (dim == 0) {
      return {};
    }
    turned = turned || dim == change.axis;
  }
  const int64_t length = change.length();
  Change mirrored = change;
  mirrored.delta =
      from_graph(evaluate_on(call, to_graph(change.delta, change.axis))[0].toTensor(), change.axis);
  for (int64_t& start : mirrored.start) {
    start = turned ? length - start - change.width() : start;
  }
  const OutputWindows output = fit(call, 0, ranges_of(mirrored), length);
  look_at(call, output, change, [turned, length](const Range& range) {
    return turned ? Range{length - range.end, length - range.begin} : range;
  });
  return {changed_value(call.outputs[0], output, move_windows(mirrored, output.windows),
                        change.axis, change.sizes)};
}

std::vector<Value> pad(ChangeCall& call) {
  if (!call.one_change() ||
      (call.has("mode") && call.argument("mode").toStringRef() != "constant")) {
    return {};
  }
  const Change& change = call.change(0);
  const at::Tensor result = call.output();
  std::vector<int64_t> pads = call.argument("pad").toIntVector();
  const auto behind = static_cast<size_t>(2 * (result.dim() - 1 - change.axis));
  int64_t before = 0;
  if (behind < pads.size()) {
    before = pads[behind];
    pads[behind] = pads[behind + 1] = 0;
  }
  if (static_cast<int64_t>(pads.size()) >= 2 * result.dim() || result.size(change.axis) == 0) {
    return {};
  }
  const OutputWindows output = moved_by(call, 0, change, before, result.size(change.axis));
  at::Tensor delta = move_windows(change, back(output, before));
  if (std::any_of(pads.begin(), pads.end(), [](int64_t size) { return size != 0; })) {
    delta = from_graph(at::constant_pad_nd(to_graph(delta, change.axis), pads, 0), change.axis);
  }
  return {changed_value(call.outputs[0], output, delta, change.axis, result.sizes().vec())};
}

}  // namespace changes
}  // namespace seqlift
