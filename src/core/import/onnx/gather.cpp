// What takes numbers at places, and puts numbers at places.
#include <algorithm>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

namespace {

// From 0, where the operator allows to count from the end.
ProgramValue from_front(Operator& op, const ProgramValue& index, const ProgramValue& x,
                        int64_t axis) {
  const at::Tensor known = op.build.known(index);
  const int64_t size = x.sizes[static_cast<size_t>(axis)];
  if (known.defined()) {
    const at::Tensor wide = known.to(at::kLong);
    const bool negative = wide.numel() > 0 && wide.lt(0).any().item<bool>();
    if (size >= 0 && wide.numel() > 0 &&
        (wide.ge(size).any().item<bool>() || wide.lt(-size).any().item<bool>())) {
      op.refuse("takes places beyond the " + std::to_string(size) + " that there are");
    }
    if (!negative) {
      return op.build.constant(wide);
    }
    if (size >= 0) {
      return op.build.constant(at::where(wide.lt(0), wide + size, wide));
    }
  }
  const ProgramValue wide =
      index.dtype == at::kLong
          ? index
          : op.emit("to.dtype", {{"self", index}, {"dtype", at::kLong}}, index.sizes, at::kLong);
  return op.build.write({"{=0} = torch.remainder({0}, {1})"}, {wide, op.build.size(x, axis)},
                        {{wide.sizes, at::kLong}})[0];
}

// The places in each of the first dimensions, of a tensor that has them side by side.
std::vector<ProgramValue> places_of(Operator& op, const ProgramValue& x,
                                    const ProgramValue& index) {
  const int64_t depth = index.rank() == 0 ? -1 : index.sizes.back();
  if (depth < 1 || depth > x.rank()) {
    op.refuse("has places of " + std::to_string(depth) + " numbers in " + std::to_string(x.rank()) +
              " dimensions");
  }
  const Sizes sizes(index.sizes.begin(), index.sizes.end() - 1);
  std::vector<ProgramValue> places;
  for (int64_t i = 0; i < depth; ++i) {
    const ProgramValue one =
        op.emit("select.int", {{"self", index}, {"dim", -1}, {"index", i}}, sizes, index.dtype);
    places.push_back(from_front(op, one, x, i));
  }
  return places;
}

}  // namespace

void gather(Operator& op) {
  const ProgramValue& x = op.in(0);
  const ProgramValue& index = op.in(1);
  const int64_t axis = op.axis(op.whole("axis", 0), x.rank());
  const auto places = op.build.contents(index);
  const bool known = places && std::all_of(places->begin(), places->end(),
                                           [](const Whole& one) { return one.known(); });
  // Numbers of a shape.
  if (x.wholes && x.rank() == 1 && known) {
    Wholes taken;
    for (const Whole& one : *places) {
      const auto count = static_cast<int64_t>(x.wholes->size());
      taken.push_back((*x.wholes)[static_cast<size_t>(op.axis(one.number, count))]);
    }
    return op.give(op.build.of_wholes(taken, index.rank() == 0, x.dtype));
  }
  Sizes sizes(x.sizes.begin(), x.sizes.begin() + axis);
  sizes.insert(sizes.end(), index.sizes.begin(), index.sizes.end());
  sizes.insert(sizes.end(), x.sizes.begin() + axis + 1, x.sizes.end());
  if (index.rank() == 0 && places) {
    const Whole& place = (*places)[0];
    const int64_t size = x.sizes[static_cast<size_t>(axis)];
    if (place.known() && size >= 0) {
      op.axis(place.number, size);
    }
    return op.give(
        op.emit("select.int", {{"self", x}, {"dim", axis}, {"index", place}}, sizes, x.dtype));
  }
  // Tokens that are looked up in a table.
  if (axis == 0 && x.rank() == 2 && !op.build.known(index).defined() && x.constant) {
    op.class_name = "torch.nn.modules.sparse.Embedding";
    const ProgramValue wide =
        index.dtype == at::kLong
            ? index
            : op.emit("to.dtype", {{"self", index}, {"dtype", at::kLong}}, index.sizes, at::kLong);
    return op.give(op.emit("embedding", {{"weight", x}, {"indices", wide}}, sizes, x.dtype));
  }
  const ProgramValue front = from_front(op, index, x, axis);
  Sizes flat(x.sizes.begin(), x.sizes.end());
  flat[static_cast<size_t>(axis)] = product_of(index.sizes);
  if (index.rank() == 1) {
    return op.give(
        op.emit("index_select", {{"self", x}, {"dim", axis}, {"index", front}}, flat, x.dtype));
  }
  Wholes shape = op.build.sizes(x);
  const Wholes inner = op.build.sizes(index);
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, inner.begin(), inner.end());
  const ProgramValue row = op.reshaped(front, {Whole(-1)});
  op.give(op.reshaped(
      op.emit("index_select", {{"self", x}, {"dim", axis}, {"index", row}}, flat, x.dtype), shape));
}

