// Gradients of neighbouring outputs, each where it is not zero. One position of a profile depends
// on a window of each layer's activations that grows from layer to layer (21, 25, 33, ... 1041 of
// 2114 positions for BPNet), and the next position on the window beside it. The windows of several
// outputs have one width, so they go back through the layers as one batch.
//
// Exact: what a window leaves out is zero. Where a graph has an operation whose gradient is not
// local, or a window would reach over an end of the sequence, the caller takes the ordinary
// gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/halves/halves.h"

namespace seqlift {

class WindowedGradients {
 public:
  // `columns` [rows, outputs] with autograd's history down to `leaf` [rows, C, L].
  WindowedGradients(at::Tensor columns, at::Tensor leaf, std::vector<int64_t> targets)
      : columns_(std::move(columns)), leaf_(std::move(leaf)), targets_(std::move(targets)) {}

  // The gradient of target t, [rows, C, L], or nothing. Asked in order, neighbours are formed
  // together.
  std::optional<at::Tensor> at(size_t t);

 private:
  std::optional<Windows> group(size_t begin, size_t end);
  size_t end_of_group(size_t begin) const;

  at::Tensor columns_;
  at::Tensor leaf_;
  std::vector<int64_t> targets_;
  size_t begin_ = 0;  // the targets whose windows are in memory
  size_t end_ = 0;
  std::optional<Windows> windows_;
  // The shapes of the results of operations, by their place in autograd's graph.
  std::map<std::pair<const void*, uint32_t>, std::vector<int64_t>> shapes_;
};

}  // namespace seqlift
