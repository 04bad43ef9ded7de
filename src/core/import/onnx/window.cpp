// Convolutions and pooling. LibTorch pads both ends alike; what is padded otherwise is padded
// before.
#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"

namespace seqlift {
namespace onnx {

namespace {

// What slides over the dimensions from the third on.
struct Window {
  int64_t dimensions = 0;
  Sizes kernel, stride, dilation;
  Wholes before, after;  // the padding
  bool ceil = false;

  int64_t span(size_t i) const { return (kernel[i] - 1) * dilation[i] + 1; }
  bool even() const {
    for (size_t i = 0; i < before.size(); ++i) {
      if (!before[i].known() || !after[i].known() || before[i].number != after[i].number) {
        return false;
      }
    }
    return true;
  }
  bool pads() const {
    for (size_t i = 0; i < before.size(); ++i) {
      if (!before[i].known() || !after[i].known() || before[i].number != 0 ||
          after[i].number != 0) {
        return true;
      }
    }
    return false;
  }
  Sizes padding() const {
    Sizes sizes;
    for (const Whole& one : before) {
      sizes.push_back(one.number);
    }
    return sizes;
  }
  std::string suffix() const { return std::to_string(dimensions) + "d"; }
};

// One number for each dimension.
Sizes numbers(Operator& op, const char* name, int64_t dimensions, int64_t otherwise,
              int64_t least) {
  Sizes found = op.wholes(name);
  if (found.empty()) {
    found.assign(static_cast<size_t>(dimensions), otherwise);
  }
  const bool fine = static_cast<int64_t>(found.size()) == dimensions &&
                    std::all_of(found.begin(), found.end(), [&](int64_t number) {
                      return number >= least && number < (int64_t{1} << 31);
                    });
  if (!fine) {
    op.refuse(std::string("has an attribute `") + name + "` that does not fit its input");
  }
  return found;
}

// SAME: as many positions as the input has strides.
void pad_same(Operator& op, const ProgramValue& x, Window& window, bool upper) {
  for (size_t i = 0; i < static_cast<size_t>(window.dimensions); ++i) {
    Whole total;
    if (window.stride[i] == 1) {
      total = window.span(i) - 1;
    } else {
      const Whole length = op.build.size(x, static_cast<int64_t>(i) + 2);
      const Whole steps = op.build.compute(
          "floordiv", op.build.compute("add", length, window.stride[i] - 1), window.stride[i]);
      const Whole reach = op.build.compute(
          "add", op.build.compute("mul", op.build.compute("sub", steps, 1), window.stride[i]),
          window.span(i));
      total = op.build.compute("max", op.build.compute("sub", reach, length), 0);
    }
    const Whole half = op.build.compute("floordiv", total, 2);
    const Whole rest = op.build.compute("sub", total, half);
    window.before.push_back(upper ? half : rest);
    window.after.push_back(upper ? rest : half);
  }
}

Window read_window(Operator& op, const ProgramValue& x, const Sizes& kernel) {
  Window window;
  window.dimensions = x.rank() - 2;
  if (window.dimensions < 1 || window.dimensions > 3) {
    op.refuse("has an input of " + std::to_string(x.rank()) + " dimensions; 3 to 5 are supported");
  }
  window.kernel = kernel;
  if (static_cast<int64_t>(kernel.size()) != window.dimensions ||
      std::any_of(kernel.begin(), kernel.end(),
                  [](int64_t size) { return size < 1 || size >= (int64_t{1} << 31); })) {
    op.refuse("has a kernel whose size does not fit its input");
  }
  window.stride = numbers(op, "strides", window.dimensions, 1, 1);
  window.dilation = numbers(op, "dilations", window.dimensions, 1, 1);
  const std::string how = op.text("auto_pad", "NOTSET");
  const bool same = how == "SAME_UPPER" || how == "SAME_LOWER";
  if (how != "NOTSET" && how != "VALID" && !same) {
    op.refuse("has the padding \"" + printable(how) + "\", which is not known here");
  }
  if (same) {
    op.ignore("pads");
    pad_same(op, x, window, how == "SAME_UPPER");
    return window;
  }
  Sizes pads = numbers(op, "pads", 2 * window.dimensions, 0, 0);
  if (how == "VALID") {
    pads.assign(pads.size(), 0);
  }
  const auto middle = pads.begin() + window.dimensions;
  window.before.assign(pads.begin(), middle);
  window.after.assign(middle, pads.end());
  return window;
}

// What is known of the output's positions.
void slide(const Window& window, Sizes& sizes) {
  for (size_t i = 0; i < static_cast<size_t>(window.dimensions); ++i) {
    int64_t& size = sizes[i + 2];
    if (size < 0 || !window.before[i].known() || !window.after[i].known()) {
      size = -1;
      continue;
    }
    const int64_t room = size + window.before[i].number + window.after[i].number - window.span(i);
    if (room < 0) {
      throw Error("model", "its kernel is longer than its input");
    }
    int64_t steps = room / window.stride[i];
    if (window.ceil && room % window.stride[i] != 0 &&
        (steps + 1) * window.stride[i] < size + window.before[i].number) {
      ++steps;
    }
    size = steps + 1;
  }
}

ProgramValue padded(Operator& op, const ProgramValue& x, const Window& window, double value) {
  if (!window.pads()) {
    return x;
  }
  Wholes pads;
  Sizes sizes = x.sizes;
  for (size_t i = static_cast<size_t>(window.dimensions); i-- > 0;) {
    pads.push_back(window.before[i]);
    pads.push_back(window.after[i]);
    int64_t& size = sizes[i + 2];
    const bool known = size >= 0 && window.before[i].known() && window.after[i].known();
    size = known ? size + window.before[i].number + window.after[i].number : -1;
  }
  return op.emit("constant_pad_nd", {{"self", x}, {"pad", pads}, {"value", value}}, sizes, x.dtype);
}

void no_padding(Window& window) {
  window.before.assign(window.before.size(), Whole(0));
  window.after.assign(window.after.size(), Whole(0));
}

// As LibTorch's pooling takes it: alike on both sides and no more than half a kernel.
bool own_padding(const Window& window) {
  if (!window.even()) {
    return false;
  }
  for (size_t i = 0; i < window.before.size(); ++i) {
    if (window.before[i].number * 2 > window.kernel[i]) {
      return false;
    }
  }
  return true;
}

Sizes kernel_of(Operator& op, const ProgramValue& weight) {
  const Sizes given = op.wholes("kernel_shape");
  const Sizes own(weight.sizes.begin() + std::min<int64_t>(2, weight.rank()), weight.sizes.end());
  if (!given.empty() && product_of(own) >= 0 && given != own) {
    op.refuse("has a `kernel_shape` that is not that of its weights");
  }
  return own;
}

}  // namespace

void convolution(Operator& op) {
  const ProgramValue& x = op.in(0);
  const ProgramValue& weight = op.in(1);
  if (weight.rank() != x.rank()) {
    op.refuse("has weights of " + std::to_string(weight.rank()) + " dimensions for an input of " +
              std::to_string(x.rank()));
  }
  Window window = read_window(op, x, kernel_of(op, weight));
  const int64_t groups = op.whole("group", 1);
  if (groups < 1 || (x.sizes[1] >= 0 && x.sizes[1] != weight.sizes[1] * groups)) {
    op.refuse("has weights for " + std::to_string(weight.sizes[1]) + " channels in each of " +
              std::to_string(groups) + " groups, and an input of " + std::to_string(x.sizes[1]));
  }
  Sizes sizes = x.sizes;
  sizes[1] = weight.sizes[0];
  slide(window, sizes);
  ProgramValue input = x;
  if (!window.even()) {
    input = padded(op, x, window, 0);
    no_padding(window);
  }
  op.class_name = "torch.nn.modules.conv.Conv" + window.suffix();
  op.give(op.emit("conv" + window.suffix(),
                  {{"input", input},
                   {"weight", weight},
                   {"bias", op.given(2) ? Argument(op.in(2)) : Argument()},
                   {"stride", window.stride},
                   {"padding", window.padding()},
                   {"dilation", window.dilation},
                   {"groups", groups}},
                  sizes, x.dtype));
}

// stride (L - 1) + output_padding + span - padding positions.
void transposed_convolution(Operator& op) {
  const ProgramValue& x = op.in(0);
  const ProgramValue& weight = op.in(1);
  const int64_t dimensions = x.rank() - 2;
  if (weight.rank() != x.rank() || dimensions < 1 || dimensions > 3) {
    op.refuse("has weights of " + std::to_string(weight.rank()) + " dimensions for an input of " +
              std::to_string(x.rank()));
  }
  Window window;
  window.dimensions = dimensions;
  window.kernel = kernel_of(op, weight);
  window.stride = numbers(op, "strides", dimensions, 1, 1);
  window.dilation = numbers(op, "dilations", dimensions, 1, 1);
  Sizes more = numbers(op, "output_padding", dimensions, 0, 0);
  Sizes pads = numbers(op, "pads", 2 * dimensions, 0, 0);
  const std::string how = op.text("auto_pad", "NOTSET");
  const int64_t groups = op.whole("group", 1);
  if (product_of(window.kernel) < 1 || weight.sizes[1] < 1 || groups < 1) {
    op.refuse("has weights whose sizes are not known");
  }
  const bool same = how == "SAME_UPPER" || how == "SAME_LOWER";
  if (how != "NOTSET" && how != "VALID" && !same) {
    op.refuse("has the padding \"" + printable(how) + "\", which is not known here");
  }
  Sizes asked = op.wholes("output_shape");
  if (asked.size() == static_cast<size_t>(dimensions) + 2) {
    asked.erase(asked.begin(), asked.begin() + 2);
  }
  if (!asked.empty() && static_cast<int64_t>(asked.size()) != dimensions) {
    op.refuse("has an `output_shape` that does not fit its input");
  }
  Sizes sizes = x.sizes;
  sizes[1] = weight.sizes[1] * groups;
  bool even = true;
  for (size_t i = 0; i < static_cast<size_t>(dimensions); ++i) {
    const int64_t beyond = more[i] + window.span(i) - window.stride[i];
    int64_t& before = pads[i];
    int64_t& after = pads[i + static_cast<size_t>(dimensions)];
    if (how == "VALID") {
      before = after = 0;
    }
    const int64_t length = x.sizes[i + 2];
    if (same || !asked.empty()) {
      if (!asked.empty() && length < 0) {
        op.refuse("has an `output_shape` for an input whose length is not known");
      }
      const int64_t total = asked.empty() ? beyond : length * window.stride[i] + beyond - asked[i];
      if (total < 0) {
        op.refuse("makes more positions than its kernel reaches, which is not supported");
      }
      // The definition of version 11 and later; that of older ones says the contrary.
      if (total % 2 != 0 && op.version < 11) {
        op.refuse("has an odd padding, which two versions of ONNX put at different ends");
      }
      before = how == "SAME_UPPER" ? total / 2 : total - total / 2;
      after = total - before;
    }
    even = even && before == after;
    sizes[i + 2] = length < 0 ? -1 : length * window.stride[i] + beyond - before - after;
    if (length >= 0 && sizes[i + 2] < 1) {
      op.refuse("leaves no position");
    }
  }
  Sizes padding(pads.begin(), pads.begin() + dimensions);
  Sizes full = sizes;
  if (!even) {
    padding.assign(padding.size(), 0);
    for (size_t i = 0; i < padding.size(); ++i) {
      full[i + 2] = sizes[i + 2] < 0
                        ? -1
                        : sizes[i + 2] + pads[i] + pads[i + static_cast<size_t>(dimensions)];
    }
  }
  // LibTorch wants less output padding than a stride; the positions beyond are zero and a bias.
  for (size_t i = 0; i < more.size(); ++i) {
    if (more[i] >= std::max(window.stride[i], window.dilation[i])) {
      op.refuse("has an `output_padding` that is no less than its stride");
    }
  }
  op.class_name = "torch.nn.modules.conv.ConvTranspose" + window.suffix();
  const std::string overload = dimensions == 1 ? "" : ".input";
  ProgramValue result = op.emit("conv_transpose" + window.suffix() + overload,
                                {{"input", x},
                                 {"weight", weight},
                                 {"bias", op.given(2) ? Argument(op.in(2)) : Argument()},
                                 {"stride", window.stride},
                                 {"padding", padding},
                                 {"output_padding", more},
                                 {"groups", groups},
                                 {"dilation", window.dilation}},
                                full, x.dtype);
  for (size_t i = 0; !even && i < padding.size(); ++i) {
    const int64_t before = pads[i];
    const int64_t after = pads[i + static_cast<size_t>(dimensions)];
    if (before > 0 || after > 0) {
      const Whole end = after > 0 ? Whole(-after) : Whole(std::numeric_limits<int64_t>::max());
      result = op.sliced(result, static_cast<int64_t>(i) + 2, before, end);
      result.sizes[i + 2] = sizes[i + 2];
    }
  }
  op.give(result);
}

void max_pool(Operator& op) {
  const ProgramValue& x = op.in(0);
  Window window = read_window(op, x, op.wholes("kernel_shape"));
  window.ceil = op.whole("ceil_mode", 0) != 0;
  op.ignore("storage_order");  // of the places, which are not computed
  Sizes sizes = x.sizes;
  slide(window, sizes);
  ProgramValue input = x;
  if (!own_padding(window)) {
    if (window.ceil) {
      op.refuse("has `ceil_mode` and a padding that is not alike on both sides");
    }
    // Lower than any number of a network, and finite, so that differences of it are zero.
    input = padded(op, x, window, -static_cast<double>(std::numeric_limits<float>::max()));
    no_padding(window);
  }
  op.class_name = "torch.nn.modules.pooling.MaxPool" + window.suffix();
  op.give(op.emit("max_pool" + window.suffix(),
                  {{"self", input},
                   {"kernel_size", window.kernel},
                   {"stride", window.stride},
                   {"padding", window.padding()},
                   {"dilation", window.dilation},
                   {"ceil_mode", window.ceil}},
                  sizes, x.dtype));
}

namespace {

ProgramValue mean_of_window(Operator& op, const ProgramValue& x, const Window& window,
                            bool with_padding, const Sizes& sizes) {
  Arguments arguments{{"self", x},
                      {"kernel_size", window.kernel},
                      {"stride", window.stride},
                      {"padding", window.padding()},
                      {"ceil_mode", window.ceil},
                      {"count_include_pad", with_padding}};
  return op.emit("avg_pool" + window.suffix(), arguments, sizes, x.dtype);
}

void undilated(Operator& op, const Window& window) {
  if (std::any_of(window.dilation.begin(), window.dilation.end(),
                  [](int64_t size) { return size != 1; })) {
    op.refuse("has dilations, which are not supported");
  }
}

}  // namespace

void average_pool(Operator& op) {
  const ProgramValue& x = op.in(0);
  Window window = read_window(op, x, op.wholes("kernel_shape"));
  window.ceil = op.whole("ceil_mode", 0) != 0;
  const bool with_padding = op.whole("count_include_pad", 0) != 0;
  undilated(op, window);
  Sizes sizes = x.sizes;
  slide(window, sizes);
  op.class_name = "torch.nn.modules.pooling.AvgPool" + window.suffix();
  if (own_padding(window)) {
    return op.give(mean_of_window(op, x, window, with_padding, sizes));
  }
  if (window.ceil) {
    op.refuse("has `ceil_mode` and a padding that is not alike on both sides");
  }
  const ProgramValue input = padded(op, x, window, 0);
  const ProgramValue ones = padded(op, op.same("ones_like", x), window, 0);
  no_padding(window);
  ProgramValue mean = mean_of_window(op, input, window, true, sizes);
  if (!with_padding) {
    // Over the positions that are there.
    mean = op.two("div.Tensor", mean, mean_of_window(op, ones, window, true, sizes));
  }
  op.give(mean);
}

// (sum |x|^p)^(1/p), the sum being the mean times the size of the kernel.
void lp_pool(Operator& op) {
  const ProgramValue& x = op.in(0);
  Window window = read_window(op, x, op.wholes("kernel_shape"));
  window.ceil = op.whole("ceil_mode", 0) != 0;
  const int64_t p = op.whole("p", 2);
  undilated(op, window);
  if (p < 1 || window.ceil) {
    op.refuse("has a form that is not supported");
  }
  Sizes sizes = x.sizes;
  slide(window, sizes);
  const ProgramValue powers = op.same("pow.Tensor_Scalar", op.same("abs", x), {{"exponent", p}});
  const ProgramValue input = padded(op, powers, window, 0);
  no_padding(window);
  const ProgramValue mean = mean_of_window(op, input, window, true, sizes);
  const ProgramValue sum = op.scaled(mean, static_cast<double>(product_of(window.kernel)));
  op.give(p == 1 ? sum
                 : op.same("pow.Tensor_Scalar", sum, {{"exponent", 1. / static_cast<double>(p)}}));
}

void global_pool(Operator& op) {
  const ProgramValue& x = op.in(0);
  if (x.rank() < 3) {
    op.refuse("has an input of " + std::to_string(x.rank()) + " dimensions");
  }
  Sizes dims;
  Sizes sizes = x.sizes;
  for (int64_t i = 2; i < x.rank(); ++i) {
    dims.push_back(i);
    sizes[static_cast<size_t>(i)] = 1;
  }
  const std::string& name = op.node.operation;
  if (name == "GlobalMaxPool") {
    return op.give(
        op.emit("amax", {{"self", x}, {"dim", dims}, {"keepdim", true}}, sizes, x.dtype));
  }
  if (name == "GlobalAveragePool") {
    return op.give(
        op.emit("mean.dim", {{"self", x}, {"dim", dims}, {"keepdim", true}}, sizes, x.dtype));
  }
  const int64_t p = op.whole("p", 2);
  if (p < 1) {
    op.refuse("has a form that is not supported");
  }
  const ProgramValue powers = op.same("pow.Tensor_Scalar", op.same("abs", x), {{"exponent", p}});
  const ProgramValue sum = op.emit(
      "sum.dim_IntList", {{"self", powers}, {"dim", dims}, {"keepdim", true}}, sizes, x.dtype);
  op.give(op.same("pow.Tensor_Scalar", sum, {{"exponent", 1. / static_cast<double>(p)}}));
}

}  // namespace onnx
}  // namespace seqlift
