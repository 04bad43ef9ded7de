#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "catch.h"
#include "core/sequences/order_statistics.h"
#include "core/sequences/random.h"

TEST_CASE("order statistics are those of the sorted numbers") {
  seqlift::RandomState random(5);
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<double>> tables{
      {3},
      {0, 0, 0, 0},
      {-1, 1, -infinity, infinity, 0, 1e-310, -1e-310, 1e300, -1e300},
      [&] {
        std::vector<double> values(50000);
        seqlift::standard_normals(random, values.size(), values.data());
        return values;
      }(),
      [&] {
        std::vector<double> values;  // many equal ones, and many that differ in their last bits
        for (int i = 0; i < 30000; ++i) {
          const double value = std::floor(random.uniform() * 7) - 3;
          values.push_back(i % 2 == 0 ? value : std::nextafter(value, 9.0));
        }
        return values;
      }(),
  };
  for (const std::vector<double>& values : tables) {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    std::vector<std::uint64_t> places;
    for (std::uint64_t i = 0; i < 40; ++i) {
      places.push_back((i * 7919 + 3) % values.size());
    }
    places.push_back(values.size() - 1);
    places.push_back(0);
    // Pieces of an odd size, an empty one among them.
    const seqlift::NumberSource source = [&](const seqlift::NumberVisitor& visit) {
      visit(values.data(), 0);
      for (std::size_t i = 0; i < values.size(); i += 777) {
        visit(values.data() + i, std::min<std::size_t>(777, values.size() - i));
      }
    };
    const std::vector<double> found = seqlift::order_statistics(source, places);
    for (std::size_t i = 0; i < places.size(); ++i) {
      CHECK(found[i] == sorted[places[i]]);
    }
  }
}
