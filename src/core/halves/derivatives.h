// Operations that LibTorch computes but has no derivative of, or a wrong one, written by those that
// it has one of.
#pragma once

#include <ATen/core/ivalue.h>

#include <string>
#include <vector>

namespace seqlift {

// Takes and returns what the operation does.
using Compute = std::vector<c10::IValue> (*)(const std::vector<c10::IValue>& stack);

// nullptr where the operation itself will do.
Compute with_derivative(const std::string& name);

}  // namespace seqlift
