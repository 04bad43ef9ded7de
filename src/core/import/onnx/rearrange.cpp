// Operators that turn positions round, or channels into positions, and constants that are made or
// unpacked.
#include "core/base/error.h"
#include "core/import/onnx/operators.h"
#include "core/import/onnx/tensor.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

// The first lens[b] steps of row b in reverse order: here all of them.
void reverse_sequence(Operator& op) {
  const ProgramValue& x = op.in(0);
  const int64_t batch = op.axis(op.whole("batch_axis", 1), x.rank());
  const int64_t time = op.axis(op.whole("time_axis", 0), x.rank());
  if (batch == time) {
    op.refuse("has one axis for the sequences and their steps");
  }
  const int64_t length = x.sizes[static_cast<size_t>(time)];
  const at::Tensor known = op.build.known(op.in(1));
  if (!known.defined() || length < 0 || known.ne(length).any().item<bool>()) {
    op.refuse("reverses parts of its input whose lengths are not known to be that of its input");
  }
  op.give(op.same("flip", x, {{"dims", Sizes{time}}}));
}

// [n, b^2 C, H, W] to [n, C, b H, b W], and back. "DCR": the channels are split as [b, b, C].
void depth_and_space(Operator& op) {
  const ProgramValue& x = op.in(0);
  const int64_t block = op.whole("blocksize", 0);
  const bool to_space = op.node.operation == "DepthToSpace";
  const bool last = to_space && op.text("mode", "DCR") == "CRD";
  if (x.rank() != 4 || block < 1 || block > 1024 || x.sizes[1] < 1 ||
      (to_space && x.sizes[1] % (block * block) != 0)) {
    op.refuse("has a form that is not supported");
  }
  const Wholes sizes = op.build.sizes(x);
  const auto by = [&](const char* operation, const Whole& size) {
    return op.build.compute(operation, size, Whole(block));
  };
  if (to_space) {
    const int64_t channels = x.sizes[1] / (block * block);
    const Wholes split = last ? Wholes{sizes[0], channels, block, block, sizes[2], sizes[3]}
                              : Wholes{sizes[0], block, block, channels, sizes[2], sizes[3]};
    const ProgramValue moved = op.permuted(
        op.reshaped(x, split), last ? Sizes{0, 1, 4, 2, 5, 3} : Sizes{0, 3, 4, 1, 5, 2});
    return op.give(
        op.reshaped(moved, {sizes[0], channels, by("mul", sizes[2]), by("mul", sizes[3])}));
  }
  const Whole high = by("floordiv", sizes[2]);
  const Whole wide = by("floordiv", sizes[3]);
  const ProgramValue split = op.reshaped(x, {sizes[0], sizes[1], high, block, wide, block});
  op.give(op.reshaped(op.permuted(split, {0, 3, 5, 1, 2, 4}),
                      {sizes[0], x.sizes[1] * block * block, high, wide}));
}

void eye_like(Operator& op) {
  const ProgramValue& x = op.in(0);
  const int64_t offset = op.whole("k", 0);
  const at::ScalarType type =
      op.has("dtype") ? scalar_type(op.whole("dtype", 1), "its result") : x.dtype;
  if (x.rank() != 2 || x.sizes[0] < 0 || x.sizes[1] < 0 || x.sizes[0] > 4096 || x.sizes[1] > 4096) {
    op.refuse("has a size that is not known, or too large");
  }
  at::Tensor eye = at::zeros({x.sizes[0], x.sizes[1]}, at::TensorOptions(at::kDouble));
  for (int64_t i = 0; i < x.sizes[0]; ++i) {
    if (offset > -4096 && offset < 4096 && i + offset >= 0 && i + offset < x.sizes[1]) {
      eye.select(0, i).select(0, i + offset).fill_(1);
    }
  }
  op.give(op.build.constant(eye.to(type)));
}

// Of ones, it is how exporters before version 11 count: 0, 1, 2, ...
void non_zero(Operator& op) {
  const at::Tensor x = op.known(0, "numbers");
  op.give(op.build.constant(
      x.reshape(x.dim() == 0 ? at::IntArrayRef({1}) : x.sizes()).nonzero().t().contiguous()));
}

// Weights that are kept as small whole numbers. What is computed in them is not read.
void dequantise(Operator& op) {
  const at::Tensor x = op.known(0, "numbers to unpack");
  at::Tensor scale = op.known(1, "scales");
  const int64_t axis = op.whole("axis", 1);
  if (op.whole("block_size", 0) != 0) {
    op.refuse("unpacks numbers by blocks, which is not supported");
  }
  op.ignore("output_dtype");
  const bool zeros = op.given(2);
  at::Tensor zero = zeros ? op.known(2, "zero points").to(scale.scalar_type()) : at::Tensor();
  if (scale.numel() > 1) {
    std::vector<int64_t> sizes(static_cast<size_t>(x.dim()), 1);
    const int64_t at = op.axis(axis, x.dim());
    sizes[static_cast<size_t>(at)] = scale.numel();
    if (scale.numel() != x.size(at) || (zeros && zero.numel() != scale.numel())) {
      op.refuse("has scales that do not fit its numbers");
    }
    scale = scale.reshape(sizes);
    zero = zeros ? zero.reshape(sizes) : zero;
  }
  at::Tensor result = x.to(scale.scalar_type());
  result = zeros ? result.sub(zero) : result;
  op.give(op.build.constant(result.mul(scale), true));
}

}  // namespace onnx
}  // namespace seqlift
