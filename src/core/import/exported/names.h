// Names of modules and weights as TorchScript can have them.
#pragma once

#include <string>
#include <vector>

namespace seqlift {

// "a.b.c" to "a", "b", "c".
std::vector<std::string> split_path(const std::string& path);

// A part of a path may be a number, and nothing else that is no identifier. Errors: kind "model".
void check_part(const std::string& part);

// "torch.nn.modules.conv.Conv1d", of letters that a class name may have. Classes of the script
// that exported the model go without its name, as in TorchScript.
std::string plain_class(const std::string& given);

bool is_inside(const std::string& path, const std::string& outer);

// object.name, or getattr(object, "0").
std::string access(const std::string& object, const std::string& name);

// "a, b, c".
std::string with_commas(const std::vector<std::string>& texts);

}  // namespace seqlift
