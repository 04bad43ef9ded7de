#include <cstddef>
#include <vector>

#include "catch.h"
#include "core/base/error.h"
#include "core/base/number_store.h"

TEST_CASE("numbers come back in their order, from memory and from a file") {
  for (const std::size_t held : {std::size_t{0}, std::size_t{10}, std::size_t{1000000}}) {
    seqlift::NumberStore store(held, "/tmp");
    std::vector<double> all;
    for (std::size_t n : {0, 3, 6, 6, 300000, 3}) {
      std::vector<double> values;
      for (std::size_t i = 0; i < n; ++i) {
        values.push_back(static_cast<double>(all.size() + i) / 3);
      }
      store.add(values.data(), n);
      all.insert(all.end(), values.begin(), values.end());
    }
    CHECK(store.size() == all.size());
    for (int time = 0; time < 2; ++time) {
      std::vector<double> read;
      bool whole = true;
      store.read(3, [&](const double* values, std::size_t n) {
        whole = whole && n % 3 == 0;
        read.insert(read.end(), values, values + n);
      });
      CHECK(whole);
      CHECK(read == all);
    }
  }
}

TEST_CASE("a folder that is not there is an error of files, and nothing before it is needed") {
  seqlift::NumberStore store(2, "/no/such/folder");
  const double values[]{1, 2, 3};
  store.add(values, 2);
  CHECK_THROWS_AS(store.add(values, 1), seqlift::Error);
}
