#include "core/halves/constants.h"

#include <ATen/core/grad_mode.h>

#include "core/halves/half_precision.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

bool is_converted(const Constants& constants, at::ScalarType dtype) {
  const auto is_half = [](at::ScalarType one) { return one == at::kHalf || one == at::kBFloat16; };
  // A model of half precision that widens to float32 on the way widens to the call's dtype.
  const bool widened = is_half(constants.native()) && dtype == at::kFloat;
  return (is_half(dtype) || widened || dtype == constants.native()) && dtype != constants.compute();
}

at::Tensor Constants::as_converted(const at::Tensor& tensor) const {
  const bool other_dtype = is_converted(*this, tensor.scalar_type());
  const bool other_device = tensor.device() != device_;
  if (!other_dtype && !other_device) {
    return tensor;
  }
  return tensor.to(device_, other_dtype ? compute_ : tensor.scalar_type());
}

at::Tensor Constants::convert(const at::Tensor& tensor) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    converted_.insert(tensor.unsafeGetTensorImpl());
  }
  const at::Tensor result =
      derived(tensor, "converted", [&]() { return as_converted(tensor.detach()); });
  const std::lock_guard<std::mutex> lock(mutex_);
  converted_.insert(result.unsafeGetTensorImpl());
  return result;
}

at::Tensor Constants::derived(const at::Tensor& constant, const std::string& key,
                              const std::function<at::Tensor()>& make) {
  const at::NoGradGuard guard;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (converted_.count(constant.unsafeGetTensorImpl()) == 0) {
    return make();
  }
  const Key where{constant.unsafeGetTensorImpl(), key};
  const auto known = made_.find(where);
  if (known != made_.end()) {
    return known->second.second;
  }
  const at::Tensor result = make();
  made_.emplace(where, std::make_pair(constant, result));
  return result;
}

bool Constants::keeps(const at::Tensor& constant) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return converted_.count(constant.unsafeGetTensorImpl()) > 0;
}

}  // namespace seqlift
