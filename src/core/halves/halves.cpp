#include "core/halves/halves.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <cmath>
#include <memory>
#include <type_traits>
#include <utility>

#include "core/base/error.h"
#include "core/halves/joined.h"
#include "core/halves/kernels.h"
#include "core/halves/operand_halves.h"
#include "core/halves/tiles.h"
#include "core/numeric/device.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

const c10::IValue& Value::ref() const {
  static const c10::IValue none;
  const auto* own = std::get_if<c10::IValue>(&other_);
  return own ? *own : none;
}

const Change* Value::change() const {
  const auto* own = std::get_if<std::shared_ptr<const Change>>(&other_);
  return own ? own->get() : nullptr;
}

const std::vector<Value>* Value::parts() const {
  const auto* own = std::get_if<std::shared_ptr<const std::vector<Value>>>(&other_);
  return own ? own->get() : nullptr;
}

namespace {

// An operation of the autograd graph whose gradient is the rule's multiplier.
class RuleNode : public torch::autograd::Node {
 public:
  RuleNode(torch::autograd::edge_list edges, Backward backward, WindowBackward windows)
      : Node(std::move(edges)), backward_(std::move(backward)), windows_(std::move(windows)) {}

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    if (!grads[0].defined()) {
      return torch::autograd::variable_list(num_outputs());
    }
    const at::NoGradGuard guard;
    return backward_(grads[0]);
  }

  // In the last backward pass the memory of a rule is let go as soon as its gradient is formed.
  void release_variables() override {
    backward_ = nullptr;
    windows_ = nullptr;
  }

  std::string name() const override { return "seqlift::RuleNode"; }
  const WindowBackward& windows() const { return windows_; }

 private:
  Backward backward_;
  WindowBackward windows_;
};

// The same for several results that have one gradient.
class JoinedNode : public torch::autograd::Node {
 public:
  JoinedNode(torch::autograd::edge_list edges, JoinedBackward backward)
      : Node(std::move(edges)), backward_(std::move(backward)) {}

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    bool any = false;
    for (const at::Tensor& grad : grads) {
      any = any || grad.defined();
    }
    return any ? backward_(grads) : torch::autograd::variable_list(num_outputs());
  }

  void release_variables() override { backward_ = nullptr; }

  std::string name() const override { return "seqlift::JoinedNode"; }

 private:
  JoinedBackward backward_;
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

bool has_gradient(const at::Tensor& tensor) { return tensor.defined() && tensor.requires_grad(); }

bool has_gradient(const c10::IValue& value) {
  bool found = false;
  visit_tensors(value, [&](const at::Tensor& tensor) { found = found || has_gradient(tensor); });
  return found;
}

namespace {

bool& drafting() {
  static thread_local bool drafts = false;
  return drafts;
}

std::vector<at::Tensor> no_gradient(const at::Tensor&) {
  throw Error("internal", "A gradient was asked for that was left out.");
}

}  // namespace

at::Tensor attach(at::Tensor output, const std::vector<at::Tensor>& inputs, Backward backward,
                  WindowBackward windows) {
  bool needed = false;
  for (const at::Tensor& input : inputs) {
    needed = needed || input.requires_grad();
  }
  if (!needed) {
    return output;
  }
  if (drafting()) {
    // What the gradient is made of would be kept for nothing.
    backward = no_gradient;
    windows = {};
  }
  const auto node = own(new RuleNode(torch::autograd::collect_next_edges(inputs),
                                     std::move(backward), std::move(windows)));
  // The result of a view carries the view's history, which would win over ours.
  at::Tensor fresh = output.variable_data();
  torch::autograd::set_history(fresh, node);
  return fresh;
}

std::vector<at::Tensor> attach_together(const std::vector<at::Tensor>& outputs,
                                        const std::vector<at::Tensor>& inputs,
                                        JoinedBackward backward) {
  const auto node =
      own(new JoinedNode(torch::autograd::collect_next_edges(inputs), std::move(backward)));
  std::vector<at::Tensor> attached;
  for (const at::Tensor& output : outputs) {
    at::Tensor fresh = output.detach();
    torch::autograd::set_history(fresh, node);
    attached.push_back(attach(fresh.detach(), {fresh}, [](const at::Tensor& grad) {
      return std::vector<at::Tensor>{grad};
    }));
  }
  return attached;
}

