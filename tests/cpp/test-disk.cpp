#ifndef _WIN32
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#endif

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "catch.h"
#include "core/base/disk.h"

using seqlift::file_kind;
using seqlift::FileKind;

#ifndef _WIN32

TEST_CASE("what lies at a path is told through links, and nothing is opened", "[disk]") {
  char name[] = "/tmp/seqlift-disk-XXXXXX";
  const std::string folder = mkdtemp(name);
  const auto in = [&](const std::string& file) { return folder + "/" + file; };
  std::ofstream(in("file")) << "text";
  REQUIRE(mkfifo(in("pipe").c_str(), 0600) == 0);
  const auto link = [&](const std::string& to, const std::string& from) {
    REQUIRE(symlink(to.c_str(), in(from).c_str()) == 0);
  };
  link("file", "to_file");
  link("pipe", "to_pipe");
  link("nothing", "to_nothing");
  link("circle", "circle");
  CHECK(file_kind(in("file")) == FileKind::file);
  CHECK(file_kind(in("to_file")) == FileKind::file);
  CHECK(file_kind(in("pipe")) == FileKind::pipe);
  CHECK(file_kind(in("to_pipe")) == FileKind::pipe);
  CHECK(file_kind(folder) == FileKind::folder);
  CHECK(file_kind("/dev/null") == FileKind::device);
  CHECK(file_kind(in("nothing")) == FileKind::absent);
  CHECK(file_kind(in("to_nothing")) == FileKind::absent);
  CHECK(file_kind(in("file/below")) == FileKind::absent);
  CHECK(file_kind(in("circle")) == FileKind::unknown);

  CHECK(seqlift::flush_to_disk(in("file")).empty());
  CHECK_FALSE(seqlift::flush_to_disk(in("nothing")).empty());
  for (const char* file : {"file", "pipe", "to_file", "to_pipe", "to_nothing", "circle"}) {
    std::remove(in(file).c_str());
  }
  std::remove(folder.c_str());
}

TEST_CASE("room for a file is asked for, and nothing is left of the question", "[disk]") {
  char name[] = "/tmp/seqlift-room-XXXXXX";
  const std::string folder = mkdtemp(name);
  const std::string path = folder + "/room";
  CHECK(seqlift::ask_for_room(path, 0).empty());
  CHECK(seqlift::ask_for_room(path, 1 << 20).empty());
  CHECK(file_kind(path) == FileKind::absent);
  CHECK_FALSE(seqlift::ask_for_room(folder + "/none/room", 1).empty());
  // More than any disk has.
  CHECK_FALSE(seqlift::ask_for_room(path, std::int64_t{1} << 60).empty());
  CHECK(file_kind(path) == FileKind::absent);
#ifdef __linux__
  // Another's file is not touched.
  std::ofstream(path) << "text";
  CHECK_FALSE(seqlift::ask_for_room(path, 1).empty());
  CHECK(file_kind(path) == FileKind::file);
  std::remove(path.c_str());

  // Files of this process may be no longer than this: as on a full disk, but for the error's name.
  rlimit before;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1 << 16, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string fits = seqlift::ask_for_room(path, 1 << 16);
  const std::string too_large = seqlift::ask_for_room(path, (1 << 16) + 1);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, ignored);
  CHECK(fits.empty());
  CHECK_FALSE(too_large.empty());
  CHECK(file_kind(path) == FileKind::absent);
#endif
  std::remove(folder.c_str());
}

#endif
