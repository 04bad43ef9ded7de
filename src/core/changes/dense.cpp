// Operations that look at all positions at once. A product with weights needs the columns of the
// changed positions only, a sum the differences; the largest value is that of the window, of what
// lies before it and of what lies behind it. What they give is formed in full for every row.

#include <algorithm>
#include <limits>

#include "core/changes/change.h"
#include "core/halves/constants.h"
#include "core/halves/kernels.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace changes {

namespace {

Value whole(const c10::IValue& original, at::Tensor values) {
  Value value;
  value.x = original;
  value.set_ref(std::move(values));
  return value;
}

bool is_constant(const ChangeCall& call, const char* name) {
  const Value& value = call.call.inputs[call.call.find(name)];
  return !value.paired();
}

// The differences of a sequence's positions times the weights of these positions, which are held in
// blocks of a few positions each. Rows whose windows lie close share the products.
constexpr int64_t block_positions = 4;

at::Tensor weights_in_blocks(const ChangeCall& call, const Change& change,
                             const at::Tensor& weight) {
  return call.call.constants->derived(weight, "blocks of positions", [&]() {
    const int64_t out = weight.size(0);
    const int64_t length = change.length();
    const int64_t blocks = (length + block_positions - 1) / block_positions;
    std::vector<int64_t> sizes = change.sizes;
    sizes[0] = out;
    // [out, positions, others], zeros behind the last position.
    const at::Tensor split =
        weight.reshape(sizes).movedim(change.axis, 1).reshape({out, length, -1});
    const at::Tensor padded =
        at::constant_pad_nd(split, {0, 0, 0, blocks * block_positions - length});
    return padded.reshape({out, blocks, block_positions * split.size(2)})
        .transpose(0, 1)
        .contiguous();
  });
}

at::Tensor contract(const ChangeCall& call, const Change& change, const at::Tensor& weight) {
  const at::Tensor blocks = weights_in_blocks(call, change, weight);
  const int64_t width = change.width();
  const at::Tensor result = at::zeros({change.rows(), weight.size(0)}, change.delta.options());
  int64_t first = 0;
  while (first < change.rows() && width > 0) {
    Range seen{change.start[first], change.start[first] + width};
    int64_t last = first + 1;
    while (last < change.rows()) {
      const Range more = seen.with({change.start[last], change.start[last] + width});
      if (more.end - more.begin > 2 * width) {
        break;
      }
      seen = more;
      ++last;
    }
    Change group;
    group.delta = change.delta.slice(0, first, last);
    group.start.assign(change.start.begin() + first, change.start.begin() + last);
    const at::Tensor rows = result.slice(0, first, last);
    for (int64_t b = seen.begin / block_positions; b * block_positions < seen.end; ++b) {
      Windows1d windows;
      windows.start.assign(last - first, b * block_positions);
      windows.width = block_positions;
      rows.add_(times_weights(move_windows(group, windows).flatten(1), blocks[b]));
    }
    first = last;
  }
  return result;
}

// x W^T, W being [out, in].
std::vector<Value> product(ChangeCall& call, int input, const at::Tensor& weight, double factor) {
  const Change& change = call.change(input);
  const at::Tensor original = call.original(input);
  const at::Tensor result = call.output();
  const bool merged = change.is_merged(original);
  const auto rank = static_cast<int64_t>(change.sizes.size());
  if (weight.dim() != 2 || result.size(0) != 1) {
    return {};
  }
  if (original.dim() == 2) {
    call.log.demand(change);
    at::Tensor delta = contract(call, change, weight);
    return {whole(call.outputs[0], result + (factor == 1 ? delta : delta * factor))};
  }
  if (merged || change.axis == rank - 1 || result.dim() != rank) {
    return {};
  }
  const OutputWindows output = fit(call, 0, ranges_of(change), change.length());
  look_at(call, output, change, [](const Range& range) { return range; });
  at::Tensor delta = times_weights(move_windows(change, output.windows), weight);
  delta = factor == 1 ? delta : delta * factor;
  return {changed_value(call.outputs[0], output, delta, change.axis, result.sizes().vec())};
}

// The dimensions that a reduction takes together, counted from the front; none where it does not
// say.
std::vector<int64_t> dims_of(const ChangeCall& call, int64_t rank) {
  if (!call.has("dim")) {
    return {};
  }
  const c10::IValue& given = call.argument("dim");
  std::vector<int64_t> dims;
  if (given.isInt()) {
    dims.push_back(given.toInt());
  } else if (given.isIntList()) {
    dims = given.toIntVector();
  }
  for (int64_t& dim : dims) {
    dim = counted_from_front(dim, rank);
  }
  return dims;
}

bool is_global_pool(const ChangeCall& call) {
  if (!call.has("output_size")) {
    return false;
  }
  const std::vector<int64_t> sizes = call.argument("output_size").toIntVector();
  return std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size == 1; });
}

}  // namespace

std::vector<Value> dense(ChangeCall& call) {
  const bool added = call.call.row->added == 0;
  const int input = added ? 1 : 0;
  const char* weight = added ? "mat2" : "weight";
  if (call.windowed() != std::vector<int>{input} || call.others_differ() ||
      !is_constant(call, weight)) {
    return {};
  }
  const at::Tensor matrix = call.call.constant(call.call.find(weight)).toTensor();
  const double alpha = added ? call.argument("alpha").toScalar().toDouble() : 1;
  return product(call, input, added ? matrix.t() : matrix, alpha);
}

