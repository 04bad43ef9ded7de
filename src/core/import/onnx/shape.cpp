// Shapes, and what is made of them.
#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

namespace {

// The numbers that are `value` given another shape of at most one dimension.
bool give_contents(Operator& op, const ProgramValue& value, bool scalar) {
  if (!value.wholes) {
    return false;
  }
  op.give(op.build.of_wholes(*value.wholes, scalar, value.dtype));
  return true;
}

}  // namespace

void shape(Operator& op) {
  const ProgramValue& x = op.in(0);
  const auto place = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + x.rank() : at, 0, x.rank());
  };
  const int64_t start = place(op.whole("start", 0));
  const int64_t end = place(op.whole("end", x.rank()));
  Wholes sizes;
  for (int64_t i = start; i < end; ++i) {
    sizes.push_back(op.build.size(x, i));
  }
  op.give(op.build.of_wholes(sizes, false));
}

void size(Operator& op) {
  Whole count = 1;
  for (const Whole& one : op.build.sizes(op.in(0))) {
    count = op.build.compute("mul", count, one);
  }
  op.give(op.build.of_wholes({count}, true));
}

void reshape(Operator& op) {
  const ProgramValue& x = op.in(0);
  Wholes sizes;
  if (op.has("shape")) {
    for (const int64_t one : op.wholes("shape")) {
      sizes.push_back(one);
    }
  } else {
    sizes = op.contents(1, "a shape");
  }
  const bool zeros = op.whole("allowzero", 0) != 0;
  if (x.wholes && sizes.size() <= 1) {
    give_contents(op, x, sizes.empty());
    return;
  }
  int open = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const bool known = sizes[i].known();
    if (known && sizes[i].number == 0 && !zeros) {
      if (static_cast<int64_t>(i) >= x.rank()) {
        op.refuse("keeps a dimension that its input has not");
      }
      sizes[i] = op.build.size(x, static_cast<int64_t>(i));
    }
    open += known && sizes[i].number == -1 ? 1 : 0;
    if (known && sizes[i].number < -1) {
      op.refuse("has a size of " + std::to_string(sizes[i].number));
    }
  }
  if (open > 1) {
    op.refuse("leaves two sizes open");
  }
  op.give(op.reshaped(x, sizes));
}

// To a matrix of the dimensions before the axis and those from it on.
void flatten(Operator& op) {
  const ProgramValue& x = op.in(0);
  const int64_t given = op.whole("axis", 1);
  const int64_t axis = given == x.rank() ? given : op.axis(given, x.rank());
  const Wholes sizes = op.build.sizes(x);
  op.class_name = "torch.nn.modules.flatten.Flatten";
  if (axis == 1 && x.rank() > 1) {
    const Sizes flat{x.sizes[0], product_of(x.sizes, 1)};
    return op.give(op.emit("flatten.using_ints", {{"self", x}, {"start_dim", 1}, {"end_dim", -1}},
                           flat, x.dtype));
  }
  Whole rows = 1;
  for (int64_t i = 0; i < axis; ++i) {
    rows = op.build.compute("mul", rows, sizes[static_cast<size_t>(i)]);
  }
  Whole columns = 1;
  for (size_t i = static_cast<size_t>(axis); i < sizes.size(); ++i) {
    columns = op.build.compute("mul", columns, sizes[i]);
  }
  op.give(op.reshaped(x, {rows, columns}));
}

void squeeze(Operator& op) {
  ProgramValue x = op.in(0);
  bool present = false;
  Sizes axes = op.axes("axes", 1, present);
  if (!present) {
    for (int64_t i = 0; i < x.rank(); ++i) {
      const int64_t known = x.sizes[static_cast<size_t>(i)];
      if (known < 0 && i > 0) {
        op.refuse("has no axes, and an input whose sizes are not all known");
      }
      // The number of sequences is no dimension to leave out.
      if (known == 1 && i > 0) {
        axes.push_back(i);
      }
    }
  }
  for (int64_t& axis : axes) {
    axis = op.axis(axis, x.rank());
  }
  std::sort(axes.begin(), axes.end());
  if (x.wholes && x.rank() == 1 && axes == Sizes{0} && x.wholes->size() == 1) {
    give_contents(op, x, true);
    return;
  }
  for (size_t i = axes.size(); i-- > 0;) {
    const int64_t known = x.sizes[static_cast<size_t>(axes[i])];
    if (known > 1) {
      op.refuse("leaves out a dimension of " + std::to_string(known));
    }
    Sizes sizes = x.sizes;
    sizes.erase(sizes.begin() + axes[i]);
    x = op.emit("squeeze.dim", {{"self", x}, {"dim", axes[i]}}, sizes, x.dtype);
  }
  op.give(x);
}

