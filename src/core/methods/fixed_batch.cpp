#include "core/methods/fixed_batch.h"

#include <torch/csrc/jit/ir/constants.h>

#include <set>

#include "core/base/error.h"
#include "core/evaluate/evaluate.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// More sequences than that are traced by nobody.
constexpr int64_t most = 512;
// In all of them; what is tried must not take longer than what failed.
constexpr int64_t most_positions = 1 << 21;

// The first numbers of sizes in the code, and those of tensors that the trace has kept.
void collect_numbers(const torch::jit::Block* block, std::set<int64_t>& numbers) {
  const auto note = [&](int64_t number) {
    if (number > 0 && number <= most) {
      numbers.insert(number);
    }
  };
  for (const torch::jit::Node* node : block->nodes()) {
    if (node->kind() == c10::prim::ListConstruct && !node->inputs().empty()) {
      const auto first = torch::jit::toIValue(node->input(0));
      if (first && first->isInt()) {
        note(first->toInt());
      }
    }
    if (node->kind() == c10::prim::Constant && !node->mustBeNone()) {
      const auto value = torch::jit::toIValue(node->output());
      if (value && value->isIntList() && !value->toIntVector().empty()) {
        note(value->toIntVector()[0]);
      }
      for (int64_t d = 0; value && value->isTensor() && d < value->toTensor().dim(); ++d) {
        note(value->toTensor().size(d));
      }
    }
    for (const torch::jit::Block* inner : node->blocks()) {
      collect_numbers(inner, numbers);
    }
  }
}

}  // namespace

int64_t fixed_batch(const Graph& graph, Constants& constants, const Sequences& sequences) {
  if (sequences.count == 0) {
    return 0;
  }
  const at::NoGradGuard guard;
  const at::Tensor X = to_compute(sequences.X(0, 1), constants);
  const std::vector<Value> one = batch_of_args(sequences, constants, 0, 1);
  const auto works = [&](int64_t rows) {
    std::vector<Value> inputs(1);
    inputs[0].x = X.repeat({rows, 1, 1});
    for (const Value& arg : one) {
      std::vector<int64_t> sizes(static_cast<size_t>(arg.x.toTensor().dim()), 1);
      sizes[0] = rows;
      inputs.emplace_back();
      inputs.back().x = arg.x.toTensor().repeat(sizes);
    }
    try {
      for (const Value& output : evaluate(graph, constants, inputs, {})) {
        const bool tensor = output.x.isTensor() && output.x.toTensor().dim() > 0;
        if (!tensor || output.x.toTensor().size(0) != rows) {
          return false;
        }
      }
      return true;
    } catch (const std::exception&) {
      return false;
    }
  };
  std::set<int64_t> numbers{1};
  collect_numbers(graph.graph->block(), numbers);
  int64_t found = 0;
  for (const int64_t number : numbers) {
    if (number * X.size(2) > most_positions || !works(number)) {
      continue;
    }
    if (found > 0) {
      return 0;
    }
    found = number;
  }
  return found > 0 && !works(found + 1) && !works(2 * found) ? found : 0;
}

}  // namespace seqlift
