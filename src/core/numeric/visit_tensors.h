// The tensors of a value of TorchScript.
#pragma once

#include <ATen/core/ivalue.h>

#include <functional>

namespace seqlift {

// All tensors inside a value, those in lists, tuples and dictionaries included.
void visit_tensors(const c10::IValue& value, const std::function<void(const at::Tensor&)>& visit);

}  // namespace seqlift
