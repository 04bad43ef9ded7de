#include "core/files/state_dict.h"

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/files/pickled_state_dict.h"
#include "core/files/safetensors.h"
#include "core/files/shards.h"
#include "core/files/state_dict_names.h"
#include "core/files/torch_files.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

bool starts_with(const Bytes& file, const std::string& start) {
  return file.size >= start.size() && std::string(file.data, start.size()) == start;
}

}  // namespace

at::Tensor StateDict::find(const std::string& name) const {
  for (const auto& one : tensors) {
    if (one.first == name) {
      return one.second;
    }
  }
  return at::Tensor();
}

StateDict read_state_dict(const std::string& path, const std::string& prefix) {
  return read_state_dict(map_file(path), path, prefix);
}

namespace {

PickledWeights read_any(const Bytes& file, const std::string& name, const std::string& prefix,
                        std::string& format) {
  PickledWeights weights;
  // First: the length that a file of safetensors begins with may look like any other beginning.
  if (is_safetensors(file)) {
    format = "safetensors";
    weights.tensors = read_safetensors(file, name);
  } else if (starts_with(file, "PK")) {
    format = "PyTorch";
    weights = read_torch_zip(file, name, prefix);
  } else if (starts_with(file, "\x80")) {
    format = "PyTorch pickle";
    weights = read_torch_pickle(file, name, prefix);
  } else if (is_tar(file)) {
    format = "PyTorch tar";
    weights = read_torch_tar(file, name, prefix);
  } else if (is_shard_index(file)) {
    format = "PyTorch in several files";
    weights.tensors = read_shards(file, name, [&](const std::string& path) {
      const Bytes part = map_file(path);
      if (is_shard_index(part)) {
        throw Error("file", "\"" + path + "\" is an index of files of weights inside of another.");
      }
      std::string format_of_part;
      return read_any(part, path, "", format_of_part).tensors;
    });
  } else if (starts_with(file, "\x89HDF\r\n\x1a\n")) {
    throw Error("file",
                "\"" + name + "\" is an HDF5 file: read a Keras model by load_keras_model().");
  } else {
    throw Error("file", "\"" + name +
                            "\" is none of the files that hold weights: neither of "
                            "torch.save() nor safetensors.");
  }
  if (weights.tensors.empty()) {
    throw Error("file", "\"" + name + "\" holds no tensors.");
  }
  return weights;
}

}  // namespace

void drop_lightning_attribute(StateDict& state_dict) {
  const std::string attribute = "model.";
  const auto below = [&](const auto& one) {
    return one.first.compare(0, attribute.size(), attribute) == 0 &&
           one.first.size() > attribute.size();
  };
  if (state_dict.of_lightning &&
      std::all_of(state_dict.tensors.begin(), state_dict.tensors.end(), below)) {
    state_dict.tensors = below_prefix(state_dict.tensors, attribute);
    state_dict.notes.push_back("`" + attribute +
                               "`, where Lightning holds the network, is left out of the names.");
  }
}

const PickledModule* find_module(const std::vector<PickledModule>& modules,
                                 const std::vector<std::string>& parts, const std::string& prefix) {
  std::set<std::string> paths;
  for (const PickledModule& module : modules) {
    paths.insert(module.path);
  }
  const PickledModule* found = nullptr;
  for (const PickledModule& module : modules) {
    const std::string before = module.path.empty() ? "" : module.path + ".";
    const bool at_prefix = prefix.empty() || module.path == prefix ||
                           (module.path.size() > prefix.size() &&
                            module.path.compare(module.path.size() - prefix.size() - 1,
                                                std::string::npos, "." + prefix) == 0);
    if (at_prefix && std::all_of(parts.begin(), parts.end(), [&](const std::string& part) {
          return paths.count(before + part) > 0;
        })) {
      if (found) {
        return nullptr;
      }
      found = &module;
    }
  }
  return found;
}

double find_number(const std::vector<PickledSetting>& settings, const std::string& name,
                   double otherwise) {
  for (const PickledSetting& setting : settings) {
    if (setting.name == name && setting.numbers.size() == 1) {
      return setting.numbers[0];
    }
  }
  return otherwise;
}

NamedTensors read_tensors(const Bytes& file, const std::string& name) {
  std::string format;
  return read_any(file, name, "", format).tensors;
}

StateDict read_state_dict(const Bytes& file, const std::string& name, const std::string& prefix) {
  StateDict state_dict;
  PickledWeights weights = read_any(file, name, prefix, state_dict.format);
  state_dict.modules = std::move(weights.modules);
  state_dict.settings = std::move(weights.settings);
  state_dict.of_lightning = weights.of_lightning;
  if (!weights.from.empty() && prefix.empty()) {
    state_dict.notes.push_back("The weights are those under `" + printable(weights.from) + "`.");
  }
  if (!weights.unknown.empty()) {
    std::string objects;
    for (const std::string& one : weights.unknown) {
      objects += (objects.empty() ? "" : ", ") + one;
    }
    state_dict.notes.push_back("Objects that are no tensors are left out: " + objects + ".");
  }
  const bool inside = begins_with_path(prefix, weights.from);
  const std::string rest =
      inside ? prefix.substr(std::min(prefix.size(), weights.from.size() + 1)) : prefix;
  state_dict.tensors = without_wrappers(below_prefix(weights.tensors, rest), state_dict.notes);
  return state_dict;
}

}  // namespace seqlift
