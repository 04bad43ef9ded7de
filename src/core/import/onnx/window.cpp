// What slides, and convolutions. LibTorch pads both ends alike; what is padded otherwise is padded
// before.
#include "core/import/onnx/window.h"

#include <algorithm>
#include <limits>

#include "core/base/error.h"

namespace seqlift {
namespace onnx {

namespace {

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

}  // namespace

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

namespace {

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

}  // namespace onnx
}  // namespace seqlift
