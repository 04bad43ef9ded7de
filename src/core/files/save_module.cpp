#include "core/files/save_module.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>

#include "core/base/error.h"

namespace seqlift {

void save_module(const torch::jit::Module& module, const std::string& path) {
  std::ostringstream archive;
  module.save(archive);
  const std::string bytes = archive.str();
  std::FILE* file = std::fopen(path.c_str(), "wb");
  bool whole = file != nullptr;
  whole = whole && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  whole = whole && std::fflush(file) == 0;
  std::string reason = whole ? "" : std::strerror(errno);
  if (file != nullptr && std::fclose(file) != 0 && whole) {
    whole = false;
    reason = std::strerror(errno);
  }
  if (!whole) {
    throw Error("file", "The model could not be written as a whole: " + reason + ".");
  }
}

}  // namespace seqlift
