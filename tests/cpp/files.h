// Files made in memory: zip archives, what torch.save() writes, safetensors; and damage done to
// them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/files/mapped_file.h"

namespace files {

seqlift::Bytes bytes_of(const std::string& text);

// A little-endian number.
std::string little(uint64_t value, int width);

// ---- zip ----

struct ZipMember {
  std::string name;
  std::string data;     // as it lies in the archive
  uint16_t method = 0;  // stored; 8: deflated
  uint64_t size = 0;    // unfolded, where it is not stored
  uint32_t crc = 0;     // of what it unfolds to
};

struct ZipOptions {
  bool zip64 = false;    // long forms for everything
  bool with_crc = true;  // else 0, as PyTorch does it when asked
};

ZipMember stored(const std::string& name, const std::string& data);
// `n` zeros, deflated: a few bytes.
ZipMember zeros(const std::string& name, uint64_t n);

std::string zip(const std::vector<ZipMember>& members, const ZipOptions& options = {});

// ---- pickles ----

// Of protocol 2, opcode by opcode; texts and whole numbers by their values.
class PickleWriter {
 public:
  PickleWriter& raw(const std::string& opcodes);
  PickleWriter& text(const std::string& text);
  PickleWriter& integer(int64_t value);
  PickleWriter& global(const std::string& module, const std::string& name);
  PickleWriter& tuple(const std::vector<int64_t>& values);
  // What torch.save() writes of a tensor in storage `key` of `elements` floats.
  PickleWriter& tensor(const std::string& key, int64_t elements, int64_t offset,
                       const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides);
  std::string done() const { return pickle_ + "."; }

 private:
  std::string pickle_ = "\x80\x02";
};

// {"weight": a tensor [2, 3], "bias": a tensor [2]}, of storages "0" and "1".
std::string state_dict_pickle();
// {"model": the same, "note": an object with state and items, "settings": {...}}.
std::string checkpoint_pickle();
// A whole module: the weight its own, the bias in a module `inner`, and a setting, `trimming`.
std::string module_pickle();
// The floats 1, 2, ..., n.
std::string floats(int n);

// ---- state dicts of weight [2, 3] = 1 .. 6 and bias [2] = 1, 2 ----

std::string torch_zip(const std::string& pickle);
std::string torch_pickle(const std::string& pickle);
std::string torch_tar();
std::string safetensors();
std::string safetensors(const std::string& header, const std::string& data);

// ---- damage ----

// Numbers from a seed, the same everywhere.
class Draws {
 public:
  explicit Draws(uint64_t seed) : state_(seed) {}
  uint64_t below(uint64_t n);

 private:
  uint64_t state_;
};

// One to four changes: bits flipped, bytes replaced by others or by extreme ones, inserted, left
// out, moved; the end cut off.
std::string damaged(std::string file, Draws& draws);

// The first `from`, which must be there, replaced.
std::string replaced(std::string text, const std::string& from, const std::string& to);

// ---- refusals ----

// The message of the error of kind "file" that reading throws, or nothing.
std::string problem(const std::function<void()>& read);
bool says(const std::string& message, const std::string& words);

}  // namespace files
