// The format is PKWARE's APPNOTE 6.3. A directory at the end of the file lists the members:
//
//   member header, data   ... one of each member
//   directory             one entry a member: where its header is, how long its data are, CRC-32
//   [zip64 end]           where the directory is, in 64 bits
//   end                   where the directory is, in 32 bits
#include "core/files/zip_reader.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "core/base/error.h"
#include "core/files/inflate.h"

namespace seqlift {

namespace {

constexpr uint32_t member_mark = 0x04034b50;
constexpr uint32_t entry_mark = 0x02014b50;
constexpr uint32_t end_mark = 0x06054b50;
constexpr uint32_t end64_mark = 0x06064b50;
constexpr uint32_t locator_mark = 0x07064b50;
constexpr uint64_t member_size = 30;
constexpr uint64_t entry_size = 46;
constexpr uint64_t end_size = 22;
constexpr uint64_t end64_size = 56;
constexpr uint64_t locator_size = 20;
constexpr uint64_t longest_comment = 0xffff;
constexpr uint64_t unfolded_limit = uint64_t{256} << 20;
enum Method : uint16_t { method_stored = 0, method_deflated = 8 };

}  // namespace

ZipReader::ZipReader(const std::string& path) : ZipReader(map_file(path), path) {}

ZipReader::ZipReader(Bytes file, std::string name)
    : file_(std::move(file)), name_(std::move(name)) {
  read_directory();
}

void ZipReader::damaged(const std::string& why) const {
  throw Error("file", "\"" + name_ + "\" could not be read as a zip archive: " + why);
}

// A little-endian number; its bytes must be in the file.
uint64_t ZipReader::number(uint64_t at, int size) const {
  if (at > file_.size || file_.size - at < static_cast<uint64_t>(size)) {
    damaged("it is cut short.");
  }
  uint64_t value = 0;
  for (int i = size - 1; i >= 0; --i) {
    value = value << 8 | static_cast<uint8_t>(file_.data[at + i]);
  }
  return value;
}

void ZipReader::read_directory() {
  if (file_.size < end_size) {
    damaged("it is too short.");
  }
  // The end is found by its mark and its comment, which reaches to the end of the file.
  uint64_t end = file_.size - end_size;
  const uint64_t first = end > longest_comment ? end - longest_comment : 0;
  while (number(end, 4) != end_mark || end + end_size + number(end + 20, 2) != file_.size) {
    if (end == first) {
      damaged("its end is missing, so it was cut short or is no archive.");
    }
    --end;
  }
  uint64_t entries = number(end + 10, 2);
  uint64_t size = number(end + 12, 4);
  uint64_t offset = number(end + 16, 4);
  bool one_file = number(end + 4, 2) == 0 || number(end + 4, 2) == 0xffff;
  uint64_t limit = end;
  if (end >= locator_size && number(end - locator_size, 4) == locator_mark) {
    const uint64_t end64 = number(end - locator_size + 8, 8);
    limit = end - locator_size;
    if (end64 > limit || limit - end64 < end64_size || number(end64, 4) != end64_mark) {
      damaged("the end of its list of members is not where it says.");
    }
    limit = end64;
    one_file = number(end64 + 16, 4) == 0;
    entries = number(end64 + 32, 8);
    size = number(end64 + 40, 8);
    offset = number(end64 + 48, 8);
  }
  if (!one_file) {
    damaged("it is one of several files of an archive.");
  }
  if (offset > limit || size > limit - offset || entries > size / entry_size) {
    damaged("its list of members lies outside it.");
  }
  uint64_t at = offset;
  const uint64_t stop = offset + size;
  for (uint64_t i = 0; i < entries; ++i) {
    if (stop - at < entry_size || number(at, 4) != entry_mark) {
      damaged("its list of members is damaged.");
    }
    const uint64_t flags = number(at + 8, 2);
    const uint64_t name_length = number(at + 28, 2);
    const uint64_t extra_length = number(at + 30, 2);
    const uint64_t length = entry_size + name_length + extra_length + number(at + 32, 2);
    if (length > stop - at) {
      damaged("its list of members is damaged.");
    }
    const std::string name(file_.data + at + entry_size, name_length);
    Member member;
    member.method = static_cast<uint16_t>(number(at + 10, 2));
    member.crc = static_cast<uint32_t>(number(at + 16, 4));
    member.stored = number(at + 20, 4);
    member.size = number(at + 24, 4);
    member.offset = number(at + 42, 4);
    // Where 32 bits do not hold a number, it is in a field of 64 bits, in this order.
    const uint64_t extra_end = at + entry_size + name_length + extra_length;
    for (uint64_t field = extra_end - extra_length; field < extra_end;) {
      if (extra_end - field < 4 || number(field + 2, 2) > extra_end - field - 4) {
        damaged("the entry of its member \"" + printable(name) + "\" is damaged.");
      }
      const uint64_t field_end = field + 4 + number(field + 2, 2);
      if (number(field, 2) == 1) {
        uint64_t from = field + 4;
        for (uint64_t* value : {&member.size, &member.stored, &member.offset}) {
          if (*value == 0xffffffff) {
            if (field_end - from < 8) {
              damaged("the entry of its member \"" + printable(name) + "\" is damaged.");
            }
            *value = number(from, 8);
            from += 8;
          }
        }
      }
      field = field_end;
    }
    if ((flags & 1) != 0) {
      damaged("its member \"" + printable(name) + "\" is encrypted.");
    }
    if (name.empty() || name.find('\0') != std::string::npos) {
      damaged("a member has no name.");
    }
    find_data(name, member, offset);
    if (!members_.emplace(name, member).second) {
      damaged("it has two members named \"" + printable(name) + "\".");
    }
    names_.push_back(name);
    at += length;
  }
  if (at != stop) {
    damaged("its list of members is longer than it says.");
  }
  check_overlaps(offset);
}

// The data follow the member's own header, whose extra field may be of another length (PyTorch
// fills it up so that data begin at multiples of 64).
void ZipReader::find_data(const std::string& name, Member& member, uint64_t directory) const {
  const std::string which = "its member \"" + printable(name) + "\"";
  if (member.offset > directory || directory - member.offset < member_size ||
      number(member.offset, 4) != member_mark) {
    damaged(which + " is not where it says.");
  }
  const uint64_t name_length = number(member.offset + 26, 2);
  member.begin = member.offset + member_size + name_length + number(member.offset + 28, 2);
  if (member.begin > directory || member.stored > directory - member.begin) {
    damaged(which + " does not lie in it as a whole.");
  }
  if (name_length != name.size() ||
      std::memcmp(file_.data + member.offset + member_size, name.data(), name.size()) != 0) {
    damaged(which + " has two names.");
  }
  if (number(member.offset + 8, 2) != member.method) {
    damaged(which + " says two things of how it is stored.");
  }
  if (member.method == method_stored && member.stored != member.size) {
    damaged(which + " has two sizes.");
  }
}

void ZipReader::check_overlaps(uint64_t directory) const {
  std::vector<std::pair<uint64_t, uint64_t>> spans;
  for (const auto& one : members_) {
    spans.emplace_back(one.second.offset, one.second.begin + one.second.stored);
  }
  spans.emplace_back(directory, directory);
  std::sort(spans.begin(), spans.end());
  for (size_t i = 1; i < spans.size(); ++i) {
    if (spans[i].first < spans[i - 1].second) {
      damaged("two of its members share bytes.");
    }
  }
}

const ZipReader::Member& ZipReader::find(const std::string& name) const {
  const auto found = members_.find(name);
  if (found == members_.end()) {
    damaged("it has no member \"" + printable(name) + "\".");
  }
  return found->second;
}

void ZipReader::check_crc(const std::string& name, uint32_t crc, const char* data,
                          size_t size) const {
  if (crc32_z(0, reinterpret_cast<const Bytef*>(data), size) == crc) {
    return;
  }
  damaged("its member \"" + printable(name) + "\" " +
          (crc == 0 ? "has no CRC-32 (was it written after "
                      "torch.serialization.set_crc32_options(False)?) or is damaged."
                    : "is damaged: its CRC-32 is another."));
}

Bytes ZipReader::read(const std::string& name) const {
  const Member& member = find(name);
  if (member.method != method_stored) {
    damaged("its member \"" + printable(name) +
            "\" is compressed; PyTorch stores members as they are.");
  }
  Bytes bytes{file_.data + member.begin, static_cast<size_t>(member.size), file_.owner};
  check_crc(name, member.crc, bytes.data, bytes.size);
  return bytes;
}

Bytes ZipReader::unfold(const std::string& name, uint64_t most) const {
  const Member& member = find(name);
  if (member.method != method_deflated || member.size > most) {
    damaged("its member \"" + printable(name) + "\" " +
            (member.method == method_deflated
                 ? "would unfold to " + std::to_string(member.size) + " bytes."
                 : "is compressed in a way that LibTorch does not write."));
  }
  const auto unfolded = std::make_shared<std::string>();
  if (!inflate(file_.data + member.begin, member.stored, member.size, *unfolded)) {
    damaged("its member \"" + printable(name) + "\" is damaged.");
  }
  check_crc(name, member.crc, unfolded->data(), unfolded->size());
  return {unfolded->data(), unfolded->size(), unfolded};
}

Bytes ZipReader::read_unfolded(const std::string& name) const {
  return find(name).method == method_stored ? read(name) : unfold(name, unfolded_limit);
}

void ZipReader::check() const {
  uint64_t left = unfolded_limit;
  for (const std::string& name : names_) {
    if (find(name).method == method_stored) {
      read(name);
    } else {
      left -= unfold(name, left).size;
    }
  }
}

}  // namespace seqlift
