// What a whole module that was pickled tells beside its weights: its class, and attributes that no
// weight has (BPNet's `trimming`).
#pragma once

#include <string>

#include "core/files/state_dict.h"
#include "core/import/architectures/architectures.h"

namespace seqlift {

// `options` with what was not given taken from the module at `prefix`. A note says of which class
// it is where that is not the architecture's own: its forward is not in the file.
// Errors: kind "model" where the class is known to compute something else.
BpnetOptions with_module_settings(BpnetOptions options, const std::string& architecture,
                                  StateDict& state_dict, const std::string& prefix);

// The same, from a module or from the configuration of a checkpoint ({config, state_dict}).
CherimoyaOptions with_module_settings(CherimoyaOptions options, StateDict& state_dict,
                                      const std::string& prefix);

// The same note, for architectures that have no such attributes.
void note_module_class(const std::string& architecture, StateDict& state_dict);

}  // namespace seqlift
