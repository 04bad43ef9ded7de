// The random stream of numpy's legacy RandomState, bit for bit, so that a seed gives here the
// sequences it gives in the Python tools: MT19937 (Matsumoto and Nishimura 1998) with the
// single-integer seeding, bounded integers by masked rejection, 53-bit doubles, permutations by
// Fisher-Yates from the end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace seqlift {

// The whole state of a generator: it can be stored and continued later.
struct RandomSnapshot {
  static constexpr std::size_t n_words = 624;
  std::array<std::uint32_t, n_words> words{};
  std::size_t position = n_words;  // next word to hand out; n_words: twist first
};

class RandomState {
 public:
  explicit RandomState(std::uint32_t seed);
  // Throws Error("internal") if the position is outside the state.
  explicit RandomState(const RandomSnapshot& snapshot);

  // The next 32 random bits.
  std::uint32_t next_word();
  // Uniform on [0, 1), 53 bits: two words.
  double uniform();
  // Uniform on 0, ..., max (inclusive); max = 0 draws nothing.
  std::uint32_t integer_up_to(std::uint32_t max);

  template <class T>
  void permute(T* items, std::size_t count) {
    for (std::size_t i = count; i-- > 1;) {
      std::swap(items[i], items[integer_up_to(static_cast<std::uint32_t>(i))]);
    }
  }

  const RandomSnapshot& snapshot() const { return state_; }

 private:
  void twist();

  RandomSnapshot state_;
};

// Which of `n` numbers permute() would bring to the first `count` places; not in which order. Takes
// a bit for each, where a permutation takes the numbers.
std::vector<bool> permuted_to_front(RandomState random, std::size_t n, std::size_t count);

// `count` normal numbers of mean 0 and standard deviation 1, as the stream's standard_normal():
// Marsaglia's polar method.
void standard_normals(RandomState& random, std::size_t count, double* values);

// Cumulative sums of `count` probabilities divided by the last of them, summed in double and
// from the left: the order is part of the stream's definition.
std::vector<double> cumulative_shares(const double* probabilities, std::size_t count);

// `count` letters, each 0, ..., n_letters - 1 with equal probability: one integer a letter.
void random_letters(RandomState& random, std::uint32_t n_letters, std::size_t count,
                    std::uint8_t* letters);

// `count` letters with the probabilities behind `cumulative`: one uniform number a letter.
void random_letters(RandomState& random, const std::vector<double>& cumulative, std::size_t count,
                    std::uint8_t* letters);

}  // namespace seqlift
