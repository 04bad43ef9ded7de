// Products of two values that depend on X, number by number.
#pragma once

#include "core/halves/halves.h"

namespace seqlift {

// midpoint() of a b.
Halves times(const Halves& a, const Halves& b, const BatchShape& batch);

}  // namespace seqlift
