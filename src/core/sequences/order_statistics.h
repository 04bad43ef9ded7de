// Order statistics of numbers that can be read again and again, in memory that does not depend on
// how many there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace seqlift {

using NumberVisitor = std::function<void(const double* values, std::size_t n)>;
// Calls its argument with pieces of the numbers; each time with the same.
using NumberSource = std::function<void(const NumberVisitor&)>;

// The numbers that would be at these places (from 0) if all were sorted. None is NaN. The places
// may come in any order and more than once; five reads.
std::vector<double> order_statistics(const NumberSource& numbers,
                                     const std::vector<std::uint64_t>& places);

}  // namespace seqlift
