// What takes tensors apart and puts them together.
#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

void concat(Operator& op) {
  std::vector<ProgramValue> inputs;
  bool lists = true;
  bool list = false;
  for (size_t i = 0; i < op.count(); ++i) {
    inputs.push_back(op.in(i));
    lists = lists && inputs.back().rank() == 1;
    list = list || inputs.back().wholes;
  }
  if (inputs.empty()) {
    op.refuse("has no inputs");
  }
  const int64_t axis = op.axis(op.whole("axis", 1), inputs[0].rank());
  if (lists && list) {
    Wholes all;
    for (const ProgramValue& one : inputs) {
      const auto numbers = op.build.contents(one, true);
      lists = lists && numbers;
      if (lists) {
        all.insert(all.end(), numbers->begin(), numbers->end());
      }
    }
    if (lists) {
      return op.give(op.build.of_wholes(all, false, inputs[0].dtype));
    }
  }
  // What is joined to each sequence, a token of its own for example.
  const bool all_known = std::all_of(inputs.begin(), inputs.end(), [](const ProgramValue& one) {
    return one.constant != nullptr;
  });
  if (axis > 0 && !all_known) {
    for (ProgramValue& one : inputs) {
      one = op.build.for_each_sequence(one);
    }
  }
  Sizes sizes = inputs[0].sizes;
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i].rank() != inputs[0].rank()) {
      op.refuse("joins tensors of " + std::to_string(inputs[0].rank()) + " and " +
                std::to_string(inputs[i].rank()) + " dimensions");
    }
    for (size_t d = 0; d < sizes.size(); ++d) {
      const int64_t other = inputs[i].sizes[d];
      sizes[d] = static_cast<int64_t>(d) != axis ? std::max(sizes[d], other)
                 : sizes[d] < 0 || other < 0     ? -1
                                                 : sizes[d] + other;
    }
  }
  op.give(op.emit("cat", {{"tensors", inputs}, {"dim", axis}}, sizes, inputs[0].dtype));
}

void split(Operator& op) {
  const ProgramValue& x = op.in(0);
  const int64_t axis = op.axis(op.whole("axis", 0), x.rank());
  const auto parts = static_cast<int64_t>(op.node.outputs.size());
  Sizes lengths = op.given(1) ? op.known_wholes(1, "lengths") : op.wholes("split");
  const int64_t asked = op.whole("num_outputs", parts);
  const int64_t length = x.sizes[static_cast<size_t>(axis)];
  if (parts < 1 || asked != parts) {
    op.refuse("has another number of outputs than it says");
  }
  if (lengths.empty() && length < 0) {
    op.refuse("divides a dimension whose size is not known");
  }
  if (lengths.empty()) {
    const int64_t each = (length + parts - 1) / parts;
    for (int64_t i = 0; i < parts; ++i) {
      lengths.push_back(std::min(each, std::max<int64_t>(length - i * each, 0)));
    }
  }
  int64_t total = 0;
  for (const int64_t one : lengths) {
    if (one < 0 || one > std::numeric_limits<int32_t>::max()) {
      op.refuse("has parts of a length that is none");
    }
    total += one;
  }
  if (static_cast<int64_t>(lengths.size()) != parts || (length >= 0 && total != length)) {
    op.refuse("has parts that do not make up the whole");
  }
  int64_t begin = 0;
  for (size_t i = 0; i < lengths.size(); ++i) {
    if (op.wanted(i)) {
      op.give(op.sliced(x, axis, begin, begin + lengths[i]), i);
    }
    begin += lengths[i];
  }
}

