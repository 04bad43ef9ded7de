// What a model takes and returns. TorchScript tells the names of its inputs, not their shapes nor
// the length of X: those are found by evaluating the model on sequences of a few lengths.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/halves/constants.h"
#include "core/model/graph.h"

namespace seqlift {

// An input beside X: its values [1, ...] or, where these are not defined, its shape for each
// sequence, [channels, L] or [channels]; 0 channels where that is to be found.
struct DescribedArg {
  at::Tensor values;
  int64_t channels = 0;
  bool positions = false;
};

struct DescribeOptions {
  std::vector<Wrapper> wrappers;   // around the model; none
  std::vector<DescribedArg> args;  // those that the model needs, in its order
  double seconds = 4;              // of the processor, when to give up
};

// Sizes as text: "n" sequences, "4", "L" positions, "L - 20", "L / 32", "?" for an unknown one.
using Sizes = std::vector<std::string>;

struct OutputDescription {
  Sizes sizes;
  // How many positions of X one position of the output is computed from (all of the output, where
  // it has none): "1041", "L" for the whole sequence, "?".
  std::string receptive_field;
};

struct ModelDescription {
  bool known = false;  // whether an input was found that the model takes
  Sizes X;
  // The lengths that fit, 0 and 0 where more than one stretch of them does.
  int64_t shortest = 0;
  int64_t longest = 0;
  std::vector<Sizes> args;  // empty for one whose shape the model leaves open
  std::vector<OutputDescription> outputs;
};

// Never fails: what cannot be found in the time is said to be unknown.
ModelDescription describe_model(const std::shared_ptr<const Model>& model, Constants& constants,
                                const DescribeOptions& options);

}  // namespace seqlift
