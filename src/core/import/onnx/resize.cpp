// Resize and Upsample. Where both lengths are known every way to place the positions is a choice of
// positions (nearest) or a matrix (linear), worked out here in double precision.
#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

namespace {

struct Ways {
  std::string mode;
  std::string coordinates;
  std::string nearest;
};

struct Change {
  int64_t dim = 0;
  double scale = 1;
  Whole from, to;
};

double coordinate(const Ways& ways, double i, double from, double to, double scale) {
  const std::string& how = ways.coordinates;
  if (how == "asymmetric") {
    return i / scale;
  }
  if (how == "align_corners") {
    return to == 1 ? 0 : i * (from - 1) / (to - 1);
  }
  if (how == "pytorch_half_pixel" && to <= 1) {
    return 0;
  }
  if (how == "tf_half_pixel_for_nn") {
    return (i + 0.5) / scale;
  }
  const double offset = how == "half_pixel_symmetric" ? from / 2 * (1 - to / (scale * from)) : 0;
  return offset + (i + 0.5) / scale - 0.5;
}

int64_t nearest(const Ways& ways, double at, int64_t from) {
  const double rounded = ways.nearest == "floor"               ? std::floor(at)
                         : ways.nearest == "ceil"              ? std::ceil(at)
                         : ways.nearest == "round_prefer_ceil" ? std::floor(at + 0.5)
                                                               : std::ceil(at - 0.5);
  return std::clamp<int64_t>(static_cast<int64_t>(rounded), 0, from - 1);
}

// A whole number of copies of each position.
bool repeats(const Ways& ways, const Change& change) {
  const bool whole = change.scale >= 1 && change.scale == std::floor(change.scale);
  const bool rounds = ways.nearest.rfind("round_prefer", 0) == 0;
  const bool half = ways.coordinates == "half_pixel" || ways.coordinates == "pytorch_half_pixel";
  return whole &&
         ((ways.coordinates == "asymmetric" && ways.nearest == "floor") || (half && rounds));
}

Sizes with_size(const ProgramValue& x, const Change& change) {
  Sizes sizes = x.sizes;
  sizes[static_cast<size_t>(change.dim)] = change.to.known() ? change.to.number : -1;
  return sizes;
}

ProgramValue by_nearest(Operator& op, const Ways& ways, const ProgramValue& x,
                        const Change& change) {
  if (repeats(ways, change)) {
    return op.emit(
        "repeat_interleave.self_int",
        {{"self", x}, {"repeats", static_cast<int64_t>(change.scale)}, {"dim", change.dim}},
        with_size(x, change), x.dtype);
  }
  if (!change.from.known() || !change.to.known()) {
    op.refuse("has a scale that is no whole number, and an input whose length is not known");
  }
  std::vector<int64_t> places;
  for (int64_t i = 0; i < change.to.number; ++i) {
    places.push_back(
        nearest(ways,
                coordinate(ways, static_cast<double>(i), static_cast<double>(change.from.number),
                           static_cast<double>(change.to.number), change.scale),
                change.from.number));
  }
  const ProgramValue index = op.build.constant(at::tensor(places, at::TensorOptions(at::kLong)));
  return op.emit("index_select", {{"self", x}, {"dim", change.dim}, {"index", index}},
                 with_size(x, change), x.dtype);
}

ProgramValue by_matrix(Operator& op, const Ways& ways, const ProgramValue& x,
                       const Change& change) {
  const int64_t from = change.from.number;
  const int64_t to = change.to.number;
  if (from * to > (int64_t{1} << 26)) {
    op.refuse("makes " + std::to_string(to) + " positions of " + std::to_string(from) +
              ", which is not supported");
  }
  const at::Tensor matrix = at::zeros({from, to}, at::TensorOptions(at::kDouble));
  double* const weights = matrix.data_ptr<double>();
  for (int64_t i = 0; i < to; ++i) {
    const double place = coordinate(ways, static_cast<double>(i), static_cast<double>(from),
                                    static_cast<double>(to), change.scale);
    const double at = std::clamp<double>(place, 0, static_cast<double>(from - 1));
    const auto low = static_cast<int64_t>(std::floor(at));
    const int64_t high = std::min(low + 1, from - 1);
    weights[low * to + i] += 1 - (at - static_cast<double>(low));
    weights[high * to + i] += at - static_cast<double>(low);
  }
  Sizes order;
  for (int64_t i = 0; i < x.rank(); ++i) {
    order.push_back(i);
  }
  std::swap(order[static_cast<size_t>(change.dim)], order.back());
  const ProgramValue last = op.permuted(x, order);
  Sizes sizes = last.sizes;
  sizes.back() = to;
  const ProgramValue product = op.emit(
      "matmul", {{"self", last}, {"other", op.build.constant(matrix.to(x.dtype))}}, sizes, x.dtype);
  return op.permuted(product, order);
}

// Lengths that are not known: as LibTorch has it, all dimensions at once.
ProgramValue by_libtorch(Operator& op, const Ways& ways, const ProgramValue& x,
                         const std::vector<Change>& changes) {
  const bool corners = ways.coordinates == "align_corners";
  const bool half = ways.coordinates == "half_pixel" || ways.coordinates == "pytorch_half_pixel";
  const bool whole = std::all_of(changes.begin(), changes.end(), [](const Change& change) {
    return change.scale == std::floor(change.scale);
  });
  if ((!corners && !half) || !whole || x.rank() > 4) {
    op.refuse(
        "has an input whose length is not known, for which only whole scales of "
        "\"half_pixel\" and \"align_corners\" are supported");
  }
  Wholes to;
  Sizes sizes = x.sizes;
  for (int64_t i = 2; i < x.rank(); ++i) {
    Whole size = op.build.size(x, i);
    for (const Change& change : changes) {
      size = change.dim == i ? change.to : size;
    }
    to.push_back(size);
    sizes[static_cast<size_t>(i)] = size.known() ? size.number : -1;
  }
  return op.emit(x.rank() == 3 ? "upsample_linear1d" : "upsample_bilinear2d",
                 {{"self", x}, {"output_size", to}, {"align_corners", corners}}, sizes, x.dtype);
}

std::vector<Change> read_changes(Operator& op, const ProgramValue& x, const Sizes& axes) {
  const bool upsample = op.node.operation == "Upsample";
  const size_t scales_at = upsample || op.version < 11 ? 1 : 2;
  std::vector<double> scales = op.has("scales") ? op.reals("scales") : std::vector<double>();
  if (op.given(scales_at)) {
    const at::Tensor known = op.known(scales_at, "scales").to(at::kDouble).reshape({-1});
    for (int64_t i = 0; i < known.numel(); ++i) {
      scales.push_back(known[i].item<double>());
    }
  }
  Wholes sizes;
  if (scales.empty() && op.given(3)) {
    sizes = op.contents(3, "sizes");
  }
  if ((scales.empty() ? sizes.size() : scales.size()) != axes.size()) {
    op.refuse("has scales for another number of dimensions");
  }
  std::vector<Change> changes;
  for (size_t i = 0; i < axes.size(); ++i) {
    Change change;
    change.dim = axes[i];
    change.from = op.build.size(x, axes[i]);
    if (scales.empty()) {
      change.to = sizes[i];
      const bool same = !change.from.known() && change.from.value == change.to.value;
      if (same ||
          (change.from.known() && change.to.known() && change.from.number == change.to.number)) {
        continue;
      }
      if (!change.from.known() || !change.to.known() || change.from.number < 1) {
        op.refuse("has sizes that are not known, which is not supported");
      }
      change.scale =
          static_cast<double>(change.to.number) / static_cast<double>(change.from.number);
    } else {
      change.scale = scales[i];
      if (!(change.scale > 0 && change.scale < 1 << 20)) {
        op.refuse("has a scale of " + std::to_string(change.scale));
      }
      if (change.scale == 1) {
        continue;
      }
      const bool whole = change.scale == std::floor(change.scale);
      if (whole) {
        change.to = op.build.compute("mul", change.from, static_cast<int64_t>(change.scale));
      } else if (change.from.known()) {
        // Scales are float32.
        const float scale = static_cast<float>(change.scale);
        change.to =
            static_cast<int64_t>(std::floor(static_cast<float>(change.from.number) * scale));
      } else {
        op.refuse("has a scale that is no whole number, and an input whose length is not known");
      }
    }
    if (change.dim < 2) {
      op.refuse("changes the number of sequences or channels");
    }
    changes.push_back(change);
  }
  return changes;
}

}  // namespace

