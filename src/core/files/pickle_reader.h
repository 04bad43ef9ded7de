// What a Python pickle says, as data. Nothing is run: a pickle is a program that names functions
// and classes to call, and here those of a short list (how tensors are put together) are written
// down as calls. Of any other nothing is known but its name: what is made of it is no tensor, no
// container and no number, and whoever wants one of these there finds an unknown object, with the
// state that it would have been given (no __setstate__ is run).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace seqlift {

enum class PickleKind : uint8_t {
  none,
  boolean,
  integer,
  long_integer,  // of more than 64 bits: text() is its bytes, the lowest first
  real,
  text,
  bytes,
  tuple,
  list,
  set,
  dict,        // items: key, value, key, value ...; a collections.OrderedDict too
  global,      // text(): "torch.FloatStorage"
  call,        // items: a global and the tuple of its arguments
  persistent,  // items: what stands for an object outside the pickle
  // A class or function that is not known, or an object of it. Items: module and name; of an object
  // also what it was given, each as a value: its state, and its items as a dict.
  unknown,
};

struct PickleValue {
  PickleKind kind = PickleKind::none;
  uint32_t items = 0;  // where its items are
  union {
    int64_t integer = 0;  // and 0 or 1 of a boolean
    double real;
    const char* start;
  };
  uint64_t length = 0;
};

// Values refer to each other by number, so that neither depth nor cycles matter here; they must to
// whoever walks through them. Texts are views of the pickle's bytes, which must stay.
class Pickle {
 public:
  const PickleValue& value(uint32_t id) const { return values_[id]; }
  PickleKind kind(uint32_t id) const { return values_[id].kind; }
  bool is(uint32_t id, PickleKind kind) const { return values_[id].kind == kind; }
  std::string_view text(uint32_t id) const { return {values_[id].start, values_[id].length}; }
  // Of an unknown object, the full name of what it is made of, and what it was given.
  std::string name_of(uint32_t id) const;
  std::vector<uint32_t> given(uint32_t id) const;
  // Of tuples, lists, sets, dicts, calls, persistent and unknown ones.
  const std::vector<uint32_t>& items(uint32_t id) const { return containers_[values_[id].items]; }
  uint32_t root() const { return root_; }
  size_t size() const { return size_; }             // bytes that were read
  size_t values() const { return values_.size(); }  // how many there are

 private:
  friend class PickleStack;
  std::vector<PickleValue> values_;
  std::vector<std::vector<uint32_t>> containers_;
  uint32_t root_ = 0;
  size_t size_ = 0;
};

// What the pickle is part of. In a TorchScript archive classes are the model's own and every name
// stands for one (text() of those this package does not know is the part behind the last dot);
// objects are calls.
enum class PickleOf : uint8_t { weights, script };

// Reads the pickle at the beginning of `data`, protocols 2 to 5. `name`: of the file, for messages.
// Memory is bounded by a multiple of the pickle's length, of which 64 MB are read at most.
// Errors: kind "file" (damaged, or it calls what cannot be called).
Pickle read_pickle(const char* data, size_t size, const std::string& name,
                   PickleOf what = PickleOf::weights);

}  // namespace seqlift
