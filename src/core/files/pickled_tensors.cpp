#include "core/files/pickled_tensors.h"

#include <algorithm>
#include <map>
#include <optional>

#include "core/base/error.h"
#include "core/files/pickled_state_dict.h"
#include "core/files/stored_tensor.h"

namespace seqlift {

namespace {

// A pickle may refer to one container any number of times, and to itself.
constexpr size_t deepest = 100;
constexpr size_t longest_names = size_t{64} << 20;  // all together, in bytes
constexpr size_t most_unknown = 20;                 // that are told of
constexpr int most_wrappings = 8;                   // a parameter of a tensor of a type
constexpr size_t most_module_settings = 200'000;    // of all modules together

const std::map<std::string, at::ScalarType>& element_types() {
  static const std::map<std::string, at::ScalarType> all{{"Double", at::kDouble},
                                                         {"Float", at::kFloat},
                                                         {"Half", at::kHalf},
                                                         {"BFloat16", at::kBFloat16},
                                                         {"Long", at::kLong},
                                                         {"Int", at::kInt},
                                                         {"Short", at::kShort},
                                                         {"Char", at::kChar},
                                                         {"Byte", at::kByte},
                                                         {"Bool", at::kBool},
                                                         {"ComplexFloat", at::kComplexFloat},
                                                         {"ComplexDouble", at::kComplexDouble}};
  return all;
}

const std::map<std::string, at::ScalarType>& dtypes() {
  static const std::map<std::string, at::ScalarType> all{{"torch.float64", at::kDouble},
                                                         {"torch.float32", at::kFloat},
                                                         {"torch.float16", at::kHalf},
                                                         {"torch.bfloat16", at::kBFloat16},
                                                         {"torch.int64", at::kLong},
                                                         {"torch.int32", at::kInt},
                                                         {"torch.int16", at::kShort},
                                                         {"torch.int8", at::kChar},
                                                         {"torch.uint8", at::kByte},
                                                         {"torch.bool", at::kBool},
                                                         {"torch.complex64", at::kComplexFloat},
                                                         {"torch.complex128", at::kComplexDouble}};
  return all;
}

class PickledTensors {
 public:
  PickledTensors(const Pickle& pickle, const PickledObjects& objects, const std::string& name)
      : pickle_(pickle), modules_(pickle), objects_(objects), name_(name) {}

  PickledWeights run(const std::string& prefix) {
    if (pickle_.is(pickle_.root(), Kind::unknown) && !modules_.is_module(pickle_.root())) {
      refuse(pickle_.root());
    }
    if (!is_container(pickle_.root())) {
      not_torch_save(name_, "it holds no dict of tensors");
    }
    const StateDictPlace place = find_state_dict(
        pickle_, [this](uint32_t id) { return is_tensor(id); }, prefix, name_);
    result_.from = place.path;
    result_.settings = checkpoint_settings(pickle_, pickle_.root());
    result_.of_lightning = has_key(pickle_.root(), "pytorch-lightning_version");
    collect(place.id);
    if (result_.tensors.empty() && unknown_) {
      refuse(*unknown_);
    }
    return std::move(result_);
  }

 private:
  using Kind = PickleKind;

  struct Place {
    uint32_t id;
    size_t path;  // of the container it is in, among paths_
    uint32_t key;
    size_t index;  // in a list or tuple, where `keyed` is false
    bool keyed;
    size_t depth;
  };

  [[noreturn]] void refuse(uint32_t id) const {
    throw Error("file", "\"" + name_ + "\" holds the Python object \"" +
                            printable(pickle_.name_of(id)) +
                            "\", which is not run here: seqlift reads weights, which are tensors, "
                            "containers, numbers and text. In Python, save the weights with "
                            "torch.save(model.state_dict(), path), or the whole model with "
                            "torch.jit.script(model).save(path) for load_model().");
  }

  bool is_container(uint32_t id) {
    return pickle_.is(id, Kind::dict) || pickle_.is(id, Kind::list) ||
           pickle_.is(id, Kind::tuple) || modules_.is_module(id);
  }

  bool has_key(uint32_t id, std::string_view key) const {
    if (!pickle_.is(id, Kind::dict)) {
      return false;
    }
    const auto& items = pickle_.items(id);
    for (size_t i = 0; i < items.size(); i += 2) {
      if (pickle_.is(items[i], Kind::text) && pickle_.text(items[i]) == key) {
        return true;
      }
    }
    return false;
  }

  std::string function_of(uint32_t id) const {
    return pickle_.is(id, Kind::call) ? std::string(pickle_.text(pickle_.items(id)[0]))
                                      : std::string();
  }

  bool is_tensor(uint32_t id) const {
    return pickle_.is(id, Kind::persistent)
               ? static_cast<bool>(objects_.tensor)
               : function_of(id).find("._rebuild_") != std::string::npos;
  }

