#include "files.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "catch.h"
#include "core/base/error.h"

namespace files {

namespace {

// Bit by bit, unlike the core's.
uint32_t crc32(const std::string& data) {
  uint32_t crc = 0xffffffffu;
  for (const char byte : data) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
    }
  }
  return ~crc;
}

// The lowest bit of a byte comes first; Huffman codes have their highest bit first.
class BitWriter {
 public:
  void code(uint32_t value, int n) {
    for (int i = n - 1; i >= 0; --i) {
      bit(value >> i & 1);
    }
  }
  void bit(uint32_t value) {
    if (used_ == 0) {
      bytes_ += '\0';
    }
    bytes_.back() = static_cast<char>(bytes_.back() | value << used_);
    used_ = (used_ + 1) % 8;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  int used_ = 0;
};

std::string tar_member(const std::string& name, const std::string& data) {
  std::string header(512, '\0');
  const auto put = [&](size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  const auto octal = [](size_t value, int digits) {
    std::string text;
    for (int i = 0; i < digits; ++i, value /= 8) {
      text = static_cast<char>('0' + value % 8) + text;
    }
    return text;
  };
  put(0, name);
  put(124, octal(data.size(), 11));
  put(148, "        ");
  put(156, "0");
  put(257, "ustar");
  size_t sum = 0;
  for (const char byte : header) {
    sum += static_cast<unsigned char>(byte);
  }
  put(148, octal(sum, 6) + std::string("\0 ", 2));
  return header + data + std::string((512 - data.size() % 512) % 512, '\0');
}

}  // namespace

seqlift::Bytes bytes_of(const std::string& text) {
  // Of exactly this size, so that a sanitizer sees what is read beyond it.
  const std::shared_ptr<char> copy(new char[text.size()], std::default_delete<char[]>());
  std::memcpy(copy.get(), text.data(), text.size());
  return {copy.get(), text.size(), copy};
}

std::string little(uint64_t value, int width) {
  std::string bytes;
  for (int i = 0; i < width; ++i) {
    bytes += static_cast<char>(value >> (8 * i) & 0xff);
  }
  return bytes;
}

// ---- zip ----

ZipMember stored(const std::string& name, const std::string& data) {
  return {name, data, 0, data.size(), crc32(data)};
}

ZipMember zeros(const std::string& name, uint64_t n) {
  BitWriter bits;
  bits.bit(1);  // the last block
  bits.bit(1);  // of fixed codes
  bits.bit(0);
  bits.code(0x30, 8);  // one zero
  uint64_t made = 1;
  for (; made + 258 <= n; made += 258) {
    bits.code(0xc5, 8);  // 258 bytes
    bits.code(0, 5);     // as the one before
  }
  for (; made < n; ++made) {
    bits.code(0x30, 8);
  }
  bits.code(0, 7);
  return {name, bits.bytes(), 8, n, crc32(std::string(n, '\0'))};
}

std::string zip(const std::vector<ZipMember>& members, const ZipOptions& options) {
  std::string file;
  std::string directory;
  const auto size32 = [&](uint64_t size) { return little(options.zip64 ? 0xffffffff : size, 4); };
  for (const ZipMember& member : members) {
    const std::string crc = little(options.with_crc ? member.crc : 0, 4);
    const std::string long_sizes = little(member.size, 8) + little(member.data.size(), 8);
    const std::string common = little(0, 2) + little(member.method, 2) + little(0, 4) + crc +
                               size32(member.data.size()) + size32(member.size) +
                               little(member.name.size(), 2);
    const std::string extra64 = little(1, 2) + little(24, 2) + long_sizes + little(file.size(), 8);
    directory += "PK\x01\x02" + little(45, 2) + little(45, 2) + common +
                 little(options.zip64 ? extra64.size() : 0, 2) + little(0, 2) + little(0, 2) +
                 little(0, 2) + little(0, 4) + size32(file.size()) + member.name +
                 (options.zip64 ? extra64 : "");
    const std::string extra = options.zip64 ? little(1, 2) + little(16, 2) + long_sizes : "";
    file += "PK\x03\x04" + little(45, 2) + common + little(extra.size(), 2) + member.name + extra +
            member.data;
  }
  const uint64_t begin = file.size();
  file += directory;
  if (options.zip64) {
    const uint64_t end64 = file.size();
    file += "PK\x06\x06" + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 8) +
            little(members.size(), 8) + little(members.size(), 8) + little(directory.size(), 8) +
            little(begin, 8);
    file += "PK\x06\x07" + little(0, 4) + little(end64, 8) + little(1, 4);
  }
  return file + "PK\x05\x06" + little(0, 4) + little(options.zip64 ? 0xffff : members.size(), 2) +
         little(options.zip64 ? 0xffff : members.size(), 2) + size32(directory.size()) +
         size32(begin) + little(0, 2);
}

