// The pair that the engine computes with: the activations of the sequences (n rows, evaluated once
// a sequence, without gradients) beside those of the references (n x r rows, with gradients), and
// the few ways in which rules combine them. ARCHITECTURE.md, "Why pairs", says what for. A value
// that does not depend on X is the same tensor on both sides.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>

#include <functional>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "core/halves/memo.h"

namespace torch {
namespace autograd {
struct Node;
}
}  // namespace torch

namespace seqlift {

struct Change;

// One value of the graph on both halves.
struct Value {
  c10::IValue x;         // the sequences' half; the only one of a value that is not paired
  bool depends = false;  // a gradient with respect to X flows through it
  bool tainted = false;  // it depends on X by a path that has no gradient (a comparison, an index)
  // Truth values and whole numbers that depend on X are kept as floating-point numbers, so that a
  // gradient flows through them; the model takes them for this type. Undefined: for what they are.
  at::ScalarType shown = at::ScalarType::Undefined;

  bool typed() const { return shown != at::ScalarType::Undefined; }

  // The other half is one of four: none of its own, its numbers, how it differs from the x half, or
  // the elements of a list.

  // Whether the halves differ (at least in the number of rows).
  bool paired() const { return !std::holds_alternative<Shared>(other_); }
  // Its numbers; nothing where it has others, or none.
  const c10::IValue& ref() const;
  // Edited copies of a sequence (change.h): where they differ from the x half, or nullptr.
  const Change* change() const;
  // Of a list or tuple of such values that is only taken apart again: its elements, or nullptr.
  const std::vector<Value>* parts() const;
  // One of the two halves. What is not paired has the same on both.
  const c10::IValue& half(bool of_references) const {
    return of_references && paired() ? ref() : x;
  }
  // `visit(half)` may replace it.
  template <typename Visit>
  void each_half(const Visit& visit) {
    visit(x);
    if (auto* own = std::get_if<c10::IValue>(&other_)) {
      visit(*own);
    }
  }
  template <typename Visit>
  void each_half(const Visit& visit) const {
    visit(x);
    if (const auto* own = std::get_if<c10::IValue>(&other_)) {
      visit(*own);
    }
  }

  void set_ref(c10::IValue ref) { other_ = std::move(ref); }
  void set_change(std::shared_ptr<const Change> change) { other_ = std::move(change); }
  void set_parts(std::shared_ptr<const std::vector<Value>> parts) { other_ = std::move(parts); }
  // The other half is what that of `value` is.
  void pair_like(const Value& value) { other_ = value.other_; }

 private:
  struct Shared {};
  std::variant<Shared, c10::IValue, std::shared_ptr<const Change>,
               std::shared_ptr<const std::vector<Value>>>
      other_;
};

// A tensor on both halves, inside a rule.
struct Halves {
  at::Tensor x;
  at::Tensor ref;
};

// How many sequences the x half holds and how many references each of them has in the other half:
// row i * references + j of the reference half belongs to row i of the x half.
struct BatchShape {
  int64_t sequences = 1;
  int64_t references = 1;
  Memo* memo = nullptr;  // what is known of the x half from an earlier block, or nullptr
};

// Thrown where rows of the halves can no longer be matched (the model moved the batch dimension):
// the caller repeats X once per reference instead, so that both halves have the same shape.
struct BatchMoved {};

// [n, 1, ...] and [n, r, ...] views of the halves, which broadcast against each other. A first
// dimension that holds other things behind the batch (n * k rows) is split too. With one reference
// a sequence both halves have one shape, which gets two dimensions of size one in front, wherever
// the batch is.
at::Tensor group_x(const at::Tensor& x, const BatchShape& batch);
at::Tensor group_ref(const at::Tensor& ref, const BatchShape& batch);
// The x half with every sequence's rows repeated for each of its references: the shape of `ref`.
at::Tensor repeat_x(const at::Tensor& x, const at::Tensor& ref, const BatchShape& batch);
// Throws BatchMoved unless the rows of the halves match.
void check_rows(const at::Tensor& x, const at::Tensor& ref, const BatchShape& batch);

// Gradients of neighbouring outputs with respect to one value [rows, C, L], where they are not
// zero: those of output k at the positions start + k .. start + k + width - 1. See windows.h.
struct Windows {
  at::Tensor values;  // [outputs, rows, C, width]
  int64_t start = 0;
};

using Backward = std::function<std::vector<at::Tensor>(const at::Tensor& grad_output)>;
// The same for windows, of an operation with one input. Undefined values: the windows would leave
// the input, or the operation has no local gradient.
using WindowBackward = std::function<Windows(const Windows& grad_output)>;
// `output` as the result of an operation on `inputs` whose gradient is `backward`: this is how a
// rule enters autograd. `output` must be fresh: no view, no history.
at::Tensor attach(at::Tensor output, const std::vector<at::Tensor>& inputs, Backward backward,
                  WindowBackward windows = {});
// That of a node of autograd's graph, or nullptr.
const WindowBackward* window_rule(const torch::autograd::Node& node);
// The window gradient of an elementwise operation with this multiplier.
WindowBackward times_in_windows(const at::Tensor& slope);

// Whether a gradient flows through a tensor, which may be undefined; or through any tensor that a
// value holds.
bool has_gradient(const at::Tensor& tensor);
bool has_gradient(const c10::IValue& value);

// A copy of `point` with its gradient: the model may write into the copy, and the gradient with
// respect to `point` stays what it was.
at::Tensor fresh_copy(const at::Tensor& point);

using Unary = std::function<at::Tensor(const at::Tensor&)>;
using Operands = std::vector<at::Tensor>;
using Nary = std::function<at::Tensor(const Operands&)>;

// dy/dx of an elementwise function at `at`, zero where it is not finite. A double is expected.
at::Tensor derivative(const Unary& function, const at::Tensor& at);

// How smooth an elementwise function is, which decides where its derivative may stand in
// for the quotient of differences.
enum class Smoothness {
  smooth,    // analytic where it is defined
  piecewise  // may have corners or jumps: a quotient wherever the inputs differ at all
};

// Where the inputs are too close for their quotient: not just equal, if the function is smooth.
at::Tensor too_close(const at::Tensor& x, const at::Tensor& ref, Smoothness smoothness);

// A function as each half applies it: other arguments (a control track, a mask) have rows of their
// own on each half.
template <typename Function>
struct OnHalves {
  Function x;
  Function ref;
  OnHalves(const Function& both) : x(both), ref(both) {}  // NOLINT: one function serves both
  OnHalves(const Function& x, const Function& ref) : x(x), ref(ref) {}
};

// Linear operations: as they are on both halves.
Halves linear(const Unary& function, const Halves& a);
Halves linear(const Nary& function, const std::vector<Halves>& operands);
// The rescale rule (Shrikumar 2017): multiplier = difference of outputs / difference of inputs.
Halves rescale(const OnHalves<Unary>& function, const Halves& a, Smoothness smoothness,
               const BatchShape& batch);
// Operations that are polynomials of degree two or less in their operands together.
Halves midpoint(const OnHalves<Nary>& function, const std::vector<Halves>& operands,
                const BatchShape& batch);

}  // namespace seqlift
