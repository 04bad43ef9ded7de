// The classes and functions of Python that a state dict is made of, by their full names.
#pragma once

#include <string_view>

namespace seqlift {

// The same name in a place that stays, or nothing when it is none of them.
std::string_view known_name(std::string_view name);
// Whether it puts tensors and containers together.
bool may_be_called(std::string_view name);

}  // namespace seqlift
