// Where a model mixes the sequences of a batch, of which all but one have no numbers (NaN).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/evaluate/evaluate.h"

namespace seqlift {

// The part of a tensor's entries that are numbers.
double share_of_numbers(const at::Tensor& tensor);

// Watches for the first operation that leaves nothing of the one sequence that has numbers, or else
// for one that names the dimension of the batch.
class MixingWatch {
 private:
  using Weak = c10::weak_intrusive_ptr<at::TensorImpl, c10::UndefinedTensorImpl>;

 public:
  using After = std::function<void(const Call&, const std::vector<Value>&)>;

  // `numbers`: all sequences have numbers, so that only dimensions tell.
  explicit MixingWatch(const Graph& graph, bool numbers = false)
      : graph_(graph), numbers_(numbers) {}

  After after() {
    return [this](const Call& call, const std::vector<Value>& outputs) { look(call, outputs); };
  }
  bool spread() const { return !spreads_.empty(); }
  std::string place() const { return spread() ? spreads_ : by_dimension_; }

 private:
  void look(const Call& call, const std::vector<Value>& outputs);
  double share_of(const at::Tensor& tensor);

  const Graph& graph_;
  bool numbers_;
  std::string spreads_;
  std::string by_dimension_;
  std::vector<std::pair<Weak, double>> shares_;
};

}  // namespace seqlift
