// Sums, means, extremes and norms over dimensions.
#include <algorithm>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"

namespace seqlift {
namespace onnx {

namespace {

struct Reduction {
  Sizes axes;  // from 0, in order
  bool keep = true;
  Sizes sizes;  // of the result
};

ProgramValue over(Operator& op, const std::string& target, const ProgramValue& x,
                  const Reduction& reduction) {
  return op.emit(target, {{"self", x}, {"dim", reduction.axes}, {"keepdim", reduction.keep}},
                 reduction.sizes, x.dtype);
}

// One dimension after the other, from the last one.
ProgramValue product(Operator& op, ProgramValue x, const Reduction& reduction) {
  for (size_t i = reduction.axes.size(); i-- > 0;) {
    Sizes sizes = x.sizes;
    const auto at = static_cast<size_t>(reduction.axes[i]);
    if (reduction.keep) {
      sizes[at] = 1;
    } else {
      sizes.erase(sizes.begin() + static_cast<int64_t>(at));
    }
    x = op.emit("prod.dim_int",
                {{"self", x}, {"dim", reduction.axes[i]}, {"keepdim", reduction.keep}}, sizes,
                x.dtype);
  }
  return x;
}

// The product, sum or extreme of the numbers of a shape.
bool reduce_contents(Operator& op, const Reduction& reduction) {
  const ProgramValue& x = op.in(0);
  const std::string& name = op.node.operation;
  const std::string how = name == "ReduceProd"  ? "mul"
                          : name == "ReduceSum" ? "add"
                          : name == "ReduceMax" ? "max"
                          : name == "ReduceMin" ? "min"
                                                : "";
  if (!x.wholes || how.empty() || x.rank() != 1 || x.wholes->empty()) {
    return false;
  }
  Whole result = (*x.wholes)[0];
  for (size_t i = 1; i < x.wholes->size(); ++i) {
    result = op.build.compute(how, result, (*x.wholes)[i]);
  }
  op.give(op.build.of_wholes({result}, !reduction.keep, x.dtype));
  return true;
}

}  // namespace

void reduce(Operator& op) {
  const ProgramValue& x = op.in(0);
  const std::string& name = op.node.operation;
  bool present = false;
  Reduction reduction;
  reduction.axes = op.axes("axes", 1, present);
  reduction.keep = op.whole("keepdims", 1) != 0;
  const bool nothing = op.whole("noop_with_empty_axes", 0) != 0;
  if (reduction.axes.empty() && nothing) {
    if (name != "ReduceSum" && name != "ReduceMean" && name != "ReduceMax" && name != "ReduceMin" &&
        name != "ReduceProd") {
      op.refuse("has no axes and `noop_with_empty_axes`, which is not supported");
    }
    return op.give(x);
  }
  for (int64_t& axis : reduction.axes) {
    axis = op.axis(axis, x.rank());
  }
  if (reduction.axes.empty()) {
    for (int64_t i = 0; i < x.rank(); ++i) {
      reduction.axes.push_back(i);
    }
  }
  std::sort(reduction.axes.begin(), reduction.axes.end());
  if (std::adjacent_find(reduction.axes.begin(), reduction.axes.end()) != reduction.axes.end()) {
    op.refuse("has one axis twice");
  }
  for (int64_t i = 0; i < x.rank(); ++i) {
    const bool gone = std::binary_search(reduction.axes.begin(), reduction.axes.end(), i);
    if (!gone || reduction.keep) {
      reduction.sizes.push_back(gone ? 1 : x.sizes[static_cast<size_t>(i)]);
    }
  }
  if (reduce_contents(op, reduction)) {
    return;
  }
  if (reduction.axes.empty()) {
    if (name == "ReduceL1" || name == "ReduceL2" || name == "ReduceSumSquare" ||
        name == "ReduceLogSum" || name == "ReduceLogSumExp") {
      op.refuse("has an input without dimensions, which is not supported");
    }
    return op.give(x);
  }
  const auto sum = [&](const ProgramValue& of) {
    return over(op, "sum.dim_IntList", of, reduction);
  };
  if (name == "ReduceSum") {
    op.give(sum(x));
  } else if (name == "ReduceMean") {
    if (!x.is_float()) {
      op.refuse("takes a mean of whole numbers, which is not supported");
    }
    op.give(over(op, "mean.dim", x, reduction));
  } else if (name == "ReduceMax") {
    op.give(over(op, "amax", x, reduction));
  } else if (name == "ReduceMin") {
    op.give(over(op, "amin", x, reduction));
  } else if (name == "ReduceProd") {
    op.give(product(op, x, reduction));
  } else if (name == "ReduceL1") {
    op.give(sum(op.same("abs", x)));
  } else if (name == "ReduceSumSquare") {
    op.give(sum(op.same("square", x)));
  } else if (name == "ReduceL2") {
    op.give(op.same("sqrt", sum(op.same("square", x))));
  } else if (name == "ReduceLogSum") {
    op.give(op.same("log", sum(x)));
  } else {
    op.give(over(op, "logsumexp", x, reduction));
  }
}

void arg_extreme(Operator& op) {
  const ProgramValue& x = op.in(0);
  const int64_t axis = op.axis(op.whole("axis", 0), x.rank());
  const bool keep = op.whole("keepdims", 1) != 0;
  if (op.whole("select_last_index", 0) != 0) {
    op.refuse("takes the last one of several (`select_last_index`), which is not supported");
  }
  Sizes sizes = x.sizes;
  if (keep) {
    sizes[static_cast<size_t>(axis)] = 1;
  } else {
    sizes.erase(sizes.begin() + axis);
  }
  op.give(op.emit(op.node.operation == "ArgMax" ? "argmax" : "argmin",
                  {{"self", x}, {"dim", axis}, {"keepdim", keep}}, sizes, at::kLong));
}

void top_k(Operator& op) {
  const ProgramValue& x = op.in(0);
  const int64_t axis = op.axis(op.whole("axis", -1), x.rank());
  const bool largest = op.whole("largest", 1) != 0;
  op.ignore("sorted");  // any order is right where none is asked for
  const Sizes given = op.given(1) ? op.known_wholes(1, "a number of places") : Sizes();
  const int64_t k = given.size() == 1 ? given[0] : op.whole("k", -1);
  const int64_t most = x.sizes[static_cast<size_t>(axis)];
  if (k < 0 || (most >= 0 && k > most)) {
    op.refuse("takes " + std::to_string(k) + " of " + std::to_string(most));
  }
  Sizes sizes = x.sizes;
  sizes[static_cast<size_t>(axis)] = k;
  // Of equal numbers the one at the lower place comes first, which LibTorch's topk() does not say.
  if (op.wanted(1)) {
    const auto sorted = op.build.emit(
        "sort.stable", {{"self", x}, {"stable", true}, {"dim", axis}, {"descending", largest}},
        {{x.sizes, x.dtype}, {x.sizes, at::kLong}}, false);
    op.give(op.sliced(sorted[0], axis, 0, k), 0);
    op.give(op.sliced(sorted[1], axis, 0, k), 1);
    return;
  }
  const auto made = op.build.emit(
      "topk", {{"self", x}, {"k", k}, {"dim", axis}, {"largest", largest}, {"sorted", true}},
      {{sizes, x.dtype}, {sizes, at::kLong}}, false);
  op.give(made[0], 0);
}

}  // namespace onnx
}  // namespace seqlift
