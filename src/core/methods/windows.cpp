#include "core/methods/windows.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include <algorithm>
#include <unordered_map>

#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

using GradNode = torch::autograd::Node;
using NodeShapes = std::map<std::pair<const void*, uint32_t>, std::vector<int64_t>>;

// Rows (outputs x pairs) that go back together: enough to fill a matrix product, few enough for the
// cache.
constexpr int64_t rows_together = 64;

// The shape of an operation's result. Autograd tells it by a tensor of that shape only, so it is
// asked once.
const std::vector<int64_t>& shape_of(const GradNode* node, uint32_t output, NodeShapes& shapes) {
  std::vector<int64_t>& shape = shapes[{node, output}];
  if (shape.empty()) {
    shape = node->input_metadata(output).zeros_like().sizes().vec();
  }
  return shape;
}

// Down from the outputs while there is one way only, with whole gradients: [rows, C, L] where the
// first operation with windows comes.
GradNode* through_head(GradNode* node, at::Tensor& grad) {
  while (node && !(window_rule(*node) && grad.dim() == 3)) {
    if (node->num_outputs() != 1 || !node->next_edge(0).is_valid()) {
      return nullptr;
    }
    grad = (*node)({grad})[0];
    if (!grad.defined()) {
      return nullptr;
    }
    node = node->next_edge(0).function.get();
  }
  return node;
}

// The common windows of whole gradients [outputs, rows, C, L], output k's moved by k.
std::optional<Windows> find_windows(const at::Tensor& whole) {
  const at::Tensor used = (whole != 0).any(1).any(1).to(at::kCPU).contiguous();
  const bool* here = used.data_ptr<bool>();
  const int64_t outputs = whole.size(0);
  const int64_t length = whole.size(3);
  int64_t start = length;
  int64_t end = -outputs;
  for (int64_t k = 0; k < outputs; ++k) {
    for (int64_t p = 0; p < length; ++p) {
      if (here[k * length + p]) {
        start = std::min(start, p - k);
        end = std::max(end, p - k + 1);
      }
    }
  }
  if (start < 0 || end <= start || end + outputs - 1 > length || 2 * (end - start) > length) {
    return std::nullopt;
  }
  std::vector<at::Tensor> values;
  for (int64_t k = 0; k < outputs; ++k) {
    values.push_back(whole[k].narrow(2, start + k, end - start));
  }
  return Windows{at::stack(values), start};
}

// Both in windows that hold both.
Windows add(const Windows& a, const Windows& b) {
  if (!a.values.defined()) {
    return b;
  }
  const int64_t start = std::min(a.start, b.start);
  const int64_t end = std::max(a.start + a.values.size(3), b.start + b.values.size(3));
  const bool a_is_all = a.start == start && a.values.size(3) == end - start;
  const Windows& large = a_is_all ? a : b;
  const Windows& small = a_is_all ? b : a;
  at::Tensor sum;
  if (large.start == start && large.values.size(3) == end - start) {
    sum = large.values.clone();
  } else {
    sum = at::constant_pad_nd(large.values,
                              {large.start - start, end - large.start - large.values.size(3)});
  }
  sum.narrow(3, small.start - start, small.values.size(3)).add_(small.values);
  return {sum, start};
}

// What the operations of ATen that keep positions apart hand on to their inputs: sums of values of
// one shape, channels put together, copies.
bool pass_on(GradNode& node, const Windows& grad, NodeShapes& shapes,
             std::vector<Windows>& inputs) {
  const std::string name = node.name();
  const bool sum = name == "AddBackward0" || name == "CloneBackward0";
  if (!sum && name != "CatBackward0") {
    return false;
  }
  const std::vector<int64_t> own = shape_of(&node, 0, shapes);
  for (const auto& edge : node.next_edges()) {
    if (!edge.is_valid()) {
      continue;
    }
    const auto& shape = shape_of(edge.function.get(), edge.input_nr, shapes);
    const bool fits = shape.size() == 3 && own.size() == 3 && shape[0] == own[0] &&
                      shape[2] == own[2] && (!sum || shape[1] == own[1]);
    if (!fits) {
      return false;
    }
  }
  const std::vector<int64_t> rows{grad.values.size(0), grad.values.size(1)};
  for (const at::Tensor& part : node({grad.values.flatten(0, 1)})) {
    inputs.push_back({part.defined() ? part.unflatten(0, rows) : part, grad.start});
  }
  return true;
}

