#include "core/evaluate/positions_through.h"

#include <ATen/core/Tensor.h>

#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

using Inputs = PositionInputs;

const c10::IValue& argument(const Call& call, const char* name) {
  return call.constant(call.find(name));
}

bool has(const Call& call, const char* name) { return call.find(name) >= 0; }

// Seen `shift` positions further on, as far as `reach` behind the first.
Positions seen(Positions positions, int64_t shift, int64_t reach, int64_t stride, int64_t length) {
  positions.before -= shift * positions.step;
  positions.behind += (shift + reach) * positions.step;
  positions.step *= stride;
  positions.length = length;
  return positions;
}

Followed each(const Inputs& inputs, const at::Tensor& output) {
  Followed result;
  for (size_t i = 0; i < inputs.tensors.size(); ++i) {
    if (const Positions* own = inputs.positions[i]) {
      Positions moved = *own;
      moved.axis += output.dim() - inputs.tensors[i].dim();
      const bool same = !result || (moved.axis == result->axis && moved.step == result->step);
      if (!same || output.size(moved.axis) != moved.length) {
        return std::nullopt;
      }
      moved.before = std::max(moved.before, result ? result->before : moved.before);
      moved.behind = std::max(moved.behind, result ? result->behind : moved.behind);
      result = moved;
    }
  }
  // A number for each position is not the same for a piece.
  for (size_t i = 0; i < inputs.tensors.size(); ++i) {
    const at::Tensor& tensor = inputs.tensors[i];
    const int64_t axis = result->axis - (output.dim() - tensor.dim());
    if (!inputs.positions[i] && axis >= 0 && tensor.size(axis) != 1) {
      return std::nullopt;
    }
  }
  return result;
}

Followed slides(const Call& call, const Inputs& inputs, const at::Tensor& output) {
  const Positions& own = *inputs.positions[0];
  const at::Tensor& x = inputs.tensors[0];
  const auto dims = static_cast<size_t>(x.dim() - 2);
  const bool turned = has(call, "transposed") && argument(call, "transposed").toBool();
  if (own.axis < 2 || turned) {
    return std::nullopt;
  }
  const auto place = static_cast<size_t>(own.axis - 2);
  const bool convolves = call.is(Trait::convolves);
  const int64_t kernel = convolves ? inputs.tensors[1].size(own.axis)
                                   : per_dimension(argument(call, "kernel_size"), dims).at(place);
  std::vector<int64_t> stride{};
  const c10::IValue& step = argument(call, "stride");
  if (step.isInt() || !step.toIntVector().empty()) {
    stride = per_dimension(step, dims);
  } else {
    stride.assign(dims, kernel);
  }
  const int64_t dilation =
      has(call, "dilation") ? per_dimension(argument(call, "dilation"), dims).at(place) : 1;
  const int64_t reach = dilation * (kernel - 1);
  const c10::IValue& padding = argument(call, "padding");
  int64_t padded = 0;
  if (!padding.isString()) {
    padded = per_dimension(padding, dims).at(place);
  } else if (padding.toStringRef() == "same") {
    padded = reach / 2;
  }
  return seen(own, -padded, reach, stride.at(place), output.size(own.axis));
}

Followed pads(const Call& call, const Inputs& inputs, const at::Tensor& output) {
  const Positions& own = *inputs.positions[0];
  const std::vector<int64_t> numbers = argument(call, "pad").toIntVector();
  const auto behind = static_cast<size_t>(2 * (output.dim() - 1 - own.axis));
  if (static_cast<int64_t>(numbers.size()) >= 2 * output.dim()) {
    return std::nullopt;
  }
  const int64_t before = behind + 1 < numbers.size() ? numbers[behind] : 0;
  // A crop at the end takes positions of a piece that are still looked at.
  const int64_t cropped =
      behind + 1 < numbers.size() ? std::max<int64_t>(-numbers[behind + 1], 0) : 0;
  return seen(own, -before, cropped, 1, output.size(own.axis));
}

