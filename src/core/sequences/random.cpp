#include "core/sequences/random.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace seqlift {

namespace {

// The constants of MT19937, named as in the paper.
constexpr std::size_t middle_offset = 397;
constexpr std::uint32_t twist_matrix = 0x9908b0dfU;
constexpr std::uint32_t upper_bit = 0x80000000U;
constexpr std::uint32_t lower_bits = 0x7fffffffU;
constexpr std::uint32_t seeding_multiplier = 1812433253U;

// The smallest 2^k - 1 that is at least `max`.
std::uint32_t covering_mask(std::uint32_t max) {
  std::uint32_t mask = max;
  for (const unsigned shift : {1U, 2U, 4U, 8U, 16U}) {
    mask |= mask >> shift;
  }
  return mask;
}

}  // namespace

RandomState::RandomState(std::uint32_t seed) {
  auto& words = state_.words;
  words[0] = seed;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::uint32_t previous = words[i - 1];
    words[i] = seeding_multiplier * (previous ^ (previous >> 30)) + static_cast<std::uint32_t>(i);
  }
}

RandomState::RandomState(const RandomSnapshot& snapshot) : state_(snapshot) {
  if (state_.position > RandomSnapshot::n_words) {
    throw Error("internal", "a random generator's position lies outside its state");
  }
}

void RandomState::twist() {
  auto& words = state_.words;
  constexpr std::size_t n = RandomSnapshot::n_words;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t joined = (words[i] & upper_bit) | (words[(i + 1) % n] & lower_bits);
    const std::uint32_t odd = (joined & 1U) != 0 ? twist_matrix : 0U;
    words[i] = words[(i + middle_offset) % n] ^ (joined >> 1) ^ odd;
  }
  state_.position = 0;
}

std::uint32_t RandomState::next_word() {
  if (state_.position == RandomSnapshot::n_words) {
    twist();
  }
  std::uint32_t word = state_.words[state_.position++];
  word ^= word >> 11;
  word ^= (word << 7) & 0x9d2c5680U;
  word ^= (word << 15) & 0xefc60000U;
  word ^= word >> 18;
  return word;
}

double RandomState::uniform() {
  const std::uint32_t upper = next_word() >> 5;              // 27 bits
  const std::uint32_t lower = next_word() >> 6;              // 26 bits
  return (upper * 67108864.0 + lower) / 9007199254740992.0;  // (upper 2^26 + lower) / 2^53
}

std::uint32_t RandomState::integer_up_to(std::uint32_t max) {
  if (max == 0) {
    return 0;
  }
  const std::uint32_t mask = covering_mask(max);
  std::uint32_t value = next_word() & mask;
  while (value > max) {
    value = next_word() & mask;
  }
  return value;
}

std::vector<bool> permuted_to_front(RandomState random, std::size_t n, std::size_t count) {
  // permute() swaps number n - 1, then n - 2, and so on with one that it draws. The swaps undone,
  // the last one first, bring the marks of the first places to where they came from; the stream
  // runs one way, so its state is kept every so many draws.
  constexpr std::size_t block = std::size_t{1} << 18;
  std::vector<RandomState> states;
  const std::size_t n_swaps = n == 0 ? 0 : n - 1;
  for (std::size_t swap = 0; swap < n_swaps; ++swap) {
    if (swap % block == 0) {
      states.push_back(random);
    }
    random.integer_up_to(static_cast<std::uint32_t>(n - 1 - swap));
  }
  std::vector<bool> chosen(n, false);
  std::fill_n(chosen.begin(), std::min(count, n), true);
  std::vector<std::uint32_t> drawn;
  for (std::size_t b = states.size(); b-- > 0;) {
    const std::size_t first = b * block;
    const std::size_t end = std::min(first + block, n_swaps);
    drawn.clear();
    for (std::size_t swap = first; swap < end; ++swap) {
      drawn.push_back(states[b].integer_up_to(static_cast<std::uint32_t>(n - 1 - swap)));
    }
    for (std::size_t swap = end; swap-- > first;) {
      const std::size_t own = n - 1 - swap;
      const std::size_t other = drawn[swap - first];
      const bool mark = chosen[own];
      chosen[own] = chosen[other];
      chosen[other] = mark;
    }
  }
  return chosen;
}

void standard_normals(RandomState& random, std::size_t count, double* values) {
  for (std::size_t i = 0; i < count; i += 2) {
    double first = 0.0;
    double second = 0.0;
    double square = 0.0;
    do {
      first = 2.0 * random.uniform() - 1.0;
      second = 2.0 * random.uniform() - 1.0;
      square = first * first + second * second;
    } while (square >= 1.0 || square == 0.0);
    const double scale = std::sqrt(-2.0 * std::log(square) / square);
    values[i] = scale * second;
    if (i + 1 < count) {
      values[i + 1] = scale * first;
    }
  }
}

std::vector<double> cumulative_shares(const double* probabilities, std::size_t count) {
  std::vector<double> cumulative(count);
  double total = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    total += probabilities[i];
    cumulative[i] = total;
  }
  for (double& share : cumulative) {
    share /= total;
  }
  return cumulative;
}

void random_letters(RandomState& random, std::uint32_t n_letters, std::size_t count,
                    std::uint8_t* letters) {
  for (std::size_t i = 0; i < count; ++i) {
    letters[i] = static_cast<std::uint8_t>(random.integer_up_to(n_letters - 1));
  }
}

void random_letters(RandomState& random, const std::vector<double>& cumulative, std::size_t count,
                    std::uint8_t* letters) {
  for (std::size_t i = 0; i < count; ++i) {
    // The last share is exactly 1 and a uniform number is below 1: there is always one above.
    const auto above = std::upper_bound(cumulative.begin(), cumulative.end(), random.uniform());
    letters[i] = static_cast<std::uint8_t>(above - cumulative.begin());
  }
}

}  // namespace seqlift
