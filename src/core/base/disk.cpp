#include "core/base/disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace seqlift {

FileKind file_kind(const std::string& path) {
  struct stat about;
  if (stat(path.c_str(), &about) != 0) {
    return errno == ENOENT || errno == ENOTDIR ? FileKind::absent : FileKind::unknown;
  }
  switch (about.st_mode & S_IFMT) {
    case S_IFREG:
      return FileKind::file;
    case S_IFDIR:
      return FileKind::folder;
    case S_IFIFO:
      return FileKind::pipe;
#ifndef _WIN32
    case S_IFSOCK:
      return FileKind::socket;
#endif
    default:
      return FileKind::device;
  }
}

std::string flush_to_disk(const std::string& path) {
#ifdef _WIN32
  const int file = _open(path.c_str(), _O_RDWR | _O_BINARY);
  const auto flush = [file]() { return _commit(file); };
  const auto end = [file]() { return _close(file); };
#else
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  const auto flush = [file]() { return fsync(file); };
  const auto end = [file]() { return close(file); };
#endif
  if (file < 0) {
    return std::strerror(errno);
  }
  std::string problem;
  // Some network file systems have no such call: EINVAL says so.
  if (flush() != 0 && errno != EINVAL) {
    problem = std::strerror(errno);
  }
  if (end() != 0 && problem.empty()) {
    problem = std::strerror(errno);
  }
  return problem;
}

#ifdef __linux__

std::string ask_for_room(const std::string& path, std::int64_t bytes) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    return std::strerror(errno);
  }
  int problem = EINTR;
  while (problem == EINTR) {
    problem = bytes > 0 ? posix_fallocate(file, 0, bytes) : 0;
  }
  close(file);
  unlink(path.c_str());
  // EOPNOTSUPP: this file system cannot say.
  return problem == 0 || problem == EOPNOTSUPP ? "" : std::strerror(problem);
}

#else

std::string ask_for_room(const std::string& path, std::int64_t bytes) {
  std::error_code problem;
  const auto folder = std::filesystem::absolute(path, problem).parent_path();
  const auto about = std::filesystem::space(folder, problem);
  if (problem) {
    return problem.message();
  }
  return about.available < static_cast<std::uintmax_t>(bytes) ? std::strerror(ENOSPC) : "";
}

#endif

}  // namespace seqlift