void unsqueeze(Operator& op) {
  ProgramValue x = op.in(0);
  bool present = false;
  Sizes axes = op.axes("axes", 1, present);
  const int64_t rank = x.rank() + static_cast<int64_t>(axes.size());
  for (int64_t& axis : axes) {
    axis = op.axis(axis, rank);
  }
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    op.refuse("has one axis twice");
  }
  if (x.wholes && x.rank() == 0 && axes == Sizes{0}) {
    give_contents(op, x, false);
    return;
  }
  for (const int64_t axis : axes) {
    Sizes sizes = x.sizes;
    sizes.insert(sizes.begin() + axis, 1);
    x = op.emit("unsqueeze", {{"self", x}, {"dim", axis}}, sizes, x.dtype);
  }
  op.give(x);
}

void transpose(Operator& op) {
  const ProgramValue& x = op.in(0);
  Sizes order = op.wholes("perm");
  if (order.empty()) {
    for (int64_t i = x.rank(); i-- > 0;) {
      order.push_back(i);
    }
  }
  Sizes sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted.size() != x.sizes.size() || sorted[i] != static_cast<int64_t>(i)) {
      op.refuse("has an order of dimensions that is none of its input's " +
                std::to_string(x.rank()));
    }
  }
  op.give(op.permuted(x, order));
}

void expand(Operator& op) {
  const ProgramValue& x = op.in(0);
  Wholes sizes = op.contents(1, "a shape");
  if (x.wholes && sizes.size() == 1 && x.wholes->size() == 1 && sizes[0].known() &&
      sizes[0].number >= 0 && sizes[0].number < 64) {
    return op.give(op.build.of_wholes(Wholes(static_cast<size_t>(sizes[0].number), (*x.wholes)[0]),
                                      false, x.dtype));
  }
  const int64_t rank = std::max(x.rank(), static_cast<int64_t>(sizes.size()));
  sizes.insert(sizes.begin(), static_cast<size_t>(rank) - sizes.size(), Whole(1));
  Sizes known;
  for (int64_t i = 0; i < rank; ++i) {
    const int64_t from = i - (rank - x.rank());
    Whole& size = sizes[static_cast<size_t>(i)];
    if (size.known() && (size.number < -1 || size.number == 0)) {
      op.refuse("has a size of " + std::to_string(size.number));
    }
    const int64_t own = from < 0 ? 1 : x.sizes[static_cast<size_t>(from)];
    if (own == 1) {
      if (size.known() && size.number == -1) {
        size = 1;  // as PyTorch's exporter writes what stays
      }
    } else if (size.known() && size.number <= 1) {
      size = op.build.size(x, from);
    } else if (own > 1) {
      if (size.known() && size.number != own) {
        op.refuse("makes " + std::to_string(size.number) + " of a dimension of " +
                  std::to_string(own));
      }
      size = own;
    } else if (!size.known()) {
      // One of both may be 1.
      size = op.build.compute("max", size, op.build.size(x, from));
    }
    known.push_back(size.known() ? size.number : -1);
  }
  op.give(op.emit("expand", {{"self", x}, {"size", sizes}}, known, x.dtype));
}

void tile(Operator& op) {
  const ProgramValue& x = op.in(0);
  const Wholes times = op.contents(1, "repeats");
  if (static_cast<int64_t>(times.size()) != x.rank()) {
    op.refuse("has repeats for another number of dimensions");
  }
  Sizes sizes;
  for (size_t i = 0; i < times.size(); ++i) {
    const bool known = times[i].known() && x.sizes[i] >= 0;
    if (times[i].known() && (times[i].number < 0 || times[i].number > (int64_t{1} << 31))) {
      op.refuse("has repeats of " + std::to_string(times[i].number));
    }
    sizes.push_back(known ? times[i].number * x.sizes[i] : -1);
  }
  op.give(op.emit("repeat", {{"self", x}, {"repeats", times}}, sizes, x.dtype));
}