void resize(Operator& op) {
  const ProgramValue& x = op.in(0);
  const bool older = op.node.operation == "Upsample" || op.version < 11;
  Ways ways;
  ways.mode = op.text("mode", "nearest");
  ways.coordinates = op.text("coordinate_transformation_mode", older ? "asymmetric" : "half_pixel");
  ways.nearest = op.text("nearest_mode", older ? "floor" : "round_prefer_floor");
  op.ignore("cubic_coeff_a");
  op.ignore("extrapolation_value");
  op.ignore("exclude_outside");  // of cubic
  const std::string policy = op.text("keep_aspect_ratio_policy", "stretch");
  static const std::set<std::string> known{"half_pixel",           "pytorch_half_pixel",
                                           "align_corners",        "asymmetric",
                                           "tf_half_pixel_for_nn", "half_pixel_symmetric"};
  static const std::set<std::string> rounds{"floor", "ceil", "round_prefer_floor",
                                            "round_prefer_ceil"};
  if (known.count(ways.coordinates) == 0 || rounds.count(ways.nearest) == 0 ||
      policy != "stretch" || (ways.mode != "nearest" && ways.mode != "linear")) {
    op.refuse("has a form (\"" + printable(ways.mode) + "\", \"" + printable(ways.coordinates) +
              "\") that is not supported");
  }
  if (older && ways.mode == "linear") {
    op.refuse("interpolates by version " + std::to_string(op.version) +
              " of the operators, which does not say where the positions lie: export it with "
              "version 11 or later");
  }
  Sizes axes = op.wholes("axes");
  for (int64_t i = 0; !op.has("axes") && i < x.rank(); ++i) {
    axes.push_back(i);
  }
  for (int64_t& axis : axes) {
    axis = op.axis(axis, x.rank());
  }
  const std::vector<Change> changes = read_changes(op, x, axes);
  const bool antialias = op.whole("antialias", 0) != 0;
  if (antialias && std::any_of(changes.begin(), changes.end(),
                               [](const Change& change) { return change.scale < 1; })) {
    op.refuse("makes fewer positions with `antialias`, which is not supported");
  }
  const bool lengths = std::all_of(changes.begin(), changes.end(), [](const Change& change) {
    return change.from.known() && change.to.known();
  });
  if (ways.mode == "linear" && !lengths) {
    return op.give(by_libtorch(op, ways, x, changes));
  }
  ProgramValue result = x;
  for (const Change& change : changes) {
    result = ways.mode == "nearest" ? by_nearest(op, ways, result, change)
                                    : by_matrix(op, ways, result, change);
  }
  op.give(result);
}

}  // namespace onnx
}  // namespace seqlift
