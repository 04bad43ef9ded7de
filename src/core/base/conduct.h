// What the user allows a model to do that is refused otherwise.
#pragma once

#include <cstdint>
#include <optional>

namespace seqlift {

struct Conduct {
  // The sequences of a batch belong together: what the model gives for one may depend on the
  // others.
  bool joint = false;
  // The seed of the model's random operations; nothing: they are refused.
  std::optional<uint32_t> random_state;
};

}  // namespace seqlift
