#include "core/files/pickled_modules.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>
#include <string_view>

#include "core/files/mapped_file.h"

namespace seqlift {

namespace {

constexpr size_t deepest_setting = 4;
constexpr size_t most_settings = 1000;  // of one module, or one checkpoint
constexpr size_t most_objects_looked_at = 20000;
constexpr size_t longest_list = 64;
constexpr size_t most_attributes = 10000;  // of a module

// Keys that training code puts the settings of a model under.
constexpr std::array<std::string_view, 10> setting_keys{
    "hyper_parameters", "hyperparameters", "hparams",      "config",    "cfg",
    "model_config",     "model_args",      "model_kwargs", "init_args", "args"};

bool is_one_of(std::string_view key, const std::array<std::string_view, 10>& keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// The dict that an object's attributes are: its state, or the first of (attributes, slots). 0,
// which is None, where there is none.
uint32_t attributes(const Pickle& pickle, uint32_t id) {
  uint32_t found = 0;
  for (uint32_t state : pickle.given(id)) {
    if (pickle.is(state, PickleKind::tuple) && pickle.items(state).size() == 2) {
      state = pickle.items(state)[0];
    }
    found = pickle.is(state, PickleKind::dict) ? state : found;
  }
  return found;
}

bool find_value(const Pickle& pickle, const std::vector<uint32_t>& items, std::string_view key,
                uint32_t& value) {
  for (size_t i = 0; i < items.size(); i += 2) {
    if (pickle.is(items[i], PickleKind::text) && pickle.text(items[i]) == key) {
      value = items[i + 1];
      return true;
    }
  }
  return false;
}

const std::vector<uint32_t>* find_dict(const Pickle& pickle, const std::vector<uint32_t>& items,
                                       std::string_view key) {
  uint32_t value = 0;
  return find_value(pickle, items, key, value) && pickle.is(value, PickleKind::dict)
             ? &pickle.items(value)
             : nullptr;
}

// set([...]) holds a tuple of a list.
void add_texts(const Pickle& pickle, uint32_t id, std::set<std::string_view>& texts, int depth) {
  if (pickle.is(id, PickleKind::text)) {
    texts.insert(pickle.text(id));
  } else if (depth > 0 && (pickle.is(id, PickleKind::set) || pickle.is(id, PickleKind::tuple) ||
                           pickle.is(id, PickleKind::list))) {
    for (const uint32_t item : pickle.items(id)) {
      add_texts(pickle, item, texts, depth - 1);
    }
  }
}

std::string plain_number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

bool is_plain_number(const Pickle& pickle, uint32_t id) {
  return pickle.is(id, PickleKind::integer) || pickle.is(id, PickleKind::real) ||
         pickle.is(id, PickleKind::boolean);
}

double plain_number(const Pickle& pickle, uint32_t id) {
  return pickle.is(id, PickleKind::real) ? pickle.value(id).real
                                         : static_cast<double>(pickle.value(id).integer);
}

std::string plain_text(const Pickle& pickle, uint32_t id) {
  switch (pickle.kind(id)) {
    case PickleKind::none:
      return "None";
    case PickleKind::boolean:
      return pickle.value(id).integer ? "True" : "False";
    case PickleKind::integer:
      return std::to_string(pickle.value(id).integer);
    case PickleKind::real:
      return plain_number_text(pickle.value(id).real);
    case PickleKind::text:
      return '"' + printable(std::string(pickle.text(id).substr(0, 200))) + '"';
    case PickleKind::unknown:
      return "<" + printable(pickle.name_of(id)) + ">";
    case PickleKind::global:
      return "<" + printable(std::string(pickle.text(id))) + ">";
    default:
      return "";
  }
}

class SettingList {
 public:
  explicit SettingList(const Pickle& pickle) : pickle_(pickle) {}

  void add(const std::string& name, uint32_t id, size_t depth) {
    if (found.size() >= most_settings || ++looked_at_ > most_objects_looked_at) {
      return;
    }
    if (pickle_.is(id, PickleKind::dict)) {
      add_all(name, pickle_.items(id), depth);
    } else if (pickle_.is(id, PickleKind::list) || pickle_.is(id, PickleKind::tuple)) {
      add_list(name, pickle_.items(id));
    } else if (const std::string text = plain_text(pickle_, id); !text.empty()) {
      found.push_back({name, text, {}});
      if (is_plain_number(pickle_, id)) {
        found.back().numbers.push_back(plain_number(pickle_, id));
      }
      if (pickle_.is(id, PickleKind::unknown) && depth < deepest_setting) {
        for (const uint32_t state : pickle_.given(id)) {
          if (pickle_.is(state, PickleKind::dict)) {
            add(name, state, depth);
          }
        }
      }
    }
  }

  std::vector<PickledSetting> found;

 private:
  void add_all(const std::string& name, const std::vector<uint32_t>& items, size_t depth) {
    if (depth == deepest_setting) {
      return;
    }
    for (size_t i = 0; i < items.size() && looked_at_ <= most_objects_looked_at; i += 2) {
      ++looked_at_;
      if (pickle_.is(items[i], PickleKind::text)) {
        const std::string key = printable(std::string(pickle_.text(items[i]).substr(0, 200)));
        add(name.empty() ? key : name + "." + key, items[i + 1], depth + 1);
      }
    }
  }

  void add_list(const std::string& name, const std::vector<uint32_t>& items) {
    if (items.size() > longest_list) {
      found.push_back({name, "[" + std::to_string(items.size()) + " elements]", {}});
      return;
    }
    PickledSetting setting{name, "[", {}};
    for (const uint32_t item : items) {
      const std::string text = plain_text(pickle_, item);
      setting.text += (setting.text.size() > 1 ? ", " : "") + (text.empty() ? "..." : text);
      if (is_plain_number(pickle_, item)) {
        setting.numbers.push_back(plain_number(pickle_, item));
      }
    }
    setting.text += "]";
    if (setting.numbers.size() != items.size()) {
      setting.numbers.clear();
    }
    found.push_back(std::move(setting));
  }

  const Pickle& pickle_;
  size_t looked_at_ = 0;
};

}  // namespace

bool PickledModules::is_module(uint32_t id) {
  if (!pickle_.is(id, PickleKind::unknown)) {
    return false;
  }
  const auto seen = states_.find(id);
  if (seen != states_.end()) {
    return seen->second != 0;
  }
  const uint32_t state = attributes(pickle_, id);
  if (state != 0 && known_.count(state) == 0) {
    const std::vector<uint32_t>& items = pickle_.items(state);
    known_[state] = items.size() <= 2 * most_attributes &&
                    find_dict(pickle_, items, "_parameters") &&
                    find_dict(pickle_, items, "_modules");
  }
  states_[id] = state != 0 && known_[state] ? state : 0;
  return states_[id] != 0;
}

size_t PickledModules::looked_at(uint32_t id) {
  return pickle_.items(is_module(id) ? states_[id] : id).size();
}

std::vector<uint32_t> PickledModules::entries(uint32_t id) {
  if (!is_module(id)) {
    return pickle_.items(id);
  }
  const Pickle& pickle = pickle_;
  const std::vector<uint32_t>& state = pickle.items(states_[id]);
  std::set<std::string_view> left_out;
  uint32_t names = 0;
  if (find_value(pickle, state, "_non_persistent_buffers_set", names)) {
    add_texts(pickle, names, left_out, 3);
  }
  std::vector<uint32_t> result;
  for (const char* part : {"_parameters", "_buffers", "_modules"}) {
    const auto* items = find_dict(pickle, state, part);
    for (size_t i = 0; items && i < items->size(); i += 2) {
      const uint32_t key = (*items)[i];
      const bool skipped = std::string_view(part) == "_buffers" &&
                           pickle.is(key, PickleKind::text) && left_out.count(pickle.text(key)) > 0;
      if (!skipped) {
        result.insert(result.end(), {key, (*items)[i + 1]});
      }
    }
  }
  return result;
}

std::vector<PickledSetting> PickledModules::settings(uint32_t id) {
  const Pickle& pickle = pickle_;
  SettingList settings(pickle);
  if (!is_module(id)) {
    return {};
  }
  const std::vector<uint32_t>& state = pickle.items(states_[id]);
  for (size_t i = 0; i < state.size() && settings.found.size() < most_settings; i += 2) {
    const bool named = pickle.is(state[i], PickleKind::text);
    const std::string_view key = named ? pickle.text(state[i]) : std::string_view();
    if (!key.empty() && key.front() != '_' && key != "training") {
      settings.add(printable(std::string(key.substr(0, 200))), state[i + 1], deepest_setting);
    }
  }
  return settings.found;
}

std::vector<PickledSetting> checkpoint_settings(const Pickle& pickle, uint32_t id) {
  SettingList settings(pickle);
  if (pickle.is(id, PickleKind::dict)) {
    const std::vector<uint32_t>& items = pickle.items(id);
    for (size_t i = 0; i < items.size(); i += 2) {
      if (pickle.is(items[i], PickleKind::text) && is_one_of(pickle.text(items[i]), setting_keys)) {
        settings.add(std::string(pickle.text(items[i])), items[i + 1], 0);
      }
    }
  }
  return settings.found;
}

}  // namespace seqlift
