// Operations on tensors between the layers of a Keras model.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/import/keras/layers.h"

namespace seqlift {
namespace keras {

// In the arguments of an operation, {input_mark: i} stands for the i-th of the call's inputs.
extern const char* const input_mark;

// By the names of Keras 3: "TrueDivide".
bool is_operation(const std::string& name);
// The name in Keras 3 of "math.truediv"; the function's own where there is none.
std::string operation_of_tensorflow(const std::string& function);

// By the names that Keras 3 has for them. `options`: the operation's own; `positional`, `named`:
// what it is called with.
nlohmann::json operation_arguments(const std::string& operation, const nlohmann::json& options,
                                   const nlohmann::json& positional, const nlohmann::json& named,
                                   bool tensorflow);

// Errors: kind "model", for what it is called with.
Built operation(LayerCall& call, const std::string& name, const nlohmann::json& arguments);

}  // namespace keras
}  // namespace seqlift
