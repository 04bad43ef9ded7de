#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "catch.h"
#include "core/sequences/shuffle.h"

using seqlift::Code;
using seqlift::DinucleotideShuffleOptions;
using seqlift::RandomState;

namespace {

std::vector<Code> encode(const std::string& text) {
  std::vector<Code> codes(text.size());
  const seqlift::Alphabet alphabet("ACGT", "N", false);
  REQUIRE(alphabet.encode(text.data(), text.size(), codes.data()) == text.size());
  return codes;
}

std::map<std::string, int> pairs(const std::string& text) {
  std::map<std::string, int> counts;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    ++counts[text.substr(i, 2)];
  }
  return counts;
}

std::vector<std::string> shuffles(const std::string& text, DinucleotideShuffleOptions options) {
  const auto codes = encode(text);
  if (options.region.end == 0) {
    options.region = {0, text.size()};
  }
  options.out_stride = text.size();
  std::vector<Code> out(options.n * text.size());
  seqlift::dinucleotide_shuffle(codes.data(), codes.size(), options, out.data());
  std::vector<std::string> texts;
  for (std::size_t j = 0; j < options.n; ++j) {
    texts.push_back(seqlift::decode(out.data() + j * text.size(), text.size(), "ACGT"));
  }
  return texts;
}

bool can_change(const std::string& text) {
  const auto codes = encode(text);
  return seqlift::DinucleotideShuffler(codes.data(), {0, codes.size()}).can_change();
}

// The letter that follows the last occurrence of each base that has a follower.
std::map<char, char> last_exits(const std::string& text) {
  std::map<char, char> exits;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    exits[text[i]] = text[i + 1];
  }
  return exits;
}

// Every sequence with the pairs and the last exits of `text`, by trying all arrangements.
std::set<std::string> all_walks(const std::string& text) {
  std::set<std::string> walks;
  std::string inner = text.substr(1);
  std::sort(inner.begin(), inner.end());
  do {
    const std::string candidate = text[0] + inner;
    if (pairs(candidate) == pairs(text) && last_exits(candidate) == last_exits(text)) {
      walks.insert(candidate);
    }
  } while (std::next_permutation(inner.begin(), inner.end()));
  return walks;
}

}  // namespace

TEST_CASE("a dinucleotide shuffle keeps every pair and both ends") {
  const std::string text = "ACGATTACAGATTACGACCAGGCATTACGCATCATGGCAT";
  DinucleotideShuffleOptions options;
  options.n = 50;
  std::set<std::string> different;
  for (const auto& shuffled : shuffles(text, options)) {
    CHECK(pairs(shuffled) == pairs(text));
    CHECK(shuffled.front() == text.front());
    CHECK(shuffled.back() == text.back());
    different.insert(shuffled);
  }
  CHECK(different.size() > 40);
}

TEST_CASE("a dinucleotide shuffle reaches every walk with the same last exits, equally often") {
  const std::string text = "ACAGATACTC";
  const auto walks = all_walks(text);
  REQUIRE(walks.size() > 3);
  DinucleotideShuffleOptions options;
  options.n = 20000;
  std::map<std::string, int> counts;
  for (const auto& shuffled : shuffles(text, options)) {
    REQUIRE(walks.count(shuffled) == 1);
    ++counts[shuffled];
  }
  CHECK(counts.size() == walks.size());
  const double expected = static_cast<double>(options.n) / static_cast<double>(walks.size());
  for (const auto& count : counts) {
    // Five standard deviations of a binomial count are below 5 sqrt(expected).
    CHECK(std::abs(count.second - expected) < 5 * std::sqrt(expected));
  }
}

TEST_CASE("unknown bases stay in place and the stretches between them keep their own pairs") {
  const std::string text = "NACAGATACTCNNGGTGAGCGTANN";
  DinucleotideShuffleOptions options;
  options.n = 30;
  std::set<std::string> different;
  for (const auto& shuffled : shuffles(text, options)) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      CHECK((shuffled[i] == 'N') == (text[i] == 'N'));
    }
    CHECK(pairs(shuffled.substr(1, 10)) == pairs(text.substr(1, 10)));
    CHECK(pairs(shuffled.substr(13, 10)) == pairs(text.substr(13, 10)));
    different.insert(shuffled);
  }
  CHECK(different.size() > 10);
}

