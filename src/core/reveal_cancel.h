// The rules of the DeepLIFT package (Shrikumar, Greenside and Kundaje 2017, sections 3.3 to 3.5):
// RevealCancel, Rescale, and the genomics default, which takes Rescale behind convolutions and
// RevealCancel behind dense layers.
//
// RevealCancel keeps what raises a unit apart from what lowers it. One batch of five blocks of rows
// goes through the graph, each with a row per sequence-reference pair:
//
//   x            the sequences
//   reference    their references
//   plus         origin + d+, the sum of what raises the unit above its reference
//   minus        origin + d-, the sum of what lowers it; d+ + d- = x - reference
//   origin       what constants (a bias, a padding) add to the two above
//
// Autograd records the blocks plus and minus, so the gradients of a target with respect to them are
// the multipliers of positive and of negative differences.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rules.h"

namespace seqlift {

enum class NonlinearRule { rescale, reveal_cancel, genomics_default };

class RevealCancel {
 public:
  // `pairs`: how many rows each block has.
  RevealCancel(NonlinearRule rule, int64_t pairs) : rule_(rule), pairs_(pairs) {}

  // The blocks of an input, and leaves whose gradients are the multipliers.
  struct Input {
    at::Tensor blocks;  // [5 pairs, C, L]
    at::Tensor plus;    // leaves [pairs, C, L]
    at::Tensor minus;
  };
  static Input input(const at::Tensor& x, const at::Tensor& reference);
  // The blocks of an argument that a sequence shares with its references.
  static at::Tensor repeat(const at::Tensor& arg);
  // d+ + d- of the model's output [5 pairs, ...]: what the leaves share out.
  static at::Tensor change(const at::Tensor& output);
  int64_t rows() const;

  // An operation on the blocks by its rule; nothing where the engine may run it as it is. Errors:
  // kind "unsupported_operation" for what has no rule.
  std::vector<Value> apply(Call& call);

 private:
  enum class Layer { none, dense, convolution };
  using GradientNode = std::decay_t<decltype(std::declval<at::Tensor>().grad_fn())>;

  std::vector<Value> linear(Call& call);
  std::optional<std::vector<Value>> scaled(Call& call);
  std::optional<std::vector<Value>> weighted(Call& call);
  std::vector<Value> elementwise(Call& call);
  std::vector<Value> shared(Call& call);

  std::vector<at::Tensor> split(const Call& call, const at::Tensor& stack) const;
  at::Tensor by_sign(const Call& call, const at::Tensor& stack) const;
  bool reveals(const Call& call, const at::Tensor& stack) const;
  Layer layer_behind(const at::Tensor& stack) const;

  NonlinearRule rule_;
  int64_t pairs_;
  // The layers seen so far by their place in autograd's graph; the node is kept so that its address
  // stays its own.
  std::unordered_map<const void*, std::pair<GradientNode, Layer>> layers_;
};

}  // namespace seqlift