std::vector<Value> matmul(ChangeCall& call) {
  if (call.windowed() != std::vector<int>{0} || call.others_differ()) {
    return {};
  }
  const at::Tensor matrix = call.call.constant(1).toTensor();
  return matrix.dim() == 2 ? product(call, 0, matrix.t(), 1) : std::vector<Value>{};
}

std::vector<Value> reduce(ChangeCall& call) {
  if (call.windowed() != std::vector<int>{0} || call.others_differ()) {
    return {};
  }
  const Change& change = call.change(0);
  const at::Tensor original = call.original(0);
  const at::Tensor result = call.output();
  const int64_t rank = original.dim();
  const bool pool = is_global_pool(call);
  std::vector<int64_t> dims = dims_of(call, rank);
  if (pool) {
    const auto taken = static_cast<int64_t>(call.argument("output_size").toIntVector().size());
    for (int64_t d = rank - taken; d < rank; ++d) {
      dims.push_back(d);
    }
  }
  if (dims.empty() || result.dim() == 0 || result.size(0) != 1 ||
      !at::isFloatingType(result.scalar_type()) ||
      *std::min_element(dims.begin(), dims.end()) < 1) {
    return {};
  }
  const bool keep = pool || call.argument("keepdim").toBool();
  double count = 1;
  if (pool || call.call.row->form == Form::mean) {
    for (const int64_t d : dims) {
      count *= static_cast<double>(original.size(d));
    }
  }
  if (change.is_merged(original)) {
    // Flattened and summed: all that is left is one number a row.
    if (rank != 2) {
      return {};
    }
    call.log.demand(change);
    const at::Tensor sums = change.delta.flatten(1).sum(1) / count;
    const at::Tensor values = keep ? sums.unsqueeze(1) : sums;
    return {whole(call.outputs[0], result + values)};
  }
  if (std::find(dims.begin(), dims.end(), change.axis) != dims.end()) {
    call.log.demand(change);
    // Along the memory where the positions are all that is summed.
    const bool alone = dims.size() == 1;
    at::Tensor sums =
        alone ? change.delta.sum(1) : to_graph(change.delta, change.axis).sum(dims, keep);
    sums = (alone && keep ? sums.unsqueeze(change.axis) : sums) / count;
    return {whole(call.outputs[0], result + sums)};
  }
  int64_t axis = change.axis;
  for (const int64_t d : dims) {
    axis -= !keep && d < change.axis ? 1 : 0;
  }
  const OutputWindows output = fit(call, 0, ranges_of(change), change.length());
  look_at(call, output, change, [](const Range& range) { return range; });
  const at::Tensor moved = to_graph(move_windows(change, output.windows), change.axis);
  const at::Tensor delta = from_graph(moved.sum(dims, keep) / count, axis);
  return {changed_value(call.outputs[0], output, delta, axis, result.sizes().vec())};
}

std::vector<Value> maximum(ChangeCall& call) {
  if (call.has("other")) {
    return elementwise(call);
  }
  const bool with_places = call.outputs.size() > 1;
  if (call.windowed() != std::vector<int>{0} || call.others_differ() ||
      (with_places && call.call.node->output(1)->hasUses())) {
    return {};
  }
  const Change& change = call.change(0);
  const at::Tensor original = call.original(0);
  const at::Tensor result = call.output();
  const int64_t rank = original.dim();
  const bool pool = is_global_pool(call);
  const bool last = pool && call.argument("output_size").toIntVector().size() == 1;
  const std::vector<int64_t> dims = last ? std::vector<int64_t>{rank - 1} : dims_of(call, rank);
  if (change.is_merged(original) || dims != std::vector<int64_t>{change.axis} ||
      result.size(0) != 1 || !at::isFloatingType(original.scalar_type())) {
    return {};
  }
  call.log.demand(change);
  const double sign = call.call.row->form == Form::minimum ? -1 : 1;
  const at::Tensor x = original_rows(original, change.sizes, change.axis) * sign;
  // before[i]: the largest of the positions 0 .. i - 1; behind[i]: of i .. length - 1.
  std::vector<int64_t> one = x.sizes().vec();
  one[0] = 1;
  const at::Tensor none = at::full(one, -std::numeric_limits<double>::infinity(), x.options());
  const at::Tensor before = at::cat({none, std::get<0>(at::cummax(x, 0))});
  const at::Tensor behind = at::cat({std::get<0>(at::cummax(x.flip(0), 0)).flip(0), none});
  std::vector<int64_t> end;
  for (const int64_t start : change.start) {
    end.push_back(start + change.width());
  }
  const auto index = [&](const std::vector<int64_t>& places) {
    return at::tensor(places, at::TensorOptions(at::kLong)).to(x.device());
  };
  at::Tensor values =
      at::maximum(before.index_select(0, index(change.start)), behind.index_select(0, index(end)));
  if (change.width() > 0) {
    Windows1d windows;
    windows.start = change.start;
    windows.width = change.width();
    const at::Tensor inside = gather_windows(x, windows) + change.delta * sign;
    values = at::maximum(values, inside.amax(1));
  }
  std::vector<int64_t> sizes = result.sizes().vec();
  sizes[0] = call.rows;
  std::vector<Value> outputs{whole(call.outputs[0], (values * sign).reshape(sizes))};
  outputs.resize(call.outputs.size());
  return outputs;
}

}  // namespace changes
}  // namespace seqlift
