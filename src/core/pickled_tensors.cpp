#include "pickled_tensors.h"

#include <algorithm>
#include <map>

#include "error.h"
#include "stored_tensor.h"

namespace seqlift {

namespace {

// A pickle may refer to one container any number of times, and to itself.
constexpr size_t deepest = 100;
constexpr size_t longest_names = size_t{64} << 20;  // all together, in bytes
constexpr int most_wrappings = 8;                   // a parameter of a tensor of a type

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
      : pickle_(pickle), objects_(objects), name_(name) {}

  NamedTensors run() {
    collect(state_dict_of(pickle_.root()));
    return std::move(tensors_);
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

  bool is_container(uint32_t id) const {
    return pickle_.is(id, Kind::dict) || pickle_.is(id, Kind::list) || pickle_.is(id, Kind::tuple);
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

  // Training code saves more than the weights: {"epoch": 3, "state_dict": {...}}.
  uint32_t state_dict_of(uint32_t root) const {
    if (!is_container(root)) {
      not_torch_save(name_, "it holds no dict of tensors");
    }
    if (pickle_.is(root, Kind::dict)) {
      const auto& items = pickle_.items(root);
      for (const char* key : {"state_dict", "model_state_dict", "model"}) {
        for (size_t i = 0; i < items.size(); i += 2) {
          if (pickle_.is(items[i], Kind::text) && pickle_.text(items[i]) == key &&
              pickle_.is(items[i + 1], Kind::dict) && !pickle_.items(items[i + 1]).empty()) {
            return items[i + 1];
          }
        }
      }
    }
    return root;
  }

  void collect(uint32_t root) {
    const size_t most_visits = 4 * pickle_.values() + 1000;
    size_t visits = 0;
    std::vector<Place> left{{root, 0, 0, 0, false, 0}};
    while (!left.empty()) {
      const Place place = left.back();
      left.pop_back();
      const std::string path = place.depth == 0 ? std::string() : path_of(place);
      if (!is_container(place.id)) {
        add(path, tensor(place.id, "\"" + name_ + "\": the tensor \"" + printable(path) + "\""));
        continue;
      }
      paths_.push_back(path);
      const auto& items = pickle_.items(place.id);
      visits += items.size() + 1;
      if (place.depth == deepest || visits > most_visits) {
        not_torch_save(name_, "its containers are deeper than any model or hold themselves");
      }
      const bool keyed = pickle_.is(place.id, Kind::dict);
      const size_t step = keyed ? 2 : 1;
      // From the last to the first, as the last one that is put there is the first to be taken.
      for (size_t i = items.size(); i > 0; i -= step) {
        const uint32_t item = items[i - 1];
        if (is_container(item) || is_tensor(item)) {
          left.push_back(
              {item, paths_.size() - 1, keyed ? items[i - 2] : 0, i - 1, keyed, place.depth + 1});
        }
      }
    }
  }

  std::string path_of(const Place& place) {
    std::string key;
    if (!place.keyed) {
      key = std::to_string(place.index);
    } else if (pickle_.is(place.key, Kind::text)) {
      key = std::string(pickle_.text(place.key));
    } else if (pickle_.is(place.key, Kind::integer)) {
      key = std::to_string(pickle_.value(place.key).integer);
    } else {
      not_torch_save(name_, "a dict has a key that is neither text nor a number");
    }
    const std::string& before = paths_[place.path];
    std::string path = before.empty() ? key : before + "." + key;
    letters_ += path.size();
    if (!is_name(path) || letters_ > longest_names) {
      not_torch_save(name_, "a name is not UTF-8 or too long");
    }
    return path;
  }

  void add(const std::string& path, const at::Tensor& tensor) {
    tensors_.emplace_back(path, tensor);
    if (++seen_[path] > 1) {
      not_torch_save(name_, "it holds \"" + printable(path) + "\" twice");
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
  const PickledObjects& objects_;
  const std::string& name_;
  std::vector<std::string> paths_;
  size_t letters_ = 0;
  std::map<std::string, int> seen_;
  NamedTensors tensors_;
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

NamedTensors pickled_tensors(const Pickle& pickle, const PickledObjects& objects,
                             const std::string& name) {
  return PickledTensors(pickle, objects, name).run();
}

}  // namespace seqlift