Followed combines(const Call& call, const Inputs& inputs, const at::Tensor& output) {
  Positions own = *inputs.positions[0];
  const int64_t rank = inputs.tensors[0].dim();
  if (!has(call, "dim") || argument(call, "dim").isNone()) {
    return std::nullopt;
  }
  std::vector<int64_t> dims = per_dimension(argument(call, "dim"), 1);
  int64_t dropped = 0;
  for (int64_t& dim : dims) {
    dim = counted_from_front(dim, rank);
    if (dim == own.axis || dim == 0) {
      return std::nullopt;
    }
    dropped += dim < own.axis ? 1 : 0;
  }
  if (dims.empty()) {
    return std::nullopt;
  }
  own.axis -= output.dim() < rank ? dropped : 0;
  return own;
}

Followed products(const Inputs& inputs, const at::Tensor& output) {
  if (inputs.tensors.size() < 2 || inputs.tensors[0].dim() < 2 || inputs.tensors[1].dim() < 2) {
    return std::nullopt;
  }
  if (inputs.first_alone()) {
    const bool kept = inputs.positions[0]->axis + 1 < inputs.tensors[0].dim();
    return kept && inputs.tensors[1].dim() == 2 ? Followed(*inputs.positions[0]) : std::nullopt;
  }
  // A matrix from the left: positions last.
  const Positions* second = inputs.positions[1];
  if (inputs.positions[0] || !second || inputs.tensors[0].dim() != 2 ||
      second->axis + 1 != inputs.tensors[1].dim() || output.dim() != inputs.tensors[1].dim()) {
    return std::nullopt;
  }
  return *second;
}

// Dimensions split or merged. The rows of a batch stay, and positions are found by what stands
// before them; several of them may become a dimension behind, or come back from one.
Followed views(const Inputs& inputs, const at::Tensor& output) {
  Positions own = *inputs.positions[0];
  const at::Tensor& x = inputs.tensors[0];
  if (output.dim() < 2 || output.size(0) != x.size(0)) {
    return std::nullopt;
  }
  int64_t before = 1;
  for (int64_t d = 1; d < own.axis; ++d) {
    before *= x.size(d);
  }
  int64_t axis = 1;
  int64_t passed = 1;
  while (axis < output.dim() && (passed < before || output.size(axis) == 1)) {
    passed *= output.size(axis);
    ++axis;
  }
  if (axis == output.dim() || passed != before) {
    return std::nullopt;
  }
  own.axis = axis;
  const int64_t length = output.size(axis);
  if (length == own.length) {
    return own;
  }
  if (length < own.length && own.length % length == 0) {
    // (n p) to n, p: each looks at what all p of them look at.
    const int64_t together = own.length / length;
    const int64_t next = axis + 1 < output.dim() ? output.size(axis + 1) : 1;
    return next == together ? Followed(seen(own, 0, together - 1, together, length)) : std::nullopt;
  }
  // n, p to (n p).
  const int64_t apart = length / own.length;
  const int64_t next =
      inputs.positions[0]->axis + 1 < x.dim() ? x.size(inputs.positions[0]->axis + 1) : 1;
  if (length % own.length != 0 || next != apart || own.step % apart != 0) {
    return std::nullopt;
  }
  own.step /= apart;
  own.before += (apart - 1) * own.step;
  own.length = length;
  return own;
}

// Tried out on a small tensor whose sizes are all different.
Followed reorders(const Call& call, const Inputs& inputs, const at::Tensor& output) {
  static const std::vector<int64_t> primes{2, 3, 5, 7, 11, 13, 17};
  Positions own = *inputs.positions[0];
  const at::Tensor& x = inputs.tensors[0];
  if (x.dim() > static_cast<int64_t>(primes.size()) || own.length == 1) {
    return std::nullopt;
  }
  std::vector<int64_t> sizes(primes.begin(), primes.begin() + x.dim());
  for (int64_t d = 0; d < x.dim(); ++d) {
    sizes[d] = x.size(d) == 1 && d != 0 ? 1 : sizes[d];
  }
  std::vector<c10::IValue> stack = call.stack(false);
  stack[0] = at::empty(sizes, at::TensorOptions(at::kFloat));
  const at::Tensor tried = call.evaluate(std::move(stack))[0].toTensor();
  const auto found = std::find(tried.sizes().begin(), tried.sizes().end(), sizes[own.axis]);
  if (tried.dim() != output.dim() || tried.dim() == 0 || tried.size(0) != sizes[0] ||
      found == tried.sizes().end()) {
    return std::nullopt;
  }
  own.axis = found - tried.sizes().begin();
  return own;
}

