#include <torch/csrc/jit/api/module.h>

#include <functional>
#include <map>
#include <string>

#include "bindings.h"
#include "convert.h"
#include "core/files/mapped_file.h"
#include "core/files/save_module.h"
#include "core/files/state_dict.h"
#include "core/files/state_dict_names.h"
#include "core/import/architectures/architectures.h"
#include "core/import/architectures/modules.h"
#include "core/numeric/tensor_functions.h"
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
  result.bias_trimming = whole(options, "bias_trimming");
  result.activation_before = Rcpp::as<bool>(options["activation_before"]);
  return result;
}

seqlift::CherimoyaOptions cherimoya_options(const Rcpp::List& options) {
  seqlift::CherimoyaOptions result;
  result.trimming = whole(options, "trimming");
  result.residual_scale = Rcpp::as<double>(options["residual_scale"]);
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

seqlift::BorzoiOptions borzoi_options(const Rcpp::List& options) {
  seqlift::BorzoiOptions result;
  result.target_length = whole(options, "target_length");
  result.head = text(options, "head");
  result.heads = whole(options, "heads");
  result.rotated = whole(options, "rotated");
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
      {"cherimoya", with(seqlift::cherimoya, cherimoya_options)},
      {"basset", with(seqlift::basset, classifier_options)},
      {"deepsea", with(seqlift::deepsea, classifier_options)},
      {"beluga", with(seqlift::beluga, classifier_options)},
      {"enformer", with(seqlift::enformer, enformer_options)},
      {"borzoi", with(seqlift::borzoi, borzoi_options)}};
  return builds.at(name);
}

// What leads to the network: a file's own prefix, or one that was given for the names in it.
std::string prefix_of(const Rcpp::List& weights, const Rcpp::List& options) {
  const std::string named = text(options, "prefix");
  const bool of_file = weights.size() == 2 && TYPEOF(weights[0]) == STRSXP;
  return named.empty() && of_file ? text(weights, "prefix") : named;
}

}  // namespace

extern "C" {

// `weights`: list(path, prefix) of a file, or a named list of arrays. Writes TorchScript to `path`.
// list(notes, options, class): what was left out of the state dict, a sentence each; the options
// with what the file's own module tells; that module's class, or "".
SEXP seqlift_torch_build_architecture(SEXP name, SEXP weights, SEXP options, SEXP path) {
  return guarded([&]() -> SEXP {
    Rcpp::List chosen = Rcpp::clone(Rcpp::List(options));
    const std::string architecture_name = Rcpp::as<std::string>(name);
    const Rcpp::List given(weights);
    seqlift::StateDict dict;
    if (given.size() == 2 && TYPEOF(given[0]) == STRSXP) {
      dict = seqlift::read_state_dict(text(given, "path"), text(given, "prefix"));
    } else {
      dict.tensors = seqlift::without_wrappers(to_tensors(given), dict.notes);
    }
    if (chosen.containsElementNamed("bias_trimming")) {
      const seqlift::BpnetOptions known = seqlift::with_module_settings(
          bpnet_options(chosen), architecture_name, dict, prefix_of(given, chosen));
      chosen["trimming"] = static_cast<double>(known.trimming);
      chosen["bias_trimming"] = static_cast<double>(known.bias_trimming);
      chosen["activation_before"] = known.activation_before;
    } else if (architecture_name == "cherimoya") {
      const seqlift::CherimoyaOptions known =
          seqlift::with_module_settings(cherimoya_options(chosen), dict, prefix_of(given, chosen));
      chosen["trimming"] = static_cast<double>(known.trimming);
      chosen["residual_scale"] = known.residual_scale;
    } else {
      seqlift::note_module_class(architecture_name, dict);
    }
    seqlift::NamedTensors tensors = seqlift::below_prefix(dict.tensors, text(chosen, "prefix"));
    for (const auto& keys : seqlift::network_keys(architecture_name)) {
      tensors = seqlift::find_network(tensors, keys, dict.notes);
    }
    const seqlift::ModulePart part = architecture(architecture_name)(tensors, chosen);
    seqlift::save_module(seqlift::build_module(part), Rcpp::as<std::string>(path));
    return Rcpp::List::create(
        Rcpp::Named("notes") = dict.notes, Rcpp::Named("options") = chosen,
        Rcpp::Named("class") =
            dict.modules.empty() ? "" : seqlift::printable(dict.modules[0].class_name));
  });
}

}  // extern "C"