// ---- pickles ----

PickleWriter& PickleWriter::raw(const std::string& opcodes) {
  pickle_ += opcodes;
  return *this;
}

PickleWriter& PickleWriter::text(const std::string& text) {
  return raw("X" + little(text.size(), 4) + text);
}

PickleWriter& PickleWriter::integer(int64_t value) {
  return raw("\x8a\x08" + little(static_cast<uint64_t>(value), 8));
}

PickleWriter& PickleWriter::global(const std::string& module, const std::string& name) {
  return raw("c" + module + "\n" + name + "\n");
}

PickleWriter& PickleWriter::tuple(const std::vector<int64_t>& values) {
  raw("(");
  for (const int64_t value : values) {
    integer(value);
  }
  return raw("t");
}

PickleWriter& PickleWriter::tensor(const std::string& key, int64_t elements, int64_t offset,
                                   const std::vector<int64_t>& sizes,
                                   const std::vector<int64_t>& strides) {
  global("torch._utils", "_rebuild_tensor_v2").raw("((").text("storage");
  global("torch", "FloatStorage").text(key).text("cpu").integer(elements).raw("tQ");
  integer(offset).tuple(sizes).tuple(strides).raw("\x89");
  return global("collections", "OrderedDict").raw(")RtR");
}

std::string state_dict_pickle() {
  PickleWriter pickle;
  pickle.global("collections", "OrderedDict").raw(")R(");
  pickle.text("weight").tensor("0", 6, 0, {2, 3}, {3, 1});
  pickle.text("bias").tensor("1", 2, 0, {2}, {1});
  return pickle.raw("u").done();
}

std::string checkpoint_pickle() {
  PickleWriter pickle;
  pickle.raw("}(").text("model").raw("}(");
  pickle.text("weight").tensor("0", 6, 0, {2, 3}, {3, 1});
  pickle.text("bias").tensor("1", 2, 0, {2}, {1}).raw("u");
  pickle.text("note").global("net", "Settings").raw(")\x81}").text("rate").raw("K\x01sb(");
  pickle.text("more").raw("K\x02u").text("settings").global("argparse", "Namespace").raw("(");
  pickle.text("path").global("pathlib", "PosixPath").text("a").raw("\x85R").raw("d\x85R");
  return pickle.raw("u").done();
}

std::string module_pickle() {
  PickleWriter pickle;
  const auto dict = [&](const std::string& name) {
    pickle.text(name).global("collections", "OrderedDict").raw(")R(");
  };
  const auto begin = [&](const std::string& class_name) {
    pickle.global("net", class_name).raw(")\x81}(").text("training").raw("\x89");
    dict("_buffers");
    pickle.raw("u");
    dict("_parameters");
  };
  begin("Net");
  pickle.text("weight").tensor("0", 6, 0, {2, 3}, {3, 1}).raw("u");
  pickle.text("trimming").integer(5);
  dict("_modules");
  pickle.text("inner");
  begin("Inner");
  pickle.text("bias").tensor("1", 2, 0, {2}, {1}).raw("u");
  dict("_modules");
  pickle.raw("uub").raw("uub");
  return pickle.done();
}

std::string floats(int n) {
  std::string data;
  for (int i = 1; i <= n; ++i) {
    const auto value = static_cast<float>(i);
    uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    data += little(bits, 4);
  }
  return data;
}

// ---- state dicts ----

