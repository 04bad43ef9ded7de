// Whole modules in a pickle, as torch.save(model, path) writes them: objects whose state has
// `_parameters`, `_buffers` and `_modules`. Their classes are names, their forward is not in the
// file, but all that a state dict holds is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/files/pickle_reader.h"

namespace seqlift {

// A number, a text or a list of numbers beside the weights: an attribute of a module, or what a
// training was started with.
struct PickledSetting {
  std::string name;  // keys and attributes that lead there, joined by dots
  std::string text;  // as Python writes it; of an object its class, "<pathlib.PosixPath>"
  std::vector<double> numbers;  // of a number or a list of them, True being 1
};

// A pickle may refer to one object any number of times: whether it is a module is found out once.
class PickledModules {
 public:
  explicit PickledModules(const Pickle& pickle) : pickle_(pickle) {}

  bool is_module(uint32_t id);
  bool is_keyed(uint32_t id) { return pickle_.is(id, PickleKind::dict) || is_module(id); }

  // Key, value, key, value, ...: of a dict its own, of a module its parameters, those buffers that
  // its state dict has, and the modules in it.
  std::vector<uint32_t> entries(uint32_t id);

  // How many values these are found among.
  size_t looked_at(uint32_t id);

  // What a module has beside these, without what PyTorch itself puts there.
  std::vector<PickledSetting> settings(uint32_t id);

 private:
  const Pickle& pickle_;
  std::map<uint32_t, uint32_t> states_;  // of objects that have been looked at; 0: no module
  std::map<uint32_t, bool> known_;       // of states
};

// What stands under keys such as "hyper_parameters" and "config" of the dict, dicts inside dicts
// and attributes of objects included.
std::vector<PickledSetting> checkpoint_settings(const Pickle& pickle, uint32_t id);

}  // namespace seqlift