Draft::Draft(bool drafts) : before_(drafting()) { drafting() = drafts; }

Draft::~Draft() { drafting() = before_; }

bool Draft::drafts() { return drafting(); }

at::Tensor Draft::without_slope(const at::Tensor& output, const std::vector<at::Tensor>& inputs) {
  return attach(output, inputs, no_gradient);
}

const WindowBackward* window_rule(const torch::autograd::Node& node) {
  const auto* rule = dynamic_cast<const RuleNode*>(&node);
  return rule && rule->windows() ? &rule->windows() : nullptr;
}

WindowBackward times_in_windows(const at::Tensor& slope) {
  return [slope](const Windows& grad) -> Windows {
    if (slope.dim() != 3) {
      return {};
    }
    const int64_t step = slope.stride(2);
    const at::Tensor there =
        slope.as_strided(grad.values.sizes(), {step, slope.stride(0), slope.stride(1), step},
                         slope.storage_offset() + grad.start * step);
    return {grad.values * there, grad.start};
  };
}

at::Tensor fresh_copy(const at::Tensor& point) {
  const at::AutoGradMode enabled(true);
  return attach(
      point.detach().clone(), {point},
      [](const at::Tensor& grad) { return std::vector<at::Tensor>{grad}; },
      [](const Windows& grad) { return grad; });
}

at::Tensor derivative(const Unary& function, const at::Tensor& at) {
  at::Tensor slope;
  try {
    const at::AutoGradMode guard(true);
    const at::Tensor point = at.detach().requires_grad_();
    const at::Tensor value = function(point);
    if (!value.requires_grad()) {
      return at::zeros_like(at);
    }
    // Autograd gives the conjugate of a complex function's derivative.
    slope = torch::autograd::grad({value}, {point}, {at::ones_like(value)})[0].conj();
  } catch (const std::exception& error) {
    throw_if_out_of_memory(error);
    // LibTorch has no derivative of it (a floored quotient, a loss in its target): the difference
    // over a step at which rounding and the third derivative weigh about the same.
    const at::NoGradGuard guard;
    const at::Tensor step = 1e-5 * at.abs().clamp_min(1.0);
    slope = (function(at + step) - function(at - step)) / (2 * step);
  }
  return at::where(at::isfinite(slope), slope, at::zeros_like(slope)).resolve_conj();
}

at::Tensor too_close(const at::Tensor& x, const at::Tensor& ref, Smoothness smoothness) {
  const at::Tensor change = x - ref;
  at::Tensor near = change == 0;
  if (smoothness == Smoothness::smooth) {
    near.logical_or_(change.abs() <= smooth_threshold * ((x + ref) / 2).abs().clamp_max(1.0));
  }
  // Equal infinities (a mask) differ by NaN: nothing changes there.
  return near.logical_or_(change.isnan());
}

Halves linear(const Unary& function, const Halves& a) {
  return linear([&](const Operands& operands) { return function(operands[0]); }, {a});
}

Halves linear(const Nary& function, const std::vector<Halves>& operands) {
  const OperandHalves halves = operand_halves(operands);
  Halves result;
  {
    const at::NoGradGuard guard;
    result.x = function(halves.x);
  }
  const at::AutoGradMode guard(true);
  result.ref = function(halves.inputs);
  return result;
}

