// The model's constants as an evaluation needs them: detached, in the dtype and on the device of
// the call, converted once. One object per (model, dtype, device); several threads may share it.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "core/base/conduct.h"

namespace seqlift {

class Constants {
 public:
  Constants(at::ScalarType native, at::ScalarType compute, at::Device device, bool reduced = false)
      : native_(native), compute_(compute), device_(device), reduced_(reduced) {}

  // A tensor of the model, or of a constant in its code. The model's own dtype becomes the call's.
  at::Tensor convert(const at::Tensor& tensor);
  // The same for a tensor made on the way: nothing is cached.
  at::Tensor as_converted(const at::Tensor& tensor) const;
  // Something derived from a constant (a weight in another layout), made once if `constant` came
  // from convert() and anew each time otherwise (weights computed on the way). `key` names what.
  at::Tensor derived(const at::Tensor& constant, const std::string& key,
                     const std::function<at::Tensor()>& make);
  // Whether what derived() makes of it is kept.
  bool keeps(const at::Tensor& constant);

  at::ScalarType native() const { return native_; }
  at::ScalarType compute() const { return compute_; }
  at::Device device() const { return device_; }
  // How the model is to be treated where that is the user's choice.
  const Conduct& conduct() const { return conduct_; }
  void set_conduct(const Conduct& conduct) { conduct_ = conduct; }
  // bfloat16: matrix products and convolutions take bfloat16 inputs, all else stays float32.
  bool reduced() const { return reduced_; }

 private:
  using Key = std::pair<const void*, std::string>;
  at::ScalarType native_;
  at::ScalarType compute_;
  at::Device device_;
  bool reduced_;
  std::mutex mutex_;
  // The original is kept beside what was made of it, so that its address stays its own.
  std::map<Key, std::pair<at::Tensor, at::Tensor>> made_;
  std::set<const void*> converted_;
  Conduct conduct_;
};

}  // namespace seqlift
