// Operations that look at a few neighbouring positions: convolutions and pooling.
//
// Output o of a window of k taps, stride s, dilation d and padding p looks at the inputs
// o s - p + t d, t = 0 .. k - 1. Inputs a .. b - 1 are therefore seen by the outputs from
// ceil((a + p - d (k - 1)) / s) to floor((b - 1 + p) / s).

#include <algorithm>
#include <optional>

#include "core/changes/change.h"
#include "core/halves/constants.h"
#include "core/halves/kernels.h"
#include "core/model/operation_table.h"
#include "core/numeric/loops.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace changes {

namespace {

struct Sliding {
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t dilation = 1;

  int64_t reach() const { return dilation * (kernel - 1); }
};

int64_t floor_of(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
int64_t ceil_of(int64_t a, int64_t b) { return -floor_of(-a, b); }

OutputWindows slide(ChangeCall& call, const Sliding& sliding, int64_t length_out) {
  const Change& change = call.change(0);
  std::vector<Range> changed;
  for (const Range& range : ranges_of(change)) {
    changed.push_back({ceil_of(range.begin + sliding.padding - sliding.reach(), sliding.stride),
                       floor_of(range.end - 1 + sliding.padding, sliding.stride) + 1});
    if (range.empty()) {
      changed.back().end = changed.back().begin;
    }
  }
  const OutputWindows output = fit(call, 0, changed, length_out);
  look_at(call, output, change, [sliding](const Range& range) {
    return Range{range.begin * sliding.stride - sliding.padding,
                 (range.end - 1) * sliding.stride - sliding.padding + sliding.reach() + 1};
  });
  return output;
}

// The one dimension along which the operation moves, the others having windows of one position; or
// nothing. `dims` spatial dimensions come last.
std::optional<Sliding> along(const Change& change, size_t dims, const std::vector<int64_t>& kernel,
                             const std::vector<int64_t>& stride,
                             const std::vector<int64_t>& padding,
                             const std::vector<int64_t>& dilation) {
  const int64_t first = static_cast<int64_t>(change.sizes.size()) - static_cast<int64_t>(dims);
  if (change.axis < first || first != 2) {
    return std::nullopt;
  }
  for (size_t d = 0; d < dims; ++d) {
    const bool other = static_cast<int64_t>(d) + first != change.axis;
    if (other && (kernel[d] != 1 || stride[d] != 1 || padding[d] != 0)) {
      return std::nullopt;
    }
  }
  const auto d = static_cast<size_t>(change.axis - first);
  return Sliding{kernel[d], stride[d], padding[d], dilation[d]};
}

// The windows of a pooling.
std::optional<Sliding> pooling(const ChangeCall& call) {
  const auto dims = static_cast<size_t>(call.original(0).dim() - 2);
  const std::vector<int64_t> kernel = per_dimension(call.argument("kernel_size"), dims);
  const c10::IValue& step = call.argument("stride");
  const bool own = step.isInt() || !step.toIntVector().empty();
  const std::vector<int64_t> dilation = call.has("dilation")
                                            ? per_dimension(call.argument("dilation"), dims)
                                            : std::vector<int64_t>(dims, 1);
  return along(call.change(0), dims, kernel, own ? per_dimension(step, dims) : kernel,
               per_dimension(call.argument("padding"), dims), dilation);
}

bool is_simple(const ChangeCall& call) {
  return call.one_change() && call.output().size(0) == 1 &&
         call.output().dim() == call.original(0).dim();
}

// Sizes of [rows, width, ...] for an output of the graph.
std::vector<int64_t> row_sizes(const at::Tensor& output, int64_t axis, int64_t rows,
                               int64_t width) {
  std::vector<int64_t> sizes{rows, width};
  for (int64_t d = 1; d < output.dim(); ++d) {
    if (d != axis) {
      sizes.push_back(output.size(d));
    }
  }
  return sizes;
}

// Whether every position of the differences is one row of channels: [rows, width, C(, 1)].
bool is_flat(const at::Tensor& delta) {
  for (int64_t d = 3; d < delta.dim(); ++d) {
    if (delta.size(d) != 1) {
      return false;
    }
  }
  return delta.is_cpu() &&
         (delta.scalar_type() == at::kFloat || delta.scalar_type() == at::kDouble);
}

template <typename T>
void add_taps(const at::Tensor& taps, const Sliding& sliding, const Change& change,
              const OutputWindows& output, const at::Tensor& delta) {
  const int64_t width = change.width();
  const int64_t channels = delta.size(2);
  for (int64_t j = 0; j < change.rows(); ++j) {
    // Tap t of input i goes to the output i + p - d (k - 1 - t), t counted from the last tap.
    const int64_t first = change.start[j] + sliding.padding - sliding.reach();
    loops::shift_add(taps.data_ptr<T>() + j * width * sliding.kernel * channels,
                     delta.data_ptr<T>() + j * output.windows.width * channels, width,
                     sliding.kernel, channels, output.windows.width, 1, sliding.dilation,
                     output.windows.start[j] - first);
  }
}

// One product of the changed inputs with the weights of all taps; then each tap is added where it
// belongs. The work is that of the inputs, which are fewer than the outputs.
at::Tensor by_taps(const ChangeCall& call, const Sliding& sliding, const at::Tensor& weight,
                   const OutputWindows& output, const std::vector<int64_t>& sizes) {
  const Change& change = call.change(0);
  const int64_t channels = weight.size(0);
  const at::Tensor matrix = call.call.constants->derived(weight, "taps from the last", [&]() {
    return weight.flatten(2)
        .flip(2)
        .permute({2, 0, 1})
        .reshape({sliding.kernel * channels, weight.size(1)})
        .contiguous();
  });
  const at::Tensor inputs =
      change.delta.reshape({change.rows() * change.width(), weight.size(1)}).contiguous();
  const at::Tensor taps = times_weights(inputs, matrix).contiguous();
  const at::Tensor delta = at::zeros(sizes, change.delta.options());
  if (delta.scalar_type() == at::kFloat) {
    add_taps<float>(taps, sliding, change, output, delta);
  } else {
    add_taps<double>(taps, sliding, change, output, delta);
  }
  return delta;
}

// The differences with zeros around them, as far as the output's windows see.
at::Tensor seen_by(const Change& change, const Sliding& sliding, const OutputWindows& output) {
  Windows1d seen;
  for (const int64_t start : output.windows.start) {
    seen.start.push_back(start * sliding.stride - sliding.padding);
  }
  seen.width = (output.windows.width - 1) * sliding.stride + sliding.reach() + 1;
  return move_windows(change, seen);
}

// The convolution of what each output window sees, [rows, width, C] in and out, channels last.
at::Tensor by_windows(const ChangeCall& call, const Sliding& sliding, const at::Tensor& weight,
                      const OutputWindows& output, const std::vector<int64_t>& sizes) {
  const at::Tensor seen = seen_by(call.change(0), sliding, output);
  const at::Tensor rows = seen.view({seen.size(0), 1, seen.size(1), weight.size(1)});
  const at::Tensor image = rows.permute({0, 3, 1, 2});
  const at::Tensor flat = call.call.constants->derived(weight, "one row", [&]() {
    return weight.reshape({weight.size(0), weight.size(1), 1, sliding.kernel})
        .contiguous(at::MemoryFormat::ChannelsLast);
  });
  const std::vector<int64_t> dilation{1, sliding.dilation};
  const at::Tensor result =
      image.scalar_type() == at::kFloat && at::hasMKLDNN()
          ? at::mkldnn_convolution(image, flat, {}, {0, 0}, {1, sliding.stride}, dilation, 1)
          : at::convolution(image, flat, {}, {1, sliding.stride}, {0, 0}, dilation, false, {0, 0},
                            1);
  return result.permute({0, 2, 3, 1}).reshape(sizes);
}

}  // namespace

std::vector<Value> convolution(ChangeCall& call) {
  const int weight_at = call.call.find("weight");
  const int transposed = call.call.find("transposed");
  if (!is_simple(call) || call.call.is(Trait::transposed) ||
      (transposed >= 0 && call.call.constant(transposed).toBool())) {
    return {};
  }
  const Change& change = call.change(0);
  const at::Tensor weight = call.call.constant(weight_at).toTensor();
  const auto dims = static_cast<size_t>(weight.dim() - 2);
  if (weight.dim() != call.original(0).dim() || dims == 0) {
    return {};
  }
  const std::vector<int64_t> kernel = weight.sizes().slice(2).vec();
  const std::vector<int64_t> stride = per_dimension(call.argument("stride"), dims);
  const std::vector<int64_t> dilation = per_dimension(call.argument("dilation"), dims);
  const c10::IValue& given = call.argument("padding");
  std::vector<int64_t> padding(dims, 0);
  if (!given.isString()) {
    padding = per_dimension(given, dims);
  } else if (given.toStringRef() == "same") {
    // "same" puts the odd one at the end.
    for (size_t d = 0; d < dims; ++d) {
      const int64_t total = dilation[d] * (kernel[d] - 1);
      padding[d] = total / 2;
      if (total % 2 != 0 && static_cast<int64_t>(d) + 2 != change.axis) {
        return {};
      }
    }
  }
  const int64_t groups = call.argument("groups").toInt();
  const auto place = static_cast<size_t>(std::max<int64_t>(change.axis - 2, 0));
  const int64_t axis = change.axis;
  if (axis < 2) {
    return {};
  }
  const Sliding sliding{kernel[place], stride[place], padding[place], dilation[place]};
  const at::Tensor result = call.output();
  const OutputWindows output = slide(call, sliding, result.size(axis));
  const std::vector<int64_t> sizes = row_sizes(result, axis, call.rows, output.windows.width);
  at::Tensor delta;
  const bool narrow = std::all_of(kernel.begin(), kernel.end(),
                                  [&](const int64_t& k) { return &k == &kernel[place] || k == 1; });
  bool flat = is_flat(change.delta) && groups == 1 && narrow;
  for (size_t d = 0; d < dims; ++d) {
    flat = flat && (d == place || (padding[d] == 0 && stride[d] == 1));
  }
  if (output.windows.width == 0 || change.width() == 0) {
    delta = at::zeros(sizes, result.options());
  } else if (flat && sliding.stride == 1 && change.width() <= output.windows.width) {
    delta = by_taps(call, sliding, weight, output, sizes);
  } else if (flat) {
    delta = by_windows(call, sliding, weight, output, sizes);
  } else {
    padding[place] = 0;
    const at::Tensor seen = to_graph(seen_by(change, sliding, output), axis);
    const at::Tensor whole = at::convolution(seen, weight, {}, stride, padding, dilation, false,
                                             std::vector<int64_t>(dims, 0), groups);
    delta = from_graph(whole, axis);
  }
  return {changed_value(call.outputs[0], output, delta, axis, result.sizes().vec())};
}

std::vector<Value> max_pool(ChangeCall& call) {
  const bool with_places = call.outputs.size() > 1;
  if ((with_places && call.call.node->output(1)->hasUses()) || !is_simple(call)) {
    return {};
  }
  const Change& change = call.change(0);
  const auto sliding = pooling(call);
  if (!sliding || !is_flat(change.delta)) {
    return {};
  }
  const at::Tensor result = call.output();
  const OutputWindows output = slide(call, *sliding, result.size(change.axis));
  const std::vector<int64_t> sizes =
      row_sizes(result, change.axis, call.rows, output.windows.width);
  const at::Tensor delta = at::zeros(sizes, result.options());
  const at::Tensor x = original_rows(call.original(0), change.sizes, change.axis);
  const at::Tensor y = original_rows(result, result.sizes().vec(), change.axis);
  loops::Window window;
  window.kernel = sliding->kernel;
  window.stride = sliding->stride;
  window.padding = sliding->padding;
  window.dilation = sliding->dilation;
  window.length = change.length();
  window.channels = sizes[2];
  const int64_t width = change.width();
  const auto run = [&](auto* of_type) {
    using T = std::remove_pointer_t<decltype(of_type)>;
    for (int64_t j = 0; j < call.rows; ++j) {
      loops::maximum_change(window, x.data_ptr<T>(), y.data_ptr<T>(),
                            change.delta.data_ptr<T>() + j * width * window.channels,
                            change.start[j], width, output.windows.start[j], output.windows.width,
                            delta.data_ptr<T>() + j * output.windows.width * window.channels);
    }
  };
  if (delta.scalar_type() == at::kFloat) {
    run(static_cast<float*>(nullptr));
  } else {
    run(static_cast<double*>(nullptr));
  }
  if (!are_numbers(delta, call.log)) {
    return {};
  }
  std::vector<Value> outputs{
      changed_value(call.outputs[0], output, delta, change.axis, result.sizes().vec())};
  outputs.resize(call.outputs.size());
  return outputs;
}

// Linear: the mean of the differences, zero outside. At the ends the mean may be over fewer
// positions, unless padding counts or there is none.
std::vector<Value> avg_pool(ChangeCall& call) {
  if (!is_simple(call)) {
    return {};
  }
  const Change& change = call.change(0);
  const auto sliding = pooling(call);
  const bool counted = call.argument("count_include_pad").toBool();
  const bool divided = call.has("divisor_override") && !call.argument("divisor_override").isNone();
  if (!sliding || call.argument("ceil_mode").toBool() || divided ||
      (!counted && sliding->padding > 0)) {
    return {};
  }
  const at::Tensor result = call.output();
  const OutputWindows output = slide(call, *sliding, result.size(change.axis));
  at::Tensor delta =
      at::zeros(row_sizes(result, change.axis, call.rows, output.windows.width), result.options());
  if (output.windows.width > 0) {
    const at::Tensor seen = seen_by(change, *sliding, output);
    for (int64_t k = 0; k < sliding->kernel; ++k) {
      delta +=
          seen.slice(1, k, k + (output.windows.width - 1) * sliding->stride + 1, sliding->stride);
    }
    delta = delta / static_cast<double>(sliding->kernel);
  }
  return {changed_value(call.outputs[0], output, delta, change.axis, result.sizes().vec())};
}

}  // namespace changes
}  // namespace seqlift