// Back through the operations below `top` in an order in which each has its whole gradient before
// it hands it on, as autograd does it.
std::optional<Windows> go_back(GradNode* top, const Windows& grad, NodeShapes& shapes) {
  std::unordered_map<GradNode*, int> missing;
  std::vector<GradNode*> waiting{top};
  missing[top] = 0;
  while (!waiting.empty()) {
    GradNode* node = waiting.back();
    waiting.pop_back();
    for (const auto& edge : node->next_edges()) {
      if (edge.is_valid() && missing[edge.function.get()]++ == 0) {
        waiting.push_back(edge.function.get());
      }
    }
  }
  std::unordered_map<GradNode*, Windows> grads{{top, grad}};
  std::vector<GradNode*> ready{top};
  std::optional<Windows> at_leaf;
  while (!ready.empty()) {
    GradNode* node = ready.back();
    ready.pop_back();
    const Windows own = grads[node];
    grads.erase(node);
    if (!own.values.defined()) {
      return std::nullopt;
    }
    if (node->num_outputs() == 0) {
      at_leaf = own;
      continue;
    }
    std::vector<Windows> inputs;
    if (const WindowBackward* rule = window_rule(*node)) {
      if (node->num_outputs() != 1) {
        return std::nullopt;
      }
      inputs.push_back((*rule)(own));
      if (!inputs[0].values.defined()) {
        return std::nullopt;
      }
    } else if (!pass_on(*node, own, shapes, inputs)) {
      return std::nullopt;
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      GradNode* next = node->next_edge(i).function.get();
      if (!next) {
        continue;
      }
      if (inputs[i].values.defined()) {
        grads[next] = add(grads[next], inputs[i]);
      }
      if (--missing[next] == 0) {
        ready.push_back(next);
      }
    }
  }
  return at_leaf;
}

}  // namespace

size_t WindowedGradients::end_of_group(size_t begin) const {
  const auto most = static_cast<size_t>(std::max<int64_t>(1, rows_together / leaf_.size(0)));
  size_t end = begin + 1;
  while (end < targets_.size() && end - begin < most && targets_[end] == targets_[end - 1] + 1) {
    ++end;
  }
  return end;
}

std::optional<Windows> WindowedGradients::group(size_t begin, size_t end) {
  const at::NoGradGuard guard;
  std::vector<at::Tensor> whole;
  GradNode* top = nullptr;
  for (size_t t = begin; t < end; ++t) {
    at::Tensor grad = at::zeros_like(columns_);
    grad.select(1, targets_[t]).fill_(1);
    top = through_head(columns_.grad_fn().get(), grad);
    if (!top) {
      return std::nullopt;
    }
    whole.push_back(grad);
  }
  const auto windows = find_windows(at::stack(whole));
  return windows ? go_back(top, *windows, shapes_) : std::nullopt;
}

std::optional<at::Tensor> WindowedGradients::at(size_t t) {
  if (t < begin_ || t >= end_) {
    begin_ = t;
    end_ = end_of_group(t);
    windows_ = group(begin_, end_);
  }
  if (!windows_) {
    return std::nullopt;
  }
  const auto k = static_cast<int64_t>(t - begin_);
  at::Tensor result = at::zeros_like(leaf_).detach();
  const at::NoGradGuard guard;
  result.narrow(2, windows_->start + k, windows_->values.size(3)).copy_(windows_->values[k]);
  return result;
}

}  // namespace seqlift
