// Class names as R's torch makes them up, one for each module and trace.
#pragma once

#include <string>

namespace seqlift {

// Without the "_" and the 24 random letters at the end: "nn_linear_xyz..." is "nn_linear".
std::string without_trace_letters(const std::string& name);

}  // namespace seqlift
