// Operations that LibTorch computes but has no derivative of, or a wrong one, written by those that
// it has one of.
#pragma once

#include <ATen/core/ivalue.h>

#include <vector>

namespace seqlift {

// Takes and returns what the operation does.
using Compute = std::vector<c10::IValue> (*)(const std::vector<c10::IValue>& stack);

namespace derivatives {
using Stack = std::vector<c10::IValue>;
Stack nll_loss(const Stack& stack);
Stack channel_shuffle(const Stack& stack);
Stack aminmax(const Stack& stack);
Stack floor_divide(const Stack& stack);
Stack heaviside(const Stack& stack);
Stack conv_tbc(const Stack& stack);
Stack masked_select(const Stack& stack);
Stack remainder(const Stack& stack);
}  // namespace derivatives

}  // namespace seqlift
