// Huffman codes are decoded bit by bit, by the count of the codes of each length, as in Adler's
// puff: slow and short, for some kilobytes of code.
#include "inflate.h"

#include <array>
#include <cstdint>
#include <vector>

namespace seqlift {

namespace {

constexpr int longest_code = 15;
// A length of 258 takes two bits at least.
constexpr size_t greatest_ratio = 1032;

struct Huffman {
  std::array<uint16_t, longest_code + 1> count{};
  std::vector<uint16_t> symbol;

  // False where there are more codes of a length than it has.
  bool build(const uint8_t* lengths, size_t n) {
    count.fill(0);
    for (size_t i = 0; i < n; ++i) {
      ++count[lengths[i]];
    }
    count[0] = 0;
    int left = 1;
    std::array<uint16_t, longest_code + 2> offset{};
    for (int length = 1; length <= longest_code; ++length) {
      left = 2 * left - count[length];
      if (left < 0) {
        return false;
      }
      offset[length + 1] = offset[length] + count[length];
    }
    symbol.assign(n, 0);
    for (size_t i = 0; i < n; ++i) {
      if (lengths[i] != 0) {
        symbol[offset[lengths[i]]++] = static_cast<uint16_t>(i);
      }
    }
    return true;
  }
};

class Inflater {
 public:
  Inflater(const char* data, size_t size, size_t expected, std::string& result)
      : data_(reinterpret_cast<const uint8_t*>(data)),
        size_(size),
        expected_(expected),
        result_(result) {}

  bool run() {
    bool last = false;
    while (good_ && !last) {
      last = bits(1) == 1;
      const uint32_t kind = bits(2);
      if (kind == 0) {
        stored();
      } else if (kind == 1) {
        fixed();
      } else if (kind == 2) {
        dynamic();
      } else {
        good_ = false;
      }
    }
    return good_ && result_.size() == expected_;
  }

 private:
  uint32_t bits(int n) {
    while (held_ < n) {
      if (at_ == size_) {
        good_ = false;
        return 0;
      }
      buffer_ |= static_cast<uint32_t>(data_[at_++]) << held_;
      held_ += 8;
    }
    const uint32_t value = buffer_ & ((1u << n) - 1);
    buffer_ >>= n;
    held_ -= n;
    return value;
  }

  int decode(const Huffman& code) {
    int value = 0;
    int first = 0;
    int index = 0;
    for (int length = 1; length <= longest_code && good_; ++length) {
      value |= static_cast<int>(bits(1));
      const int count = code.count[length];
      if (value - count < first) {
        return code.symbol[index + (value - first)];
      }
      index += count;
      first = (first + count) << 1;
      value <<= 1;
    }
    good_ = false;
    return 0;
  }

  void put(char byte) {
    if (result_.size() == expected_) {
      good_ = false;
    } else {
      result_ += byte;
    }
  }

  void stored() {
    buffer_ = 0;
    held_ = 0;
    if (size_ - at_ < 4) {
      good_ = false;
      return;
    }
    const size_t length = data_[at_] | data_[at_ + 1] << 8;
    const size_t complement = data_[at_ + 2] | data_[at_ + 3] << 8;
    at_ += 4;
    if (length != (~complement & 0xffff) || length > size_ - at_ ||
        length > expected_ - result_.size()) {
      good_ = false;
      return;
    }
    result_.append(reinterpret_cast<const char*>(data_ + at_), length);
    at_ += length;
  }

  void fixed() {
    std::array<uint8_t, 288> lengths{};
    for (size_t i = 0; i < lengths.size(); ++i) {
      lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    }
    const std::array<uint8_t, 30> distances = [] {
      std::array<uint8_t, 30> all{};
      all.fill(5);
      return all;
    }();
    Huffman length_code;
    Huffman distance_code;
    length_code.build(lengths.data(), lengths.size());
    distance_code.build(distances.data(), distances.size());
    compressed(length_code, distance_code);
  }

  void dynamic() {
    static constexpr std::array<uint8_t, 19> order{16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                   11, 4,  12, 3, 13, 2, 14, 1, 15};
    const uint32_t n_lengths = bits(5) + 257;
    const uint32_t n_distances = bits(5) + 1;
    const uint32_t n_codes = bits(4) + 4;
    std::array<uint8_t, 320> lengths{};
    for (uint32_t i = 0; i < n_codes; ++i) {
      lengths[order[i]] = static_cast<uint8_t>(bits(3));
    }
    Huffman code;
    if (!good_ || n_lengths > 286 || n_distances > 30 || !code.build(lengths.data(), 19)) {
      good_ = false;
      return;
    }
    lengths.fill(0);
    for (uint32_t i = 0; i < n_lengths + n_distances && good_;) {
      const int symbol = decode(code);
      if (symbol < 16) {
        lengths[i++] = static_cast<uint8_t>(symbol);
        continue;
      }
      if (symbol == 16 && i == 0) {
        good_ = false;
        return;
      }
      const uint8_t value = symbol == 16 ? lengths[i - 1] : 0;
      const uint32_t times = symbol == 16 ? 3 + bits(2) : symbol == 17 ? 3 + bits(3) : 11 + bits(7);
      if (i + times > n_lengths + n_distances) {
        good_ = false;
        return;
      }
      for (uint32_t end = i + times; i < end; ++i) {
        lengths[i] = value;
      }
    }
    Huffman length_code;
    Huffman distance_code;
    good_ = good_ && length_code.build(lengths.data(), n_lengths) &&
            distance_code.build(lengths.data() + n_lengths, n_distances);
    compressed(length_code, distance_code);
  }

  void compressed(const Huffman& length_code, const Huffman& distance_code) {
    static constexpr std::array<uint16_t, 29> length_base{
        3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
        31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static constexpr std::array<uint8_t, 29> length_bits{
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static constexpr std::array<uint16_t, 30> distance_base{
        1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
        193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    static constexpr std::array<uint8_t, 30> distance_bits{0, 0, 0,  0,  1,  1,  2,  2,  3,  3,
                                                           4, 4, 5,  5,  6,  6,  7,  7,  8,  8,
                                                           9, 9, 10, 10, 11, 11, 12, 12, 13, 13};
    while (good_) {
      const int symbol = decode(length_code);
      if (symbol < 256) {
        put(static_cast<char>(symbol));
        continue;
      }
      if (symbol == 256) {
        return;
      }
      const size_t which = static_cast<size_t>(symbol) - 257;
      if (which >= length_base.size()) {
        good_ = false;
        return;
      }
      const size_t length = length_base[which] + bits(length_bits[which]);
      const size_t how_far = static_cast<size_t>(decode(distance_code));
      if (!good_ || how_far >= distance_base.size()) {
        good_ = false;
        return;
      }
      const size_t distance = distance_base[how_far] + bits(distance_bits[how_far]);
      if (distance > result_.size()) {
        good_ = false;
        return;
      }
      for (size_t i = 0; i < length && good_; ++i) {
        put(result_[result_.size() - distance]);
      }
    }
  }

  const uint8_t* data_;
  size_t size_;
  size_t expected_;
  std::string& result_;
  size_t at_ = 0;
  uint32_t buffer_ = 0;
  int held_ = 0;
  bool good_ = true;
};

}  // namespace

bool inflate(const char* data, size_t size, size_t expected, std::string& result) {
  result.clear();
  if (expected / greatest_ratio > size) {
    return false;
  }
  result.reserve(expected);
  return Inflater(data, size, expected, result).run();
}

}  // namespace seqlift
