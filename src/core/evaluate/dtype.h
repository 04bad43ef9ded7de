// The dtype of the call where the model's code makes numbers of its own: a model of float32 that is
// asked for float64 computes in float64 throughout, positions, ramps and literals included.
#pragma once

#include <ATen/core/ivalue.h>

#include <vector>

namespace seqlift {

struct Call;
class Constants;

// Tensors of one dtype among `stack` in another.
void cast(std::vector<c10::IValue>& stack, at::ScalarType from, at::ScalarType to);
// A dtype written into the model's code (`.float()`) means the model's own, which is the call's; so
// does the dtype that code gets which names none.
void follow_dtype(Call& call, const Constants& constants);
// Makes `call.evaluate` compute in float64 what would go through float32 otherwise.
void keep_double(Call& call, const Constants& constants);

}  // namespace seqlift
