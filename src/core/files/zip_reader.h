// The members of a zip archive, as PyTorch and its relatives write them: stored, so that they are
// used where they lie in the file. Nothing the file says is believed before it has been held
// against the file's size.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/files/mapped_file.h"

namespace seqlift {

// Errors of all: kind "file", naming the file and the member.
class ZipReader {
 public:
  // Reads the list of members, zip64 or not. Refused: what is cut short, encrypted, lies in several
  // files or leaves the file; two members of one name; members that share bytes.
  explicit ZipReader(const std::string& path);
  // `name`: of the file, for messages.
  ZipReader(Bytes file, std::string name);

  const std::string& name() const { return name_; }  // of the file
  const std::vector<std::string>& names() const { return names_; }
  bool has(const std::string& name) const { return members_.count(name) != 0; }
  // The member where it lies, once its CRC-32 is found to be right. A compressed member is refused.
  Bytes read(const std::string& name) const;
  // A compressed one too, as LibTorch writes code, if it unfolds to no more than 256 MB.
  Bytes read_unfolded(const std::string& name) const;
  // Bytes of the member when unfolded.
  uint64_t size(const std::string& name) const { return find(name).size; }

  // Checks the CRC-32 of every member. Members may be compressed, if all of them unfold to no more
  // than 256 MB.
  void check() const;

 private:
  struct Member {
    uint64_t offset = 0;  // of its own header
    uint64_t begin = 0;   // of its data
    uint64_t stored = 0;  // bytes in the file
    uint64_t size = 0;    // bytes when unfolded
    uint32_t crc = 0;
    uint16_t method = 0;
  };

  void read_directory();
  void find_data(const std::string& name, Member& member, uint64_t directory) const;
  void check_overlaps(uint64_t directory) const;
  const Member& find(const std::string& name) const;
  Bytes unfold(const std::string& name, uint64_t most) const;
  void check_crc(const std::string& name, uint32_t crc, const char* data, size_t size) const;
  [[noreturn]] void damaged(const std::string& why) const;
  uint64_t number(uint64_t at, int size) const;

  Bytes file_;
  std::string name_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, Member> members_;
};

}  // namespace seqlift
