#include "core/files/inflate.h"

#include <zlib.h>

#include <limits>

namespace seqlift {

namespace {

// Deflate makes at most 258 bytes of two bits: more is asked for only by a damaged file.
constexpr size_t greatest_ratio = 1032;

}  // namespace

bool inflate(const char* data, size_t size, size_t expected, std::string& result) {
  result.clear();
  constexpr size_t most = std::numeric_limits<uInt>::max();
  if (expected / greatest_ratio > size || size > most || expected > most - 1) {
    return false;
  }
  // One byte of room more shows data that go on.
  result.resize(expected + 1);
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data));
  stream.avail_in = static_cast<uInt>(size);
  stream.next_out = reinterpret_cast<Bytef*>(&result[0]);
  stream.avail_out = static_cast<uInt>(expected + 1);
  // Negative: no header, as zip archives have it.
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
    return false;
  }
  const int status = ::inflate(&stream, Z_FINISH);
  const bool whole = status == Z_STREAM_END && stream.total_out == expected;
  inflateEnd(&stream);
  result.resize(whole ? expected : 0);
  return whole;
}

}  // namespace seqlift
