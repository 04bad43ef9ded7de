// What messages call the operations and values of a trace.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string>

namespace seqlift {

// What an operation of a trace is called in a message: "`view` (after `conv2`)", the last module
// before it whose weights were read.
std::string name_of_operation(const torch::jit::Node* node);
// A value of a constant as text.
std::string value_text(const c10::IValue& value);

}  // namespace seqlift
