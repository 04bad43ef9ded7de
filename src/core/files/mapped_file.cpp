#include "core/files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace seqlift {

namespace {

struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) {
      close(number);
    }
  }
};

}  // namespace

Bytes map_file(const std::string& path) {
  // Asked before it is opened: opening a pipe would wait for its other end.
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    throw Error("file", "There is no file \"" + path + "\".");
  }
  if (S_ISDIR(status.st_mode)) {
    throw Error("file", "\"" + path + "\" is a directory, not a file.");
  }
  if (!S_ISREG(status.st_mode)) {
    throw Error("file", "\"" + path + "\" is a device or a pipe, not a file.");
  }
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.number < 0 || fstat(file.number, &status) != 0) {
    throw Error("file", "\"" + path + "\" could not be opened: " + std::strerror(errno) + ".");
  }
  Bytes bytes;
  if (status.st_size == 0) {
    return bytes;
  }
  bytes.size = static_cast<size_t>(status.st_size);
  // Writable, as a tensor that views the file may be written to.
  void* start = mmap(nullptr, bytes.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
                     file.number, 0);
  if (start == MAP_FAILED) {
    throw Error("file", "\"" + path + "\" could not be read: " + std::strerror(errno) + ".");
  }
  bytes.data = static_cast<const char*>(start);
  bytes.owner = std::shared_ptr<const void>(
      start, [size = bytes.size](const void* from) { munmap(const_cast<void*>(from), size); });
  return bytes;
}

std::string printable(const std::string& text) {
  const size_t longest = 100;
  std::string result;
  for (const char letter : text.substr(0, longest)) {
    result += letter >= 0x20 && letter < 0x7f ? letter : '?';
  }
  return text.size() > longest ? result + "..." : result;
}

}  // namespace seqlift
