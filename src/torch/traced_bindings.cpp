// Modules of R's torch, traced and saved there.

#include <map>
#include <string>
#include <vector>

#include "bindings.h"
#include "core/base/error.h"
#include "core/import/traced/traced_module.h"
#include "core/numeric/tensor_functions.h"
#include "handle.h"

using namespace seqlift_r;

namespace {

at::ScalarType type_named(const std::string& name) {
  static const std::map<std::string, at::ScalarType> types{
      {"Float", at::kFloat}, {"Double", at::kDouble},    {"Half", at::kHalf}, {"Long", at::kLong},
      {"Int", at::kInt},     {"Short", at::kShort},      {"Char", at::kChar}, {"Byte", at::kByte},
      {"Bool", at::kBool},   {"BFloat16", at::kBFloat16}};
  const auto found = types.find(name);
  if (found == types.end()) {
    throw seqlift::Error("trace", "The module takes or returns a tensor of type " + name + ".");
  }
  return found->second;
}

// list(list(values = doubles, shape = , dtype = "Float"), ...)
std::vector<at::Tensor> to_tensors(const Rcpp::List& list) {
  std::vector<at::Tensor> tensors;
  for (R_xlen_t i = 0; i < list.size(); ++i) {
    const Rcpp::List one = list[i];
    const SEXP values = one["values"];
    const auto shape = Rcpp::as<std::vector<int64_t>>(one["shape"]);
    tensors.push_back(view_array(values).reshape(shape).to(type_named(text(one, "dtype"))).clone());
  }
  return tensors;
}

}  // namespace

extern "C" {

// `plan`: list(paths, sequences, arguments, modules = paths of modules, classes, inputs, outputs).
SEXP seqlift_torch_convert_traces(SEXP plan, SEXP to) {
  return guarded([&]() -> SEXP {
    const Rcpp::List list(plan);
    seqlift::TracedModuleOptions options;
    const auto paths = Rcpp::as<std::vector<std::string>>(list["paths"]);
    const auto sequences = Rcpp::as<std::vector<int64_t>>(list["sequences"]);
    for (size_t i = 0; i < paths.size(); ++i) {
      options.traces.push_back({paths[i], sequences.at(i)});
    }
    options.argument_names = Rcpp::as<std::vector<std::string>>(list["arguments"]);
    const auto modules = Rcpp::as<std::vector<std::string>>(list["modules"]);
    const auto classes = Rcpp::as<std::vector<std::string>>(list["classes"]);
    for (size_t i = 0; i < modules.size(); ++i) {
      options.classes[modules[i]] = classes.at(i);
    }
    options.check.inputs = to_tensors(list["inputs"]);
    options.check.outputs = to_tensors(list["outputs"]);
    seqlift::make_traced_module(options).save(Rcpp::as<std::string>(to));
    return R_NilValue;
  });
}

SEXP seqlift_torch_convert_script_module(SEXP path, SEXP to) {
  return guarded([&]() -> SEXP {
    seqlift::convert_script_module(Rcpp::as<std::string>(path), Rcpp::as<std::string>(to));
    return R_NilValue;
  });
}

}  // extern "C"
