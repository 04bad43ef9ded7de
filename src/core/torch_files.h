// The three formats of torch.save(). In each, a pickle says which tensors there are, and refers to
// the numbers, which lie elsewhere in the file, by the key of a storage.
#pragma once

#include <string>

#include "mapped_file.h"
#include "modules.h"

namespace seqlift {

// Since PyTorch 1.6: a zip archive of data.pkl and data/<key>.
NamedTensors read_torch_zip(const Bytes& file, const std::string& name);

// Since PyTorch 0.1.10: five pickles, one after another (a number to know the format by, its
// version, the machine, the object, the storages' keys), then the storages.
NamedTensors read_torch_pickle(const Bytes& file, const std::string& name);

// Before: a tar archive of `storages`, `tensors` and `pickle`.
bool is_tar(const Bytes& file);
NamedTensors read_torch_tar(const Bytes& file, const std::string& name);

}  // namespace seqlift
