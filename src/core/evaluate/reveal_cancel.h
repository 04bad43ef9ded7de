// The rules of the DeepLIFT package (Shrikumar, Greenside and Kundaje 2017, sections 3.3 to 3.5):
// RevealCancel, Rescale, and the genomics default, which takes Rescale behind convolutions and
// RevealCancel behind dense layers.
//
// RevealCancel keeps what raises a unit apart from what lowers it. One batch of five blocks of rows
// (blocks.h) goes through the graph. Autograd records the blocks plus and minus, so the gradients
// of a target with respect to them are the multipliers of positive and of negative differences: of
// the input's parts, or of those of any value on the way.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/evaluate/evaluate.h"
#include "core/halves/blocks.h"
#include "core/model/operation.h"

namespace seqlift {

enum class NonlinearRule { rescale, reveal_cancel, genomics_default };

class RevealCancel {
 public:
  // `pairs`: how many rows each block has.
  RevealCancel(NonlinearRule rule, int64_t pairs) : rule_(rule), pairs_(pairs) {}

  // The stack of an input, a leaf.
  static at::Tensor input(const at::Tensor& x, const at::Tensor& reference);
  // The stack of an argument that a sequence shares with its references.
  static at::Tensor repeat(const at::Tensor& arg) { return Blocks::all(arg).stack(); }
  // d+ + d- of the model's output [5 pairs, ...]: what the input's parts share out.
  static at::Tensor change(const at::Tensor& output);
  int64_t rows() const { return Blocks::count * pairs_; }
  // For EvaluateOptions::carry: the layers behind the values that cross a cut.
  std::function<Resume(const std::vector<at::Tensor>& crossing)> carry();

  // An operation on the blocks by its rule; nothing where the engine may run it as it is. Errors:
  // kind "unsupported_operation" for what has no rule.
  std::vector<Value> apply(Call& call);

 private:
  enum class Layer { none, dense, convolution };
  using GradientNode = std::decay_t<decltype(std::declval<at::Tensor>().grad_fn())>;

  // The rules (reveal_cancel_rules.cpp, reveal_cancel_elementwise.cpp).
  std::vector<Value> linear(Call& call);
  std::optional<std::vector<Value>> scaled(Call& call);
  std::optional<std::vector<Value>> weighted(Call& call);
  std::vector<Value> elementwise(Call& call);
  std::vector<Value> shared(Call& call);

  [[noreturn]] static void refuse(const Call& call, const std::string& why);
  static Value to_one_batch(const Call& call, const c10::IValue& result);
  Blocks split(const Call& call, const at::Tensor& stack) const;
  bool reveals(const Call& call, const at::Tensor& stack) const;
  Layer layer_behind(const at::Tensor& stack) const;

  NonlinearRule rule_;
  int64_t pairs_;
  // The layers seen so far by their place in autograd's graph; the node is kept so that its address
  // stays its own.
  std::unordered_map<const void*, std::pair<GradientNode, Layer>> layers_;
};

}  // namespace seqlift
