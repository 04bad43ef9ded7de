#include <limits>
#include <string>
#include <vector>

#include "catch.h"
#include "core/sequences/sequence.h"

using seqlift::Alphabet;
using seqlift::Code;
using seqlift::OneHotOptions;

namespace {

std::vector<Code> encode(const Alphabet& alphabet, const std::string& text) {
  std::vector<Code> codes(text.size());
  REQUIRE(alphabet.encode(text.data(), text.size(), codes.data()) == text.size());
  return codes;
}

// Two sequences, ACN and TGG, with one more channel, laid out [2, 5, 3].
OneHotOptions two_sequences() {
  OneHotOptions options;
  options.n_sequences = 2;
  options.n_channels = 5;
  options.length = 3;
  return options;
}

std::vector<double> two_sequences_values() {
  const std::vector<Code> codes{0, 1, 4, 3, 2, 2};
  std::vector<double> values(2 * 5 * 3, 0.0);
  // Code 4 must not become the fifth channel, so the bases are set by hand.
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t position = 0; position < 3; ++position) {
      const Code code = codes[i * 3 + position];
      if (code < 4) {
        values[i + 2 * (code + 5 * position)] = 1.0;
      }
      values[i + 2 * (4 + 5 * position)] = 0.25;
    }
  }
  return values;
}

double& entry(std::vector<double>& values, std::size_t i, std::size_t channel,
              std::size_t position) {
  return values[i + 2 * (channel + 5 * position)];
}

}  // namespace

TEST_CASE("letters become codes in the alphabet's order and ignored ones the code after") {
  CHECK(encode(Alphabet("ACGT", "N", false), "TGCAN") == std::vector<Code>{3, 2, 1, 0, 4});
  CHECK(encode(Alphabet("AB", "xy", false), "BAxy") == std::vector<Code>{1, 0, 2, 2});
}

TEST_CASE("the case of letters counts unless it is folded") {
  std::vector<Code> codes(4);
  CHECK(Alphabet("ACGT", "N", false).encode("ACgT", 4, codes.data()) == 2);
  CHECK(encode(Alphabet("ACGT", "N", true), "acgtn") == std::vector<Code>{0, 1, 2, 3, 4});
}

TEST_CASE("encoding stops at the first foreign letter, bytes above 127 among them") {
  std::vector<Code> codes(5);
  const Alphabet alphabet("ACGT", "N", true);
  CHECK(alphabet.encode("ACXTX", 5, codes.data()) == 2);
  CHECK(alphabet.encode("ACG\xc3\xa9", 5, codes.data()) == 3);
}

TEST_CASE("decoding inverts encoding and writes N for what has no letter") {
  const auto codes = encode(Alphabet("ACGT", "N", false), "ACGTNTGCA");
  CHECK(seqlift::decode(codes.data(), codes.size(), "ACGT") == "ACGTNTGCA");
}

TEST_CASE("a right one-hot array passes, whatever finite numbers its further channels hold") {
  const auto report = seqlift::check_one_hot(two_sequences_values().data(), two_sequences());
  CHECK_FALSE(report.not_finite);
  CHECK_FALSE(report.not_binary);
  CHECK_FALSE(report.wrong_sum);
}

TEST_CASE("an unknown base is refused where none is allowed") {
  OneHotOptions options = two_sequences();
  options.allow_unknown = false;
  const auto report = seqlift::check_one_hot(two_sequences_values().data(), options);
  REQUIRE(report.wrong_sum);
  CHECK(report.wrong_sum->sequence == 0);
  CHECK(report.wrong_sum->position == 2);
}

TEST_CASE("the report names the first sequence, then the first position") {
  auto values = two_sequences_values();
  entry(values, 1, 0, 0) = 1.0;  // two bases in sequence 1 at position 0
  entry(values, 0, 2, 1) = 1.0;  // and in sequence 0 at positions 1 and 2
  entry(values, 0, 2, 2) = 1.0;
  entry(values, 0, 3, 2) = 1.0;
  const auto report = seqlift::check_one_hot(values.data(), two_sequences());
  REQUIRE(report.wrong_sum);
  CHECK(report.wrong_sum->sequence == 0);
  CHECK(report.wrong_sum->position == 1);
  CHECK(report.wrong_sum->value == 2.0);
}

TEST_CASE("values other than 0 and 1, and not finite ones, are told apart") {
  auto values = two_sequences_values();
  entry(values, 1, 3, 0) = 0.5;
  entry(values, 1, 4, 2) = std::numeric_limits<double>::quiet_NaN();
  const auto report = seqlift::check_one_hot(values.data(), two_sequences());
  REQUIRE(report.not_binary);
  CHECK(report.not_binary->value == 0.5);
  CHECK(report.not_binary->position == 0);
  REQUIRE(report.not_finite);
  CHECK(report.not_finite->sequence == 1);
  CHECK(report.not_finite->position == 2);
}

TEST_CASE("codes and one-hot arrays convert into each other beyond one block of sequences") {
  const std::size_t n = 600;
  const std::size_t length = 7;
  std::vector<Code> codes(n * length);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    codes[i] = static_cast<Code>((i * i + i / 3) % 5);
  }
  std::vector<double> values(n * 4 * length, 0.0);
  seqlift::one_hot_from_codes({codes.data(), length, n}, 4, values.data());
  OneHotOptions options;
  options.n_sequences = n;
  options.length = length;
  CHECK_FALSE(seqlift::check_one_hot(values.data(), options).wrong_sum);
  std::vector<Code> back(codes.size());
  seqlift::codes_from_one_hot(values.data(), options, back.data());
  CHECK(back == codes);
}

TEST_CASE("reading codes leaves further channels aside") {
  std::vector<Code> codes(6);
  seqlift::codes_from_one_hot(two_sequences_values().data(), two_sequences(), codes.data());
  CHECK(codes == std::vector<Code>{0, 1, 4, 3, 2, 2});
}
