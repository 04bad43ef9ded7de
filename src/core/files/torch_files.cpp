#include "core/files/torch_files.h"

#include <cstring>
#include <map>

#include "core/base/error.h"
#include "core/files/pickled_tensors.h"
#include "core/files/stored_tensor.h"
#include "core/files/zip_reader.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

int64_t width_of(const Storage& storage) {
  return static_cast<int64_t>(c10::elementSize(storage.dtype));
}

// ("storage", type, key, where it was, how many elements), and in pickles a view of it.
struct StorageId {
  Storage type;
  std::string key;
  int64_t elements = 0;
  bool whole = true;
  int64_t view_begin = 0;
  int64_t view_elements = 0;
};

StorageId storage_id(const Pickle& pickle, uint32_t id, const std::string& name) {
  const auto& given = tuple_items(pickle, pickle.items(id)[0], 5, name);
  if (text_of(pickle, given[0], name) != "storage") {
    not_torch_save(name, "it refers to something that is no storage");
  }
  StorageId result;
  result.type = storage_type(pickle, given[1], name);
  result.key = text_of(pickle, given[2], name);
  result.elements = integer_of(pickle, given[4], name);
  if (given.size() > 5 && !pickle.is(given[5], PickleKind::none)) {
    const auto& view = tuple_items(pickle, given[5], 3, name);
    result.whole = false;
    result.view_begin = integer_of(pickle, view[1], name);
    result.view_elements = integer_of(pickle, view[2], name);
  }
  return result;
}

Bytes part_of(const Bytes& bytes, size_t begin, size_t size) {
  Bytes part;
  part.data = bytes.data + begin;
  part.size = size;
  part.owner = bytes.owner;
  return part;
}

// The elements of a storage that is a view of another.
Bytes view_of(const Bytes& bytes, int64_t begin, int64_t elements, int64_t width,
              const std::string& name) {
  const int64_t held = static_cast<int64_t>(bytes.size) / width;
  if (begin < 0 || elements < 0 || begin > held || elements > held - begin) {
    not_torch_save(name, "a storage reaches beyond its data");
  }
  return part_of(bytes, begin * width, elements * width);
}

// What is read from the beginning to the end: pickles, numbers and storages.
class Stream {
 public:
  Stream(Bytes bytes, std::string name) : bytes_(std::move(bytes)), name_(std::move(name)) {}

  Pickle pickle() {
    Pickle pickle = read_pickle(bytes_.data + at_, left(), name_);
    at_ += pickle.size();
    return pickle;
  }

  Bytes take(uint64_t size) {
    if (size > left()) {
      throw Error("file", "\"" + name_ + "\" could not be read: it is cut short.");
    }
    at_ += size;
    return part_of(bytes_, at_ - size, size);
  }

  int64_t number(int width) {
    const Bytes bytes = take(width);
    uint64_t value = 0;
    for (int i = width - 1; i >= 0; --i) {
      value = value << 8 | static_cast<unsigned char>(bytes.data[i]);
    }
    return static_cast<int64_t>(value);
  }

  // How many elements there are, and the elements.
  Bytes storage(int64_t width) {
    const int64_t elements = number(8);
    if (elements < 0 || static_cast<uint64_t>(elements) > left() / width) {
      throw Error("file", "\"" + name_ + "\" could not be read: a storage is cut short.");
    }
    return take(elements * width);
  }

  size_t left() const { return bytes_.size - at_; }

 private:
  Bytes bytes_;
  std::string name_;
  size_t at_ = 0;
};

void check_little_endian(const Pickle& machine, const std::string& name) {
  if (!machine.is(machine.root(), PickleKind::dict)) {
    not_torch_save(name, "it does not say what machine it is from");
  }
  const auto& items = machine.items(machine.root());
  for (size_t i = 0; i < items.size(); i += 2) {
    if (machine.is(items[i], PickleKind::text) && machine.text(items[i]) == "little_endian" &&
        machine.is(items[i + 1], PickleKind::boolean) && machine.value(items[i + 1]).integer == 0) {
      throw Error("file",
                  "\"" + name + "\" was written on a big-endian machine, which is not read.");
    }
  }
}

// ---- tar ----

constexpr size_t block = 512;

struct TarMember {
  std::string name;
  char type = '0';
  size_t begin = 0;
  size_t size = 0;
};

// The numbers of a tar archive are octal text.
size_t octal(const char* text, size_t length, const std::string& name) {
  size_t value = 0;
  bool ended = false;
  for (size_t i = 0; i < length; ++i) {
    ended = ended || text[i] == '\0' || text[i] == ' ';
    if (ended) {
      continue;
    }
    if (text[i] < '0' || text[i] > '7') {
      throw Error("file", "\"" + name +
                              "\" could not be read as a tar archive: a number of it is "
                              "no number.");
    }
    value = value * 8 + static_cast<size_t>(text[i] - '0');
  }
  return value;
}

