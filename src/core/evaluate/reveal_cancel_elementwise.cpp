// Elementwise operations by RevealCancel, or by Rescale with both parts.
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/evaluate/evaluation.h"
#include "core/evaluate/reveal_cancel.h"
#include "core/evaluate/reveal_cancel_blocks.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// The multiplier of a part that is zero is the effect of a part of this size, as in the package.
constexpr double probe = 1e-7;

// RevealCancel at a relu in one pass: see elementwise(). A part of zero is taken for the probe.
template <typename T>
void reveal_relu(const T* r, const T* p, const T* q, T* m_p, T* m_q, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const double start = r[i];
    const double rise = p[i];
    const double fall = q[i];
    const double up = rise == 0 ? probe : rise;
    const double down = fall == 0 ? probe : fall;
    const double first = std::max(start, 0.0);
    const double after_up = std::max(start + fall + up, 0.0) - std::max(start + fall, 0.0);
    const double after_down = std::max(start + rise + down, 0.0) - std::max(start + rise, 0.0);
    m_p[i] = static_cast<T>((std::max(start + up, 0.0) - first + after_up) / (2 * up));
    m_q[i] = static_cast<T>((std::max(start + down, 0.0) - first + after_down) / (2 * down));
  }
}

template <typename T>
std::pair<at::Tensor, at::Tensor> reveal_relu(const at::Tensor& r, const at::Tensor& plus,
                                              const at::Tensor& minus) {
  const at::Tensor start = r.contiguous();
  const at::Tensor rise = plus.contiguous();
  const at::Tensor fall = minus.contiguous();
  at::Tensor m_rise = at::empty_like(start);
  at::Tensor m_fall = at::empty_like(start);
  reveal_relu(start.data_ptr<T>(), rise.data_ptr<T>(), fall.data_ptr<T>(), m_rise.data_ptr<T>(),
              m_fall.data_ptr<T>(), start.numel());
  return {m_rise, m_fall};
}

}  // namespace

// Rescale gives both parts the multiplier (f(x) - f(r)) / (x - r). RevealCancel gives each the mean
// of its effects before and after the other one's,
//   y+ = ((f(r + d+) - f(r)) + (f(r + d- + d+) - f(r + d-))) / 2,  m+ = y+ / d+,
// and likewise y-; y+ + y- = f(r + d+ + d-) - f(r).
std::vector<Value> RevealCancel::elementwise(Call& call) {
  const int position = call.dependent()[0];
  const at::Tensor stack = call.inputs[position].x.toTensor();
  const Blocks blocks = split(call, stack);
  const bool reveal = reveals(call, stack);
  const int64_t copies = copies_for(call, rows());
  const at::NoGradGuard guard;
  const at::Tensor x = blocks.x.detach();
  const at::Tensor r = blocks.reference.detach();
  const at::Tensor plus = blocks.rise().detach();
  const at::Tensor minus = blocks.fall().detach();
  at::Tensor y;
  at::Tensor y_reference;
  at::Tensor slope_plus;
  at::Tensor slope_minus;
  const bool single = r.scalar_type() == at::kFloat;
  if (reveal && call.is(Trait::rectifies) && r.is_cpu() &&
      (single || r.scalar_type() == at::kDouble)) {
    y = at::relu(x);
    y_reference = at::relu(r);
    std::tie(slope_plus, slope_minus) =
        single ? reveal_relu<float>(r, plus, minus) : reveal_relu<double>(r, plus, minus);
  } else {
    // The table's rule gives f(x), f(r) and, as a gradient, the multiplier of Rescale.
    Call halves = call;
    const at::Tensor leaf = in_copies(r, copies).detach().requires_grad_();
    halves.inputs[position] = to_value(in_copies(x, copies), leaf);
    halves.batch = {copies * pairs_, 1, nullptr};
    at::Tensor ref;
    {
      const at::AutoGradMode enabled(true);
      const Value given = call.row->rule(halves).at(0);
      y = first_copy(given.x.toTensor(), copies);
      ref = given.ref().toTensor();
    }
    y_reference = first_copy(ref.detach(), copies);
    if (!reveal) {
      slope_plus = ref.requires_grad()
                       ? torch::autograd::grad({ref}, {leaf}, {at::ones_like(ref)})[0]
                       : at::zeros_like(leaf);
      slope_plus = first_copy(slope_plus, copies);
      slope_minus = slope_plus;
    }
  }
  if (!slope_plus.defined()) {
    std::vector<c10::IValue> others = call.stack(false);
    for (c10::IValue& other : others) {
      if (other.isTensor() && other.toTensor().defined() &&
          at::isFloatingType(other.toTensor().scalar_type())) {
        other = other.toTensor().to(at::kDouble);
      }
    }
    const at::Tensor start = r.to(at::kDouble);
    const auto f = [&](const at::Tensor& at) {
      others[position] = in_copies(at, copies);
      return first_copy(first_output(call, others), copies);
    };
    const at::Tensor f_start = f(start);
    const auto multiplier = [&](const at::Tensor& own, const at::Tensor& other) {
      const at::Tensor d = own.to(at::kDouble);
      const at::Tensor step = d.masked_fill(d == 0, probe);
      const at::Tensor beside = start + other.to(at::kDouble);
      at::Tensor effect = f(start + step).sub_(f_start);
      effect.add_(f(beside + step)).sub_(f(beside));
      return effect.div_(step.mul_(2)).to(own.scalar_type());
    };
    slope_plus = multiplier(plus, minus);
    slope_minus = multiplier(minus, plus);
  }
  if (reveal && !(slope_plus + slope_minus).isfinite().all().item<bool>() &&
      stack.isfinite().all().item<bool>()) {
    refuse(call,
           "is not defined at the reference moved by one part of the difference alone, "
           "where RevealCancel asks for it");
  }
  const Blocks result{y, y_reference, slope_plus * plus, slope_minus * minus, at::zeros_like(y)};
  const at::Tensor output =
      attach(result.stack(), {stack},
             [slope_plus, slope_minus, all = stack.size(0)](const at::Tensor& grad) {
               const Blocks blocks = Blocks::of(grad);
               return std::vector<at::Tensor>{
                   as_gradient(blocks.plus * slope_plus, blocks.minus * slope_minus, all)};
             });
  return {to_one_batch(call, output)};
}

}  // namespace seqlift
