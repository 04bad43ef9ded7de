#include "core/files/state_dict_names.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/base/error.h"
#include "core/files/mapped_file.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

constexpr std::array<const char*, 3> inner_wrappers{"_orig_mod.", "_fsdp_wrapped_module.",
                                                    "_checkpoint_wrapped_module."};
const std::string outer_wrapper = "module.";
// Beside the names that begin with "module.": how many models were averaged.
const std::string averaged = "n_averaged";
constexpr size_t most_listed = 8;

bool begins_with(const std::string& text, const std::string& beginning) {
  return text.compare(0, beginning.size(), beginning) == 0;
}

std::string quoted(const std::string& name) { return "`" + printable(name) + "`"; }

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(most_listed, names.size()); ++i) {
    text += (i ? ", " : "") + quoted(names[i]);
  }
  return text + (names.size() > most_listed
                     ? " and " + std::to_string(names.size() - most_listed) + " more"
                     : "");
}

// Whether names would be the same without it: then it stays.
bool all_differ(const NamedTensors& tensors) {
  std::set<std::string> names;
  return std::all_of(tensors.begin(), tensors.end(),
                     [&](const auto& one) { return names.insert(one.first).second; });
}

// Each `wrapper` that begins a part of a name.
NamedTensors without_part(const NamedTensors& tensors, const std::string& wrapper) {
  NamedTensors result = tensors;
  for (auto& one : result) {
    std::string& name = one.first;
    for (size_t at = name.find(wrapper); at != std::string::npos; at = name.find(wrapper, at)) {
      if (at == 0 || name[at - 1] == '.') {
        name.erase(at, wrapper.size());
      } else {
        ++at;
      }
    }
  }
  return result;
}

}  // namespace

NamedTensors without_wrappers(const NamedTensors& tensors, Notes& notes) {
  NamedTensors result = tensors;
  std::vector<std::string> removed;
  for (const char* wrapper : inner_wrappers) {
    const NamedTensors shorter = without_part(result, wrapper);
    const bool same = std::equal(result.begin(), result.end(), shorter.begin(),
                                 [](const auto& a, const auto& b) { return a.first == b.first; });
    if (!same && all_differ(shorter)) {
      result = shorter;
      removed.push_back(wrapper);
    }
  }
  const auto wrapped = [](const auto& one) { return begins_with(one.first, outer_wrapper); };
  const auto is_averaged = [](const auto& one) { return one.first == averaged; };
  bool average = false;
  while (std::any_of(result.begin(), result.end(), wrapped) &&
         std::all_of(result.begin(), result.end(),
                     [&](const auto& one) { return wrapped(one) || is_averaged(one); })) {
    NamedTensors shorter;
    for (const auto& one : result) {
      if (is_averaged(one)) {
        average = true;
      } else {
        shorter.emplace_back(one.first.substr(outer_wrapper.size()), one.second);
      }
    }
    result = shorter;
    if (removed.empty() || removed.back() != outer_wrapper) {
      removed.push_back(outer_wrapper);
    }
  }
  if (!removed.empty()) {
    notes.push_back(listed(removed) + " in the names is left out" +
                    (average ? ", and so is " + quoted(averaged) : "") + ".");
  }
  return result;
}

NamedTensors below_prefix(const NamedTensors& tensors, const std::string& prefix) {
  if (prefix.empty()) {
    return tensors;
  }
  const std::string beginning = prefix.back() == '.' ? prefix : prefix + ".";
  NamedTensors result;
  for (const auto& one : tensors) {
    if (begins_with(one.first, beginning) && one.first.size() > beginning.size()) {
      result.emplace_back(one.first.substr(beginning.size()), one.second);
    }
  }
  if (result.empty()) {
    std::vector<std::string> names;
    for (const auto& one : tensors) {
      names.push_back(one.first);
    }
    throw Error("state_dict", "No name of the state dict begins with " + quoted(beginning) +
                                  ". It holds " + listed(names) + ".");
  }
  return result;
}

NamedTensors find_network(const NamedTensors& tensors, const std::vector<std::string>& anchors,
                          Notes& notes) {
  std::set<std::string> names;
  for (const auto& one : tensors) {
    names.insert(one.first);
  }
  std::vector<std::string> prefixes;
  const std::string& anchor = anchors.at(0);
  for (const auto& one : tensors) {
    const std::string& name = one.first;
    if (name.size() < anchor.size() ||
        name.compare(name.size() - anchor.size(), anchor.size(), anchor) != 0) {
      continue;
    }
    const std::string prefix = name.substr(0, name.size() - anchor.size());
    const bool own_part = prefix.empty() || prefix.back() == '.';
    if (own_part && std::all_of(anchors.begin(), anchors.end(), [&](const std::string& other) {
          return names.count(prefix + other) > 0;
        })) {
      prefixes.push_back(prefix);
    }
  }
  if (prefixes.size() > 1) {
    for (std::string& prefix : prefixes) {
      prefix = prefix.empty() ? "(nothing)" : prefix;
    }
    throw Error("state_dict",
                "The state dict holds several such networks, their names beginning "
                "with " +
                    listed(prefixes) + ".");
  }
  if (prefixes.empty() || prefixes[0].empty()) {
    return tensors;
  }
  const std::string& prefix = prefixes[0];
  std::vector<std::string> beside;
  for (const auto& one : tensors) {
    if (!begins_with(one.first, prefix)) {
      beside.push_back(one.first);
    }
  }
  notes.push_back("The network's weights are those whose names begin with " + quoted(prefix) + "." +
                  (beside.empty() ? "" : " Not part of it: " + listed(beside) + "."));
  return below_prefix(tensors, prefix);
}

}  // namespace seqlift
