// Maxima. The maximum rises (or falls) from ref to x by y - y'. A rise is due to the position of
// the maximum in x, which climbed above everything in the reference; a fall to the position of the
// reference's maximum, which sank below everything in x. There the input changes by at least as
// much as the maximum does (rise: x_p - ref_p >= y - y' > 0), so the multiplier (y - y') / (x_p -
// ref_p) lies in (0, 1], needs no threshold, and m_p (x_p - ref_p) = y - y' exactly. Each output
// unit credits one position, so windows that overlap simply add. (DeepLIFT, Captum and tangermeme
// scatter with max_unpool, which overwrites where windows overlap.) Where the maximum does not
// change the sum gives no answer: the derivative at x if the position did not change either, else
// zero.

#include "core/base/error.h"
#include "core/halves/kernels.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/rules.h"
#include "core/rules/steps.h"

namespace seqlift {
namespace {

struct Maximum {
  at::Tensor values;
  at::Tensor positions;  // in the flattened dimensions that the maximum is taken over
};

using Locate = std::function<Maximum(const at::Tensor& input)>;

// The rule for a maximum that `locate` finds over the last `dims` dimensions of its input.
Halves maximum_of(const Locate& locate, const Halves& input, int64_t dims,
                  const BatchShape& batch) {
  const at::NoGradGuard guard;
  const at::Tensor ref = input.ref.detach();
  const Maximum of_x = locate(input.x);
  const Maximum of_ref = locate(ref);
  check_rows(input.x, ref, batch);

  const int64_t kept = ref.dim() - dims;
  const at::Tensor flat_x = repeat_x(input.x, ref, batch).flatten(kept);
  const at::Tensor flat_ref = ref.flatten(kept);
  const std::vector<int64_t> flat_sizes = flat_ref.sizes().vec();
  const at::Tensor y = repeat_x(of_x.values, of_ref.values, batch);
  const at::Tensor change = y - of_ref.values;
  const at::Tensor at_x = repeat_x(of_x.positions, of_ref.positions, batch);
  const at::Tensor position = at::where(change < 0, of_ref.positions, at_x).flatten(kept);
  const at::Tensor moved = flat_x.gather(-1, position) - flat_ref.gather(-1, position);
  const at::Tensor flat_change = change.flatten(kept);
  at::Tensor weight = flat_change / moved;
  const at::Tensor still = moved == 0;
  weight = at::where(still, at::ones_like(weight), weight);

  Halves output{of_x.values, of_ref.values};
  const std::vector<int64_t> sizes = ref.sizes().vec();
  output.ref = attach(output.ref, {input.ref},
                      [position, weight, flat_sizes, sizes, kept](const at::Tensor& grad) {
                        const at::Tensor share = grad.flatten(kept) * weight;
                        at::Tensor result = at::zeros(flat_sizes, share.options());
                        result.scatter_add_(-1, position, share);
                        return std::vector<at::Tensor>{result.reshape(sizes)};
                      });
  return output;
}

// The larger (or smaller) of two: b + relu(a - b), linear but for one rescaled function.
Halves extreme(const Halves& a, const Halves& b, bool smaller, const BatchShape& batch) {
  const Unary relu = [](const at::Tensor& value) { return at::relu(value); };
  const Halves above =
      rescale(relu, smaller ? subtract(b, a) : subtract(a, b), Smoothness::piecewise, batch);
  return smaller ? subtract(b, above) : add(b, above);
}

}  // namespace

// The dimensions are moved last and flattened.
Halves maximum_over(const Halves& input, const std::vector<int64_t>& dims, bool keep, bool minimum,
                    const BatchShape& batch) {
  const int64_t rank = input.ref.dim();
  std::vector<bool> reduced(rank, false);
  for (const int64_t d : dims) {
    reduced[counted_from_front(d, rank)] = true;
  }
  std::vector<int64_t> order;
  for (int64_t d = 0; d < rank; ++d) {
    if (!reduced[d]) {
      order.push_back(d);
    }
  }
  const auto kept = static_cast<int64_t>(order.size());
  for (int64_t d = 0; d < rank; ++d) {
    if (reduced[d]) {
      order.push_back(d);
    }
  }
  const Halves last = linear(
      [&](const at::Tensor& value) {
        const at::Tensor moved = value.permute(order).flatten(kept);
        return minimum ? -moved : moved;
      },
      input);
  const Locate locate = [](const at::Tensor& value) {
    const auto found = value.max(-1, true);
    return Maximum{std::get<0>(found), std::get<1>(found)};
  };
  return linear(
      [&](const at::Tensor& value) {
        at::Tensor result = value.squeeze(-1);
        for (int64_t d = 0; keep && d < rank; ++d) {
          result = reduced[d] ? result.unsqueeze(d) : result;
        }
        return minimum ? -result : result;
      },
      maximum_of(locate, last, 1, batch));
}

namespace rules {

namespace {

// An empty stride means the kernel's size, a single number all dimensions.
Pooling read_pooling(const Call& call, int64_t dims) {
  const auto numbers = [&](const char* name) {
    std::vector<int64_t> values = int_list(call.constant(call.find(name)));
    if (values.size() == 1) {
      values.resize(dims, values[0]);
    }
    return values;
  };
  Pooling pooling{numbers("kernel_size"), numbers("stride"), numbers("padding"),
                  numbers("dilation"), call.constant(call.find("ceil_mode")).toBool()};
  if (pooling.stride.empty()) {
    pooling.stride = pooling.kernel;
  }
  return pooling;
}

}  // namespace

std::vector<Value> max_pool(Call& call) {
  const int64_t dims = call.row->spatial;
  const bool adaptive = call.find("output_size") >= 0;
  const Halves input = call.halves(0);
  const bool indices_used = call.node->outputs().size() > 1;
  const Pooling pooling = adaptive ? Pooling() : read_pooling(call, dims);
  if (!adaptive && !indices_used && pooling_is_fast(pooling, input.x, input.ref)) {
    const at::NoGradGuard guard;
    return {to_value(pool_with_credit(pooling, input, call.batch))};
  }
  const Locate locate = [&](const at::Tensor& value) {
    std::tuple<at::Tensor, at::Tensor> found;
    if (adaptive) {
      const std::vector<int64_t> size = int_list(call.constant(1));
      found = dims == 1   ? at::adaptive_max_pool1d(value, size)
              : dims == 2 ? at::adaptive_max_pool2d(value, size)
                          : at::adaptive_max_pool3d(value, size);
    } else {
      const Pooling& p = pooling;
      found = dims == 1   ? at::max_pool1d_with_indices(value, p.kernel, p.stride, p.padding,
                                                        p.dilation, p.ceil)
              : dims == 2 ? at::max_pool2d_with_indices(value, p.kernel, p.stride, p.padding,
                                                        p.dilation, p.ceil)
                          : at::max_pool3d_with_indices(value, p.kernel, p.stride, p.padding,
                                                        p.dilation, p.ceil);
    }
    return Maximum{std::get<0>(found), std::get<1>(found)};
  };
  std::vector<Value> outputs{to_value(maximum_of(locate, input, dims, call.batch))};
  if (indices_used) {
    // They count through all dimensions that are pooled.
    const Halves flat = seqlift::linear(
        [&](const at::Tensor& value) { return value.flatten(value.dim() - dims); }, input);
    const auto positions = [&](const at::Tensor& value) {
      return locate(value).positions.flatten(value.dim() - dims);
    };
    const Halves found =
        index_of(flat, {positions(input.x), positions(input.ref.detach())}, call.batch);
    const std::vector<int64_t> pooled =
        outputs[0].x.toTensor().sizes().slice(input.x.dim() - dims).vec();
    const Halves indices = seqlift::linear(
        [&](const at::Tensor& value) { return value.unflatten(-1, pooled); }, found);
    outputs.push_back(to_value(indices, at::kLong));
  }
  return outputs;
}

// max(dim), min(dim), amax(dims), amin(dims), aminmax(dim), which is the two of them.
std::vector<Value> max_over_dims(Call& call) {
  const bool minimum = call.row->form == Form::minimum;
  const int dim = call.find("dim");
  if (dim < 0 && call.find("other") >= 0) {
    return maximum(call);
  }
  if (dim < 0 || call.constant(dim).isNone() ||
      (call.constant(dim).isIntList() && call.constant(dim).toIntVector().empty())) {
    throw Error("unsupported_operation",
                call.where() + " takes one maximum over all sequences of a batch.");
  }
  const bool keep = call.constant(call.find("keepdim")).toBool();
  if (call.row->form == Form::both_extremes) {
    const std::vector<int64_t> dims{call.constant(dim).toInt()};
    return {to_value(maximum_over(call.halves(0), dims, keep, true, call.batch)),
            to_value(maximum_over(call.halves(0), dims, keep, false, call.batch))};
  }
  if (call.node->outputs().size() == 1) {
    return {to_value(
        maximum_over(call.halves(0), int_list(call.constant(dim)), keep, minimum, call.batch))};
  }
  return order(call);
}

std::vector<Value> maximum(Call& call) {
  const bool smaller = call.row->form == Form::minimum;
  return {to_value(extreme(call.halves(0), call.halves(1), smaller, call.batch))};
}

// With bounds that depend on X, min(max(x, lowest), highest).
std::vector<Value> clamp(Call& call) {
  if (call.dependent() == std::vector<int>{0}) {
    return piecewise(call);
  }
  Halves result = call.halves(0);
  for (const char* bound : {"min", "max"}) {
    const int position = call.find(bound);
    if (position >= 0 && !call.constant(position).isNone()) {
      const bool highest = bound == std::string("max");
      result = extreme(result, call.halves(position), highest, call.batch);
    }
  }
  return {to_value(result)};
}

}  // namespace rules

}  // namespace seqlift
