#include "core/methods/chunks.h"

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

}  // namespace seqlift
