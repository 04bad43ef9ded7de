// Attention that LibTorch runs as one operation without a derivative: what the fast path of
// nn.MultiheadAttention and nn.TransformerEncoder takes where no gradients are recorded.
#pragma once

#include "core/model/graph.h"

namespace seqlift {

// Puts the single operations that they stand for in the place of `_native_multi_head_attention` and
// `_transformer_encoder_layer_fwd`, and of the nested tensors between such layers, which are the
// padded ones with a mask. Every method then treats a fused model as the one its author wrote.
// Scaled dot products under the name of one kernel become the operation that chooses among them.
void open_fused_attention(Graph& graph);

}  // namespace seqlift
