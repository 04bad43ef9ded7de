// The score of a profile as modules of its own, so that a registration and module mode see in it
// what they see in a model whose author wrote it.
#pragma once

#include "core/model/modules.h"

namespace seqlift {

// ProfileScore with what it holds: logits [n, ...] to scores [n, 1].
ModulePart profile_score_part();

// Where the modules stand in the wrapped model: ProfileScore here, LogitScaling and Softmax below.
constexpr const char* profile_score_path = "profile_score()";

}  // namespace seqlift
