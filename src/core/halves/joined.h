// Results of many operations that enter autograd together.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace seqlift {

// Gradients of the outputs, undefined where nothing asks for one; returns those of the inputs. It
// is called in the mode of autograd that the backward pass has.
using JoinedBackward = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>& grads)>;

// `outputs`, without history, as the results of one operation on `inputs` whose gradient is
// `backward`. Each has a node of its own in autograd's graph, and shares the memory of what it was
// given.
std::vector<at::Tensor> attach_together(const std::vector<at::Tensor>& outputs,
                                        const std::vector<at::Tensor>& inputs,
                                        JoinedBackward backward);

// As long as an object lives that says so, values are computed on this thread whose gradients
// nobody will ask for: rules may leave their slopes out, and attach without_slope() instead.
class Draft {
 public:
  explicit Draft(bool drafts);
  ~Draft();
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  static bool drafts();
  static at::Tensor without_slope(const at::Tensor& output, const std::vector<at::Tensor>& inputs);

 private:
  bool before_;
};

}  // namespace seqlift