std::map<std::string, Bytes> tar_members(const Bytes& file, const std::string& name) {
  const auto damaged = [&](const std::string& why) {
    throw Error("file", "\"" + name + "\" could not be read as a tar archive: " + why + ".");
  };
  std::map<std::string, Bytes> members;
  size_t at = 0;
  // The end is a block of zeros, or the file's.
  while (file.size - at >= block && file.data[at] != '\0') {
    const char* header = file.data + at;
    size_t sum = 0;
    for (size_t i = 0; i < block; ++i) {
      const bool of_sum = i >= 148 && i < 156;
      sum += of_sum ? ' ' : static_cast<unsigned char>(header[i]);
    }
    if (sum != octal(header + 148, 8, name)) {
      damaged("a header's checksum is another");
    }
    const size_t size = octal(header + 124, 12, name);
    at += block;
    if (size > file.size - at) {
      damaged("it is cut short");
    }
    const char type = header[156];
    if (type == '0' || type == '\0') {
      const std::string member(header, strnlen(header, 100));
      if (!members.emplace(member, part_of(file, at, size)).second) {
        damaged("it has two members named \"" + printable(member) + "\"");
      }
    }
    at += size;
    at += std::min((block - size % block) % block, file.size - at);
  }
  for (const char* member : {"sys_info", "storages", "tensors", "pickle"}) {
    if (members.count(member) == 0) {
      damaged("it has no member \"" + std::string(member) + "\", so PyTorch did not write it");
    }
  }
  return members;
}

std::map<int64_t, Storage> tar_storages(const Bytes& member, const std::string& name) {
  std::map<int64_t, Storage> storages;
  Stream stream(member, name);
  const Pickle count = stream.pickle();
  for (int64_t left = integer_of(count, count.root(), name); left > 0; --left) {
    // (key, where it was, type)
    const Pickle about = stream.pickle();
    const auto& given = tuple_items(about, about.root(), 3, name);
    Storage storage = storage_type(about, given[2], name);
    storage.bytes = stream.storage(width_of(storage));
    storages[integer_of(about, given[0], name)] = storage;
  }
  // (key, key of the whole, first element, elements)
  const Pickle views = stream.pickle();
  if (!views.is(views.root(), PickleKind::list)) {
    not_torch_save(name, "its list of storages is missing");
  }
  for (const uint32_t view : views.items(views.root())) {
    const auto& given = tuple_items(views, view, 4, name);
    const auto whole = storages.find(integer_of(views, given[1], name));
    if (whole == storages.end()) {
      not_torch_save(name, "a storage is missing");
    }
    Storage part = whole->second;
    part.bytes = view_of(part.bytes, integer_of(views, given[2], name),
                         integer_of(views, given[3], name), width_of(part), name);
    storages[integer_of(views, given[0], name)] = part;
  }
  return storages;
}

std::map<int64_t, at::Tensor> tar_tensors(const Bytes& member,
                                          const std::map<int64_t, Storage>& storages,
                                          const std::string& name) {
  std::map<int64_t, at::Tensor> tensors;
  Stream stream(member, name);
  const Pickle count = stream.pickle();
  for (int64_t left = integer_of(count, count.root(), name); left > 0; --left) {
    // (key, key of the storage, type)
    const Pickle about = stream.pickle();
    const auto& given = tuple_items(about, about.root(), 3, name);
    const auto storage = storages.find(integer_of(about, given[1], name));
    if (storage == storages.end()) {
      not_torch_save(name, "a storage is missing");
    }
    StoredTensor stored;
    stored.dtype = storage->second.dtype;
    const int64_t dimensions = stream.number(4);
    stream.take(4);  // once the dimensions were eight bytes
    for (auto* numbers : {&stored.sizes, &stored.strides}) {
      for (int64_t d = 0; d < dimensions; ++d) {
        numbers->push_back(stream.number(8));
      }
    }
    stored.offset = stream.number(8);
    tensors[integer_of(about, given[0], name)] =
        view_stored(storage->second.bytes, stored, "\"" + name + "\": a tensor");
  }
  return tensors;
}

}  // namespace

PickledWeights read_torch_zip(const Bytes& file, const std::string& name,
                              const std::string& prefix) {
  const ZipReader zip(file, name);
  if (zip.names().empty()) {
    throw Error("file", "\"" + name + "\" is an empty zip archive.");
  }
  const std::string& first = zip.names().front();
  const std::string folder = first.substr(0, first.find('/') + 1);
  if (zip.has(folder + "constants.pkl")) {
    throw Error("file", "\"" + name + "\" is a TorchScript file: read the model by load_model().");
  }
  if (!zip.has(folder + "data.pkl")) {
    throw Error("file", "\"" + name +
                            "\" is a zip archive without \"data.pkl\", so torch.save() "
                            "did not write it.");
  }
  if (zip.has(folder + "byteorder")) {
    const Bytes order = zip.read(folder + "byteorder");
    if (std::string(order.data, order.size) != "little") {
      throw Error("file",
                  "\"" + name + "\" was written on a big-endian machine, which is not read.");
    }
  }
  const Bytes data = zip.read(folder + "data.pkl");
  const Pickle pickle = read_pickle(data.data, data.size, name);
  std::map<std::string, Bytes> read;
  PickledObjects objects;
  objects.storage = [&](const Pickle& from, uint32_t id) {
    const StorageId wanted = storage_id(from, id, name);
    auto found = read.find(wanted.key);
    if (found == read.end()) {
      found = read.emplace(wanted.key, zip.read(folder + "data/" + wanted.key)).first;
    }
    Storage storage = wanted.type;
    storage.bytes = found->second;
    const auto held = static_cast<int64_t>(storage.bytes.size) / width_of(storage);
    if (wanted.elements != held) {
      not_torch_save(name, "the storage \"" + printable(wanted.key) + "\" has " +
                               std::to_string(held) + " elements instead of " +
                               std::to_string(wanted.elements));
    }
    return storage;
  };
  return pickled_tensors(pickle, objects, name, prefix);
}

