// Tries what free_batch() made of a graph on numbers of sequences that are not its example's.

#include <torch/csrc/jit/api/module.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/import/exported/batch.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// Numbers that repeat nowhere, so that no two sequences are alike.
at::Tensor example(const std::vector<int64_t>& sizes, at::ScalarType dtype) {
  const int64_t count = product_of_sizes(sizes, 0, sizes.size());
  const at::Tensor numbers =
      at::frac(at::arange(count, at::TensorOptions(at::kDouble)) * 0.7548776662466927);
  const at::Tensor given = at::isFloatingType(dtype) ? numbers : at::floor(numbers * 2);
  return given.to(dtype).view(sizes);
}

std::vector<at::Tensor> tensors_of(const c10::IValue& output) {
  if (output.isTensor()) {
    return {output.toTensor()};
  }
  std::vector<at::Tensor> tensors;
  for (const c10::IValue& element : output.toTupleRef().elements()) {
    tensors.push_back(element.toTensor());
  }
  return tensors;
}

}  // namespace

void check_freed_batch(const ExportedProgram& program, torch::jit::Module& module) {
  std::vector<at::Tensor> inputs;
  int64_t n = 0;
  for (const ExportedInput& input : program.inputs) {
    if (input.kind != ExportedInput::Kind::user) {
      continue;
    }
    std::vector<int64_t> sizes =
        program.sizes.count(input.value) ? program.sizes.at(input.value) : std::vector<int64_t>();
    if (sizes.empty() || *std::min_element(sizes.begin(), sizes.end()) < 1) {
      refuse_fixed_batch(program, "its input \"" + printable(input.value) +
                                      "\" has no fixed shape to try it with");
    }
    n = n == 0 ? sizes[0] + 2 : n;
    sizes[0] = n;
    const int64_t count = product_of_sizes(sizes, 0, sizes.size());
    if (count < 0 || count > (int64_t{1} << 28)) {
      refuse_fixed_batch(
          program, "its input is too large to try it with " + std::to_string(n) + " sequences");
    }
    inputs.push_back(example(sizes, program.dtypes.at(input.value)));
  }
  const at::NoGradGuard guard;
  const auto run = [&](int64_t begin, int64_t end) {
    std::vector<c10::IValue> rows;
    for (const at::Tensor& input : inputs) {
      rows.emplace_back(input.narrow(0, begin, end - begin));
    }
    return tensors_of(module.forward(rows));
  };
  bool same = true;
  try {
    const auto all = run(0, n);
    for (const auto& [begin, end] : {std::make_pair(int64_t{0}, int64_t{1}), {int64_t{1}, n}}) {
      const auto part = run(begin, end);
      for (size_t i = 0; i < all.size(); ++i) {
        same = same && all[i].dim() > 0 && all[i].size(0) == n &&
               at::allclose(all[i].narrow(0, begin, end - begin).to(at::kDouble),
                            part[i].to(at::kDouble), 1e-3, 1e-5, true);
      }
    }
  } catch (const std::exception&) {
    same = false;
  }
  if (!same) {
    refuse_fixed_batch(program, "its predictions depend on that number");
  }
}

}  // namespace seqlift
