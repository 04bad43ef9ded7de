#include "halves.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <memory>
#include <type_traits>
#include <utility>

namespace seqlift {

namespace {

// An operation of the autograd graph whose gradient is the rule's multiplier.
class RuleNode : public torch::autograd::Node {
 public:
  RuleNode(torch::autograd::edge_list edges, Backward backward)
      : Node(std::move(edges)), backward_(std::move(backward)) {}

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    if (!grads[0].defined()) {
      return torch::autograd::variable_list(num_outputs());
    }
    const at::NoGradGuard guard;
    return backward_(grads[0]);
  }

  std::string name() const override { return "seqlift::RuleNode"; }

 private:
  Backward backward_;
};

// Autograd's own pointer to a node: intrusive in LibTorch 2.14, shared before. deleteNode() takes a
// deep graph apart without recursion; it is found by its argument, where it exists.
template <typename Owned>
auto own(Owned* node) {
  if constexpr (std::is_base_of_v<c10::intrusive_ptr_target, Owned>) {
    return c10::intrusive_ptr<Owned>::unsafe_steal_from_new(node);
  } else {
    return std::shared_ptr<Owned>(node, [](auto* owned) { deleteNode(owned); });
  }
}

// Below this difference of inputs a smooth function's quotient loses more digits to cancellation
// than its derivative halfway between them is off by (third derivative x difference^2 / 24). Both
// are formed in double. It shrinks with the input, for functions that bend ever more towards zero
// (log, sqrt, reciprocal).
constexpr double smooth_threshold = 1e-5;

}  // namespace

at::Tensor group_x(const at::Tensor& x, const BatchShape& batch) {
  if (batch.references == 1) {
    return x.unsqueeze(0).unsqueeze(0);
  }
  return x.unflatten(0, {batch.sequences, x.size(0) / batch.sequences}).unsqueeze(1);
}

at::Tensor group_ref(const at::Tensor& ref, const BatchShape& batch) {
  if (batch.references == 1) {
    return ref.unsqueeze(0).unsqueeze(0);
  }
  const int64_t rows = ref.size(0) / (batch.sequences * batch.references);
  return ref.unflatten(0, {batch.sequences, batch.references, rows});
}

at::Tensor repeat_x(const at::Tensor& x, const at::Tensor& ref, const BatchShape& batch) {
  if (x.sizes() == ref.sizes()) {
    return x;
  }
  check_rows(x, ref, batch);
  const at::Tensor grouped = group_x(x, batch);
  std::vector<int64_t> sizes = grouped.sizes().vec();
  sizes[1] = batch.references;
  return grouped.expand(sizes).reshape(ref.sizes());
}

void check_rows(const at::Tensor& x, const at::Tensor& ref, const BatchShape& batch) {
  if (batch.references == 1) {
    if (x.sizes() != ref.sizes()) {
      throw BatchMoved();
    }
    return;
  }
  const bool rows = x.dim() > 0 && x.dim() == ref.dim() &&
                    x.size(0) * batch.references == ref.size(0) && x.size(0) % batch.sequences == 0;
  if (!rows || x.sizes().slice(1) != ref.sizes().slice(1)) {
    throw BatchMoved();
  }
}

at::Tensor attach(at::Tensor output, const std::vector<at::Tensor>& inputs, Backward backward) {
  bool needed = false;
  for (const at::Tensor& input : inputs) {
    needed = needed || input.requires_grad();
  }
  if (!needed) {
    return output;
  }
  const auto node =
      own(new RuleNode(torch::autograd::collect_next_edges(inputs), std::move(backward)));
  // The result of a view carries the view's history, which would win over ours.
  at::Tensor fresh = output.variable_data();
  torch::autograd::set_history(fresh, node);
  return fresh;
}

at::Tensor behind(const at::Tensor& point) {
  const at::AutoGradMode enabled(true);
  return attach(point.detach().clone(), {point},
                [](const at::Tensor& grad) { return std::vector<at::Tensor>{grad}; });
}

