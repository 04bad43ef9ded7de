// LibTorch's unpickler (torch/csrc/jit/serialization/unpickler.cpp) takes from its stack what a
// pickle says, and makes views of any size on its storages: of an archive that was made to, or by a
// broken program, it reads and writes outside of its memory. Code is LibTorch's to parse.
#include "core/files/script_archive.h"

#include <c10/core/ScalarType.h>

#include <algorithm>
#include <map>
#include <vector>

#include "core/base/error.h"
#include "core/files/effects.h"
#include "core/files/pickle_reader.h"
#include "core/files/stored_tensor.h"

namespace seqlift {

namespace {

bool ends_with(const std::string& text, const std::string& ending) {
  return text.size() >= ending.size() &&
         text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

// Of the types that later LibTorch has names for, those of more than one byte stand here; "torch."
// and "Storage" left out.
int64_t width_of(const std::string& type) {
  static const std::map<std::string, int64_t> widths{
      {"Double", 8}, {"Float", 4},        {"Half", 2},           {"BFloat16", 2}, {"Long", 8},
      {"Int", 4},    {"Short", 2},        {"ComplexDouble", 16}, {"QInt32", 4},   {"UInt16", 2},
      {"UInt32", 4}, {"ComplexFloat", 8}, {"ComplexHalf", 4},    {"UInt64", 8},   {"Bits16", 2}};
  const auto found = widths.find(type);
  return found == widths.end() ? 1 : found->second;
}

// LibTorch finds members whatever the case of their letters.
std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char letter) {
    return 'A' <= letter && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  return text;
}

// "model/code/__torch__.py": not what users put beside it, "model/extra/code/a.py".
bool is_code(const std::string& member) {
  const size_t folder = member.find('/');
  return folder != std::string::npos && member.compare(folder, 6, "/code/") == 0 &&
         ends_with(member, ".py");
}

class ScriptPickle {
 public:
  ScriptPickle(const ZipReader& archive, const std::string& member)
      : archive_(archive),
        bytes_(archive.read_unfolded(member)),
        pickle_(read_pickle(bytes_.data, bytes_.size, archive.name(), PickleOf::script)),
        what_("\"" + archive.name() + "\" could not be read as TorchScript: its \"" +
              printable(member) + "\""),
        folder_(member.substr(0, member.rfind('.')) + "/") {}

  void check() const {
    check_pickled_classes(bytes_.data, bytes_.size, what_);
    for (uint32_t id = 0; id < pickle_.values(); ++id) {
      if (pickle_.is(id, Kind::persistent)) {
        elements_of(id);
      } else if (pickle_.is(id, Kind::call)) {
        check_call(pickle_.items(id));
      }
    }
  }

 private:
  using Kind = PickleKind;

  [[noreturn]] void fail(const std::string& why) const { throw Error("file", what_ + " " + why); }

  const std::vector<uint32_t>& tuple(uint32_t id, size_t at_least) const {
    if (!pickle_.is(id, Kind::tuple) || pickle_.items(id).size() < at_least) {
      fail("lacks what a tensor is made of.");
    }
    return pickle_.items(id);
  }

  int64_t integer(uint32_t id) const {
    if (!pickle_.is(id, Kind::integer)) {
      fail("lacks a number that a tensor is made of.");
    }
    return pickle_.value(id).integer;
  }

  std::vector<int64_t> integers(uint32_t id) const {
    std::vector<int64_t> result;
    for (const uint32_t item : tuple(id, 0)) {
      result.push_back(integer(item));
    }
    return result;
  }

  // Of a storage: ("storage", type, key, device, elements).
  int64_t elements_of(uint32_t id) const {
    const auto& given = tuple(pickle_.items(id)[0], 5);
    if (!pickle_.is(given[1], Kind::global) || !pickle_.is(given[2], Kind::text)) {
      fail("refers to something that is no storage.");
    }
    const std::string type(pickle_.text(given[1]));
    const std::string ending = "Storage";
    const size_t begin = type.rfind('.') + 1;
    if (!ends_with(type, ending)) {
      fail("has a storage of type \"" + printable(type) + "\".");
    }
    const int64_t width = width_of(type.substr(begin, type.size() - begin - ending.size()));
    const std::string key(pickle_.text(given[2]));
    const int64_t elements = integer(given[4]);
    const auto held = static_cast<int64_t>(archive_.size(folder_ + key));
    if (elements < 0 || elements > held / width) {
      fail("wants " + std::to_string(elements) + " numbers of the storage \"" + printable(key) +
           "\", which holds " + std::to_string(held / width) + ".");
    }
    return elements;
  }

  // Tensors in a storage: (storage, offset, sizes, strides, ...).
  void check_call(const std::vector<uint32_t>& items) const {
    const auto is = [&](const char* name) { return pickle_.text(items[0]) == name; };
    if (!is("torch._utils._rebuild_tensor") && !is("torch._utils._rebuild_tensor_v2") &&
        !is("_rebuild_qtensor")) {
      return;
    }
    const auto& given = tuple(items[1], 4);
    if (!pickle_.is(given[0], Kind::persistent)) {
      fail("has a tensor without a storage.");
    }
    StoredTensor stored;
    stored.offset = integer(given[1]);
    stored.sizes = integers(given[2]);
    stored.strides = integers(given[3]);
    check_stored(elements_of(given[0]), stored, what_ + ": a tensor");
  }

  const ZipReader& archive_;
  Bytes bytes_;
  Pickle pickle_;
  std::string what_;
  std::string folder_;  // of its storages: "model/data/"
};

}  // namespace

void check_script_archive(const ZipReader& archive) {
  const auto& members = archive.names();
  const bool script = std::any_of(members.begin(), members.end(), [](const std::string& member) {
    return ends_with(lower(member), "/constants.pkl");
  });
  if (!script) {  // of torch.save()
    throw Error("file", "\"" + archive.name() +
                            "\" could not be read as TorchScript: it has no \"constants.pkl\".");
  }
  archive.check();
  for (const std::string& member : members) {
    // What LibTorch 1.1 wrote, whose code lies elsewhere.
    if (member.find('/') == member.rfind('/') && ends_with(lower(member), "/model.json")) {
      throw Error("file", "\"" + archive.name() +
                              "\" could not be read as TorchScript: it was written before LibTorch "
                              "1.2. Load it in Python and save it again.");
    }
    // Before LibTorch sees the file: loading it may call `__setstate__` of any class.
    if (is_code(lower(member))) {
      const Bytes code = archive.read_unfolded(member);
      check_code(std::string(code.data, code.size),
                 "\"" + archive.name() + "\" was not read: its \"" + printable(member) + "\"");
    }
  }
  for (const std::string& member : members) {
    // "model/data.pkl", and not what users put beside it.
    const std::string name = lower(member);
    const bool on_top = name.find('/') == name.rfind('/');
    if ((on_top && (ends_with(name, "/data.pkl") || ends_with(name, "/constants.pkl") ||
                    ends_with(name, "/attributes.pkl"))) ||
        ends_with(name, ".debug_pkl")) {
      ScriptPickle(archive, member).check();
    }
  }
}

}  // namespace seqlift
