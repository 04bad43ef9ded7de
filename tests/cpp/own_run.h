// predict() beside LibTorch's own run of the module.
#pragma once

#include "nets.h"

namespace nets {

// On the first 1, 3 and all of these sequences, with the module itself in this dtype.
struct OwnRun {
  bool runs = false;  // the module itself, on several sequences
  double apart = 0;   // largest difference, by max(1, |value|); 1e9 where one of the two fails
  std::string error;  // of predict()
};
OwnRun own_run(const ModelPointer& model, const at::Tensor& X, at::ScalarType dtype,
               const std::vector<at::Tensor>& args = {});
// What the module itself gives in this dtype; none where it fails.
std::vector<at::Tensor> interpreted_in(const ModelPointer& model, const at::Tensor& X,
                                       at::ScalarType dtype,
                                       const std::vector<at::Tensor>& args = {});

}  // namespace nets
