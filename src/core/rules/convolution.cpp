// Convolutions. Linear in their input, so the ordinary gradient is the multiplier; what is done
// here is the layout. Activations stay channels-last from the first convolution to the last: a 1-d
// convolution is run as a 2-d one of height 1, which oneDNN does at twice the speed of conv1d's own
// layout. A first layer has four channels: its input gradient is one matrix product over the
// channels of all taps, shifted and added.

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/halves/constants.h"
#include "core/numeric/convolution_gradient.h"
#include "core/numeric/loops.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/transformed_convolution.h"
#include "core/rules/rules.h"

namespace seqlift {
namespace rules {

namespace {

// Up to this many input channels the input gradient is formed by shift-and-add: below it the matrix
// product's wide side is taps x channels, which fills vectors that a convolution over 4 would not.
constexpr int64_t few_channels = 8;

struct Convolution {
  at::Tensor weight;  // [out, in / groups, kernel...]
  at::Tensor bias;    // or undefined
  std::vector<int64_t> stride;
  std::vector<int64_t> padding;
  std::vector<int64_t> dilation;
  int64_t groups = 1;
  std::vector<int64_t> pad_first;  // explicit padding for an uneven "same"
  int64_t dims = 1;
};

// "same" pads dilation x (kernel - 1) in all, the odd one at the end.
void pad_same(Convolution& convolution) {
  convolution.padding.assign(convolution.dims, 0);
  bool even = true;
  std::vector<int64_t> explicit_padding;
  for (int64_t d = convolution.dims - 1; d >= 0; --d) {
    const int64_t total = convolution.dilation[d] * (convolution.weight.size(d + 2) - 1);
    even = even && total % 2 == 0;
    convolution.padding[d] = total / 2;
    explicit_padding.push_back(total / 2);
    explicit_padding.push_back(total - total / 2);
  }
  if (!even) {
    convolution.pad_first = explicit_padding;
    convolution.padding.assign(convolution.dims, 0);
  }
}

Convolution read(const Call& call) {
  Convolution convolution;
  convolution.weight = call.constant(call.find("weight")).toTensor();
  const c10::IValue& bias = call.constant(call.find("bias"));
  if (bias.isTensor()) {
    convolution.bias = bias.toTensor();
  }
  convolution.dims = convolution.weight.dim() - 2;
  convolution.stride = per_dimension(call.constant(call.find("stride")), convolution.dims);
  convolution.dilation = per_dimension(call.constant(call.find("dilation")), convolution.dims);
  convolution.groups = call.constant(call.find("groups")).toInt();
  const c10::IValue& padding = call.constant(call.find("padding"));
  if (!padding.isString()) {
    convolution.padding = per_dimension(padding, convolution.dims);
  } else if (padding.toStringRef() == "same") {
    pad_same(convolution);
  } else {
    convolution.padding.assign(convolution.dims, 0);
  }
  return convolution;
}

// Whether the channels-last path serves: an ordinary batched float convolution over one or two
// dimensions on the CPU with constant weights. Everything else runs as ATen does it.
bool is_plain(const Call& call) {
  const int weight = call.find("weight");
  const Value& input = call.inputs[0];
  const bool transposed_name = call.is(Trait::transposed);
  const int transposed = call.find("transposed");
  if (transposed_name || (transposed >= 0 && call.constant(transposed).toBool()) ||
      call.inputs[weight].paired() || call.constants->reduced()) {
    return false;
  }
  const int bias = call.find("bias");
  const at::Tensor kernel = call.constant(weight).toTensor();
  const at::Tensor x = input.x.toTensor();
  return !call.inputs[bias].paired() && x.is_cpu() && x.scalar_type() == at::kFloat &&
         kernel.scalar_type() == at::kFloat && (kernel.dim() == 3 || kernel.dim() == 4) &&
         x.dim() == kernel.dim();
}

std::vector<int64_t> two(const std::vector<int64_t>& numbers, int64_t first) {
  return numbers.size() == 2 ? numbers : std::vector<int64_t>{first, numbers[0]};
}

// [n, C, L] as [n, C, 1, L]; two dimensions stay. Channels last in memory.
at::Tensor flat(const at::Tensor& value) {
  const at::Tensor image = value.dim() == 3 ? value.unsqueeze(2) : value;
  return image.contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor unflat(const at::Tensor& image, int64_t dims) {
  return dims == 1 ? image.squeeze(2) : image;
}

// What `make` makes of the weights, for an input.
at::Tensor prepared(const Convolution& convolution, const at::Tensor& input, const std::string& key,
                    bool transformed, Constants& constants,
                    const std::function<at::Tensor()>& make) {
  if (!keeps_weights(input.numel(), convolution.weight.numel(), transformed)) {
    const at::NoGradGuard guard;
    return make();
  }
  return constants.derived(convolution.weight, key, make);
}

at::Tensor flat_weight(const Convolution& convolution, const at::Tensor& input,
                       Constants& constants) {
  return prepared(convolution, input, "channels last", false, constants,
                  [&]() { return flat(convolution.weight); });
}

// oneDNN's kernels for AVX2 take no more padding than the positions that they hold in registers.
// The rest goes to a product of gathered windows, which takes 1.1 to 14 times as long
// (bench/README.md) as zeros that are written beside the input and belong to it.
bool is_written(int64_t padding, const at::Tensor& weight, int64_t groups) {
#if defined(__x86_64__)
  static const bool narrow = __builtin_cpu_supports("avx512f") == 0;
  constexpr int64_t most = 3;
  return narrow && padding > most && weight.size(-1) > 1 && groups == 1;
#else
  (void)padding, (void)weight, (void)groups;
  return false;
#endif
}

// A convolution by oneDNN where there is one. (ATen's own choice takes another path for some small
// shapes.)
at::Tensor dense(const at::Tensor& image, const at::Tensor& weight, const at::Tensor& bias,
                 const std::vector<int64_t>& stride, const std::vector<int64_t>& padding,
                 const std::vector<int64_t>& dilation, int64_t groups) {
  if (!at::hasMKLDNN()) {
    return at::conv2d(image, weight, bias, stride, padding, dilation, groups);
  }
  const int64_t zeros = padding[1];
  if (is_written(zeros, weight, groups)) {
    return at::mkldnn_convolution(flat(at::constant_pad_nd(image, {zeros, zeros})), weight, bias,
                                  {padding[0], 0}, stride, dilation, groups);
  }
  return at::mkldnn_convolution(image, weight, bias, padding, stride, dilation, groups);
}

// Along positions only, at each of them.
bool is_line(const Convolution& c) {
  const auto all = [](const std::vector<int64_t>& numbers, int64_t value) {
    return std::all_of(numbers.begin(), numbers.end(), [&](int64_t n) { return n == value; });
  };
  const bool flat = c.dims == 1 || (c.weight.size(2) == 1 && c.padding[0] == 0);
  return flat && c.groups == 1 && all(c.stride, 1);
}

// An image convolved in transformed tiles, or nothing where that is not the cheaper way.
// `turned`: with the kernel turned around and channels swapped.
at::Tensor by_transform(const Convolution& c, const at::Tensor& image, bool turned, int64_t padding,
                        const at::Tensor& bias, Constants& constants) {
  if (!is_line(c) || !constants.keeps(c.weight)) {
    return {};
  }
  const at::Tensor rows = image.permute({0, 2, 3, 1}).flatten(0, 1);
  LineConvolution line;
  line.in = c.weight.size(turned ? 0 : 1);
  line.out = c.weight.size(turned ? 1 : 0);
  line.kernel = c.weight.size(-1);
  line.padding = padding;
  line.dilation = c.dilation.back();
  line.rows = rows.size(0);
  line.length = rows.size(1);
  const TileTransform transform = cheapest_transform(line);
  if (!transform.any()) {
    return {};
  }
  const std::string key = (turned ? "turned " : "") + transform.name();
  const at::Tensor weights = prepared(c, image, key, true, constants, [&]() {
    const at::Tensor taps = c.dims == 1 ? c.weight : c.weight.squeeze(2);
    return transformed_weights(turned ? taps.flip({2}).transpose(0, 1) : taps, transform);
  });
  const at::Tensor y = transformed_convolution(line, rows.contiguous(), weights, bias, transform);
  return y.defined() ? y.unflatten(0, {image.size(0), image.size(2)}).permute({0, 3, 1, 2}) : y;
}

at::Tensor forward_of_numbers(const Convolution& c, const at::Tensor& input, Constants& constants) {
  const at::Tensor padded =
      c.pad_first.empty() ? input : at::constant_pad_nd(input, c.pad_first, 0);
  const at::Tensor image = flat(padded);
  at::Tensor output = by_transform(c, image, false, c.padding.back(), c.bias, constants);
  if (!output.defined()) {
    output = dense(image, flat_weight(c, image, constants), c.bias, two(c.stride, 1),
                   two(c.padding, 0), two(c.dilation, 1), c.groups);
  }
  return unflat(output, c.dims);
}

// Whether a row holds no number at all: the neighbours by which a model is tried (batch_check.h).
bool is_nothing(const at::Tensor& row) {
  return std::isnan(*row.data_ptr<float>()) && row.is_non_overlapping_and_dense() &&
         loops::count_nan(row.data_ptr<float>(), row.numel()) == row.numel();
}

// Every window of a row without numbers sees a position of it, not padding alone.
bool windows_see_input(const Convolution& c, const at::Tensor& input) {
  bool see = c.pad_first.empty();
  for (int64_t d = 0; d < c.dims; ++d) {
    see = see && c.padding[d] <= c.dilation[d] * (c.weight.size(d + 2) - 1) &&
          c.dilation[d] <= input.size(d + 2);
  }
  return see;
}

// What is no number stays none, without being computed.
at::Tensor forward(const Convolution& c, const at::Tensor& input, Constants& constants) {
  std::vector<int64_t> numbers;
  const int64_t rows = input.size(0);
  for (int64_t i = 0; i < rows && rows > 1 && input[0].numel() > 0; ++i) {
    if (!is_nothing(input[i])) {
      numbers.push_back(i);
    }
  }
  const auto some = static_cast<int64_t>(numbers.size());
  if (some == 0 || some == rows || !windows_see_input(c, input)) {
    return forward_of_numbers(c, input, constants);
  }
  std::vector<at::Tensor> found;
  for (const int64_t i : numbers) {
    found.push_back(forward_of_numbers(c, input.narrow(0, i, 1), constants));
  }
  std::vector<int64_t> sizes = found[0].sizes().vec();
  sizes[0] = rows;
  const at::Tensor output = at::empty(sizes, found[0].options(), found[0].suggest_memory_format())
                                .fill_(std::numeric_limits<float>::quiet_NaN());
  for (int64_t i = 0; i < some; ++i) {
    output.narrow(0, numbers[i], 1).copy_(found[i]);
  }
  return output;
}

// d out / d input for few input channels: taps = grad [n L', out] x weight [out, kernel in], then
// every tap is added where it came from. The product is run as a convolution of width 1: oneDNN
// knows every processor, OpenBLAS takes its slowest kernel on one that is newer than it.
at::Tensor backward_by_taps(const Convolution& c, const at::Tensor& grad, int64_t length,
                            Constants& constants) {
  const int64_t channels = c.weight.size(1);
  const int64_t kernel = c.weight.size(2);
  const at::Tensor matrix = constants.derived(c.weight, "taps", [&]() {
    const at::Tensor rows = c.weight.permute({2, 1, 0}).reshape({kernel * channels, -1, 1, 1});
    return rows.contiguous(at::MemoryFormat::ChannelsLast);
  });
  const at::Tensor taps =
      dense(flat(grad), matrix, {}, {1, 1}, {0, 0}, {1, 1}, 1).permute({0, 2, 3, 1}).contiguous();
  const at::Tensor result = at::zeros({grad.size(0), length, channels}, grad.options());
  const int64_t length_out = grad.size(2);
  for (int64_t i = 0; i < grad.size(0); ++i) {
    loops::shift_add(taps.data_ptr<float>() + i * length_out * kernel * channels,
                     result.data_ptr<float>() + i * length * channels, length_out, kernel, channels,
                     length, c.stride[0], c.dilation[0], c.padding[0]);
  }
  return result.permute({0, 2, 1});
}

// With stride 1 the input gradient is itself a convolution: kernel turned around, channels swapped,
// padding d (k - 1) - p. oneDNN runs forward convolutions faster than its gradients.
bool is_turned(const Convolution& c) {
  bool fits = c.groups == 1;
  for (int64_t d = 0; d < c.dims; ++d) {
    const int64_t most = c.dilation[d] * (c.weight.size(d + 2) - 1);
    fits = fits && c.stride[d] == 1 && c.padding[d] <= most;
  }
  return fits;
}

at::Tensor backward_turned(const Convolution& c, const at::Tensor& grad, Constants& constants) {
  std::vector<int64_t> dims;
  std::vector<int64_t> padding;
  for (int64_t d = 0; d < c.dims; ++d) {
    dims.push_back(d + 2);
    padding.push_back(c.dilation[d] * (c.weight.size(d + 2) - 1) - c.padding[d]);
  }
  const at::Tensor image = flat(grad);
  at::Tensor output = by_transform(c, image, true, padding.back(), {}, constants);
  if (!output.defined()) {
    const at::Tensor turned = prepared(c, image, "turned", false, constants,
                                       [&]() { return flat(c.weight.flip(dims).transpose(0, 1)); });
    const std::vector<int64_t> ones(c.dims, 1);
    output = dense(image, turned, {}, two(ones, 1), two(padding, 0), two(c.dilation, 1), 1);
  }
  return unflat(output, c.dims);
}

at::Tensor backward(const Convolution& c, const at::Tensor& grad,
                    const std::vector<int64_t>& padded_sizes, Constants& constants) {
  if (c.dims == 1 && c.groups == 1 && c.weight.size(1) <= few_channels) {
    return backward_by_taps(c, grad, padded_sizes[2], constants);
  }
  if (is_turned(c)) {
    return backward_turned(c, grad, constants);
  }
  std::vector<int64_t> sizes = padded_sizes;
  if (c.dims == 1) {
    sizes.insert(sizes.begin() + 2, 1);
  }
  return unflat(convolution_input_gradient(
                    flat(grad), sizes, flat_weight(c, grad, constants),
                    {two(c.stride, 1), two(c.padding, 0), two(c.dilation, 1), false, {}, c.groups}),
                c.dims);
}

// The input gradient of windows, by `backward` without padding: every output position p reaches the
// inputs p - padding .. p - padding + dilation (kernel - 1).
using PlainBackward = std::function<at::Tensor(const Convolution& c, const at::Tensor& grad,
                                               const std::vector<int64_t>& sizes)>;
WindowBackward windows_of(const Convolution& c, const std::vector<int64_t>& sizes,
                          const PlainBackward& plain) {
  if (c.dims != 1 || c.stride[0] != 1 || !c.pad_first.empty()) {
    return {};
  }
  return [c, sizes, plain](const Windows& grad) -> Windows {
    const int64_t outputs = grad.values.size(0);
    const int64_t rows = grad.values.size(1);
    const int64_t width = grad.values.size(3) + c.dilation[0] * (c.weight.size(2) - 1);
    const int64_t start = grad.start - c.padding[0];
    if (start < 0 || start + outputs - 1 + width > sizes[2]) {
      return {};
    }
    Convolution inside = c;
    inside.padding = {0};
    const at::Tensor whole =
        plain(inside, grad.values.flatten(0, 1), {outputs * rows, sizes[1], width});
    return {whole.unflatten(0, {outputs, rows}), start};
  };
}

// A batched input, constant weights, and the same padding on both sides.
bool is_batched(const Call& call) {
  const int weight = call.find("weight");
  const bool constant = !call.inputs[weight].paired() && !call.inputs[call.find("bias")].paired();
  return constant && !call.constants->reduced() &&
         call.inputs[0].x.toTensor().dim() == call.constant(weight).toTensor().dim() &&
         read(call).pad_first.empty();
}

at::Tensor any_backward(const Convolution& c, const at::Tensor& grad,
                        const std::vector<int64_t>& sizes) {
  return convolution_input_gradient(grad, sizes, c.weight,
                                    {c.stride, c.padding, c.dilation, false, {}, c.groups});
}

// Any other convolution as ATen runs it. Its own gradient would keep the input, which the model may
// write to later; this one needs the input's sizes only.
std::vector<Value> any_convolution(Call& call) {
  const Convolution c = read(call);
  const Halves input = call.halves(0);
  const auto run = [&](const at::Tensor& value, bool ref) {
    std::vector<c10::IValue> stack = call.stack(ref);
    stack[0] = value;
    return call.evaluate(std::move(stack))[0].toTensor();
  };
  const int flag = call.find("transposed");
  const bool transposed = call.is(Trait::transposed) || (flag >= 0 && call.constant(flag).toBool());
  const int extra = call.find("output_padding");
  const std::vector<int64_t> output_padding =
      extra >= 0 ? per_dimension(call.constant(extra), c.dims) : std::vector<int64_t>(c.dims, 0);
  const at::NoGradGuard guard;
  Value result;
  result.x = once_tensor(call.batch.memo, "any convolution", [&]() { return run(input.x, false); });
  if (call.inputs[0].paired()) {
    const at::Tensor ref = input.ref.detach();
    const at::Tensor output = attach(
        run(ref, true), {input.ref},
        [c, transposed, output_padding, sizes = ref.sizes().vec()](const at::Tensor& grad) {
          return std::vector<at::Tensor>{convolution_input_gradient(
              grad, sizes, c.weight,
              {c.stride, c.padding, c.dilation, transposed, output_padding, c.groups})};
        },
        transposed ? WindowBackward() : windows_of(c, ref.sizes().vec(), any_backward));
    result.set_ref(output);
    result.depends = output.requires_grad();
  }
  return {result};
}

}  // namespace

std::vector<Value> convolution(Call& call) {
  const int weight = call.find("weight");
  const int bias = call.find("bias");
  if (call.depends(weight) || call.depends(bias)) {
    return product(call);
  }
  if (!is_plain(call)) {
    return is_batched(call) ? any_convolution(call) : linear(call);
  }
  const Convolution c = read(call);
  const Halves input = call.halves(0);
  Constants& constants = *call.constants;
  const at::NoGradGuard guard;
  Value result;
  const at::Tensor x =
      once_tensor(call.batch.memo, "convolution", [&]() { return forward(c, input.x, constants); });
  result.x = x;
  if (call.inputs[0].paired()) {
    std::vector<int64_t> padded = input.ref.sizes().vec();
    for (size_t i = 0; i < c.pad_first.size(); i += 2) {
      padded[padded.size() - 1 - i / 2] += c.pad_first[i] + c.pad_first[i + 1];
    }
    const at::Tensor output = attach(
        forward(c, input.ref.detach(), constants), {input.ref},
        [c, padded, &constants](const at::Tensor& grad) {
          at::Tensor whole = backward(c, grad, padded, constants);
          for (size_t i = 0; i < c.pad_first.size(); i += 2) {
            const int64_t d = whole.dim() - 1 - static_cast<int64_t>(i / 2);
            whole = whole.narrow(d, c.pad_first[i],
                                 whole.size(d) - c.pad_first[i] - c.pad_first[i + 1]);
          }
          return std::vector<at::Tensor>{whole};
        },
        windows_of(c, padded,
                   [&constants](const Convolution& inside, const at::Tensor& grad,
                                const std::vector<int64_t>& sizes) {
                     return backward(inside, grad, sizes, constants);
                   }));
    result.set_ref(output);
    result.depends = output.requires_grad();
  }
  return {result};
}

}  // namespace rules
}  // namespace seqlift
