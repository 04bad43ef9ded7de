#include "core/sequences/order_statistics.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace seqlift {

namespace {

// Bits of the key that each read adds to what is known of the numbers that are looked for.
constexpr std::array<unsigned, 5> steps{16, 12, 12, 12, 12};
constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;

// Keys have the order of the numbers.
std::uint64_t key_of(double value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return (bits & sign_bit) != 0 ? ~bits : bits | sign_bit;
}

double number_of(std::uint64_t key) {
  const std::uint64_t bits = (key & sign_bit) != 0 ? key & ~sign_bit : ~key;
  double value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

struct Wanted {
  std::uint64_t prefix = 0;  // the known bits of its key
  std::uint64_t place = 0;   // among the numbers with this prefix
};

}  // namespace

std::vector<double> order_statistics(const NumberSource& numbers,
                                     const std::vector<std::uint64_t>& places) {
  std::vector<Wanted> wanted(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    wanted[i].place = places[i];
  }
  unsigned known = 0;
  for (const unsigned step : steps) {
    std::vector<std::uint64_t> prefixes;
    for (const Wanted& one : wanted) {
      prefixes.push_back(one.prefix);
    }
    std::sort(prefixes.begin(), prefixes.end());
    prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
    const auto number = [&](std::uint64_t prefix) {
      return static_cast<std::size_t>(std::lower_bound(prefixes.begin(), prefixes.end(), prefix) -
                                      prefixes.begin());
    };
    const std::size_t bins = std::size_t{1} << step;
    std::vector<std::uint64_t> counts(prefixes.size() * bins, 0);
    numbers([&](const double* values, std::size_t n) {
      for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t key = key_of(values[i]);
        const std::uint64_t prefix = known == 0 ? 0 : key >> (64 - known);
        const std::size_t at = number(prefix);
        if (at < prefixes.size() && prefixes[at] == prefix) {
          ++counts[at * bins + (key >> (64 - known - step) & (bins - 1))];
        }
      }
    });
    for (Wanted& one : wanted) {
      const std::uint64_t* const own = counts.data() + number(one.prefix) * bins;
      std::size_t bin = 0;
      while (bin + 1 < bins && one.place >= own[bin]) {
        one.place -= own[bin++];
      }
      one.prefix = one.prefix << step | bin;
    }
    known += step;
  }
  std::vector<double> found;
  for (const Wanted& one : wanted) {
    found.push_back(number_of(one.prefix));
  }
  return found;
}

}  // namespace seqlift
