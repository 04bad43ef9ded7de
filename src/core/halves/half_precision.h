// Weights of half precision (float16, bfloat16) are for storage here: what is computed with them is
// computed in the call's dtype. No CPU computes with them as the GPUs do that they were made on.
#pragma once

#include "core/halves/constants.h"

namespace seqlift {

// Whether the call's dtype takes the place of this one: of the model's own, and of half precision
// wherever it is written.
bool is_converted(const Constants& constants, at::ScalarType dtype);

}  // namespace seqlift
