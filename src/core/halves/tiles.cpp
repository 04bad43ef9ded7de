#include "core/halves/tiles.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// Numbers of a piece: ten tensors of doubles of this size fit into the second level of the cache.
constexpr int64_t tile = 1 << 14;

// The dimension whose pieces lie together in memory, or -1.
int64_t tiled_dimension(const at::Tensor& ref, const std::vector<int64_t>& whole,
                        const BatchShape& batch) {
  int64_t found = -1;
  for (int64_t d = batch.references == 1 ? 0 : 1; d < ref.dim(); ++d) {
    const bool excluded = std::any_of(whole.begin(), whole.end(), [&](int64_t dim) {
      return (dim < 0 ? dim + ref.dim() : dim) == d;
    });
    if (!excluded && ref.size(d) > 1 && (found < 0 || ref.stride(d) > ref.stride(found))) {
      found = d;
    }
  }
  return found;
}

}  // namespace

at::Tensor slope_in_tiles(const at::Tensor& x, const at::Tensor& ref,
                          const std::vector<int64_t>& whole, const BatchShape& batch,
                          const PieceSlope& slope) {
  const int64_t dim = ref.is_cpu() && ref.numel() > 2 * tile && x.dim() == ref.dim()
                          ? tiled_dimension(ref, whole, batch)
                          : -1;
  if (dim < 0 || x.size(dim) != ref.size(dim)) {
    return slope(x, ref);
  }
  const int64_t size = ref.size(dim);
  const int64_t each = std::max<int64_t>(1, tile / std::max<int64_t>(1, ref.numel() / size));
  const int64_t pieces = (size + each - 1) / each;
  const at::Tensor result = at::empty_like(ref);
  at::parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard guard;  // the threads do not know of the caller's
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t start = piece * each;
      const int64_t count = std::min(each, size - start);
      result.narrow(dim, start, count)
          .copy_(slope(x.narrow(dim, start, count), ref.narrow(dim, start, count)));
    }
  });
  return result;
}

}  // namespace seqlift
