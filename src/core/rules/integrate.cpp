// The rule of what has none, where the user asks for it (fallback = "integrate").

#include "core/base/error.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/operands.h"
#include "core/rules/rules.h"

namespace seqlift {
namespace rules {

std::vector<Value> integral(Call& call) {
  const std::vector<Slot> slots = dependent_slots(call);
  std::vector<Halves> operands;
  Operands points;
  for (const Slot& slot : slots) {
    operands.push_back(slot_halves(call, slot));
    points.push_back(operands.back().ref.detach().requires_grad_());
  }
  const OnHalves<MultiOutput> function(function_of(call, slots, false),
                                       function_of(call, slots, true));
  std::vector<at::Tensor> trial;
  {
    const at::AutoGradMode enabled(true);
    trial = function.ref(points);
  }
  bool any = false;
  for (const at::Tensor& output : trial) {
    if (!output.defined()) {
      throw Error("unsupported_operation",
                  call.where() + " does not return tensors, and cannot be integrated.");
    }
    any = any || output.requires_grad();
  }
  if (!any) {
    throw Error("unsupported_operation",
                call.where() + " has no rule and no gradient that could be integrated.");
  }
  std::vector<Value> outputs;
  for (const Halves& output : integrate(function, operands, call.batch)) {
    outputs.push_back(to_value(output));
    outputs.back().tainted = !outputs.back().depends;
  }
  return outputs;
}

}  // namespace rules
}  // namespace seqlift