namespace {

// What Python's slice of so many takes: start, step, how many.
struct Steps {
  int64_t start = 0;
  int64_t step = 1;
  int64_t count = 0;
};

Steps steps_of(int64_t size, int64_t start, int64_t end, int64_t step) {
  const auto place = [&](int64_t at) {
    const int64_t from_front = at < 0 ? (at < -size ? -1 : at + size) : at;
    return step > 0 ? std::clamp<int64_t>(from_front, 0, size)
                    : std::clamp<int64_t>(from_front, -1, size - 1);
  };
  Steps steps;
  steps.start = place(start);
  steps.step = step;
  const int64_t room = step > 0 ? place(end) - steps.start : steps.start - place(end);
  const int64_t stride =
      step > 0 ? step
               : (step == std::numeric_limits<int64_t>::min() ? std::numeric_limits<int64_t>::max()
                                                              : -step);
  steps.count = room <= 0 ? 0 : (room - 1) / stride + 1;
  return steps;
}

ProgramValue stepped(Operator& op, const ProgramValue& x, int64_t axis, const Whole& start,
                     const Whole& end, int64_t step) {
  Sizes sizes = x.sizes;
  int64_t& size = sizes[static_cast<size_t>(axis)];
  const bool known = size >= 0 && start.known() && end.known();
  if (step > 0) {
    const bool all = start.known() && start.number == 0 && end.known() &&
                     end.number >= (size < 0 ? std::numeric_limits<int32_t>::max() : size) &&
                     step == 1;
    if (all) {
      return x;
    }
    size = known ? steps_of(size, start.number, end.number, step).count : -1;
    return op.emit("slice.Tensor",
                   {{"self", x}, {"dim", axis}, {"start", start}, {"end", end}, {"step", step}},
                   sizes, x.dtype);
  }
  // Backwards: LibTorch has no such slice.
  const bool whole =
      start.known() && end.known() &&
      (start.number == -1 || (size >= 0 && start.number >= size - 1) ||
       start.number >= std::numeric_limits<int32_t>::max()) &&
      end.number <=
          (size < 0 ? static_cast<int64_t>(std::numeric_limits<int32_t>::min()) + 1 : -size - 1);
  if (whole) {
    const ProgramValue turned = op.same("flip", x, {{"dims", Sizes{axis}}});
    if (step == -1) {
      return turned;
    }
    if (step > std::numeric_limits<int32_t>::min()) {
      return stepped(op, turned, axis, 0, std::numeric_limits<int64_t>::max(), -step);
    }
  }
  if (!known) {
    op.refuse("goes backwards from or to a place that is not known");
  }
  const Steps steps = steps_of(size, start.number, end.number, step);
  std::vector<int64_t> places;
  for (int64_t i = 0; i < steps.count; ++i) {
    places.push_back(steps.start + i * step);
  }
  size = steps.count;
  const ProgramValue index = op.build.constant(at::tensor(places, at::TensorOptions(at::kLong)));
  return op.emit("index_select", {{"self", x}, {"dim", axis}, {"index", index}}, sizes, x.dtype);
}

Wholes whole_list(const Sizes& sizes) { return Wholes(sizes.begin(), sizes.end()); }

}  // namespace

// Attributes before version 10, inputs from there on.
void slice(Operator& op) {
  ProgramValue x = op.in(0);
  const bool by_input = op.count() > 1;
  const Wholes starts = by_input ? op.contents(1, "starts") : whole_list(op.wholes("starts"));
  const Wholes ends = by_input ? op.contents(2, "ends") : whole_list(op.wholes("ends"));
  Sizes axes = by_input ? (op.given(3) ? op.known_wholes(3, "axes") : Sizes()) : op.wholes("axes");
  Sizes steps = op.given(4) ? op.known_wholes(4, "steps") : Sizes();
  if (axes.empty()) {
    for (size_t i = 0; i < starts.size(); ++i) {
      axes.push_back(static_cast<int64_t>(i));
    }
  }
  steps.resize(steps.empty() ? starts.size() : steps.size(), 1);
  if (starts.size() != ends.size() || starts.size() != axes.size() ||
      starts.size() != steps.size()) {
    op.refuse("has another number of starts, ends, axes and steps");
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = op.axis(axes[i], x.rank());
    if (steps[i] == 0) {
      op.refuse("has a step of 0");
    }
    if (x.wholes && x.rank() == 1 && starts[i].known() && ends[i].known()) {
      const auto found = steps_of(static_cast<int64_t>(x.wholes->size()), starts[i].number,
                                  ends[i].number, steps[i]);
      Wholes part;
      for (int64_t k = 0; k < found.count; ++k) {
        part.push_back((*x.wholes)[static_cast<size_t>(found.start + k * found.step)]);
      }
      x = op.build.of_wholes(part, false, x.dtype);
      continue;
    }
    x = stepped(op, x, axis, starts[i], ends[i], steps[i]);
  }
  op.give(x);
}

