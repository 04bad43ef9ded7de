#include "core/halves/tiles.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// Numbers of a piece: ten tensors of doubles of this size fit into the second level of the cache.
constexpr int64_t tile = 1 << 14;

// A stretch of one dimension.
struct Stretch {
  int64_t dim = 0;
  int64_t start = 0;
  int64_t count = 0;
};

at::Tensor part_of(at::Tensor whole, const std::vector<Stretch>& piece) {
  for (const Stretch& stretch : piece) {
    whole = whole.narrow(stretch.dim, stretch.start, stretch.count);
  }
  return whole;
}

// Dimensions that may be cut, those first whose pieces lie together in memory.
std::vector<int64_t> tiled_dimensions(const at::Tensor& ref, const std::vector<int64_t>& whole,
                                      const BatchShape& batch) {
  std::vector<int64_t> dims;
  for (int64_t d = batch.references == 1 ? 0 : 1; d < ref.dim(); ++d) {
    const bool excluded = std::any_of(whole.begin(), whole.end(), [&](int64_t dim) {
      return (dim < 0 ? dim + ref.dim() : dim) == d;
    });
    if (!excluded && ref.size(d) > 1) {
      dims.push_back(d);
    }
  }
  std::stable_sort(dims.begin(), dims.end(),
                   [&](int64_t a, int64_t b) { return ref.stride(a) > ref.stride(b); });
  return dims;
}

// One dimension after the other is taken apart until a piece is small enough.
std::vector<std::vector<Stretch>> tiles_of(const at::Tensor& ref,
                                           const std::vector<int64_t>& dims) {
  std::vector<std::vector<Stretch>> pieces{{}};
  int64_t numbers = ref.numel();
  for (const int64_t d : dims) {
    if (numbers <= tile) {
      break;
    }
    const int64_t size = ref.size(d);
    const int64_t each = std::max<int64_t>(1, tile / std::max<int64_t>(1, numbers / size));
    std::vector<std::vector<Stretch>> finer;
    for (const std::vector<Stretch>& piece : pieces) {
      for (int64_t start = 0; start < size; start += each) {
        finer.push_back(piece);
        finer.back().push_back({d, start, std::min(each, size - start)});
      }
    }
    pieces = std::move(finer);
    numbers = numbers / size * each;
  }
  return pieces;
}

}  // namespace

std::vector<at::Tensor> in_tiles(const at::Tensor& x, const at::Tensor& ref,
                                 const std::vector<int64_t>& whole, const BatchShape& batch,
                                 size_t count, const PieceResults& results) {
  std::vector<int64_t> dims;
  if (ref.is_cpu() && ref.numel() > 2 * tile && x.dim() == ref.dim()) {
    dims = tiled_dimensions(ref, whole, batch);
  }
  const bool alike =
      std::all_of(dims.begin(), dims.end(), [&](int64_t d) { return x.size(d) == ref.size(d); });
  if (dims.empty() || !alike) {
    return results(x, ref);
  }
  std::vector<at::Tensor> all;
  for (size_t i = 0; i < count; ++i) {
    all.push_back(at::empty_like(ref));
  }
  const std::vector<std::vector<Stretch>> pieces = tiles_of(ref, dims);
  at::parallel_for(0, static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard guard;  // the threads do not know of the caller's
    for (int64_t i = begin; i < end; ++i) {
      const std::vector<at::Tensor> part = results(part_of(x, pieces[i]), part_of(ref, pieces[i]));
      for (size_t k = 0; k < count; ++k) {
        part_of(all[k], pieces[i]).copy_(part[k]);
      }
    }
  });
  return all;
}

at::Tensor slope_in_tiles(const at::Tensor& x, const at::Tensor& ref,
                          const std::vector<int64_t>& whole, const BatchShape& batch,
                          const PieceSlope& slope) {
  return in_tiles(x, ref, whole, batch, 1, [&](const at::Tensor& of_x, const at::Tensor& of_ref) {
    return std::vector<at::Tensor>{slope(of_x, of_ref)};
  })[0];
}

}  // namespace seqlift