  void collect(uint32_t root) {
    const size_t most_visits = 4 * pickle_.values() + 1000;
    size_t visits = 0;
    std::vector<Place> left{{root, 0, 0, 0, false, 0}};
    while (!left.empty()) {
      const Place place = left.back();
      left.pop_back();
      const Path path = place.depth == 0 ? Path() : path_of(place);
      const bool module = modules_.is_module(place.id);
      if (pickle_.is(place.id, Kind::unknown) && !module) {
        add_unknown(path, place.id);
        continue;
      }
      if (!is_container(place.id)) {
        add(path, place.id);
        continue;
      }
      paths_.push_back(path);
      const bool keyed = module || pickle_.is(place.id, Kind::dict);
      const std::vector<uint32_t> items =
          keyed ? modules_.entries(place.id) : pickle_.items(place.id);
      visits += items.size() + 1 + (module ? modules_.looked_at(place.id) : 0);
      if (place.depth == deepest || visits > most_visits) {
        not_torch_save(name_, "its containers are deeper than any model or hold themselves");
      }
      if (module) {
        add_module(path, place.id);
      }
      const bool checkpoint = keyed && !module && place.depth == 0 && result_.from.empty();
      const size_t step = keyed ? 2 : 1;
      // From the last to the first, as the last one that is put there is the first to be taken.
      for (size_t i = items.size(); i > 0; i -= step) {
        const uint32_t item = items[i - 1];
        const bool tensor = is_tensor(item);
        if (checkpoint && !tensor && is_of_training(pickle_, items[i - 2], item)) {
          continue;
        }
        if (tensor || is_container(item) || pickle_.is(item, Kind::unknown)) {
          left.push_back(
              {item, paths_.size() - 1, keyed ? items[i - 2] : 0, i - 1, keyed, place.depth + 1});
        }
      }
    }
  }

  // A key that no name can be made of matters where a tensor is below it.
  struct Path {
    std::string name;
    const char* fault = nullptr;
  };

  Path path_of(const Place& place) {
    const Path& before = paths_[place.path];
    if (before.fault) {
      return before;
    }
    std::string key;
    if (!place.keyed) {
      key = std::to_string(place.index);
    } else if (pickle_.is(place.key, Kind::text)) {
      key = std::string(pickle_.text(place.key));
    } else if (pickle_.is(place.key, Kind::integer)) {
      key = std::to_string(pickle_.value(place.key).integer);
    } else {
      return {"", "a dict has a key that is neither text nor a number"};
    }
    std::string path = before.name.empty() ? key : before.name + "." + key;
    letters_ += path.size();
    if (letters_ > longest_names) {
      not_torch_save(name_, "a name is not UTF-8 or too long");
    }
    if (!is_name(path)) {
      return {"", "a name is not UTF-8 or too long"};
    }
    return {std::move(path), nullptr};
  }

  void add(const Path& path, uint32_t id) {
    if (path.fault) {
      not_torch_save(name_, path.fault);
    }
    result_.tensors.emplace_back(
        path.name, tensor(id, "\"" + name_ + "\": the tensor \"" + printable(path.name) + "\""));
    if (++seen_[path.name] > 1) {
      not_torch_save(name_, "it holds \"" + printable(path.name) + "\" twice");
    }
  }

  void add_module(const Path& path, uint32_t id) {
    PickledModule module{path.name, pickle_.name_of(id), {}};
    if (!path.fault && module_settings_ < most_module_settings) {
      module.settings = modules_.settings(id);
      module_settings_ += module.settings.size() + 1;
      result_.modules.push_back(std::move(module));
    }
  }

  void add_unknown(const Path& path, uint32_t id) {
    const std::string maker = pickle_.name_of(id);
    // A tensor of a sort that is not read is not passed over.
    if (maker.find("._rebuild_") != std::string::npos) {
      refuse(id);
    }
    unknown_ = unknown_ ? unknown_ : id;
    if (!path.fault && result_.unknown.size() < most_unknown) {
      result_.unknown.push_back(printable(path.name) + " (" + printable(maker) + ")");
    }
  }

