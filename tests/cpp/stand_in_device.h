// A device that is none: its tensors lie in the CPU's memory but belong to LibTorch's device type
// for newcomers, "privateuseone", so every operation is dispatched, and every backward pass
// scheduled, as on an accelerator. An operation on tensors of this device and of the CPU together
// fails, as it does on CUDA. So what the core leaves on the CPU, or reads as the CPU's memory, is
// seen on a machine without an accelerator.
#pragma once

#include <c10/core/Device.h>

namespace nets {

// Whether the LibTorch in use is one for which the device is written (1.13).
bool has_stand_in();
c10::Device stand_in();
// How many operations have been run on it.
long stand_in_operations();

}  // namespace nets