// A number or a few for each channel. Statistics of the batch itself are of all positions.
Followed channels(const Call& call, const Inputs& inputs) {
  const bool of_batch =
      has(call, "running_mean") && !(argument(call, "running_mean").isTensor() &&
                                     argument(call, "running_mean").toTensor().defined());
  const Positions& own = *inputs.positions[0];
  return own.axis != 1 && !of_batch ? Followed(own) : std::nullopt;
}

// A piece of one dimension. Of the positions themselves what is left out at either end is as much
// of a piece as it is of the whole; `along` says how much.
Followed slices(const Call& call, const Inputs& inputs, const at::Tensor& output,
                std::string& along) {
  Positions own = *inputs.positions[0];
  const at::Tensor& x = inputs.tensors[0];
  const int64_t dim = counted_from_front(argument(call, "dim").toInt(), x.dim());
  const bool selects = has(call, "index");
  if (dim == 0) {
    return output.sizes() == x.sizes() ? Followed(own) : std::nullopt;
  }
  if (dim != own.axis) {
    own.axis -= selects && dim < own.axis ? 1 : 0;
    return own;
  }
  if (selects || (call.is(Trait::slices) && argument(call, "step").toInt() != 1) ||
      output.size(dim) == 0) {
    return std::nullopt;
  }
  const c10::IValue& first = argument(call, "start");
  if (!first.isInt() && !first.isNone()) {
    return std::nullopt;
  }
  const int64_t start = std::clamp<int64_t>(
      counted_from_front(first.isInt() ? first.toInt() : 0, own.length), 0, own.length);
  const int64_t left_out = own.length - start - output.size(dim);
  along = std::to_string(start) + " and " + std::to_string(left_out);
  return seen(own, start, left_out, 1, output.size(dim));
}

Followed joins(const Call& call, const Inputs& inputs, const at::Tensor& output) {
  Followed result;
  for (const Positions* own : inputs.positions) {
    if (!own || (result && (own->axis != result->axis || own->step != result->step ||
                            own->length != result->length))) {
      return std::nullopt;
    }
    Positions both = *own;
    both.before = std::max(both.before, result ? result->before : both.before);
    both.behind = std::max(both.behind, result ? result->behind : both.behind);
    result = both;
  }
  const int64_t dim = counted_from_front(argument(call, "dim").toInt(), output.dim());
  const bool stacked = call.is(Trait::adds_dimension);
  if (!result || dim == 0 || (!stacked && dim == result->axis)) {
    return std::nullopt;
  }
  result->axis += stacked && dim <= result->axis ? 1 : 0;
  return result;
}

}  // namespace

Followed through(const Call& call, const Inputs& inputs, const at::Tensor& output,
                 std::string& along) {
  const Along way = call.row->along;
  if (way == Along::each) {
    return each(inputs, output);
  }
  if (way == Along::joins) {
    return joins(call, inputs, output);
  }
  if (way == Along::products) {
    return products(inputs, output);
  }
  if (!inputs.first_alone()) {
    return std::nullopt;
  }
  const Positions& own = *inputs.positions[0];
  switch (way) {
    case Along::channels:
      return channels(call, inputs);
    case Along::slides:
      return slides(call, inputs, output);
    case Along::pads:
      return pads(call, inputs, output);
    case Along::combines:
      return combines(call, inputs, output);
    case Along::lasts: {
      const auto last =
          static_cast<int64_t>(argument(call, "normalized_shape").toIntVector().size());
      return own.axis < output.dim() - last ? Followed(own) : std::nullopt;
    }
    case Along::views:
      return views(inputs, output);
    case Along::reorders:
      return reorders(call, inputs, output);
    case Along::slices:
      return slices(call, inputs, output, along);
    default:
      return std::nullopt;
  }
}

}  // namespace seqlift
