#include "core/evaluate/reveal_cancel_blocks.h"

#include <utility>

#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

at::Tensor first_output(const Call& call, std::vector<c10::IValue> stack) {
  return call.evaluate(std::move(stack))[0].toTensor();
}

at::Tensor as_gradient(const at::Tensor& plus, const at::Tensor& minus, int64_t rows) {
  std::vector<int64_t> sizes = plus.sizes().vec();
  const int64_t own = sizes[0];
  sizes[0] = rows;
  at::Tensor stack = at::zeros(sizes, plus.options());
  stack.narrow(0, 2 * own, own).copy_(plus);
  stack.narrow(0, 3 * own, own).copy_(minus);
  return stack;
}

int64_t copies_for(const Call& call, int64_t rows) {
  bool by_row = false;
  for (const Value& input : call.inputs) {
    if (!input.depends) {
      visit_tensors(input.x, [&](const at::Tensor& tensor) {
        by_row = by_row || (tensor.defined() && tensor.dim() > 0 && tensor.size(0) == rows);
      });
    }
  }
  const int size = call.find("size");
  if (size >= 0 && call.inputs[size].x.isIntList()) {
    const std::vector<int64_t> sizes = call.inputs[size].x.toIntVector();
    by_row = by_row || (!sizes.empty() && sizes[0] == rows);
  }
  return by_row ? Blocks::count : 1;
}

at::Tensor in_copies(const at::Tensor& block, int64_t copies) {
  return copies == 1 ? block : Blocks::all(block).stack();
}

at::Tensor first_copy(const at::Tensor& rows, int64_t copies) {
  return copies == 1 ? rows : rows.narrow(0, 0, rows.size(0) / copies);
}

}  // namespace seqlift
