// Models made of models: what has been put around a model written into it, the mean of several, the
// mean over both strands. Each is a TorchScript module like any other, so that it is saved, opened
// elsewhere and explained like any other. The models that it is made of are not changed.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/model/graph.h"
#include "core/model/model.h"

namespace seqlift {

// An input beside the sequences with its value: [1, ...], the same for all sequences.
struct FilledInput {
  std::string name;
  at::Tensor value;
  bool every_position = false;  // [1, k, 1], repeated over the positions of X
};

// The model with the wrappers and the filled inputs as its `forward`. Its own modules keep their
// paths and classes; the score of a profile is the module "profile_score", that of bins
// "select_bins". An input with a default
// that TorchScript's source cannot say (a tensor) is no input any more, unless it is among `given`:
// then it must always be given.
// The outputs keep their names. Errors: kind "model" for a model whose outputs are not tensors
// whose number is known from its code, or whose inputs have types that cannot be written down.
torch::jit::Module wrapped_module(const std::shared_ptr<const Model>& model,
                                  const std::vector<Wrapper>& wrappers,
                                  const std::vector<FilledInput>& filled,
                                  const std::vector<std::string>& given = {});

struct EnsembleMember {
  std::shared_ptr<const Model> model;
  std::vector<Wrapper> wrappers;
  // Inputs that belong to this member alone: the ensemble's input is called "model_1_" + name. The
  // others are the same for all members.
  std::vector<std::string> own_inputs;
  double weight = 1;  // its share of the mean
};

// Holds the members as the modules "model_1", "model_2", ...; every output is the sum of theirs,
// each times its weight. Errors: as above; kind "model" too where the members differ in their
// shared inputs or in the number of their outputs.
torch::jit::Module ensemble_module(const std::vector<EnsembleMember>& members);

// What becomes of a tensor when the sequence is read from the other strand.
enum class Reversal {
  automatic,  // strands for [n, 1 or 2, positions], none for anything that is not of three
              // dimensions; [n, 3 or more, positions] fails when the model is used
  strands,    // [n, strands, positions]: both are turned round
  positions,  // [n, ..., positions]: positions are turned round
  bins,       // [n, bins, ...]: bins are turned round
  none
};

struct ReverseComplementOptions {
  std::map<std::string, Reversal> inputs;  // beside the sequences; automatic where nothing is said
  std::vector<Reversal> outputs;           // of the model with its wrappers
  std::vector<std::string> given;          // inputs that are always given, see wrapped_module()
};

// The mean of the model's outputs for X and for its reverse complement (channels 1 to 4 and
// positions turned round; of further channels only the positions), the latter turned back.
// Modules keep their paths. Errors: as above.
torch::jit::Module reverse_complement_module(const std::shared_ptr<const Model>& model,
                                             const std::vector<Wrapper>& wrappers,
                                             const ReverseComplementOptions& options);

}  // namespace seqlift
