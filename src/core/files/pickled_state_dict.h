// Where in a checkpoint the weights are. Training code saves more than them, each its own way:
// {"epoch": 3, "state_dict": {...}, "optimizer": {...}}, {"net": {...}}, {"model": {"ema": {...}}}.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/files/pickle_reader.h"

namespace seqlift {

struct StateDictPlace {
  uint32_t id = 0;
  std::string path;  // the keys that lead there, joined by dots; "" for the root
};

// The dict of tensors that `prefix` leads to or begins with; else the only one that stands under a
// key for weights; else the root. Optimizers, schedulers, callbacks and the like are no weights.
// Errors: kind "state_dict" where two dicts hold the same names and one of them stands under a key
// for weights.
StateDictPlace find_state_dict(const Pickle& pickle,
                               const std::function<bool(uint32_t id)>& is_tensor,
                               const std::string& prefix, const std::string& name);

// Whether `prefix` is `path`, which is not empty, or leads on from there.
bool begins_with_path(const std::string& prefix, const std::string& path);

// Whether what stands at a checkpoint's top is of the training, not of the model.
bool is_of_training(const Pickle& pickle, uint32_t key, uint32_t value);

}  // namespace seqlift
