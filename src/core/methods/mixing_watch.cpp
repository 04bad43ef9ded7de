#include "core/methods/mixing_watch.h"

#include <algorithm>

#include "core/evaluate/evaluation.h"
#include "core/model/graph_passes.h"
#include "core/model/operation_table.h"
#include "core/numeric/loops.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

// In one pass over the memory, as every operation's result is looked at.
double share_of_numbers(const at::Tensor& tensor) {
  const int64_t all = tensor.numel();
  const at::ScalarType type = tensor.scalar_type();
  if (all == 0) {
    return 1;
  }
  int64_t missing = 0;
  if (tensor.is_cpu() && tensor.is_non_overlapping_and_dense() && type == at::kFloat) {
    missing = loops::count_nan(tensor.data_ptr<float>(), all);
  } else if (tensor.is_cpu() && tensor.is_non_overlapping_and_dense() && type == at::kDouble) {
    missing = loops::count_nan(tensor.data_ptr<double>(), all);
  } else {
    missing = tensor.isnan().sum().item<int64_t>();
  }
  return 1 - static_cast<double>(missing) / static_cast<double>(all);
}

void MixingWatch::look(const Call& call, const std::vector<Value>& outputs) {
  if (spread() || call.row->kind == Kind::shape) {
    return;
  }
  double before = 1;
  bool partly = false;
  for (const Value& input : call.inputs) {
    visit_tensors(input.x, [&](const at::Tensor& tensor) {
      if (tensor.defined() && tensor.is_floating_point()) {
        const double share = share_of(tensor);
        partly = partly || (share > 0 && share < 1);
        before = share < 1 ? std::min(before, share) : before;
      }
    });
  }
  if (!partly && !numbers_) {
    return;
  }
  double after = 1;
  for (const Value& output : outputs) {
    visit_tensors(output.x, [&](const at::Tensor& tensor) {
      if (tensor.defined() && tensor.is_floating_point()) {
        after = std::min(after, share_of(tensor));
      }
    });
  }
  if (partly && after < before / 2) {
    spreads_ = place_of(call.node, graph_);
  } else if (by_dimension_.empty() && touches_batch_dimension(call)) {
    by_dimension_ = place_of(call.node, graph_);
  }
}

// Most inputs are an earlier output. A tensor is known by its address, which stays its own as
// long as something refers to it; its memory may go.
double MixingWatch::share_of(const at::Tensor& tensor) {
  for (const auto& known : shares_) {
    if (known.first._unsafe_get_target() == tensor.unsafeGetTensorImpl()) {
      return known.second;
    }
  }
  if (shares_.size() > 8) {
    shares_.erase(shares_.begin());
  }
  shares_.emplace_back(Weak(tensor.getIntrusivePtr()), share_of_numbers(tensor));
  return shares_.back().second;
}

}  // namespace seqlift
