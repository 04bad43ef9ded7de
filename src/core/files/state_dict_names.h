// What stands before and beside the names of a network's weights: wrappers put `module.` or
// `_orig_mod.` there, training code the attribute that the network was.
#pragma once

#include <string>
#include <vector>

#include "core/numeric/named_tensors.h"

namespace seqlift {

// Sentences about what was left out are added to `notes`.
using Notes = std::vector<std::string>;

// Without what torch.compile (`_orig_mod.`), FSDP (`_fsdp_wrapped_module.`) and checkpointing of
// activations (`_checkpoint_wrapped_module.`) put into names, without the `module.` of
// DataParallel before all of them, and without the `n_averaged` of torch's AveragedModel beside it.
NamedTensors without_wrappers(const NamedTensors& tensors, Notes& notes);

// Those whose names begin with `prefix` (a dot is added where it has none at its end), without it.
// Errors: kind "state_dict" where there is none.
NamedTensors below_prefix(const NamedTensors& tensors, const std::string& prefix);

// The network that has all of `anchors` among its names, wherever it is: alone, or in something
// else. Where none is, `tensors` as they are. Errors: kind "state_dict" where there are several.
NamedTensors find_network(const NamedTensors& tensors, const std::vector<std::string>& anchors,
                          Notes& notes);

}  // namespace seqlift
