// An exported program as the source of TorchScript modules.
#pragma once

#include "core/import/exported/program.h"
#include "core/model/modules.h"

namespace seqlift {

// Stands in front of the place that a line of the code comes from: "net.py:12:h = self.conv(x)".
extern const char* const exported_marker;

// One module for each of the program's, which calls those inside it. Errors: kind "model".
ModulePart write_exported(const ExportedProgram& program);

}  // namespace seqlift
