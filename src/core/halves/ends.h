// The operands of a rule, taken apart.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/halves/halves.h"

namespace seqlift {

struct Ends {
  Operands x;       // the sequences' half
  Operands ref;     // the references' half, without history
  Operands inputs;  // the references' half as autograd knows it
};

inline Ends ends_of(const std::vector<Halves>& operands) {
  Ends ends;
  for (const Halves& operand : operands) {
    ends.x.push_back(operand.x);
    ends.ref.push_back(operand.ref.detach());
    ends.inputs.push_back(operand.ref);
  }
  return ends;
}

}  // namespace seqlift
