#include <string>
#include <vector>

#include "catch.h"
#include "core/motifs/gapped_words.h"

using seqlift::Code;
using seqlift::GappedWord;
using seqlift::GappedWordOptions;

TEST_CASE("words are found with their gaps, and the heaviest are kept") {
  const std::vector<Code> sequence = {0, 1, 2, 0};  // ACGA
  const std::vector<double> scores = {1, 2, -9, 4};
  GappedWordOptions options;
  options.min_letters = 2;
  options.max_letters = 2;
  options.max_step = 3;
  options.max_length = 4;
  std::vector<GappedWord> words = seqlift::gapped_words(sequence.data(), scores.data(), 4, options);
  std::vector<std::string> letters;
  for (const GappedWord& word : words) {
    letters.push_back(word.letters);
  }
  // Means of -3.5, -4, 2.5, -2.5, 3, 1.5; of equal ones the one further left.
  CHECK(letters == std::vector<std::string>{"A.G", "CG", "C.A", "A..A", "GA", "AC"});
  CHECK(words[0].score == -4);
  options.max_words = 2;
  CHECK(seqlift::gapped_words(sequence.data(), scores.data(), 4, options).size() == 2);
  options.max_length = 2;
  options.max_words = 10;
  CHECK(seqlift::gapped_words(sequence.data(), scores.data(), 4, options).size() == 3);
  options.max_positions = 2;
  options.max_length = 4;
  words = seqlift::gapped_words(sequence.data(), scores.data(), 4, options);
  REQUIRE(words.size() == 1);
  CHECK(words[0].letters == "C.A");
}

TEST_CASE("occurrences add up, and unknown bases are in no word") {
  const std::vector<Code> sequence = {2, 0, 2, 0, 4, 0};  // GAGANA
  const std::vector<double> scores(6, 1);
  GappedWordOptions options;
  options.min_letters = 2;
  options.max_letters = 2;
  options.max_step = 1;
  const auto words = seqlift::gapped_words(sequence.data(), scores.data(), 6, options);
  REQUIRE(words.size() == 2);
  CHECK(words[0].letters == "GA");
  CHECK(words[0].score == 2);
  CHECK(words[1].letters == "AG");
}
