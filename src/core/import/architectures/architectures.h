// Published architectures, made from the weights that their training code saves. Each is a free
// function from a state dict to a module whose parts lie where the keys say.
//
//   Weights weights(state_dict);
//   ... weights.convolution("iconv", {filters, 4, width}) ...
//   weights.check("BPNet");
//
// Whatever is missing, left over or of another shape is collected while the module is made, and
// said once, by check(). Sizes come from the tensors; -1 stands for a size that none decides.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/model/modules.h"
#include "core/model/standard_layers.h"

namespace seqlift {

class Weights {
 public:
  // Keys in their order; a "module." that DataParallel puts before all of them is left out. All
  // tensors are of one type, the widest floating one there is, of float32 and wider ones.
  explicit Weights(const NamedTensors& state_dict);

  bool has(const std::string& key) const { return tensors_.count(key) > 0; }
  // -1 where there is no such tensor or dimension.
  int64_t size(const std::string& key, int64_t dimension) const;
  // How many layers prefix.0, prefix.1, ... the keys speak of, gaps included.
  int64_t count(const std::string& prefix) const;
  // What follows `prefix.` up to the next dot, each once, in the order of the state dict.
  std::vector<std::string> names_below(const std::string& prefix) const;

  // The tensor of this shape, or a complaint and a small stand-in of as many dimensions.
  at::Tensor take(const std::string& key, const std::vector<int64_t>& shape);
  // The keys that begin so may be there and are not used.
  void ignore(const std::string& prefix);
  void complain(const std::string& sentence) { others_.push_back(sentence); }

  enum class Bias { yes, optional, no };
  // `shape`: of the weight, [out, in, width] or [out, in, height, width].
  ModulePart convolution(const std::string& prefix, const std::vector<int64_t>& shape,
                         const ConvolutionOptions& options = {}, Bias bias = Bias::yes);
  // The width of a convolution; a complaint where it is even.
  int64_t odd_width(const std::string& prefix);
  // A convolution padded so that the length stays.
  ModulePart same_convolution(const std::string& prefix, int64_t out, int64_t in,
                              int64_t dilation = 1, Bias bias = Bias::yes);
  ModulePart linear(const std::string& prefix, int64_t out, int64_t in, Bias bias = Bias::yes);
  ModulePart batch_norm(const std::string& prefix, int64_t channels, int64_t dimensions,
                        double eps = 1e-5);
  // Over the last dimension.
  ModulePart layer_norm(const std::string& prefix, int64_t channels, double eps = 1e-5);

  // Errors: kind "model", one line for each sort of complaint.
  void check(const std::string& architecture) const;

 private:
  at::Tensor bias_of(const std::string& prefix, int64_t out, Bias bias);

  std::vector<std::string> keys_;
  std::map<std::string, at::Tensor> tensors_;
  std::set<std::string> used_;
  std::vector<std::string> missing_, misshapen_, others_;
};

// Keys that every network of this architecture has ("bpnet", "enformer", ...), by which
// find_network() knows it. Any one of the lists will do.
const std::vector<std::vector<std::string>>& network_keys(const std::string& architecture);

// The architectures of which such a network is among these tensors, those first that hold others.
std::vector<std::string> fitting_architectures(const NamedTensors& tensors);

// A layer without weights: `expression` of `input`.
ModulePart plain_layer(const std::string& class_name, const std::string& expression);
ModulePart relu_layer();
ModulePart dropout_layer();  // what it is in evaluation: nothing
// What it computes, added to its input.
ModulePart residual(ModulePart inner);
// Of [n, bins, C] the central ones. As many go at both ends: an odd number to cut leaves one bin
// fewer. -1: all stay.
ModulePart target_length_crop(int64_t target_length);
// Numbered modules that are called one by one: getattr(self.name, "0").
ModulePart module_list(std::vector<ModulePart> parts);

// Avsec 2021 as bpnet-lite (Schreiber) writes it: iconv, rconvs.0 ..., fconv, linear.
struct BpnetOptions {
  // Bases cut from each end of the profile; -1: 47 + 2 + 4 + ... + 2^layers, what the convolutions
  // can see on either side, and 557 for ProCapNet.
  int64_t trimming = -1;
  // Of ChromBPNet's bias: its counts are pooled over this window, its profile is then cut to the
  // accessibility's. -1: by its own layers, as bpnet-lite 1.0.0 and the original model have it.
  int64_t bias_trimming = -1;
  // bpnet() alone: the models of basepairmodels (bpnet-lite's BasePairNet), whose layers take the
  // ReLU of what comes in and add what the convolution gives as it is; controls are summed over the
  // profile's window and 2 is added to the sum; `trimming` is 2^layers otherwise.
  bool activation_before = false;
};

// (X [n, 4, L], control_track [n, tracks, L] where there are tracks) -> profile logits
// [n, strands, L - 2 trimming], log counts [n, 1], or [n, tasks].
ModulePart bpnet(const NamedTensors& state_dict, const BpnetOptions& options = {});
// Pampari 2024: accessibility.* and bias.*, two BPNets without control tracks. Profiles are added,
// counts are added before their logarithm.
ModulePart chrombpnet(const NamedTensors& state_dict, const BpnetOptions& options = {});
// Cochran 2024: BPNet's keys, without control tracks; log counts [n, 1] or [n, 2].
ModulePart procapnet(const NamedTensors& state_dict, const BpnetOptions& options = {});

// Cherimoya (Schreiber): BPNet's heads on blocks of depthwise convolutions.
struct CherimoyaOptions {
  int64_t trimming = -1;         // as BpnetOptions'; -1: 45 + 2^blocks
  double residual_scale = 0.15;  // what each block's output is multiplied by; no weight tells it
};

// (X [n, 4, L], control_track [n, tracks, L] where there are tracks) -> profile logits
// [n, signals, L - 2 trimming], log counts [n, groups of signals].
ModulePart cherimoya(const NamedTensors& state_dict, const CherimoyaOptions& options = {});

// The classifiers of chromatin marks, with the numbered layers of their ports to PyTorch.
struct ClassifierOptions {
  bool logits = false;            // leave the sigmoid at the end out
  std::string alphabet = "ACGT";  // the order of bases that the weights were trained with
};

// X [n, 4, L] -> [n, tasks].
ModulePart basset(const NamedTensors& state_dict, const ClassifierOptions& options = {});
ModulePart deepsea(const NamedTensors& state_dict, const ClassifierOptions& options = {});
ModulePart beluga(const NamedTensors& state_dict, const ClassifierOptions& options = {});

// Avsec 2021b with the keys of enformer-pytorch (Wang).
struct EnformerOptions {
  int64_t target_length = 896;  // central bins that are kept; -1: all
  std::string head;             // the one to keep; empty: all, in the order of the state dict
  // Gamma features are divided by their maximum over positions, as in the published weights; else
  // over features, as enformer-pytorch trains.
  bool use_tf_gamma = true;
};

// X [n, 4, L] -> [n, bins, tracks] for each head.
ModulePart enformer(const NamedTensors& state_dict, const EnformerOptions& options = {});

// Linder 2025 with the keys of borzoi-pytorch (Hingerl).
struct BorzoiOptions {
  int64_t target_length = 6144;  // central bins that are kept; -1: all
  std::string head;              // "human" or "mouse"; empty: all that there are
  // Of weights with flash attention, which tell neither.
  int64_t heads = 8;
  int64_t rotated = 128;  // channels of each head that turn with the position
};

// X [n, 4, L] -> [n, tracks, bins] for each head.
ModulePart borzoi(const NamedTensors& state_dict, const BorzoiOptions& options = {});

}  // namespace seqlift
