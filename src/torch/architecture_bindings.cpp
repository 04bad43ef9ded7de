#include <torch/csrc/jit/api/module.h>

#include <functional>
#include <map>
#include <string>

#include "bindings.h"
#include "convert.h"
#include "core/architectures.h"
#include "core/state_dict.h"
#include "core/tensor_functions.h"
#include "handle.h"

using namespace seqlift_r;

namespace {

// R's numbers are doubles; weights are single precision, as PyTorch's own are.
seqlift::NamedTensors to_tensors(const Rcpp::List& arrays) {
  const Rcpp::CharacterVector names = arrays.names();
  seqlift::NamedTensors tensors;
  for (R_xlen_t i = 0; i < arrays.size(); ++i) {
    tensors.emplace_back(Rcpp::as<std::string>(names[i]),
                         view_array(arrays[i]).to(at::kFloat).contiguous());
  }
  return tensors;
}

seqlift::BpnetOptions bpnet_options(const Rcpp::List& options) {
  seqlift::BpnetOptions result;
  result.trimming = whole(options, "trimming");
  return result;
}

seqlift::ClassifierOptions classifier_options(const Rcpp::List& options) {
  seqlift::ClassifierOptions result;
  result.logits = Rcpp::as<bool>(options["logits"]);
  result.alphabet = text(options, "alphabet");
  return result;
}

seqlift::EnformerOptions enformer_options(const Rcpp::List& options) {
  seqlift::EnformerOptions result;
  result.target_length = whole(options, "target_length");
  result.head = text(options, "head");
  result.use_tf_gamma = Rcpp::as<bool>(options["use_tf_gamma"]);
  return result;
}

using Build = std::function<seqlift::ModulePart(const seqlift::NamedTensors&, const Rcpp::List&)>;

template <typename Options>
Build with(seqlift::ModulePart (*build)(const seqlift::NamedTensors&, const Options&),
           Options (*read)(const Rcpp::List&)) {
  return [build, read](const seqlift::NamedTensors& tensors, const Rcpp::List& options) {
    return build(tensors, read(options));
  };
}

const Build& architecture(const std::string& name) {
  static const std::map<std::string, Build> builds{
      {"bpnet", with(seqlift::bpnet, bpnet_options)},
      {"chrombpnet", with(seqlift::chrombpnet, bpnet_options)},
      {"procapnet", with(seqlift::procapnet, bpnet_options)},
      {"basset", with(seqlift::basset, classifier_options)},
      {"deepsea", with(seqlift::deepsea, classifier_options)},
      {"beluga", with(seqlift::beluga, classifier_options)},
      {"enformer", with(seqlift::enformer, enformer_options)}};
  return builds.at(name);
}

}  // namespace

extern "C" {

// `weights`: a path, or a named list of arrays. Writes TorchScript to `path`.
SEXP seqlift_torch_build_architecture(SEXP name, SEXP weights, SEXP options, SEXP path) {
  return guarded([&]() -> SEXP {
    const seqlift::NamedTensors tensors =
        TYPEOF(weights) == STRSXP ? seqlift::read_state_dict(Rcpp::as<std::string>(weights)).tensors
                                  : to_tensors(Rcpp::List(weights));
    const seqlift::ModulePart part =
        architecture(Rcpp::as<std::string>(name))(tensors, Rcpp::List(options));
    seqlift::build_module(part).save(Rcpp::as<std::string>(path));
    return R_NilValue;
  });
}

}  // extern "C"
