#include "core/files/pickle_names.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace seqlift {

namespace {

// Of these only `calls` may be called.
constexpr std::array<std::string_view, 14> calls{
    "collections.OrderedDict",
    "collections.defaultdict",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._tensor._rebuild_from_type_v2",
    "torch.Size",
    "torch.device",
    "_codecs.encode",
    "builtins.set",
    "__builtin__.set",
    "builtins.frozenset",
};
constexpr std::array<std::string_view, 9> things{
    "torch.Tensor",
    "torch.nn.parameter.Parameter",
    "torch.storage.UntypedStorage",
    "torch.storage._UntypedStorage",
    "torch.UntypedStorage",
    "torch._UntypedStorage",
    "torch.strided",
    "torch.contiguous_format",
    "torch.preserve_format",
};
// "torch.FloatStorage", "torch.cuda.FloatStorage", "torch.FloatTensor", "torch.float32".
constexpr std::array<std::string_view, 12> element_names{
    "Double", "Float", "Half", "BFloat16", "Long",         "Int",
    "Short",  "Char",  "Byte", "Bool",     "ComplexFloat", "ComplexDouble"};
constexpr std::array<std::string_view, 12> dtype_names{
    "float64", "float32", "float16", "bfloat16", "int64",     "int32",
    "int16",   "int8",    "uint8",   "bool",     "complex64", "complex128"};

// Names with a place of their own, so that values can refer to them.
const std::vector<std::string>& known_names() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> names(calls.begin(), calls.end());
    names.insert(names.end(), things.begin(), things.end());
    for (const std::string_view type : element_names) {
      for (const char* prefix : {"torch.", "torch.cuda."}) {
        names.push_back(prefix + std::string(type) + "Storage");
        names.push_back(prefix + std::string(type) + "Tensor");
      }
    }
    for (const std::string_view dtype : dtype_names) {
      names.push_back("torch." + std::string(dtype));
    }
    return names;
  }();
  return all;
}

}  // namespace

std::string_view known_name(std::string_view name) {
  const auto& known = known_names();
  const auto found = std::find(known.begin(), known.end(), name);
  return found == known.end() ? std::string_view() : std::string_view(*found);
}

bool may_be_called(std::string_view name) {
  return std::find(calls.begin(), calls.end(), name) != calls.end();
}

}  // namespace seqlift