void gather_elements(Operator& op) {
  const ProgramValue& x = op.in(0);
  const int64_t axis = op.axis(op.whole("axis", 0), x.rank());
  const ProgramValue index = from_front(op, op.in(1), x, axis);
  op.give(op.emit("gather", {{"self", x}, {"dim", axis}, {"index", index}}, index.sizes, x.dtype));
}

void gather_nd(Operator& op) {
  const ProgramValue& x = op.in(0);
  const ProgramValue& index = op.in(1);
  if (op.whole("batch_dims", 0) != 0) {
    op.refuse("has `batch_dims`, which is not supported");
  }
  const std::vector<ProgramValue> places = places_of(op, x, index);
  const auto depth = static_cast<int64_t>(places.size());
  Sizes sizes(index.sizes.begin(), index.sizes.end() - 1);
  sizes.insert(sizes.end(), x.sizes.begin() + depth, x.sizes.end());
  op.give(op.emit("index.Tensor", {{"self", x}, {"indices", places}}, sizes, x.dtype));
}

// Tokens as columns; `values` are what stands for no and for yes.
void one_hot(Operator& op) {
  const ProgramValue& tokens = op.in(0);
  const Sizes depth = op.known_wholes(1, "a depth");
  const at::Tensor values = op.known(2, "values").to(at::kDouble).reshape({-1}).contiguous();
  const int64_t rank = tokens.rank() + 1;
  const int64_t axis = op.axis(op.whole("axis", -1), rank);
  if (depth.size() != 1 || depth[0] < 1 || values.numel() != 2) {
    op.refuse("has a form that is not supported");
  }
  Sizes sizes = tokens.sizes;
  sizes.push_back(depth[0]);
  const ProgramValue wide =
      tokens.dtype == at::kLong
          ? tokens
          : op.emit("to.dtype", {{"self", tokens}, {"dtype", at::kLong}}, tokens.sizes, at::kLong);
  const at::ScalarType dtype = op.in(2).dtype;
  ProgramValue hot =
      op.emit("one_hot", {{"self", wide}, {"num_classes", depth[0]}}, sizes, at::kLong);
  if (dtype != at::kLong) {
    hot = op.emit("to.dtype", {{"self", hot}, {"dtype", dtype}}, sizes, dtype);
  }
  const double off = values.data_ptr<double>()[0];
  const double on = values.data_ptr<double>()[1];
  if (at::isFloatingType(dtype)) {
    hot = op.shifted(op.scaled(hot, on - off), off);
  } else if (off != 0 || on != 1) {
    op.refuse("has a form that is not supported");
  }
  Sizes order;
  for (int64_t i = 0; i < rank - 1; ++i) {
    order.push_back(i);
  }
  order.insert(order.begin() + axis, rank - 1);
  op.give(op.permuted(hot, order));
}

namespace {

bool adds(Operator& op) {
  const std::string how = op.text("reduction", "none");
  if (how != "none" && how != "add") {
    op.refuse("has the reduction \"" + printable(how) + "\", which is not supported");
  }
  return how == "add";
}

}  // namespace

void scatter_elements(Operator& op) {
  const ProgramValue& x = op.in(0);
  const int64_t axis = op.axis(op.whole("axis", 0), x.rank());
  const ProgramValue index = from_front(op, op.in(1), x, axis);
  op.give(op.emit(adds(op) ? "scatter_add" : "scatter.src",
                  {{"self", x}, {"dim", axis}, {"index", index}, {"src", op.in(2)}}, x.sizes,
                  x.dtype));
}

void scatter_nd(Operator& op) {
  const ProgramValue& x = op.in(0);
  const std::vector<ProgramValue> places = places_of(op, x, op.in(1));
  op.give(
      op.emit("index_put",
              {{"self", x}, {"indices", places}, {"values", op.in(2)}, {"accumulate", adds(op)}},
              x.sizes, x.dtype));
}

}  // namespace onnx
}  // namespace seqlift
