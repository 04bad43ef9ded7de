// The operands of a rule, taken apart.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/halves/halves.h"

namespace seqlift {

struct OperandHalves {
  Operands x;       // the sequences' half
  Operands ref;     // the references' half, without history
  Operands inputs;  // the references' half as autograd knows it
};

inline OperandHalves operand_halves(const std::vector<Halves>& operands) {
  OperandHalves halves;
  for (const Halves& operand : operands) {
    halves.x.push_back(operand.x);
    halves.ref.push_back(operand.ref.detach());
    halves.inputs.push_back(operand.ref);
  }
  return halves;
}

}  // namespace seqlift
