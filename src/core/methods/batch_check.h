// Whether a model gives a sequence what it gives it alone, whatever sequences it is evaluated with.
// Where it does not, results would depend on how the batches fall.
#pragma once

#include "core/methods/predict.h"

namespace seqlift {

// Evaluates the first sequence alone and among others, once for each shape of the inputs of a
// graph; what is found is kept with the graph. The others are no numbers (NaN), so that whatever is
// computed with them shows, however little it changes; where the model's code looks for NaN they
// are sequences. Of long sequences, and where there is no room for two, a piece is looked at among
// others. Float64 decides where rounding may be what differs. A model that treats a single
// sequence specially (squeeze() without a dimension) is marked, see BatchFindings. Nothing is done
// where the sequences of a batch belong together (Conduct::joint).
// Errors: kind "batch" where the sequences of a batch are mixed, with the operation that does so
// where it can be told, or where the model takes one number of sequences alone; "random".
void check_batch(const Graph& graph, Constants& constants, const Sequences& sequences,
                 int64_t batch_size);

// Rows twice, for models that treat one specially.
at::Tensor twice(const at::Tensor& rows);

}  // namespace seqlift
