// An operation of LibTorch run on arguments that are all known.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/import/onnx/build.h"

namespace seqlift {
namespace onnx {

// `target`: "add.Tensor". `values`: the tensors of the arguments, in their order. Errors: kind
// "model", with what LibTorch says.
std::vector<at::Tensor> run_operation(const std::string& target, const Arguments& arguments,
                                      const std::function<at::Tensor(const ProgramValue&)>& known);

}  // namespace onnx
}  // namespace seqlift