void constant(Operator& op) {
  using Type = Attribute::Type;
  for (const char* name : {"value", "value_float", "value_int", "value_floats", "value_ints"}) {
    const Attribute* one = op.attribute(name);
    if (!one) {
      continue;
    }
    if (one->type == Type::tensor) {
      // Weights may be written as constants; a single number is none.
      return op.give(op.build.constant(one->tensor, one->tensor.numel() > 1));
    }
    if (one->type == Type::real) {
      return op.give(op.build.constant(
          at::tensor(one->number, at::TensorOptions(at::kDouble)).to(at::kFloat).reshape({})));
    }
    if (one->type == Type::whole) {
      return op.give(
          op.build.constant(at::tensor(one->whole, at::TensorOptions(at::kLong)).reshape({})));
    }
    if (one->type == Type::reals) {
      return op.give(
          op.build.constant(at::tensor(one->reals, at::TensorOptions(at::kDouble)).to(at::kFloat)));
    }
    if (one->type == Type::wholes) {
      return op.give(op.build.constant(at::tensor(one->wholes, at::TensorOptions(at::kLong))));
    }
  }
  op.refuse("has a value that is not read here (texts, sparse tensors)");
}

void constant_of_shape(Operator& op) {
  const Wholes sizes = op.contents(0, "a shape");
  const Attribute* value = op.attribute("value");
  at::Tensor one = at::zeros({1}, at::TensorOptions(at::kFloat));
  if (value) {
    if (value->type != Attribute::Type::tensor || value->tensor.numel() != 1) {
      op.refuse("has a `value` that is not one number");
    }
    one = value->tensor.reshape({1});
  }
  Sizes known;
  for (const Whole& size : sizes) {
    if (size.known() && size.number < 0) {
      op.refuse("has a size of " + std::to_string(size.number));
    }
    known.push_back(size.known() ? size.number : -1);
  }
  const at::ScalarType dtype = one.scalar_type();
  const Argument number = at::isFloatingType(dtype) ? Argument(one.to(at::kDouble).item<double>())
                          : dtype == at::kBool      ? Argument(one.item<bool>())
                                                    : Argument(one.to(at::kLong).item<int64_t>());
  op.give(
      op.emit("full", {{"size", sizes}, {"fill_value", number}, {"dtype", dtype}}, known, dtype));
}

void range(Operator& op) {
  const at::ScalarType dtype = op.in(0).dtype;
  if (at::isFloatingType(dtype)) {
    const double start = op.known_number(0, "a start");
    const double limit = op.known_number(1, "a limit");
    const double step = op.known_number(2, "a step");
    const double count = std::max(std::ceil((limit - start) / step), 0.);
    if (!(count < 1 << 24)) {
      op.refuse("makes " + std::to_string(count) + " numbers");
    }
    return op.give(op.build.constant(
        (at::arange(static_cast<int64_t>(count), at::TensorOptions(at::kDouble)) * step + start)
            .to(dtype)));
  }
  Wholes ends;
  for (size_t i = 0; i < 3; ++i) {
    const Wholes one = op.contents(i, "ends");
    if (one.size() != 1) {
      op.refuse("has ends that are not one number each");
    }
    ends.push_back(one[0]);
  }
  int64_t count = -1;
  if (ends[2].known() && ends[2].number == 0) {
    op.refuse("has a step of 0");
  }
  if (ends[0].known() && ends[1].known() && ends[2].known()) {
    const double exact =
        std::ceil((static_cast<double>(ends[1].number) - static_cast<double>(ends[0].number)) /
                  static_cast<double>(ends[2].number));
    if (exact > 1 << 24) {
      op.refuse("makes " + std::to_string(exact) + " numbers");
    }
    if (exact <= 0) {
      return op.give(op.build.constant(at::zeros({0}, at::TensorOptions(dtype))));
    }
    count = static_cast<int64_t>(exact);
  }
  op.give(op.emit("arange.start_step",
                  {{"start", ends[0]}, {"end", ends[1]}, {"step", ends[2]}, {"dtype", dtype}},
                  {count}, dtype));
}

}  // namespace onnx
}  // namespace seqlift
