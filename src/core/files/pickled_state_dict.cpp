#include "core/files/pickled_state_dict.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "core/base/error.h"
#include "core/files/mapped_file.h"
#include "core/files/pickled_modules.h"

namespace seqlift {

namespace {

constexpr size_t deepest_dict = 4;       // dicts inside dicts that lead to weights
constexpr size_t most_looked_at = 1000;  // dicts, of a file that may be anything
constexpr size_t longest_key = 200;      // that leads to weights

// Keys that training code puts weights under.
constexpr std::array<std::string_view, 14> weight_keys{
    "state_dict", "model_state_dict", "model_state", "model",      "net",
    "network",    "net_state_dict",   "params",      "parameters", "model_weights",
    "module",     "weights",          "ema",         "model_ema"};

// What else a checkpoint holds; each as a part of a key.
constexpr std::array<std::string_view, 9> training_words{
    "optim", "sched", "callback", "loops", "rng", "hyper_param", "random_state", "amp_", "scaler"};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool is_weight_key(std::string_view key) {
  return std::find(weight_keys.begin(), weight_keys.end(), key) != weight_keys.end() ||
         contains(key, "state_dict");
}

class StateDicts {
 public:
  StateDicts(const Pickle& pickle, const std::function<bool(uint32_t)>& is_tensor)
      : pickle_(pickle), modules_(pickle) {
    // Each with the nearest dict above it, or itself, that stands under a key for weights.
    struct Step {
      StateDictPlace place;
      StateDictPlace known;
      size_t depth;
    };
    std::vector<Step> left{{{pickle.root(), ""}, {}, 0}};
    std::set<uint32_t> seen;
    while (!left.empty() && seen.size() < most_looked_at) {
      const Step step = left.back();
      left.pop_back();
      const StateDictPlace& place = step.place;
      const bool module = modules_.is_module(place.id);
      if (!modules_.is_keyed(place.id) || !seen.insert(place.id).second) {
        continue;
      }
      const std::vector<uint32_t> items = modules_.entries(place.id);
      // Those of the modules in it are its own.
      bool holds_tensors = module;
      for (size_t i = 0; i < items.size(); i += 2) {
        holds_tensors =
            holds_tensors || (pickle.is(items[i], PickleKind::text) && is_tensor(items[i + 1]));
      }
      if (holds_tensors) {
        found.push_back(place);
        const auto same = [&](const StateDictPlace& one) { return one.id == step.known.id; };
        if (!step.known.path.empty() && std::none_of(known.begin(), known.end(), same)) {
          known.push_back(step.known);
        }
        if (step.depth > 0 || module) {
          continue;
        }
      }
      for (size_t i = items.size(); step.depth < deepest_dict && i > 0; i -= 2) {
        const uint32_t key = items[i - 2];
        const uint32_t value = items[i - 1];
        const bool leads_on = pickle.is(key, PickleKind::text) && modules_.is_keyed(value) &&
                              pickle.text(key).size() <= longest_key &&
                              !is_of_training(pickle, key, value);
        if (leads_on && left.size() < most_looked_at) {
          const std::string text(pickle.text(key));
          const StateDictPlace inner{value, place.path.empty() ? text : place.path + "." + text};
          left.push_back({inner, is_weight_key(text) ? inner : step.known, step.depth + 1});
        }
      }
    }
  }

  std::set<std::string_view> names(const StateDictPlace& place) {
    std::set<std::string_view> result;
    const std::vector<uint32_t> items = modules_.entries(place.id);
    for (size_t i = 0; i < items.size(); i += 2) {
      if (pickle_.is(items[i], PickleKind::text)) {
        result.insert(pickle_.text(items[i]));
      }
    }
    return result;
  }

  std::vector<StateDictPlace> found;  // dicts that tensors are in
  std::vector<StateDictPlace> known;  // those that stand under a key for weights

 private:
  const Pickle& pickle_;
  PickledModules modules_;
};

}  // namespace

bool begins_with_path(const std::string& prefix, const std::string& path) {
  return !path.empty() && prefix.compare(0, path.size(), path) == 0 &&
         (prefix.size() == path.size() || prefix[path.size()] == '.');
}

bool is_of_training(const Pickle& pickle, uint32_t key, uint32_t value) {
  if (pickle.is(key, PickleKind::text) &&
      std::any_of(training_words.begin(), training_words.end(),
                  [&](std::string_view word) { return contains(pickle.text(key), word); })) {
    return true;
  }
  if (!pickle.is(value, PickleKind::dict)) {
    return false;
  }
  const auto& items = pickle.items(value);
  for (size_t i = 0; i < items.size(); i += 2) {
    if (pickle.is(items[i], PickleKind::text) && pickle.text(items[i]) == "param_groups") {
      return true;
    }
  }
  return false;
}

StateDictPlace find_state_dict(const Pickle& pickle,
                               const std::function<bool(uint32_t id)>& is_tensor,
                               const std::string& prefix, const std::string& name) {
  const StateDictPlace root{pickle.root(), ""};
  StateDicts all(pickle, is_tensor);
  StateDictPlace best = root;
  for (const StateDictPlace& place : all.found) {
    if (begins_with_path(prefix, place.path) && place.path.size() > best.path.size()) {
      best = place;
    }
  }
  if (!best.path.empty()) {
    return best;
  }
  for (const StateDictPlace& one : all.known) {
    for (const StateDictPlace& other : all.found) {
      if (other.id != one.id && !other.path.empty() && all.names(other) == all.names(one)) {
        throw Error("state_dict", "\"" + name + "\" holds the same weights twice, under \"" +
                                      printable(one.path) + "\" and under \"" +
                                      printable(other.path) + "\".");
      }
    }
  }
  return all.known.size() == 1 ? all.known[0] : root;
}

}  // namespace seqlift
