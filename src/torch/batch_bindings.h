// Further entry points of seqlift_torch.so, see bindings.h.
#pragma once

#include "bindings.h"

extern "C" {

SEXP seqlift_torch_fixed_batch(SEXP pointer, SEXP input, SEXP options);

}  // extern "C"
