// The ways in which positions pass an operation (Along): where its result has them, if its inputs
// have them so.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/evaluate/positions.h"

namespace seqlift {

// Of its results, or nothing: they are not followed.
using Followed = std::optional<Positions>;

// An operation's tensors: those with positions and the others.
struct PositionInputs {
  std::vector<at::Tensor> tensors;  // in the order of the arguments
  std::vector<const Positions*> positions;

  bool any() const {
    return std::any_of(positions.begin(), positions.end(), [](const Positions* p) { return p; });
  }
  // Nothing but the first has positions.
  bool first_alone() const {
    return !positions.empty() && positions[0] &&
           std::none_of(positions.begin() + 1, positions.end(),
                        [](const Positions* p) { return p; });
  }
};

// `along` is told what a slice leaves out of the positions.
Followed through(const Call& call, const PositionInputs& inputs, const at::Tensor& output,
                 std::string& along);

}  // namespace seqlift