PickledWeights read_torch_pickle(const Bytes& file, const std::string& name,
                                 const std::string& prefix) {
  // 0x1950a86a20f9469cfc6c
  constexpr char magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
  constexpr int64_t version = 1001;
  Stream stream(file, name);
  const Pickle known_by = stream.pickle();
  if (!known_by.is(known_by.root(), PickleKind::long_integer) ||
      known_by.text(known_by.root()) != magic) {
    not_torch_save(name, "it is a Python pickle of another kind");
  }
  const Pickle protocol = stream.pickle();
  if (integer_of(protocol, protocol.root(), name) != version) {
    not_torch_save(name, "its version is not 1001");
  }
  check_little_endian(stream.pickle(), name);
  const Pickle pickle = stream.pickle();
  const Pickle keys = stream.pickle();
  if (!keys.is(keys.root(), PickleKind::list)) {
    not_torch_save(name, "its list of storages is missing");
  }
  // How wide the elements are is said where a storage is used.
  std::map<std::string, int64_t> widths;
  for (uint32_t id = 0; id < pickle.values(); ++id) {
    if (pickle.is(id, PickleKind::persistent)) {
      const StorageId storage = storage_id(pickle, id, name);
      widths[storage.key] = width_of(storage.type);
    }
  }
  std::map<std::string, Bytes> storages;
  for (const uint32_t key : keys.items(keys.root())) {
    const std::string text = text_of(keys, key, name);
    if (widths.count(text) == 0 || storages.count(text) != 0) {
      not_torch_save(name, "a storage is used nowhere or held twice");
    }
    storages[text] = stream.storage(widths[text]);
  }
  if (stream.left() != 0) {
    not_torch_save(name, std::to_string(stream.left()) + " bytes are left over");
  }
  PickledObjects objects;
  objects.storage = [&](const Pickle& from, uint32_t id) {
    const StorageId wanted = storage_id(from, id, name);
    const auto found = storages.find(wanted.key);
    const int64_t width = width_of(wanted.type);
    if (found == storages.end() ||
        static_cast<int64_t>(found->second.size) / width != wanted.elements) {
      not_torch_save(name,
                     "the storage \"" + printable(wanted.key) + "\" is missing or of another size");
    }
    Storage storage = wanted.type;
    storage.bytes =
        wanted.whole ? found->second
                     : view_of(found->second, wanted.view_begin, wanted.view_elements, width, name);
    return storage;
  };
  return pickled_tensors(pickle, objects, name, prefix);
}

bool is_tar(const Bytes& file) {
  return file.size >= block && std::memcmp(file.data + 257, "ustar", 5) == 0;
}

PickledWeights read_torch_tar(const Bytes& file, const std::string& name,
                              const std::string& prefix) {
  auto members = tar_members(file, name);
  check_little_endian(Stream(members["sys_info"], name).pickle(), name);
  const auto storages = tar_storages(members["storages"], name);
  const auto tensors = tar_tensors(members["tensors"], storages, name);
  const Bytes& data = members["pickle"];
  const Pickle pickle = read_pickle(data.data, data.size, name);
  PickledObjects objects;
  objects.tensor = [&](const Pickle& from, uint32_t id) {
    // The tensor's key, as a number or as text.
    const uint32_t key = from.items(id)[0];
    int64_t number = 0;
    if (from.is(key, PickleKind::text)) {
      for (const char digit : from.text(key)) {
        if (digit < '0' || digit > '9' || number > (INT64_MAX - 9) / 10) {
          not_torch_save(name, "it refers to something that is no tensor");
        }
        number = number * 10 + (digit - '0');
      }
    } else {
      number = integer_of(from, key, name);
    }
    const auto found = tensors.find(number);
    if (found == tensors.end()) {
      not_torch_save(name, "a tensor is missing");
    }
    return found->second;
  };
  objects.storage = [&](const Pickle&, uint32_t) -> Storage {
    not_torch_save(name, "it refers to a storage in place of a tensor");
  };
  return pickled_tensors(pickle, objects, name, prefix);
}

}  // namespace seqlift
