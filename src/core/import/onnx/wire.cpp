#include "core/import/onnx/wire.h"

#include <cstring>

#include "core/base/error.h"

namespace seqlift {
namespace onnx {

namespace {

[[noreturn]] void damaged(const char* why) {
  throw Error("file", std::string("The file is no model of ONNX, or is damaged: ") + why + ".");
}

template <typename Number>
Number number_of(uint64_t bits) {
  Number number;
  std::memcpy(&number, &bits, sizeof(number));  // little-endian, as everything here
  return number;
}

// `width`: of one number in the packed form.
template <typename Number>
void add_fixed(const Field& field, Field::Type own, std::vector<Number>& numbers) {
  if (field.type == own) {
    numbers.push_back(number_of<Number>(field.bits));
    return;
  }
  if (field.type != Field::Type::bytes || field.bytes.size % sizeof(Number) != 0) {
    damaged("a list of numbers has another form");
  }
  const size_t before = numbers.size();
  const size_t count = field.bytes.size / sizeof(Number);
  numbers.resize(before + count);
  if (count > 0) {
    std::memcpy(numbers.data() + before, field.bytes.data, field.bytes.size);
  }
}

}  // namespace

float Field::real() const {
  if (type != Type::fixed32) {
    damaged("a number has another form");
  }
  return number_of<float>(bits);
}

uint64_t WireReader::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at_ == end_) {
      damaged("it ends in the middle of a number");
    }
    const auto byte = static_cast<unsigned char>(*at_++);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      return value;
    }
  }
  damaged("a number has more than ten bytes");
}

uint64_t WireReader::fixed(size_t bytes) {
  if (static_cast<size_t>(end_ - at_) < bytes) {
    damaged("it ends in the middle of a number");
  }
  uint64_t value = 0;
  std::memcpy(&value, at_, bytes);
  at_ += bytes;
  return value;
}

bool WireReader::next(Field& field) {
  if (at_ == end_) {
    return false;
  }
  const uint64_t key = varint();
  if (key >> 3 == 0 || key >> 3 >= (uint64_t{1} << 29)) {
    damaged("a field has no number");
  }
  field = Field();
  field.number = static_cast<uint32_t>(key >> 3);
  switch (key & 7) {
    case 0:
      field.type = Field::Type::varint;
      field.bits = varint();
      return true;
    case 1:
      field.type = Field::Type::fixed64;
      field.bits = fixed(8);
      return true;
    case 2: {
      field.type = Field::Type::bytes;
      const uint64_t size = varint();
      if (size > static_cast<uint64_t>(end_ - at_)) {
        damaged("a part is longer than what holds it");
      }
      field.bytes = {at_, static_cast<size_t>(size)};
      at_ += size;
      return true;
    }
    case 5:
      field.type = Field::Type::fixed32;
      field.bits = fixed(4);
      return true;
    default:
      damaged("a field has a type that ONNX has not");
  }
}

void add_wholes(const Field& field, std::vector<int64_t>& numbers) {
  if (field.type == Field::Type::varint) {
    numbers.push_back(field.whole());
    return;
  }
  if (field.type != Field::Type::bytes) {
    damaged("a list of numbers has another form");
  }
  const char* at = field.bytes.data;
  const char* const end = at + field.bytes.size;
  while (at < end) {
    uint64_t value = 0;
    int shift = 0;
    while (true) {
      if (at == end || shift > 63) {
        damaged("a list of numbers ends in the middle of one");
      }
      const auto byte = static_cast<unsigned char>(*at++);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      shift += 7;
      if ((byte & 0x80) == 0) {
        break;
      }
    }
    numbers.push_back(static_cast<int64_t>(value));
  }
}

void add_floats(const Field& field, std::vector<float>& numbers) {
  add_fixed(field, Field::Type::fixed32, numbers);
}

void add_doubles(const Field& field, std::vector<double>& numbers) {
  add_fixed(field, Field::Type::fixed64, numbers);
}

}  // namespace onnx
}  // namespace seqlift
