#include "kernels.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "loops.h"

namespace seqlift {

namespace {

// Rows lie one after the other, each without holes, and both halves order a row alike.
bool same_rows(const at::Tensor& x, const at::Tensor& ref) {
  if (!x.is_non_overlapping_and_dense() || !ref.is_non_overlapping_and_dense() || x.dim() < 1) {
    return false;
  }
  for (int64_t d = 1; d < x.dim(); ++d) {
    if (x.size(d) != ref.size(d) || (x.size(d) > 1 && x.stride(d) != ref.stride(d))) {
      return false;
    }
  }
  const auto row = [](const at::Tensor& t) { return t.numel() / std::max<int64_t>(t.size(0), 1); };
  return (x.size(0) == 1 || x.stride(0) == row(x)) && (ref.size(0) == 1 || ref.stride(0) == row(ref));
}

template <typename T>
void relu_pass(const at::Tensor& x, const at::Tensor& ref, at::Tensor& y, at::Tensor& m,
               const BatchShape& batch) {
  const int64_t row = x.numel() / batch.sequences;
  const T* from_x = x.data_ptr<T>();
  const T* from_ref = ref.data_ptr<T>();
  T* to_y = y.data_ptr<T>();
  T* to_m = m.data_ptr<T>();
  at::parallel_for(0, batch.sequences * batch.references, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      loops::relu_rescale(from_x + (i / batch.references) * row, from_ref + i * row, to_y + i * row,
                          to_m + i * row, row);
    }
  });
}

}  // namespace

bool relu_is_fast(const at::Tensor& x, const at::Tensor& ref, const BatchShape& batch) {
  const bool type = x.scalar_type() == ref.scalar_type() &&
                    (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble);
  const bool rows = x.dim() == ref.dim() && x.numel() * batch.references == ref.numel();
  return type && rows && x.is_cpu() && ref.is_cpu() && same_rows(x, ref);
}

std::tuple<at::Tensor, at::Tensor> relu_rescale(const at::Tensor& x, const at::Tensor& ref,
                                                const BatchShape& batch) {
  at::Tensor y = at::empty_like(ref);
  at::Tensor m = at::empty_like(ref);
  if (ref.scalar_type() == at::kFloat) {
    relu_pass<float>(x, ref, y, m, batch);
  } else {
    relu_pass<double>(x, ref, y, m, batch);
  }
  return {y, m};
}

}  // namespace seqlift
