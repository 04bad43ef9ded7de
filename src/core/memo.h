// The sequences' half is the same for every block of a sequence's references: it is evaluated with
// the first block and remembered for the others.
#pragma once

#include <ATen/core/ivalue.h>

#include <functional>
#include <optional>
#include <vector>

namespace seqlift {

class Memo {
 public:
  using Results = std::vector<c10::IValue>;

  // Before each block.
  void start() {
    next_ = 0;
    if (spoiled_) {
      entries_.clear();
      spoiled_ = false;
    }
  }
  // What `compute` gave in the first block. Only tensors are remembered: lists may be appended to.
  Results once(const std::function<Results()>& compute) {
    const size_t place = next_++;
    if (place < entries_.size()) {
      return entries_[place] ? *entries_[place] : compute();
    }
    const Results results = compute();
    bool tensors = true;
    for (const c10::IValue& value : results) {
      tensors = tensors && value.isTensor();
    }
    entries_.push_back(tensors ? std::optional<Results>(results) : std::nullopt);
    return results;
  }
  // The model wrote into something that is remembered: the next block starts anew.
  void spoil() { spoiled_ = true; }

 private:
  std::vector<std::optional<Results>> entries_;
  size_t next_ = 0;
  bool spoiled_ = false;
};

// With a memo or without.
inline Memo::Results once(Memo* memo, const std::function<Memo::Results()>& compute) {
  return memo ? memo->once(compute) : compute();
}

inline at::Tensor once_tensor(Memo* memo, const std::function<at::Tensor()>& compute) {
  return memo ? memo->once([&]() { return Memo::Results{compute()}; })[0].toTensor() : compute();
}

}  // namespace seqlift
