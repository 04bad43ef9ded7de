#include "core/halves/integrate.h"

#include <torch/csrc/autograd/autograd.h>

#include "core/halves/memo.h"
#include "core/halves/operand_halves.h"
#include "core/numeric/quadrature.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// f(x) - f(ref) = int_0^1 grad f(ref + t (x - ref)) . (x - ref) dt for every f that is smooth but
// for corners. Corners make the quadrature converge slowly: after this many nodes what is missing
// stays, and shows in the convergence delta.
constexpr int64_t fewest_nodes = 8;
constexpr int64_t most_nodes = 512;

double tolerance(at::ScalarType type) { return type == at::kDouble ? 1e-12 : 1e-5; }

// Sums over all but the first dimension where that has `rows` entries, else one sum of all.
at::Tensor by_row(const at::Tensor& values, int64_t rows) {
  const bool matches = values.dim() > 0 && values.size(0) == rows;
  return matches ? values.reshape({rows, -1}).sum(1) : values.sum().reshape({1});
}

// The mean of the gradients of output `k` on the line from `ref` to `ref + change`, by n nodes;
// zero for a constant.
std::vector<at::Tensor> mean_gradients(const MultiOutput& function, const Operands& ref,
                                       const Operands& change, const at::Tensor& grad, size_t k,
                                       int64_t n) {
  const Quadrature line = quadrature(QuadratureRule::gauss_legendre, n);
  std::vector<at::Tensor> means;
  for (const at::Tensor& start : ref) {
    means.push_back(at::zeros_like(start));
  }
  for (int64_t i = 0; i < n; ++i) {
    const at::AutoGradMode enabled(true);
    Operands points;
    for (size_t j = 0; j < ref.size(); ++j) {
      points.push_back((ref[j] + line.nodes[i] * change[j]).detach().requires_grad_());
    }
    const at::Tensor value = function(points)[k];
    if (!value.requires_grad()) {
      return means;
    }
    const auto grads = torch::autograd::grad({value}, points, {grad}, {}, false, true);
    const at::NoGradGuard plain;
    for (size_t j = 0; j < grads.size(); ++j) {
      if (grads[j].defined()) {
        means[j].add_(grads[j], line.weights[i]);
      }
    }
  }
  return means;
}

}  // namespace

std::vector<Halves> integrate(const OnHalves<MultiOutput>& function,
                              const std::vector<Halves>& operands, const BatchShape& batch,
                              int64_t nodes) {
  const at::NoGradGuard guard;
  const OperandHalves halves = operand_halves(operands);
  Operands ref;
  Operands change;
  for (size_t i = 0; i < operands.size(); ++i) {
    ref.push_back(halves.ref[i].clone());  // the model may write into it later
    change.push_back(repeat_x(halves.x[i], ref[i], batch) - ref[i]);
  }
  std::vector<at::Tensor> y;
  for (const c10::IValue& output : once(batch.memo, "integrate", [&]() {
         const std::vector<at::Tensor> given = function.x(halves.x);
         return Memo::Results(given.begin(), given.end());
       })) {
    y.push_back(output.toTensor());
  }
  const std::vector<at::Tensor> y_ref = function.ref(ref);
  std::vector<Halves> outputs;
  for (size_t k = 0; k < y.size(); ++k) {
    // The doubling asks for real sums.
    const bool smooth = y_ref[k].defined() &&
                        (y_ref[k].is_floating_point() || (nodes > 0 && y_ref[k].is_complex()));
    if (!smooth) {
      outputs.push_back({y[k], y_ref[k]});
      continue;
    }
    const at::Tensor change_out = repeat_x(y[k], y_ref[k], batch) - y_ref[k];
    const auto backward = [function = function.ref, ref, change, change_out, nodes,
                           k](const at::Tensor& grad) {
      if (nodes > 0) {
        return mean_gradients(function, ref, change, grad, k, nodes);
      }
      int64_t rows = grad.dim() > 0 ? grad.size(0) : 1;
      for (const at::Tensor& start : ref) {
        rows = start.dim() > 0 && start.size(0) == rows ? rows : -1;
      }
      const at::Tensor wanted = by_row(grad * change_out, rows);
      const double scale = 1 + wanted.abs().max().item<double>();
      std::vector<at::Tensor> means;
      for (int64_t n = fewest_nodes; n <= most_nodes; n *= 2) {
        means = mean_gradients(function, ref, change, grad, k, n);
        at::Tensor found = at::zeros_like(wanted);
        for (size_t j = 0; j < means.size(); ++j) {
          found += by_row(means[j] * change[j], rows);
        }
        if ((found - wanted).abs().max().item<double>() <= tolerance(grad.scalar_type()) * scale) {
          break;
        }
      }
      return means;
    };
    outputs.push_back({y[k], attach(y_ref[k], halves.inputs, backward)});
  }
  return outputs;
}

}  // namespace seqlift
