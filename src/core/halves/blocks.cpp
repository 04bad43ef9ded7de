#include "core/halves/blocks.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <vector>

namespace seqlift {

Blocks Blocks::of(const at::Tensor& stack) {
  const std::vector<at::Tensor> blocks = stack.chunk(count, 0);
  return {blocks[0], blocks[1], blocks[2], blocks[3], blocks[4]};
}

at::Tensor Blocks::stack() const { return at::cat({x, reference, plus, minus, origin}, 0); }

std::optional<Blocks> blocks_of_pairs(const at::Tensor& stack, int64_t pairs) {
  const int64_t rows = Blocks::count * pairs;
  if (stack.dim() == 0 || stack.size(0) == 0 || stack.size(0) % rows != 0) {
    return std::nullopt;
  }
  const Blocks blocks = Blocks::of(stack);
  const at::NoGradGuard guard;
  // Where rows are not pairs nothing fits anywhere: some columns tell.
  constexpr int64_t columns = 64;
  const int64_t step = stack.dim() > 1 ? std::max<int64_t>(1, stack.size(-1) / columns) : 1;
  const at::Tensor some = stack.detach().slice(-1, 0, stack.size(-1), step);
  const Blocks there = Blocks::of(some);
  const at::Tensor gap = there.x - there.reference - there.rise() - there.fall();
  const double size = std::max(1.0, some.abs().max().item<double>());
  const double rounding = stack.scalar_type() == at::kDouble ? 1e-8 : 1e-3;
  // NaN and infinity are told of where the output is looked at.
  if (gap.abs().max().item<double>() > rounding * size) {
    return std::nullopt;
  }
  return blocks;
}

at::Tensor of_sign(const at::Tensor& difference, const at::Tensor& plus, const at::Tensor& minus) {
  return at::where(difference > 0, plus, at::where(difference < 0, minus, (plus + minus) / 2));
}

}  // namespace seqlift
