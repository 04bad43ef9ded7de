#include "core/evaluate/layers.h"

#include "core/base/error.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

std::function<Value(int64_t layer, const Value& output)> Layers::take(
    std::vector<at::Tensor> given) {
  return [this, given = std::move(given)](int64_t layer, const Value& output) {
    const std::string place = "The module `" + paths_[layer] + "` ";
    Halves& own = outputs_[layer];
    if (own.x.defined()) {
      throw Error("layer", place + "is called more than once: its output is not one value.");
    }
    if (!output.depends) {
      throw Error("layer", place + "has an output that does not depend on the sequences.");
    }
    Value passed = output;
    if (output.paired()) {
      own.x = output.x.toTensor().clone();
      own.ref = fresh_copy(output.ref().toTensor());
      passed.x = own.x.clone();
      passed.set_ref(fresh_copy(own.ref));
    } else {
      own.x = given.empty() ? fresh_copy(output.x.toTensor()) : given[layer];
      passed.x = fresh_copy(own.x);
    }
    return passed;
  };
}

const std::vector<Halves>& Layers::outputs() const {
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (!outputs_[i].x.defined()) {
      throw Error("layer",
                  "The module `" + paths_[i] + "` does not contribute to what is explained.");
    }
  }
  return outputs_;
}

}  // namespace seqlift
