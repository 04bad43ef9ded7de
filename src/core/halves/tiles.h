// Slopes are formed in double from many intermediate tensors. Of large values that is done piece by
// piece: what stands in double then stays in the cache, instead of going through memory (and
// through the system, which gives and takes each such tensor) a dozen times.
#pragma once

#include <functional>
#include <vector>

#include "core/halves/halves.h"

namespace seqlift {

// A tensor on both halves, as far as a piece goes.
using PieceSlope = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& ref)>;
using PieceResults =
    std::function<std::vector<at::Tensor>(const at::Tensor& x, const at::Tensor& ref)>;

// `slope` of all of both halves, which gives a tensor of the shape of `ref` and in its dtype. It is
// called for pieces that are cut along dimensions, none of `whole` and not that of the batch where
// the halves differ in it; from several threads at once. In one piece where the values are small or
// there is no such dimension.
at::Tensor slope_in_tiles(const at::Tensor& x, const at::Tensor& ref,
                          const std::vector<int64_t>& whole, const BatchShape& batch,
                          const PieceSlope& slope);
// The same of a function that gives `count` tensors.
std::vector<at::Tensor> in_tiles(const at::Tensor& x, const at::Tensor& ref,
                                 const std::vector<int64_t>& whole, const BatchShape& batch,
                                 size_t count, const PieceResults& results);

// rescale() of a function that treats each number by itself, with no tensor beside it.
Halves rescale_each(const OnHalves<Unary>& function, const Halves& a, Smoothness smoothness,
                    const BatchShape& batch);

}  // namespace seqlift
