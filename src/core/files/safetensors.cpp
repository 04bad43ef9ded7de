#include "core/files/safetensors.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.h"
#include "core/files/stored_tensor.h"

namespace seqlift {

namespace {

// As safetensors itself has it.
constexpr uint64_t longest_header = 100'000'000;
constexpr uint64_t length_size = 8;
constexpr size_t most_numbers = 64;  // the dimensions of a tensor

const std::map<std::string, at::ScalarType>& types() {
  static const std::map<std::string, at::ScalarType> all{
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},        {"BF16", at::kBFloat16},
      {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort},       {"I8", at::kChar},
      {"U8", at::kByte},    {"BOOL", at::kBool}, {"C64", at::kComplexFloat}};
  return all;
}

struct Entry {
  std::string name;
  std::string type;
  std::vector<int64_t> shape;
  std::vector<int64_t> offsets;
  bool has_shape = false;
};

// The header is read as it is parsed, so that what it must not hold takes no memory:
// {"weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {...}}
class HeaderReader {
 public:
  std::vector<Entry> entries;
  std::string why;  // it was refused

  bool start_object(std::size_t) {
    ++depth_;
    if (depth_ > 2) {
      return refuse("has an object where there is none");
    }
    if (depth_ == 2 && !metadata_) {
      entries.emplace_back();
      entries.back().name = key_;
    }
    return true;
  }

  bool end_object() {
    --depth_;
    if (depth_ == 1) {
      if (!metadata_) {
        const Entry& entry = entries.back();
        if (entry.type.empty() || !entry.has_shape || entry.offsets.size() != 2) {
          return refuse("lacks type, shape or place of \"" + printable(entry.name) + "\"");
        }
      }
      metadata_ = false;
    }
    return true;
  }

  bool key(std::string& text) {
    if (depth_ == 1) {
      if (!names_.insert(text).second) {
        return refuse("has \"" + printable(text) + "\" twice");
      }
      metadata_ = text == "__metadata__";
      if (!is_name(text)) {
        return refuse("has a name that is not UTF-8 or too long");
      }
    }
    key_ = std::move(text);
    return true;
  }

  bool string(std::string& text) {
    if (depth_ == 2 && metadata_) {
      return true;
    }
    if (depth_ != 2 || array_ || key_ != "dtype" || !entries.back().type.empty()) {
      return refuse("has text where there is none");
    }
    entries.back().type = std::move(text);
    return true;
  }

  bool start_array(std::size_t) {
    if (depth_ != 2 || metadata_ || array_ || (key_ != "shape" && key_ != "data_offsets")) {
      return refuse("has a list where there is none");
    }
    if (key_ == "shape" ? entries.back().has_shape : !entries.back().offsets.empty()) {
      return refuse("has the \"" + key_ + "\" of a tensor twice");
    }
    entries.back().has_shape = entries.back().has_shape || key_ == "shape";
    array_ = true;
    return true;
  }

  bool end_array() {
    array_ = false;
    return true;
  }

  bool number_unsigned(std::uint64_t value) {
    if (!array_ || value > static_cast<std::uint64_t>(INT64_MAX)) {
      return refuse("has a number where there is none");
    }
    auto& numbers = key_ == "shape" ? entries.back().shape : entries.back().offsets;
    if (numbers.size() == most_numbers) {
      return refuse("has a list that is too long");
    }
    numbers.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool number_integer(std::int64_t) { return refuse("has a negative number"); }
  bool number_float(double, const std::string&) { return refuse("has a number with a fraction"); }
  bool null() { return refuse("has a null"); }
  bool boolean(bool) { return refuse("has a true or false"); }
  template <typename Binary>
  bool binary(Binary&) {
    return refuse("has bytes");
  }
  template <typename Exception>
  bool parse_error(std::size_t at, const std::string&, const Exception&) {
    return refuse("is no JSON at byte " + std::to_string(at));
  }

 private:
  bool refuse(const std::string& reason) {
    why = reason;
    return false;
  }

  int depth_ = 0;
  bool metadata_ = false;
  bool array_ = false;
  std::string key_;
  std::set<std::string> names_;
};

uint64_t header_length(const Bytes& file) {
  uint64_t length = 0;
  for (int i = static_cast<int>(length_size) - 1; i >= 0; --i) {
    length = length << 8 | static_cast<unsigned char>(file.data[i]);
  }
  return length;
}

[[noreturn]] void damaged(const std::string& name, const std::string& why) {
  throw Error("file", "\"" + name + "\" could not be read as safetensors: " + why + ".");
}

// The tensors lie one after another and leave no byte out.
void check_places(const std::vector<Entry>& entries, uint64_t size, const std::string& name) {
  std::vector<const Entry*> order;
  for (const Entry& entry : entries) {
    order.push_back(&entry);
  }
  std::sort(order.begin(), order.end(),
            [](const Entry* a, const Entry* b) { return a->offsets < b->offsets; });
  int64_t end = 0;
  for (const Entry* entry : order) {
    if (entry->offsets[0] != end || entry->offsets[1] < end) {
      damaged(name, "the tensor \"" + printable(entry->name) +
                        "\" does not begin where the one before it ends");
    }
    end = entry->offsets[1];
  }
  if (static_cast<uint64_t>(end) != size) {
    damaged(name, "its tensors take " + std::to_string(end) + " bytes of " + std::to_string(size));
  }
}

}  // namespace

bool is_safetensors(const Bytes& file) {
  return file.size > length_size && file.data[length_size] == '{' &&
         header_length(file) <= longest_header;
}

NamedTensors read_safetensors(const Bytes& file, const std::string& name) {
  if (file.size < length_size) {
    damaged(name, "it is too short");
  }
  const uint64_t length = header_length(file);
  if (length > longest_header || length > file.size - length_size) {
    damaged(name, "its header is longer than the file, or than 100 MB");
  }
  const char* begin = file.data + length_size;
  HeaderReader header;
  if (!nlohmann::json::sax_parse(begin, begin + length, &header)) {
    damaged(name, "its header " + header.why);
  }
  const uint64_t size = file.size - length_size - length;
  check_places(header.entries, size, name);
  NamedTensors tensors;
  for (const Entry& entry : header.entries) {
    // R's torch writes its R object beside the weights, as bytes of R's own format.
    if (entry.name == "__robj__" && entry.type == "U8") {
      continue;
    }
    const auto type = types().find(entry.type);
    if (type == types().end()) {
      throw Error("file", "\"" + name + "\": the tensor \"" + printable(entry.name) +
                              "\" is of type \"" + printable(entry.type) +
                              "\", which is not read.");
    }
    Bytes bytes;
    bytes.data = begin + length + entry.offsets[0];
    bytes.size = static_cast<size_t>(entry.offsets[1] - entry.offsets[0]);
    bytes.owner = file.owner;
    StoredTensor stored;
    stored.dtype = type->second;
    stored.sizes = entry.shape;
    stored.strides = contiguous_strides(entry.shape);
    const at::Tensor tensor = view_stored(
        bytes, stored, "\"" + name + "\": the tensor \"" + printable(entry.name) + "\"");
    if (tensor.numel() * tensor.element_size() != static_cast<int64_t>(bytes.size)) {
      damaged(name, "the tensor \"" + printable(entry.name) + "\" has " +
                        std::to_string(bytes.size) + " bytes, which do not fit its shape");
    }
    tensors.emplace_back(entry.name, tensor);
  }
  return tensors;
}

}  // namespace seqlift
