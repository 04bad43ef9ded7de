// What a pickle's opcodes work on: its bytes, the values made of them so far, a stack of these and
// the memo. Every step is checked: a pickle may be anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/files/pickle_reader.h"

namespace seqlift {

class PickleStack {
 public:
  PickleStack(const char* data, size_t size, const std::string& name, PickleOf what);

  [[noreturn]] void fail(const std::string& why) const;

  // LibTorch's own reader of TorchScript does not know every opcode.
  void check_weights(unsigned char opcode) const;
  [[noreturn]] void fail_opcode(unsigned char opcode) const;

  // ---- bytes ----

  const char* take(uint64_t n);
  uint64_t number(int n);
  std::string_view line();

  // ---- values ----

  void push(uint32_t id) { stack_.push_back(id); }
  void push(const PickleValue& value);
  void push_copy();
  void push_integer(int64_t integer);
  void push_span(PickleKind kind, const char* start, uint64_t length);
  void push_items(PickleKind kind, std::vector<uint32_t> items);
  void push_long(uint64_t n);
  void push_real();
  void push_global(std::string_view module, std::string_view name);
  // What is outside of the pickle. The format before PyTorch 1.6 has classes of modules there, with
  // their source: ("module", class, file, source).
  void push_persistent();
  void push_unknown(std::string_view module, std::string_view name);
  void push_object_of(uint32_t maker);  // of an unknown class or function
  void mark();
  uint32_t pop();
  uint32_t top(PickleKind kind) const;
  std::vector<uint32_t> pop_to_mark();
  void push_tuple(size_t n);
  void append(PickleKind kind, const std::vector<uint32_t>& added);
  std::string_view pop_text();

  // ---- calls ----

  void reduce();
  void reduce_with_keywords();  // NEWOBJ_EX
  void push_object();           // OBJ: the class, then its arguments, above the mark
  // OrderedDict(), and Python 2's OrderedDict([[key, value], ...]).
  void push_ordered_dict(uint32_t arguments);
  // Attributes of a dict (a state dict's _metadata) are left out, and so are those of TorchScript
  // objects: what they hold has been read. Unknown objects keep theirs.
  void build();
  void get(uint64_t key);
  void put(uint64_t key);
  void put();  // under the next number

  // ---- the end ----

  void stop();  // the value on top is the pickle's
  bool stopped() const { return stopped_; }
  Pickle result();

 private:
  // What lies above the last mark belongs to the opcode that closes it.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  const char* data_;
  size_t size_;
  std::string name_;
  PickleOf what_;
  size_t at_ = 0;
  bool stopped_ = false;
  size_t copied_ = 0;
  Pickle pickle_;
  std::vector<uint32_t> stack_;
  std::vector<uint32_t> marks_;
  std::unordered_map<uint64_t, uint32_t> memo_;
};

}  // namespace seqlift
