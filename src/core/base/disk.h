// What the standard library does not ask the operating system about files.
#pragma once

#include <cstdint>
#include <string>

namespace seqlift {

// What lies at the path, with links followed. A path that cannot be looked at (a folder without
// permission, a circle of links) is `unknown`.
enum class FileKind { absent, file, folder, pipe, socket, device, unknown };

FileKind file_kind(const std::string& path);

// Waits until the file's bytes are on the disk: some file systems tell only here that there was no
// room for them. Empty, or what the system says went wrong.
std::string flush_to_disk(const std::string& path);

// Whether a new file of so many bytes has room: one is made at the path, where nothing may be, and
// removed again. Empty, or what the system says. For libraries that do not survive a full disk.
std::string ask_for_room(const std::string& path, std::int64_t bytes);

}  // namespace seqlift
