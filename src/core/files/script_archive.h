// What LibTorch believes of a TorchScript archive without looking: asked before it is let near one.
#pragma once

#include "core/files/zip_reader.h"

namespace seqlift {

// Checks every member's CRC-32, that the pickles put nothing where nothing can be, and that every
// tensor lies within its data. Errors: kind "file".
void check_script_archive(const ZipReader& archive);

}  // namespace seqlift
