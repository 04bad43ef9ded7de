// State dicts for the tests of architectures: seeded numbers under the keys of a training code.
#pragma once

#include <string>
#include <vector>

#include "catch.h"
#include "core/base/error.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

namespace nets {

class StateDict {
 public:
  at::Tensor add(const std::string& key, const std::vector<int64_t>& sizes, double low = -0.5,
                 double high = 0.5) {
    tensors.emplace_back(key,
                         numbers(sizes, 100 + static_cast<int64_t>(tensors.size()), low, high));
    return tensors.back().second;
  }
  void layer(const std::string& prefix, const std::vector<int64_t>& sizes) {
    add(prefix + ".weight", sizes);
    add(prefix + ".bias", {sizes[0]});
  }
  void batch_norm(const std::string& prefix, int64_t channels) {
    add(prefix + ".weight", {channels}, 0.5, 1.5);
    add(prefix + ".bias", {channels});
    add(prefix + ".running_mean", {channels});
    add(prefix + ".running_var", {channels}, 0.5, 2);
    tensors.emplace_back(prefix + ".num_batches_tracked", at::scalar_tensor(7, at::kLong));
  }
  at::Tensor operator[](const std::string& key) const {
    for (const auto& entry : tensors) {
      if (entry.first == key) {
        return entry.second;
      }
    }
    FAIL("the test has no " << key);
    return {};
  }
  void remove(const std::string& key) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].first == key) {
        tensors.erase(tensors.begin() + static_cast<std::ptrdiff_t>(i));
        return;
      }
    }
  }
  void replace(const std::string& key, const at::Tensor& value) {
    for (auto& entry : tensors) {
      if (entry.first == key) {
        entry.second = value;
      }
    }
  }

  Tensors tensors;
};

// Predictions by LibTorch's interpreter and by the engine are `expected`, and every output is
// explained in float64 with nothing left over.
inline void check_architecture(const Part& part, const std::vector<at::Tensor>& expected,
                               const Given& input) {
  const ModelPointer model = nets::model(part);
  const std::vector<at::Tensor> by_torch = interpreted(model, input.X, input.args);
  const std::vector<at::Tensor> by_engine = predicted(model, input.X, input.args);
  REQUIRE(by_torch.size() == expected.size());
  REQUIRE(by_engine.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    INFO("output " << i);
    CHECK(distance(by_torch[i], expected[i]) < 1e-12);
    CHECK(distance(by_engine[i], expected[i]) < 1e-12);
    Settings settings;
    if (expected.size() > 1) {
      settings.select_output = static_cast<int64_t>(i);
    }
    if (expected[i].dim() > 2) {
      settings.profile_score = true;
    }
    const Explained result = explain(model, input, settings);
    CHECK(worst_delta(result) < 1e-10);
    CHECK(largest_change(result) > 1e-6);
    for (const nets::Step& step : audited(model, input, settings)) {
      INFO(step.operation << " of " << step.module);
      CHECK(step.supported);
      CHECK(step.faithful);
    }
  }
}

}  // namespace nets
