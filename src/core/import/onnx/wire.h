// The wire format of protocol buffers, as much of it as ONNX files have: fields with a number and a
// value that is a varint, 32 or 64 bits, or so many bytes. Nothing is believed that is not there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace seqlift {
namespace onnx {

// A part of the file. Its memory belongs to the file.
struct Span {
  const char* data = nullptr;
  size_t size = 0;

  std::string text() const { return std::string(data, size); }
};

struct Field {
  uint32_t number = 0;
  enum class Type { varint, fixed64, bytes, fixed32 } type = Type::varint;
  uint64_t bits = 0;  // of a varint or fixed number
  Span bytes;

  int64_t whole() const { return static_cast<int64_t>(bits); }
  float real() const;
};

// Errors: kind "file", for what ends in the middle, groups (which ONNX has not) and field numbers
// that are none.
class WireReader {
 public:
  explicit WireReader(Span span) : at_(span.data), end_(span.data + span.size) {}

  // False at the end.
  bool next(Field& field);

 private:
  uint64_t varint();
  uint64_t fixed(size_t bytes);

  const char* at_;
  const char* end_;
};

// Of a repeated field of numbers, each of which is a field of its own or all of which are packed in
// one: those of `field`, added to what is there.
void add_wholes(const Field& field, std::vector<int64_t>& numbers);
void add_floats(const Field& field, std::vector<float>& numbers);
void add_doubles(const Field& field, std::vector<double>& numbers);

}  // namespace onnx
}  // namespace seqlift
