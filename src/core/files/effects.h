// TorchScript is code. Its operations compute with what is in memory, but for a few that read or
// write files, talk to other processes or change what the whole process shares. No model needs
// them to predict, and a file from elsewhere may hold them: they are refused before anything runs.
#pragma once

#include <string>

namespace seqlift {

// What the operation `space`::`name` does outside of the model's own values ("writes files"), or ""
// for one that only computes.
std::string effect_of(const std::string& space, const std::string& name);

// The same for classes that LibTorch brings: torch.classes.<space>.
std::string effect_of_class(const std::string& space);

// Refuses TorchScript source that calls such an operation, or that hides which it calls (an alias
// of `torch` or `ops`). `place`: of the source, for messages. Kind "code".
void check_code(const std::string& source, const std::string& place);

// Refuses a pickle that makes objects of such a class. Kind "code".
void check_pickled_classes(const char* data, size_t size, const std::string& place);

// The refusal. Kind "code".
[[noreturn]] void refuse_effect(const std::string& place, const std::string& what,
                                const std::string& effect);

}  // namespace seqlift
