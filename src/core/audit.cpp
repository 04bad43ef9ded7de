#include "audit.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "error.h"
#include "pairs.h"

namespace seqlift {

std::vector<Step> audit(const Graph& graph, Constants& constants, const Sequences& sequences,
                        const References& references, const DeepLiftShapOptions& options) {
  std::vector<Step> steps;
  std::set<const torch::jit::Node*> seen;
  const auto observe = [&](const Step& step) {
    if (seen.insert(step.node).second) {
      steps.push_back(step);
    }
  };
  // What is evaluated although it has no rule may make what follows fail: the steps so far say why.
  const auto evaluate_safely = [&](const std::function<void()>& run) {
    try {
      run();
    } catch (const Error& error) {
      const auto refused = [](const Step& step) { return !step.supported; };
      if (error.kind() != "evaluation" || std::none_of(steps.begin(), steps.end(), refused)) {
        throw;
      }
    }
  };
  const std::atomic<bool> never{false};
  PairOptions pair_options{options.targets, options.registrations, observe};
  const PairEvaluator chunk(graph, constants, pair_options, never);
  const int64_t n = sequences.count;
  const int64_t r = references.count;
  const at::Tensor X = to_compute(sequences.X(0, n), constants);
  const at::Tensor ref = to_compute(references.get(0, n, 0, r), constants);
  std::vector<Value> args = batch_of_args(sequences, constants, 0, n);
  if (!options.module_mode) {
    try {
      evaluate_safely([&]() { chunk.on_halves(X, ref, args, r); });
      return steps;
    } catch (const BatchMoved&) {
      steps.clear();
      seen.clear();
    }
  }
  for (Value& arg : args) {
    arg.x = arg.x.toTensor().repeat_interleave(r, 0);
  }
  const at::Tensor repeated = X.repeat_interleave(r, 0);
  if (options.module_mode) {
    chunk.stacked(repeated, ref, args);
  } else {
    evaluate_safely([&]() { chunk.on_halves(repeated, ref, args, 1); });
  }
  return steps;
}

}  // namespace seqlift
