#include "core/files/stored_tensor.h"

#include <algorithm>
#include <cstdint>

#include "core/base/error.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

constexpr size_t most_dimensions = 64;
constexpr size_t longest_name = 1000;
// expand() repeats elements that are stored once, without end; so many are let through.
constexpr int64_t most_repeated = int64_t{1} << 20;

int64_t count(const StoredTensor& stored, const std::string& what) {
  int64_t elements = 1;
  bool overflows = false;
  bool empty = false;
  for (const int64_t size : stored.sizes) {
    if (size < 0) {
      throw Error("file", what + " has a negative size.");
    }
    empty = empty || size == 0;
    // LibTorch multiplies the sizes of an empty tensor too.
    overflows =
        __builtin_mul_overflow(elements, std::max<int64_t>(size, 1), &elements) || overflows;
  }
  if (overflows) {
    throw Error("file", what + " has more elements than can be counted.");
  }
  return empty ? 0 : elements;
}

// How many elements from the first to the last, both included.
int64_t reach(const StoredTensor& stored, const std::string& what) {
  int64_t elements = 1;
  for (size_t d = 0; d < stored.sizes.size(); ++d) {
    int64_t step = 0;
    if (stored.strides[d] < 0 ||
        __builtin_mul_overflow(stored.sizes[d] - 1, stored.strides[d], &step) ||
        __builtin_add_overflow(elements, step, &elements)) {
      throw Error("file", what + " has strides that lead out of its data.");
    }
  }
  return elements;
}

}  // namespace

std::vector<int64_t> contiguous_strides(const std::vector<int64_t>& sizes) {
  std::vector<int64_t> strides(sizes.size());
  int64_t stride = 1;
  for (size_t d = sizes.size(); d > 0; --d) {
    strides[d - 1] = stride;
    if (__builtin_mul_overflow(stride, std::max<int64_t>(sizes[d - 1], 1), &stride)) {
      stride = 0;  // count() refuses such sizes
    }
  }
  return strides;
}

int64_t check_stored(int64_t held, const StoredTensor& stored, const std::string& what) {
  if (stored.sizes.size() > most_dimensions || stored.strides.size() != stored.sizes.size()) {
    throw Error("file", what + " has a shape of " + std::to_string(stored.sizes.size()) +
                            " dimensions and strides of " + std::to_string(stored.strides.size()) +
                            ".");
  }
  const int64_t elements = count(stored, what);
  if (elements == 0) {
    return 0;
  }
  const int64_t needed = reach(stored, what);
  if (stored.offset < 0 || stored.offset > held || needed > held - stored.offset) {
    throw Error("file", what + " reaches beyond its data.");
  }
  return elements;
}

at::Tensor view_stored(const Bytes& bytes, const StoredTensor& stored, const std::string& what) {
  const auto width = static_cast<int64_t>(c10::elementSize(stored.dtype));
  const int64_t held = static_cast<int64_t>(bytes.size) / width;
  const int64_t elements = check_stored(held, stored, what);
  if (elements == 0) {
    return at::empty(stored.sizes, stored.dtype);
  }
  if (elements > std::max(held, most_repeated)) {
    throw Error("file", what + " repeats " + std::to_string(held) + " numbers to " +
                            std::to_string(elements) + ".");
  }
  char* start = const_cast<char*>(bytes.data) + stored.offset * width;
  const auto view = [&](char* from, at::ScalarType dtype, std::shared_ptr<const void> owner) {
    return at::from_blob(
        from, stored.sizes, stored.strides, [owner](void*) {},
        at::TensorOptions().dtype(dtype).device(at::kCPU));
  };
  if (stored.dtype == at::kBool) {
    // A bool of another byte than 0 and 1 is none.
    return view(start, at::kByte, bytes.owner).ne(0);
  }
  if (reinterpret_cast<std::uintptr_t>(start) % width == 0) {
    return view(start, stored.dtype, bytes.owner);
  }
  const auto copy = std::make_shared<std::vector<char>>(start, start + reach(stored, what) * width);
  return view(copy->data(), stored.dtype, copy);
}

bool is_name(const std::string& name) {
  if (name.size() > longest_name) {
    return false;
  }
  for (size_t i = 0; i < name.size();) {
    const auto first = static_cast<unsigned char>(name[i++]);
    const int more = first < 0x80 ? 0 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    uint32_t point = more == 0 ? first : first & (0x3f >> more);
    if (first == 0 || (first >= 0x80 && first < 0xc2) || first > 0xf4) {
      return false;
    }
    for (int k = 0; k < more; ++k, ++i) {
      if (i == name.size() || (static_cast<unsigned char>(name[i]) & 0xc0) != 0x80) {
        return false;
      }
      point = point << 6 | (static_cast<unsigned char>(name[i]) & 0x3f);
    }
    const bool surrogate = point >= 0xd800 && point < 0xe000;
    if (surrogate || point > 0x10ffff || (more == 2 && point < 0x800) ||
        (more == 3 && point < 0x10000)) {
      return false;
    }
  }
  return true;
}

}  // namespace seqlift
