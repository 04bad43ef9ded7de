// Weights in several files: an index in JSON (model.safetensors.index.json) that says of every name
// which file beside it holds it, as huggingface_hub writes it.
#pragma once

#include <functional>
#include <string>

#include "core/files/mapped_file.h"
#include "core/numeric/named_tensors.h"

namespace seqlift {

bool is_shard_index(const Bytes& file);

// The tensors of all files, one file after the other; `path`: of the index; `read`: reads one of
// them. Errors: kind "file" (no index, a file that is elsewhere or missing, a name that is nowhere
// or in two files).
NamedTensors read_shards(const Bytes& file, const std::string& path,
                         const std::function<NamedTensors(const std::string& path)>& read);

}  // namespace seqlift