void pad(Operator& op) {
  const ProgramValue& x = op.in(0);
  const std::string mode = op.text("mode", "constant");
  const bool by_attribute = op.has("pads");
  const Wholes given = by_attribute ? whole_list(op.wholes("pads")) : op.contents(1, "pads");
  double value = op.real("value", 0);
  if (!by_attribute && op.given(2)) {
    value = op.known_number(2, "a value");
  }
  Sizes axes;
  if (op.given(3)) {
    axes = op.known_wholes(3, "axes");
  } else {
    for (int64_t i = 0; i < x.rank(); ++i) {
      axes.push_back(i);
    }
  }
  const size_t count = axes.size();
  if (given.size() != 2 * count) {
    op.refuse("has " + std::to_string(given.size()) + " pads for " + std::to_string(count) +
              " dimensions");
  }
  Wholes before(x.sizes.size(), Whole(0));
  Wholes after(x.sizes.size(), Whole(0));
  for (size_t i = 0; i < count; ++i) {
    const auto axis = static_cast<size_t>(op.axis(axes[i], x.rank()));
    before[axis] = given[i];
    after[axis] = given[i + count];
  }
  const auto nothing = [&](size_t i) {
    return before[i].known() && after[i].known() && before[i].number == 0 && after[i].number == 0;
  };
  // LibTorch has pads from the last dimension on, as far as there are any.
  Sizes sizes = x.sizes;
  size_t first = 0;
  while (first < sizes.size() && nothing(first)) {
    ++first;
  }
  if (first == sizes.size()) {
    return op.give(x);
  }
  Wholes pads;
  for (size_t i = sizes.size(); i-- > first;) {
    pads.push_back(before[i]);
    pads.push_back(after[i]);
    const bool known = sizes[i] >= 0 && before[i].known() && after[i].known();
    if (known && (std::abs(before[i].number) > (int64_t{1} << 40) ||
                  std::abs(after[i].number) > (int64_t{1} << 40))) {
      op.refuse("has pads that no tensor has");
    }
    sizes[i] = known ? sizes[i] + before[i].number + after[i].number : -1;
    if (known && sizes[i] < 0) {
      op.refuse("takes away more than there is");
    }
  }
  if (mode == "constant") {
    const Argument number = x.is_float() ? Argument(value) : Argument(static_cast<int64_t>(value));
    return op.give(op.emit("constant_pad_nd", {{"self", x}, {"pad", pads}, {"value", number}},
                           sizes, x.dtype));
  }
  if (mode != "reflect" && mode != "edge") {
    op.refuse("has the mode \"" + printable(mode) + "\", which is not known here");
  }
  const size_t dimensions = sizes.size() - first;
  if (first < 2 || dimensions > 2) {
    op.refuse("pads other dimensions than positions by \"" + printable(mode) +
              "\", which is not supported");
  }
  const bool both = x.rank() == 4;
  if (both && dimensions == 1) {
    pads.resize(4, Whole(0));
  }
  const std::string target =
      std::string(mode == "edge" ? "replication_pad" : "reflection_pad") + (both ? "2d" : "1d");
  if (x.rank() > 4) {
    op.refuse("has an input of " + std::to_string(x.rank()) + " dimensions; 3 or 4 are supported");
  }
  op.give(op.emit(target, {{"self", x}, {"padding", pads}}, sizes, x.dtype));
}

}  // namespace onnx
}  // namespace seqlift
