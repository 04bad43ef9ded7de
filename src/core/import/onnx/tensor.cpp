#include "core/import/onnx/tensor.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "core/files/mapped_file.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw Error("file", "The tensor \"" + printable(name) + "\" of the ONNX file " + why + ".");
}

struct Stored {
  std::string name;
  std::vector<int64_t> sizes;
  int64_t type = 0;
  bool raw_given = false;
  Span raw;
  std::vector<float> floats;
  std::vector<double> doubles;
  std::vector<int64_t> wholes;  // of int32_data, int64_data or uint64_data
  bool elsewhere = false;
  std::string location, offset, length;
};

void read_elsewhere(Span span, Stored& stored) {
  std::string key;
  std::string value;
  WireReader reader(span);
  Field field;
  while (reader.next(field)) {
    if (field.number == 1 || field.number == 2) {
      (field.number == 1 ? key : value) = field.bytes.text();
    }
  }
  if (key == "location") {
    stored.location = value;
  } else if (key == "offset") {
    stored.offset = value;
  } else if (key == "length") {
    stored.length = value;
  }
}

Stored read_stored(Span span) {
  Stored stored;
  WireReader reader(span);
  Field field;
  while (reader.next(field)) {
    switch (field.number) {
      case 1:
        add_wholes(field, stored.sizes);
        break;
      case 2:
        stored.type = field.whole();
        break;
      case 4:
        add_floats(field, stored.floats);
        break;
      case 5:
      case 7:
      case 11:
        add_wholes(field, stored.wholes);
        break;
      case 8:
        stored.name = field.bytes.text();
        break;
      case 9:
        stored.raw = field.bytes;
        stored.raw_given = true;
        break;
      case 10:
        add_doubles(field, stored.doubles);
        break;
      case 13:
        read_elsewhere(field.bytes, stored);
        break;
      case 14:
        stored.elsewhere = field.bits == 1;
        break;
      default:
        break;  // documentation, texts (whose type is refused), segments
    }
  }
  return stored;
}

// Of one number as it lies in raw_data.
size_t raw_width(int64_t type) {
  switch (type) {
    case 2:
    case 3:
    case 9:
      return 1;
    case 4:
    case 5:
    case 10:
    case 16:
      return 2;
    case 1:
    case 6:
    case 12:
      return 4;
    default:
      return 8;
  }
}

// How many numbers the sizes make up, where a file could hold so many.
int64_t count_of(const Stored& stored) {
  int64_t count = 1;
  for (const int64_t size : stored.sizes) {
    if (size < 0 || (size > 0 && count > (int64_t{1} << 40) / size)) {
      refuse(stored.name, "has sizes that no file holds");
    }
    count *= size;
  }
  return count;
}

int64_t number_in(const Stored& stored, const std::string& text, const char* what) {
  char* end = nullptr;
  errno = 0;
  const long long number = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || errno != 0 || number < 0) {
    refuse(stored.name, std::string("lies in another file at an ") + what + " that is no number");
  }
  return number;
}

// The file that holds it: one in the folder of the model or below it, reached through no link.
std::string path_elsewhere(const Stored& stored, const std::string& folder) {
  const std::string& location = stored.location;
  if (folder.empty()) {
    refuse(stored.name, "lies in another file, which is not there");
  }
  if (location.empty() || location[0] == '/' || location.find('\0') != std::string::npos) {
    refuse(stored.name, "lies in \"" + printable(location) + "\", which is no place beside it");
  }
  std::string path = folder;
  size_t begin = 0;
  while (begin <= location.size()) {
    const size_t end = std::min(location.find('/', begin), location.size());
    const std::string part = location.substr(begin, end - begin);
    const bool last = end == location.size();
    begin = end + 1;
    if (part == "..") {
      refuse(stored.name, "lies in \"" + printable(location) + "\", outside of the model's folder");
    }
    if (part == "." || (part.empty() && !last)) {
      continue;
    }
    path += "/" + part;
    struct stat status;
    if (lstat(path.c_str(), &status) != 0) {
      refuse(stored.name,
             "lies in the file \"" + printable(location) + "\" beside it, which is not there");
    }
    if (S_ISLNK(status.st_mode)) {
      refuse(stored.name,
             "lies behind a symbolic link, \"" + printable(location) + "\", which is not followed");
    }
    if (last ? !S_ISREG(status.st_mode) : !S_ISDIR(status.st_mode)) {
      refuse(stored.name, "lies in \"" + printable(location) + "\", which is no ordinary file");
    }
  }
  return path;
}

Bytes map_elsewhere(const Stored& stored, const std::string& folder, size_t bytes) {
  Bytes file = map_file(path_elsewhere(stored, folder));
  const int64_t offset = stored.offset.empty() ? 0 : number_in(stored, stored.offset, "offset");
  if (static_cast<uint64_t>(offset) > file.size) {
    refuse(stored.name, "lies beyond the end of \"" + printable(stored.location) + "\"");
  }
  const int64_t length = stored.length.empty() ? static_cast<int64_t>(file.size) - offset
                                               : number_in(stored, stored.length, "length");
  if (static_cast<uint64_t>(length) != bytes || bytes > file.size - static_cast<size_t>(offset)) {
    refuse(stored.name, "has another number of bytes in \"" + printable(stored.location) +
                            "\" than its sizes make up");
  }
  file.data += offset;
  file.size = bytes;
  return file;
}

