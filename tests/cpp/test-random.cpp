#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "catch.h"
#include "core/base/error.h"
#include "core/sequences/random.h"

using seqlift::RandomState;

TEST_CASE("the words are those of the standard library's mt19937, over several twists") {
  for (const std::uint32_t seed : {0U, 1U, 5489U, 4294967295U}) {
    RandomState ours(seed);
    std::mt19937 theirs(seed);
    for (int i = 0; i < 2000; ++i) {
      REQUIRE(ours.next_word() == theirs());
    }
  }
}

TEST_CASE("uniform numbers are those numpy's RandomState(0) gives") {
  RandomState random(0);
  CHECK(random.uniform() == 0.5488135039273248);
  CHECK(random.uniform() == 0.7151893663724195);
}

TEST_CASE("normal numbers are those numpy's RandomState(0) gives") {
  for (const std::size_t count : {3U, 4U}) {
    RandomState random(0);
    std::vector<double> drawn(count);
    seqlift::standard_normals(random, count, drawn.data());
    CHECK(std::abs(drawn[0] - 1.764052345967664) < 1e-14);
    CHECK(std::abs(drawn[1] - 0.4001572083672233) < 1e-14);
    CHECK(std::abs(drawn[2] - 0.9787379841057392) < 1e-14);
  }
}

TEST_CASE("bounded integers are those numpy's RandomState(0) gives") {
  RandomState random(0);
  std::vector<std::uint32_t> drawn(10);
  std::generate(drawn.begin(), drawn.end(), [&] { return random.integer_up_to(9); });
  CHECK(drawn == std::vector<std::uint32_t>{5, 0, 3, 3, 7, 9, 3, 5, 2, 4});
}

TEST_CASE("an integer up to 0 takes nothing from the stream") {
  RandomState random(3);
  RandomState untouched(3);
  CHECK(random.integer_up_to(0) == 0);
  CHECK(random.next_word() == untouched.next_word());
}

TEST_CASE("bounded integers reach both ends of ranges around powers of two") {
  RandomState random(1);
  for (const std::uint32_t max : {1U, 2U, 3U, 4U, 7U, 8U, 15U, 16U}) {
    std::vector<int> seen(max + 1, 0);
    for (int i = 0; i < 2000; ++i) {
      ++seen.at(random.integer_up_to(max));
    }
    CHECK(std::all_of(seen.begin(), seen.end(), [](int count) { return count > 0; }));
  }
}

TEST_CASE("a permutation is the one numpy's RandomState(0) gives") {
  RandomState random(0);
  std::vector<int> items(10);
  std::iota(items.begin(), items.end(), 0);
  random.permute(items.data(), items.size());
  CHECK(items == std::vector<int>{2, 8, 4, 9, 1, 6, 7, 3, 0, 5});
}

TEST_CASE("permuting no item or one item takes nothing from the stream") {
  RandomState random(3);
  RandomState untouched(3);
  int item = 7;
  random.permute(&item, 0);
  random.permute(&item, 1);
  CHECK(item == 7);
  CHECK(random.next_word() == untouched.next_word());
}

TEST_CASE("a generator restored from its snapshot goes on where it stood") {
  RandomState random(11);
  for (int i = 0; i < 700; ++i) {
    random.next_word();
  }
  RandomState restored(random.snapshot());
  for (int i = 0; i < 700; ++i) {
    REQUIRE(restored.next_word() == random.next_word());
  }
}

TEST_CASE("a snapshot whose position is outside its words is refused") {
  seqlift::RandomSnapshot snapshot;
  snapshot.position = seqlift::RandomSnapshot::n_words + 1;
  CHECK_THROWS_AS(RandomState(snapshot), seqlift::Error);
}

TEST_CASE("weighted letters have their probabilities and never one of probability zero") {
  const std::vector<double> probabilities{0.5, 0.0, 0.2, 0.3};
  const auto cumulative = seqlift::cumulative_shares(probabilities.data(), 4);
  CHECK(cumulative.back() == 1.0);
  RandomState random(2);
  std::vector<std::uint8_t> letters(100000);
  seqlift::random_letters(random, cumulative, letters.size(), letters.data());
  for (std::uint8_t letter = 0; letter < 4; ++letter) {
    const auto count = std::count(letters.begin(), letters.end(), letter);
    // Five standard deviations of a share of 1e5 draws are at most 0.008.
    CHECK(std::abs(count / 1e5 - probabilities[letter]) < 0.008);
  }
  CHECK(std::count(letters.begin(), letters.end(), 1) == 0);
}

TEST_CASE("numbers permuted to the front are those of the permutation") {
  for (const std::size_t n : {1, 2, 5, 1000, 600001}) {
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, n / 3, n}) {
      std::vector<std::uint32_t> order(n);
      for (std::size_t i = 0; i < n; ++i) {
        order[i] = static_cast<std::uint32_t>(i);
      }
      RandomState(1234).permute(order.data(), n);
      std::vector<bool> expected(n, false);
      for (std::size_t i = 0; i < count; ++i) {
        expected[order[i]] = true;
      }
      CHECK(seqlift::permuted_to_front(RandomState(1234), n, count) == expected);
    }
  }
}
