// Lambda layers hold Python's compiled code, which is never run. One of them is in every model of
// ChromBPNet, and in BPNet's with several control tracks, and is known by that code, byte by byte:
// lambda x: tf.math.reduce_logsumexp(x, axis=-1, keepdims=True).
#pragma once

#include "core/import/keras/layers.h"

namespace seqlift {
namespace keras {

bool is_known_lambda(const nlohmann::json& options);
Built known_lambda(LayerCall& call);

}  // namespace keras
}  // namespace seqlift
