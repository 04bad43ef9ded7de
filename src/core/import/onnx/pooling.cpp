// Pooling, by what window.h says of a window.
#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/import/onnx/window.h"

namespace seqlift {
namespace onnx {

namespace {

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

}  // namespace

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
