#include "core/methods/chunks.h"

#include <algorithm>
#include <iterator>

#include "core/numeric/tensor_functions.h"

namespace seqlift {

Chunks chunks_of(int64_t count, const Graph& graph, int64_t rows, int64_t length) {
  Chunks chunks;
  chunks.count = count;
  // Weights that are constants of the code are not counted: nothing is known then.
  if (graph.model && graph.model->parameters > 0) {
    chunks.operations = 2 * static_cast<double>(graph.model->parameters) *
                        static_cast<double>(rows) * static_cast<double>(length);
  }
  return chunks;
}

at::Tensor join_rows(const std::vector<at::Tensor>& parts) {
  std::vector<at::Tensor> rows;
  std::copy_if(parts.begin(), parts.end(), std::back_inserter(rows),
               [](const at::Tensor& part) { return part.defined(); });
  return rows.empty() ? at::Tensor() : at::cat(rows);
}

std::vector<at::Tensor> join_rows(const std::vector<std::vector<at::Tensor>>& parts) {
  std::vector<at::Tensor> joined;
  for (size_t i = 0; i < parts.at(0).size(); ++i) {
    std::vector<at::Tensor> rows;
    for (const auto& part : parts) {
      rows.push_back(part.at(i));
    }
    joined.push_back(join_rows(rows));
  }
  return joined;
}

}  // namespace seqlift