// m = (f(x) - f(ref)) / (x - ref), so that m * (x - ref) is the output's difference, whatever f.
// Where the inputs are equal any m is right for the sum; the derivative is the limit.
namespace {

// The quotient, of the shape of `given` and in its dtype.
at::Tensor rescale_slope(const OnHalves<Unary>& function, const at::Tensor& given_x,
                         const at::Tensor& given, Smoothness smoothness, const BatchShape& batch) {
  const auto wide = given.is_complex() ? at::kComplexDouble : at::kDouble;
  const at::Tensor x64 = given_x.to(wide);
  const at::Tensor ref64 = given.to(wide);
  const at::Tensor x = group_x(x64, batch);
  const at::Tensor r = group_ref(ref64, batch);
  const at::Tensor change_in = x - r;
  const at::Tensor y64 =
      once_tensor(batch.memo, "rescale in double", [&]() { return function.x(x64); });
  const at::Tensor change_out = group_x(y64, batch) - group_ref(function.ref(ref64), batch);
  at::Tensor slope = change_out / change_in;
  const at::Tensor near = too_close(x, r, smoothness);
  if (near.any().item<bool>()) {
    const at::Tensor middle = smoothness == Smoothness::smooth ? (x + r) / 2 : x.expand_as(r);
    const at::Tensor slope_near = derivative(function.ref, middle.reshape(given.sizes()));
    slope = at::where(near, group_ref(slope_near, batch), slope);
  }
  // Of a complex function the slope is a complex number, which autograd applies conjugated.
  return slope.reshape(given.sizes()).to(given.scalar_type()).conj().resolve_conj();
}

Halves rescale_by(const OnHalves<Unary>& function, const Halves& a, const BatchShape& batch,
                  const PieceSlope& slope_of, bool in_tiles) {
  const at::NoGradGuard guard;
  const at::Tensor ref = a.ref.detach();
  Halves result{once_tensor(batch.memo, "rescale", [&]() { return function.x(a.x); }),
                function.ref(ref)};
  check_rows(a.x, ref, batch);
  if (Draft::drafts()) {
    result.ref = Draft::without_slope(result.ref, {a.ref});
    return result;
  }
  const at::Tensor slope =
      in_tiles ? slope_in_tiles(a.x, ref, {}, batch, slope_of) : slope_of(a.x, ref);
  // What a condition or a mask leaves out may be infinite, or no number at all: no change of the
  // output comes from there, whatever the slope.
  const at::Tensor sum = slope.is_complex() ? slope.sum() : slope.sum(at::kDouble);
  const bool finite = sum.isfinite().item<bool>();
  const auto backward = [slope, finite](const at::Tensor& grad) {
    const at::Tensor share = grad * slope;
    return std::vector<at::Tensor>{finite ? share : at::where(grad == 0, grad, share)};
  };
  result.ref =
      attach(result.ref, {a.ref}, backward, finite ? times_in_windows(slope) : WindowBackward());
  return result;
}

}  // namespace

Halves rescale(const OnHalves<Unary>& function, const Halves& a, Smoothness smoothness,
               const BatchShape& batch) {
  const PieceSlope slope = [&](const at::Tensor& x, const at::Tensor& ref) {
    return rescale_slope(function, x, ref, smoothness, batch);
  };
  return rescale_by(function, a, batch, slope, false);
}

Halves rescale_each(const OnHalves<Unary>& function, const Halves& a, Smoothness smoothness,
                    const BatchShape& batch) {
  // What is remembered of the whole x half is of no use to a piece.
  BatchShape pieces = batch;
  pieces.memo = nullptr;
  const PieceSlope slope = [&](const at::Tensor& x, const at::Tensor& ref) {
    return rescale_slope(function, x, ref, smoothness, pieces);
  };
  return rescale_by(function, a, batch, slope, true);
}

// For f of degree two or less in (a, b, ...) together, f(x) - f(ref) = grad f(middle) . (x - ref)
// exactly, with middle = (x + ref) / 2: Taylor's second-order terms cancel. For a product a b this
// gives a the factor (b_x + b_ref) / 2, the Shapley value of the two changes.
Halves midpoint(const OnHalves<Nary>& function, const std::vector<Halves>& operands,
                const BatchShape& batch) {
  const at::NoGradGuard guard;
  const OperandHalves halves = operand_halves(operands);
  for (size_t i = 0; i < operands.size(); ++i) {
    if (halves.x[i].sizes() != halves.ref[i].sizes()) {
      check_rows(halves.x[i], halves.ref[i], batch);
    }
  }
  Halves result{once_tensor(batch.memo, "midpoint", [&]() { return function.x(halves.x); }),
                function.ref(halves.ref)};
  if (Draft::drafts()) {
    result.ref = Draft::without_slope(result.ref, halves.inputs);
    return result;
  }
  Operands middle;
  for (size_t i = 0; i < operands.size(); ++i) {
    middle.push_back(halfway(halves.x[i], halves.ref[i], batch));
  }
  result.ref =
      attach(result.ref, halves.inputs, [function = function.ref, middle](const at::Tensor& grad) {
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
