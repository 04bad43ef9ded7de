// How the positions of values follow those of X: whether a piece of X, evaluated by itself, gives a
// piece of each value, and how many positions at its ends are not those of the whole.
//
// Value i along its positions stands for the positions of X from i * step on, and looks at those
// from i * step - before to i * step + behind - 1. What comes before the first position of X or
// behind the last one is an operation's own padding. A piece of X that begins at a multiple of
// `step` gives values at the same places, shifted by the piece's beginning; those are the whole's
// that look at nothing outside of the piece, its ends being padded as the whole's are only where
// they are the whole's. By composition: what a value looks at holds what its inputs look at.
//
// Which operations do so is a property of their rows (Along); all others, and what a value's own
// length or a number for each position goes into, is not followed. What was evaluated is written
// down, so that a piece can be held to have gone the way of the whole.
#pragma once

#include <c10/core/TensorImpl.h>
#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/model/operation.h"

namespace seqlift {

struct Positions {
  int64_t axis = -1;   // the dimension of positions; -1: it depends on X in another way
  int64_t length = 0;  // how many there are
  int64_t step = 1;    // see above, in positions of X
  int64_t before = 0;
  int64_t behind = 1;

  bool followed() const { return axis >= 0; }
};

class PositionLog {
 public:
  // What was evaluated, in words, and whether positions could be followed through all of it.
  struct Steps {
    std::string text;
    bool followed = true;
  };

  // Of a tensor that is known from elsewhere: X.
  void given(const at::Tensor& tensor, const Positions& positions);
  // A copy of another tensor.
  void copied(const at::Tensor& from, const at::Tensor& to);
  // nullptr: it does not depend on X as far as is known.
  const Positions* find(const at::Tensor& tensor) const;
  // An operation was evaluated.
  void follow(const Call& call, const std::vector<Value>& outputs);
  // Since it was last asked for.
  Steps take();

 private:
  void note(const at::Tensor& tensor, const Positions& positions);

  struct Known {
    c10::weak_intrusive_ptr<c10::TensorImpl> tensor;  // an address is used again
    Positions positions;
  };
  std::map<const void*, Known> known_;
  Steps steps_;
};

// Those of X itself: its longest dimension is taken for them.
Positions positions_of(const at::Tensor& X);

}  // namespace seqlift
