
#include <climits>
#include <string>

#include "bindings.h"
#include "core/files/mapped_file.h"
#include "core/files/state_dict.h"
#include "core/import/architectures/architectures.h"
#include "core/numeric/tensor_functions.h"
#include "handle.h"

using namespace seqlift_r;

namespace {

// Scalars become vectors of one number, complex tensors list(real, imaginary).
SEXP to_values(const std::string& name, const at::Tensor& tensor) {
  for (const int64_t size : tensor.sizes()) {
    if (size > INT_MAX) {
      throw seqlift::Error("file", "The tensor \"" + name + "\" is too long for an R array.");
    }
  }
  const at::Tensor shaped = tensor.dim() == 0 ? tensor.reshape({1}) : tensor;
  if (shaped.is_complex()) {
    return Rcpp::List::create(Rcpp::Named("real") = to_array(at::real(shaped)),
                              Rcpp::Named("imaginary") = to_array(at::imag(shaped)));
  }
  return to_array(shaped);
}

seqlift::StateDict read_file(SEXP file) {
  const Rcpp::List given(file);
  const std::string prefix = text(given, "prefix");
  seqlift::StateDict state_dict = seqlift::read_state_dict(text(given, "path"), prefix);
  if (prefix.empty()) {
    seqlift::drop_lightning_attribute(state_dict);
  }
  return state_dict;
}

// list(name, text), as columns.
SEXP setting_columns(const std::vector<seqlift::PickledSetting>& settings) {
  std::vector<std::string> names;
  std::vector<std::string> texts;
  for (const seqlift::PickledSetting& setting : settings) {
    names.push_back(setting.name);
    texts.push_back(setting.text);
  }
  return Rcpp::List::create(Rcpp::Named("name") = names, Rcpp::Named("value") = texts);
}

}  // namespace

extern "C" {

// `file`: list(path, prefix).
SEXP seqlift_torch_state_dict(SEXP file) {
  return guarded([&]() -> SEXP {
    const seqlift::StateDict state_dict = read_file(file);
    std::vector<std::string> names;
    std::vector<std::string> dtypes;
    Rcpp::List shapes;
    std::vector<std::string> paths;
    std::vector<std::string> classes;
    for (const seqlift::PickledModule& module : state_dict.modules) {
      paths.push_back(module.path);
      classes.push_back(seqlift::printable(module.class_name));
    }
    // Of a whole model, its own attributes.
    const std::vector<seqlift::PickledSetting>& settings =
        state_dict.modules.empty() || !state_dict.settings.empty() ? state_dict.settings
                                                                   : state_dict.modules[0].settings;
    for (const auto& one : state_dict.tensors) {
      names.push_back(one.first);
      dtypes.push_back(c10::toString(one.second.scalar_type()));
      const auto sizes = one.second.sizes();
      shapes.push_back(Rcpp::NumericVector(sizes.begin(), sizes.end()));
    }
    return Rcpp::List::create(
        Rcpp::Named("format") = state_dict.format, Rcpp::Named("names") = names,
        Rcpp::Named("dtypes") = dtypes, Rcpp::Named("shapes") = shapes,
        Rcpp::Named("modules") = paths, Rcpp::Named("classes") = classes,
        Rcpp::Named("settings") = setting_columns(settings),
        Rcpp::Named("fits") = seqlift::fitting_architectures(state_dict.tensors),
        Rcpp::Named("notes") = state_dict.notes);
  });
}

// `places` count from 1.
SEXP seqlift_torch_state_dict_values(SEXP file, SEXP places) {
  return guarded([&]() -> SEXP {
    const seqlift::StateDict state_dict = read_file(file);
    Rcpp::List values;
    for (const int place : Rcpp::as<std::vector<int>>(places)) {
      const auto& one = state_dict.tensors.at(static_cast<size_t>(place) - 1);
      values.push_back(to_values(one.first, one.second));
    }
    return values;
  });
}

}  // extern "C"