template <typename From>
at::Tensor widened(const char* data, int64_t count, bool to_int) {
  const at::Tensor result = at::empty({count}, at::TensorOptions(to_int ? at::kInt : at::kLong));
  for (int64_t i = 0; i < count; ++i) {
    From number;
    std::memcpy(&number, data + i * sizeof(From), sizeof(From));
    if (to_int) {
      result.data_ptr<int32_t>()[i] = static_cast<int32_t>(number);
    } else {
      result.data_ptr<int64_t>()[i] = static_cast<int64_t>(number);
    }
  }
  return result;
}

at::Tensor from_raw(const Stored& stored, const char* data, int64_t count, at::ScalarType dtype) {
  if (stored.type == 4) {
    return widened<uint16_t>(data, count, true);
  }
  if (stored.type == 12) {
    return widened<uint32_t>(data, count, false);
  }
  const at::Tensor result = at::empty({count}, at::TensorOptions(dtype));
  if (count > 0) {
    std::memcpy(result.data_ptr(), data, static_cast<size_t>(count) * raw_width(stored.type));
  }
  if (stored.type == 9 && count > 0) {
    auto* flags = static_cast<unsigned char*>(result.data_ptr());
    for (int64_t i = 0; i < count; ++i) {
      flags[i] = flags[i] != 0 ? 1 : 0;
    }
  }
  return result;
}

// Half precision lies in int32_data as its bits.
at::Tensor from_numbers(const Stored& stored, int64_t count, at::ScalarType dtype) {
  const auto fits = [&](size_t size) {
    if (static_cast<int64_t>(size) != count) {
      refuse(stored.name, "has " + std::to_string(size) + " numbers, and its sizes make up " +
                              std::to_string(count));
    }
  };
  if (dtype == at::kFloat || dtype == at::kDouble) {
    const bool wide = dtype == at::kDouble;
    fits(wide ? stored.doubles.size() : stored.floats.size());
    const at::Tensor result = at::empty({count}, at::TensorOptions(dtype));
    if (count > 0) {
      std::memcpy(result.data_ptr(),
                  wide ? static_cast<const void*>(stored.doubles.data())
                       : static_cast<const void*>(stored.floats.data()),
                  static_cast<size_t>(count) * (wide ? 8 : 4));
    }
    return result;
  }
  fits(stored.wholes.size());
  at::Tensor result = at::empty({count}, at::TensorOptions(at::kLong));
  if (count > 0) {
    std::memcpy(result.data_ptr(), stored.wholes.data(), static_cast<size_t>(count) * 8);
  }
  if (dtype == at::kHalf || dtype == at::kBFloat16) {
    const at::Tensor halves = at::empty({count}, at::TensorOptions(dtype));
    auto* bits = static_cast<uint16_t*>(halves.data_ptr());
    for (int64_t i = 0; i < count; ++i) {
      bits[i] = static_cast<uint16_t>(stored.wholes[static_cast<size_t>(i)]);
    }
    return halves;
  }
  return result.to(dtype);
}

}  // namespace

at::ScalarType scalar_type(int64_t type, const std::string& of) {
  switch (type) {
    case 1:
      return at::kFloat;
    case 2:
      return at::kByte;
    case 3:
      return at::kChar;
    case 4:
    case 6:
      return at::kInt;
    case 5:
      return at::kShort;
    case 7:
    case 12:
    case 13:
      return at::kLong;
    case 9:
      return at::kBool;
    case 10:
      return at::kHalf;
    case 11:
      return at::kDouble;
    case 16:
      return at::kBFloat16;
    default:
      throw Error("model", of + " has a type of ONNX that is not read here (number " +
                               std::to_string(type) + "): texts, complex numbers and numbers of " +
                               "less than eight bits are none of a sequence model.");
  }
}

std::pair<std::string, at::Tensor> read_tensor(Span span, const std::string& folder) {
  const Stored stored = read_stored(span);
  const at::ScalarType dtype =
      scalar_type(stored.type, "The tensor \"" + printable(stored.name) + "\"");
  const int64_t count = count_of(stored);
  const size_t bytes = static_cast<size_t>(count) * raw_width(stored.type);
  at::Tensor tensor;
  if (stored.elsewhere) {
    const Bytes file = map_elsewhere(stored, folder, bytes);
    tensor = from_raw(stored, file.data, count, dtype);
  } else if (stored.raw_given) {
    if (stored.raw.size != bytes) {
      refuse(stored.name, "has " + std::to_string(stored.raw.size) +
                              " bytes, and its sizes make up " + std::to_string(bytes));
    }
    tensor = from_raw(stored, stored.raw.data, count, dtype);
  } else {
    tensor = from_numbers(stored, count, dtype);
  }
  if (stored.type == 13 && count > 0 && tensor.lt(0).any().item<bool>()) {
    refuse(stored.name, "has whole numbers beyond 2^63");
  }
  return {stored.name, tensor.view(stored.sizes)};
}

}  // namespace onnx
}  // namespace seqlift
