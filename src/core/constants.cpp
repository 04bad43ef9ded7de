#include "constants.h"

#include <ATen/core/grad_mode.h>

#include "tensor_functions.h"

namespace seqlift {

at::Tensor Constants::follow(const at::Tensor& tensor) const {
  const bool other_dtype = tensor.scalar_type() == native_ && native_ != compute_;
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
  const at::Tensor result = derived(tensor, "converted", [&]() { return follow(tensor.detach()); });
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