  at::Tensor tensor(uint32_t id, const std::string& what) const {
    if (pickle_.is(id, Kind::persistent)) {
      return objects_.tensor(pickle_, id);
    }
    uint32_t function = pickle_.items(id)[0];
    uint32_t arguments = pickle_.items(id)[1];
    for (int i = 0; i < most_wrappings; ++i) {
      const std::string called(pickle_.text(function));
      if (called == "torch._tensor._rebuild_from_type_v2") {
        const auto& given = tuple_items(pickle_, arguments, 4, name_);
        if (!pickle_.is(given[0], Kind::global)) {
          break;
        }
        function = given[0];
        arguments = given[2];
      } else if (called.rfind("torch._utils._rebuild_parameter", 0) == 0) {
        const uint32_t inner = tuple_items(pickle_, arguments, 1, name_)[0];
        if (pickle_.is(inner, Kind::persistent) && objects_.tensor) {
          return objects_.tensor(pickle_, inner);
        }
        if (!pickle_.is(inner, Kind::call)) {
          break;
        }
        function = pickle_.items(inner)[0];
        arguments = pickle_.items(inner)[1];
      } else if (called.rfind("torch._utils._rebuild_tensor", 0) == 0) {
        return stored_tensor(arguments, called == "torch._utils._rebuild_tensor_v3", what);
      } else {
        break;
      }
    }
    not_torch_save(name_, "it makes a tensor of something else");
  }

  // (storage, offset, size, stride, requires_grad, hooks), and in version 3 the type.
  at::Tensor stored_tensor(uint32_t arguments, bool with_type, const std::string& what) const {
    const auto& given = tuple_items(pickle_, arguments, with_type ? 7 : 4, name_);
    if (!pickle_.is(given[0], Kind::persistent)) {
      not_torch_save(name_, "a tensor has no storage");
    }
    const Storage storage = objects_.storage(pickle_, given[0]);
    StoredTensor stored;
    stored.dtype = storage.dtype;
    if (with_type) {
      const auto dtype = pickle_.is(given[6], Kind::global)
                             ? dtypes().find(std::string(pickle_.text(given[6])))
                             : dtypes().end();
      if (dtype == dtypes().end()) {
        not_torch_save(name_, "a tensor has no type");
      }
      stored.dtype = dtype->second;
    } else if (!storage.typed) {
      not_torch_save(name_, "a tensor has no type");
    }
    stored.offset = integer_of(pickle_, given[1], name_);
    stored.sizes = integers(given[2]);
    stored.strides = integers(given[3]);
    return view_stored(storage.bytes, stored, what);
  }

  // A tuple of them, or torch.Size(tuple).
  std::vector<int64_t> integers(uint32_t id) const {
    const uint32_t tuple = function_of(id) == "torch.Size"
                               ? tuple_items(pickle_, pickle_.items(id)[1], 1, name_)[0]
                               : id;
    std::vector<int64_t> result;
    for (const uint32_t item : tuple_items(pickle_, tuple, 0, name_)) {
      result.push_back(integer_of(pickle_, item, name_));
    }
    return result;
  }

  const Pickle& pickle_;
  PickledModules modules_;
  const PickledObjects& objects_;
  const std::string& name_;
  std::vector<Path> paths_;
  size_t letters_ = 0;
  size_t module_settings_ = 0;
  std::map<std::string, int> seen_;
  std::optional<uint32_t> unknown_;  // the first one
  PickledWeights result_;
};

}  // namespace

void not_torch_save(const std::string& name, const std::string& why) {
  throw Error("file", "\"" + name + "\" is not what torch.save(model.state_dict(), path) writes: " +
                          why + ".");
}

const std::vector<uint32_t>& tuple_items(const Pickle& pickle, uint32_t id, size_t at_least,
                                         const std::string& name) {
  if (!pickle.is(id, PickleKind::tuple) || pickle.items(id).size() < at_least) {
    not_torch_save(name, "a tuple is missing or too short");
  }
  return pickle.items(id);
}

int64_t integer_of(const Pickle& pickle, uint32_t id, const std::string& name) {
  if (!pickle.is(id, PickleKind::integer)) {
    not_torch_save(name, "a whole number is missing");
  }
  return pickle.value(id).integer;
}

std::string text_of(const Pickle& pickle, uint32_t id, const std::string& name) {
  if (!pickle.is(id, PickleKind::text)) {
    not_torch_save(name, "a text is missing");
  }
  return std::string(pickle.text(id));
}

Storage storage_type(const Pickle& pickle, uint32_t id, const std::string& name) {
  Storage storage;
  const std::string global =
      pickle.is(id, PickleKind::global) ? std::string(pickle.text(id)) : std::string();
  const std::string type = global.substr(global.rfind('.') + 1);
  const std::string ending = "Storage";
  if (type.size() <= ending.size() ||
      type.compare(type.size() - ending.size(), ending.size(), ending) != 0) {
    not_torch_save(name, "a storage has no type");
  }
  const auto found = element_types().find(type.substr(0, type.size() - ending.size()));
  storage.typed = found != element_types().end();
  storage.dtype = storage.typed ? found->second : at::kByte;
  return storage;
}

PickledWeights pickled_tensors(const Pickle& pickle, const PickledObjects& objects,
                               const std::string& name, const std::string& prefix) {
  return PickledTensors(pickle, objects, name).run(prefix);
}

}  // namespace seqlift
