// What operations do to the rows of a batch.

#include <limits>

#include "core/evaluate/evaluation.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

bool touches_batch_dimension(const Call& call) {
  if (call.is(Trait::slices) && call.inputs.size() == 5) {
    // X[:, :, a:b] begins with a slice that takes everything.
    const c10::IValue& start = call.constant(2);
    const c10::IValue& end = call.constant(3);
    const bool from_start = start.isNone() || (start.isInt() && start.toInt() == 0);
    const bool to_end =
        end.isNone() || (end.isInt() && end.toInt() == std::numeric_limits<int64_t>::max());
    if (from_start && to_end && call.constant(4).toInt() == 1) {
      return false;
    }
  }
  // Its dims always name them all; a batch that moved shows in the result's shape.
  if (call.is(Trait::permutes)) {
    return false;
  }
  for (const char* name : {"dim", "dims"}) {
    const int position = call.find(name);
    if (position < 0) {
      continue;
    }
    const c10::IValue& dims = call.inputs[position].x;
    int64_t rank = 0;
    visit_tensors(call.inputs[0].x, [&](const at::Tensor& tensor) { rank = tensor.dim(); });
    // unsqueeze and stack count dimensions of their result.
    rank += call.is(Trait::adds_dimension) ? 1 : 0;
    if (dims.isInt() && (dims.toInt() == 0 || dims.toInt() + rank == 0)) {
      return true;
    }
    if (dims.isIntList()) {
      for (const int64_t dim : dims.toIntVector()) {
        if (dim == 0 || dim + rank == 0) {
          return true;
        }
      }
    }
  }
  return false;
}

bool mixes_sequences(const Call& call) {
  if (!call.is(Trait::combines) || call.batch.references != 1 || !call.inputs[0].x.isTensor() ||
      call.find("other") >= 0) {
    return false;
  }
  const at::Tensor input = call.inputs[0].x.toTensor();
  const int position = call.find("dim");
  const bool everything =
      position < 0 || call.inputs[position].x.isNone() ||
      (call.inputs[position].x.isIntList() && call.inputs[position].x.toIntVector().empty());
  // The transforms of several dimensions are told their number by the sizes alone.
  const int sizes = call.find("s");
  if (everything && sizes >= 0 && call.inputs[sizes].x.isIntList() &&
      static_cast<int64_t>(call.inputs[sizes].x.toIntVector().size()) < input.dim()) {
    return false;
  }
  const int64_t rows = call.batch.sequences;
  int64_t of_that_size = 0;
  for (const int64_t size : input.sizes()) {
    of_that_size += size == rows ? 1 : 0;
  }
  if (everything) {
    return of_that_size > 0;
  }
  const std::vector<int64_t> dims = call.inputs[position].x.isInt()
                                        ? std::vector<int64_t>{call.inputs[position].x.toInt()}
                                        : call.inputs[position].x.toIntVector();
  for (const int64_t dim : dims) {
    const int64_t d = counted_from_front(dim, input.dim());
    if (of_that_size == 1 && input.size(d) == rows && d == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace seqlift
