// Sequences as codes, one byte a position: 0, 1, 2, 3 for A, C, G, T and `unknown_base` for N.
// Everything random and every edit works on codes; one-hot arrays exist at the edge only, where
// they are as R lays them out: [n, channels, length] with the sequence index running fastest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace seqlift {

using Code = std::uint8_t;

constexpr std::size_t n_bases = 4;
constexpr Code unknown_base = 4;  // a column of zeros in the one-hot encoding

// `count` sequences of one length; sequence i starts at codes + i * length.
struct CodesView {
  const Code* codes;
  std::size_t length;
  std::size_t count;

  const Code* sequence(std::size_t i) const { return codes + i * length; }
};

// Positions start, ..., end - 1 of a sequence, counted from 0.
struct Region {
  std::size_t start;
  std::size_t end;

  std::size_t length() const { return end - start; }
};

// Which byte is which code. Ignored letters get the code after the last letter's, which is
// `unknown_base` for an alphabet of four.
class Alphabet {
 public:
  Alphabet(const std::string& letters, const std::string& ignored, bool fold_case);

  // Writes the codes of `length` letters. Returns the position of the first letter that is
  // neither in the alphabet nor ignored, or `length` if there is none.
  std::size_t encode(const char* text, std::size_t length, Code* codes) const;

 private:
  static constexpr Code foreign = 255;
  std::array<Code, 256> code_of_;
};

// The letters of the codes; `unknown` stands for every code beyond the last letter.
std::string decode(const Code* codes, std::size_t length, const std::string& letters,
                   char unknown = 'N');

// The place (sequence, position, from 0) where an array is not what it should be, and the value
// found there: the entry itself, or the sum of the base channels.
struct OneHotViolation {
  std::size_t sequence;
  std::size_t position;
  double value;
};

// For each way to fail the first place, in the order of sequences, then positions.
struct OneHotReport {
  std::optional<OneHotViolation> not_finite;  // in any channel
  std::optional<OneHotViolation> not_binary;  // a base channel is neither 0 nor 1
  std::optional<OneHotViolation> wrong_sum;   // not exactly one base
};

struct OneHotOptions {
  std::size_t n_sequences = 0;       // to encode
  std::size_t n_channels = n_bases;  // those after the first `n_checked` may hold any number
  std::size_t n_checked = n_bases;   // channels that must be one-hot
  std::size_t length = 0;            // of each sequence, in bp
  bool allow_unknown = true;         // columns of zeros
};

OneHotReport check_one_hot(const double* values, const OneHotOptions& options);

// Codes (sequence after sequence) of an array that `check_one_hot` found right.
void codes_from_one_hot(const double* values, const OneHotOptions& options, Code* codes);

// Sets the ones in `values`, an array [count, n_channels, length] of zeros. Codes of
// `n_channels` and above leave their column at zero.
void one_hot_from_codes(const CodesView& sequences, std::size_t n_channels, double* values);

}  // namespace seqlift
