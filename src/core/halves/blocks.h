// The five blocks of rows that the rules of the DeepLIFT package work on, each with a row for every
// sequence-reference pair. One batch of them, a stack, goes through the graph (reveal_cancel.h).
#pragma once

#include <optional>

#include "core/numeric/tensor_functions.h"

namespace seqlift {

struct Blocks {
  at::Tensor x;          // the sequences
  at::Tensor reference;  // their references
  at::Tensor plus;       // origin + d+, the sum of what raises a unit above its reference
  at::Tensor minus;      // origin + d-, the sum of what lowers it; d+ + d- = x - reference
  at::Tensor origin;     // what constants (a bias, a padding) add to the two above

  static constexpr int64_t count = 5;

  // A stack taken apart.
  static Blocks of(const at::Tensor& stack);
  // The same block five times.
  static Blocks all(const at::Tensor& block) { return {block, block, block, block, block}; }
  at::Tensor stack() const;
  at::Tensor rise() const { return plus - origin; }   // d+
  at::Tensor fall() const { return minus - origin; }  // d-
  // The blocks with d+ and d- in each other's place.
  Blocks crossed() const { return {x, reference, minus, plus, origin}; }
};

// The blocks of a stack of pairs, or none where its rows are not theirs: the parts do not add up to
// the difference where the model moved the batch dimension.
std::optional<Blocks> blocks_of_pairs(const at::Tensor& stack, int64_t pairs);

// What belongs to a difference that is split by its sign: the mean of both where it is zero.
at::Tensor of_sign(const at::Tensor& difference, const at::Tensor& plus, const at::Tensor& minus);

}  // namespace seqlift