std::string torch_zip(const std::string& pickle) {
  return zip({stored("net/data.pkl", pickle), stored("net/data/0", floats(6)),
              stored("net/data/1", floats(2)), stored("net/version", "3\n")},
             {true, true});
}

std::string torch_pickle(const std::string& pickle) {
  const std::string known_by =
      PickleWriter().raw("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19").done();
  const std::string machine = PickleWriter().raw("}(").text("little_endian").raw("\x88u").done();
  const std::string keys = PickleWriter().raw("](").text("0").text("1").raw("e").done();
  return known_by + PickleWriter().integer(1001).done() + machine + pickle + keys + little(6, 8) +
         floats(6) + little(2, 8) + floats(2);
}

std::string torch_tar() {
  const auto about = [](int64_t key, int64_t storage, const std::string& type) {
    PickleWriter pickle;
    pickle.raw("(").integer(key);
    if (type == "FloatStorage") {
      pickle.text("cpu");
    } else {
      pickle.integer(storage);
    }
    return pickle.global("torch", type).raw("t").done();
  };
  const std::string storages = PickleWriter().integer(2).done() + about(1, 0, "FloatStorage") +
                               little(6, 8) + floats(6) + about(2, 0, "FloatStorage") +
                               little(2, 8) + floats(2) + PickleWriter().raw("]").done();
  const std::string tensors = PickleWriter().integer(2).done() + about(11, 1, "FloatTensor") +
                              little(2, 4) + little(0, 4) + little(2, 8) + little(3, 8) +
                              little(3, 8) + little(1, 8) + little(0, 8) +
                              about(12, 2, "FloatTensor") + little(1, 4) + little(0, 4) +
                              little(2, 8) + little(1, 8) + little(0, 8);
  const std::string pickle = PickleWriter()
                                 .raw("}(")
                                 .text("weight")
                                 .text("11")
                                 .raw("Q")
                                 .text("bias")
                                 .text("12")
                                 .raw("Qu")
                                 .done();
  const std::string machine = PickleWriter().raw("}(").text("little_endian").raw("\x88u").done();
  return tar_member("sys_info", machine) + tar_member("pickle", pickle) +
         tar_member("tensors", tensors) + tar_member("storages", storages) +
         std::string(1024, '\0');
}

std::string safetensors(const std::string& header, const std::string& data) {
  return little(header.size(), 8) + header + data;
}

std::string safetensors() {
  return safetensors(
      "{\"__metadata__\":{\"format\":\"pt\"},"
      "\"weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
      "\"bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]}}  ",
      floats(6) + floats(2));
}

// ---- damage ----

uint64_t Draws::below(uint64_t n) {
  // SplitMix64 (Steele 2014).
  state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (z ^ (z >> 31)) % n;
}

std::string damaged(std::string file, Draws& draws) {
  static constexpr std::array<uint64_t, 8> extremes{
      0, 1, 0x7f, 0xff, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, 0xffffffffffffffff};
  for (uint64_t changes = 1 + draws.below(4); changes > 0 && !file.empty(); --changes) {
    const size_t at = draws.below(file.size());
    const size_t n = std::min<size_t>(1 + draws.below(16), file.size() - at);
    switch (draws.below(7)) {
      case 0:
        file[at] = static_cast<char>(file[at] ^ 1 << draws.below(8));
        break;
      case 1:
        file[at] = static_cast<char>(draws.below(256));
        break;
      case 2: {
        const std::string number =
            little(extremes[draws.below(extremes.size())], 1 << draws.below(4));
        file.replace(at, std::min(number.size(), file.size() - at), number);
        break;
      }
      case 3:
        file.insert(at, n, static_cast<char>(draws.below(256)));
        break;
      case 4:
        file.erase(at, n);
        break;
      case 5:
        file.insert(at, file.substr(draws.below(file.size()), n));
        break;
      default:
        file.resize(at);
    }
  }
  return file;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string problem(const std::function<void()>& read) {
  try {
    read();
  } catch (const seqlift::Error& error) {
    CHECK(error.kind() == "file");
    return error.what();
  }
  return "";
}

bool says(const std::string& message, const std::string& words) {
  INFO(message);
  return message.find(words) != std::string::npos;
}

}  // namespace files
