// A file as a span of memory, read by the system as it is looked at. The mapping is private: what
// is written to the memory never reaches the file.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace seqlift {

struct Bytes {
  const char* data = nullptr;
  size_t size = 0;
  std::shared_ptr<const void> owner;  // keeps `data` where it is
};

// Errors: kind "file" (missing, a directory, not a file that can be mapped).
Bytes map_file(const std::string& path);

// `text` from a file for a message: printable ASCII, at most 100 characters of it.
std::string printable(const std::string& text);

}  // namespace seqlift
