#include "core/halves/times.h"

#include "core/halves/joined.h"
#include "core/halves/kernels.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

// Each factor's multiplier is the other one halfway, without going through autograd.
Halves times(const Halves& a, const Halves& b, const BatchShape& batch) {
  const bool same = a.ref.is_same(b.ref);
  const bool plain = a.ref.sizes() == b.ref.sizes() && a.x.sizes() == b.x.sizes() &&
                     a.ref.scalar_type() == b.ref.scalar_type() &&
                     a.x.scalar_type() == a.ref.scalar_type() && a.ref.is_floating_point() &&
                     a.ref.requires_grad() && b.ref.requires_grad();
  if (!plain) {
    const Nary product = [](const Operands& factors) { return factors[0] * factors[1]; };
    return midpoint(product, {a, b}, batch);
  }
  const at::NoGradGuard guard;
  if (a.x.sizes() != a.ref.sizes()) {
    check_rows(a.x, a.ref, batch);
  }
  const at::Tensor ref_a = a.ref.detach();
  const at::Tensor ref_b = b.ref.detach();
  Halves result{once_tensor(batch.memo, "times", [&]() { return a.x * b.x; }), ref_a * ref_b};
  if (Draft::drafts()) {
    result.ref = Draft::without_slope(result.ref, {a.ref, b.ref});
    return result;
  }
  const at::Tensor half_a = halfway(a.x, ref_a, batch);
  const at::Tensor half_b = same ? half_a : halfway(b.x, ref_b, batch);
  result.ref = attach(result.ref, {a.ref, b.ref}, [half_a, half_b, same](const at::Tensor& grad) {
    const at::Tensor to_a = grad * half_b;
    return std::vector<at::Tensor>{to_a, same ? to_a : grad * half_a};
  });
  return result;
}

}  // namespace seqlift