at::Tensor derivative(const Unary& function, const at::Tensor& at) {
  const at::AutoGradMode guard(true);
  const at::Tensor point = at.detach().requires_grad_();
  const at::Tensor value = function(point);
  if (!value.requires_grad()) {
    return at::zeros_like(at);
  }
  const auto slope = torch::autograd::grad({value.sum()}, {point})[0];
  return at::nan_to_num(slope, 0.0, 0.0, 0.0);
}

Halves linear(const Unary& function, const Halves& a) {
  return linear([&](const Operands& operands) { return function(operands[0]); }, {a});
}

Halves linear(const Nary& function, const std::vector<Halves>& operands) {
  Operands x;
  Operands ref;
  for (const Halves& operand : operands) {
    x.push_back(operand.x);
    ref.push_back(operand.ref);
  }
  Halves result;
  {
    const at::NoGradGuard guard;
    result.x = function(x);
  }
  const at::AutoGradMode guard(true);
  result.ref = function(ref);
  return result;
}

// m = (f(x) - f(ref)) / (x - ref), so that m * (x - ref) is the output's difference, whatever f.
// Where the inputs are equal any m is right for the sum; the derivative is the limit.
Halves rescale(const OnHalves<Unary>& function, const Halves& a, Bend bend,
               const BatchShape& batch) {
  const at::NoGradGuard guard;
  const at::Tensor ref = a.ref.detach();
  Halves result{once_tensor(batch.memo, "rescale", [&]() { return function.x(a.x); }),
                function.ref(ref)};
  check_rows(a.x, ref, batch);

  const at::Tensor x64 = a.x.to(at::kDouble);
  const at::Tensor ref64 = ref.to(at::kDouble);
  const at::Tensor x = group_x(x64, batch);
  const at::Tensor r = group_ref(ref64, batch);
  const at::Tensor change_in = x - r;
  const at::Tensor y64 =
      once_tensor(batch.memo, "rescale in double", [&]() { return function.x(x64); });
  const at::Tensor change_out = group_x(y64, batch) - group_ref(function.ref(ref64), batch);
  at::Tensor slope = change_out / change_in;
  at::Tensor middle;
  at::Tensor near;
  if (bend == Bend::smooth) {
    middle = (x + r) / 2;
    near = change_in.abs() <= smooth_threshold * middle.abs().clamp_max(1.0);
    near.logical_or_(change_in == 0);
  } else {
    middle = x.expand_as(r);
    near = change_in == 0;
  }
  // Equal infinities (a mask) differ by NaN: nothing changes there.
  near.logical_or_(change_in.isnan());
  if (near.any().item<bool>()) {
    const at::Tensor slope_near = derivative(function.ref, middle.reshape(ref.sizes()));
    slope = at::where(near, group_ref(slope_near, batch), slope);
  }
  slope = slope.reshape(ref.sizes()).to(ref.scalar_type());
  result.ref = attach(result.ref, {a.ref}, [slope](const at::Tensor& grad) {
    return std::vector<at::Tensor>{grad * slope};
  });
  return result;
}

// For f of degree two or less in (a, b, ...) together, f(x) - f(ref) = grad f(middle) . (x - ref)
// exactly, with middle = (x + ref) / 2: Taylor's second-order terms cancel. For a product a b this
// gives a the factor (b_x + b_ref) / 2, the Shapley value of the two changes.
Halves midpoint(const OnHalves<Nary>& function, const std::vector<Halves>& operands,
                const BatchShape& batch) {
  const at::NoGradGuard guard;
  Operands x;
  Operands ref;
  Operands middle;
  Operands inputs;
  for (const Halves& operand : operands) {
    const at::Tensor plain = operand.ref.detach();
    x.push_back(operand.x);
    ref.push_back(plain);
    middle.push_back((repeat_x(operand.x, plain, batch) + plain) / 2);
    inputs.push_back(operand.ref);
  }
  Halves result{once_tensor(batch.memo, "midpoint", [&]() { return function.x(x); }),
                function.ref(ref)};
  result.ref =
      attach(result.ref, inputs, [function = function.ref, middle](const at::Tensor& grad) {
        const at::AutoGradMode enabled(true);
        Operands points;
        for (const at::Tensor& point : middle) {
          points.push_back(point.detach().requires_grad_());
        }
        return torch::autograd::grad({function(points)}, points, {grad}, {}, false, true);
      });
  return result;
}

}  // namespace seqlift