TEST_CASE("a sequence of unknown bases alone is its own shuffle") {
  DinucleotideShuffleOptions options;
  options.n = 2;
  CHECK(shuffles("NNNN", options) == std::vector<std::string>{"NNNN", "NNNN"});
  CHECK_FALSE(can_change("NNNN"));
}

TEST_CASE("whether a shuffle can change a sequence is what trying all walks says") {
  for (const std::string text : {"A", "AC", "AAAAAAAA", "ACACACACA", "ACAGA", "ACAGAA", "ACAGATA",
                                 "AACAACC", "ACGTACGTTG", "TTTTTTA", "GATTACA", "ACCAACA"}) {
    INFO(text);
    CHECK(can_change(text) == (all_walks(text).size() > 1));
  }
}

TEST_CASE("outside its region a shuffle leaves the sequence alone") {
  const std::string text = "ACAGATACTCACAGATACTCACAG";
  DinucleotideShuffleOptions options;
  options.region = {5, 20};
  options.n = 20;
  for (const auto& shuffled : shuffles(text, options)) {
    CHECK(shuffled.substr(0, 6) == text.substr(0, 6));
    CHECK(shuffled.substr(19) == text.substr(19));
    CHECK(pairs(shuffled.substr(5, 15)) == pairs(text.substr(5, 15)));
  }
}

TEST_CASE("reseeding for each shuffle gives the first shuffle under each seed") {
  const std::string text = "ACGATTACAGATTACGACCAGGCATTACG";
  DinucleotideShuffleOptions options;
  options.n = 5;
  options.seed = 40;
  options.reseed_each = true;
  const auto together = shuffles(text, options);
  for (std::uint32_t j = 0; j < 5; ++j) {
    DinucleotideShuffleOptions one;
    one.n = 1;
    one.seed = 40 + j;
    CHECK(shuffles(text, one).front() == together[j]);
  }
}

TEST_CASE("fewer shuffles are the beginning of more") {
  DinucleotideShuffleOptions few;
  few.n = 3;
  DinucleotideShuffleOptions many;
  many.n = 9;
  const std::string text = "ACGATTACNGATTACGACCAGGCATTACG";
  auto beginning = shuffles(text, many);
  beginning.resize(3);
  CHECK(shuffles(text, few) == beginning);
}

TEST_CASE("a region's shuffle moves every sequence in the same way") {
  const auto codes = encode("ACGTTGCAACAAAACCCCGGGG");  // two sequences of 11
  const std::size_t n = 4;
  std::vector<Code> out(n * codes.size());
  RandomState random(6);
  seqlift::shuffle_region({codes.data(), 11, 2}, {2, 10}, n, random, out.data());
  // The same stream gives the same permutations of the positions.
  RandomState again(6);
  for (std::size_t j = 0; j < n; ++j) {
    std::vector<std::size_t> order{2, 3, 4, 5, 6, 7, 8, 9};
    again.permute(order.data(), order.size());
    for (std::size_t i = 0; i < 2; ++i) {
      const Code* const in = codes.data() + i * 11;
      const Code* const shuffled = out.data() + j * codes.size() + i * 11;
      CHECK(shuffled[0] == in[0]);
      CHECK(shuffled[1] == in[1]);
      CHECK(shuffled[10] == in[10]);
      for (std::size_t k = 0; k < order.size(); ++k) {
        CHECK(shuffled[2 + k] == in[order[k]]);
      }
    }
  }
}

TEST_CASE("a region of one letter cannot be changed by shuffling") {
  const auto codes = encode("ACCCCA");
  CHECK_FALSE(seqlift::shuffle_can_change(codes.data(), {1, 5}));
  CHECK(seqlift::shuffle_can_change(codes.data(), {0, 5}));
}
