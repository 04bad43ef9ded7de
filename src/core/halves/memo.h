// The sequences' half is the same for every block of a sequence's references: it is evaluated with
// the first block and remembered for the others.
#pragma once

#include <ATen/core/ivalue.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace seqlift {

class Memo {
 public:
  using Results = std::vector<c10::IValue>;

  // Before each block.
  void start() {
    visits_.clear();
    if (spoiled_) {
      entries_.clear();
      spoiled_ = false;
    }
  }
  // Before each operation. A loop visits one more than once.
  void enter(const void* operation) {
    operation_ = operation;
    visit_ = visits_[operation]++;
    counts_.clear();
  }
  // What `compute` gave in the first block that came here. `what` tells the things that an
  // operation remembers apart: which of its paths it takes may differ from block to block. Only
  // tensors are kept, lists may be appended to.
  Results once(const std::string& what, const std::function<Results()>& compute) {
    const Key key{operation_, visit_, what, counts_[what]++};
    const auto known = entries_.find(key);
    if (known != entries_.end()) {
      return known->second;
    }
    Results results = compute();
    bool tensors = true;
    for (const c10::IValue& value : results) {
      tensors = tensors && value.isTensor();
    }
    if (tensors) {
      entries_.emplace(key, results);
    }
    return results;
  }
  // The model wrote into something that is remembered: the next block starts anew.
  void spoil() { spoiled_ = true; }

 private:
  using Key = std::tuple<const void*, int, std::string, int>;
  std::map<Key, Results> entries_;
  std::map<const void*, int> visits_;
  std::map<std::string, int> counts_;
  const void* operation_ = nullptr;
  int visit_ = 0;
  bool spoiled_ = false;
};

// With a memo or without.
inline Memo::Results once(Memo* memo, const std::string& what,
                          const std::function<Memo::Results()>& compute) {
  return memo ? memo->once(what, compute) : compute();
}

inline at::Tensor once_tensor(Memo* memo, const std::string& what,
                              const std::function<at::Tensor()>& compute) {
  return memo ? memo->once(what, [&]() { return Memo::Results{compute()}; })[0].toTensor()
              : compute();
}

}  // namespace seqlift
