// The innermost loops of the comparison of seqlets: plain arrays in, plain numbers out.
#pragma once

#include <cstddef>

namespace seqlift {
namespace loops {

// sum |x + y| and sum |x - y|, of `n` numbers each, a multiple of 8. Half their difference is
// sum sgn(x) sgn(y) min(|x|, |y|), half their sum is sum max(|x|, |y|).
void add_absolute(const float* x, const float* y, std::size_t n, float* sum, float* difference);
void add_absolute(const double* x, const double* y, std::size_t n, double* sum, double* difference);

}  // namespace loops
}  // namespace seqlift
