// The three formats of torch.save(). In each, a pickle says which tensors there are, and refers to
// the numbers, which lie elsewhere in the file, by the key of a storage. `prefix`: see
// pickled_tensors().
#pragma once

#include <string>

#include "core/files/mapped_file.h"
#include "core/files/pickled_tensors.h"

namespace seqlift {

// Since PyTorch 1.6: a zip archive of data.pkl and data/<key>.
PickledWeights read_torch_zip(const Bytes& file, const std::string& name,
                              const std::string& prefix);

// Since PyTorch 0.1.10: five pickles, one after another (a number to know the format by, its
// version, the machine, the object, the storages' keys), then the storages.
PickledWeights read_torch_pickle(const Bytes& file, const std::string& name,
                                 const std::string& prefix);

// Before: a tar archive of `storages`, `tensors` and `pickle`.
bool is_tar(const Bytes& file);
PickledWeights read_torch_tar(const Bytes& file, const std::string& name,
                              const std::string& prefix);

}  // namespace seqlift
