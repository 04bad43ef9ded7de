
#include <climits>
#include <string>

#include "bindings.h"
#include "core/state_dict.h"
#include "core/tensor_functions.h"
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

}  // namespace

extern "C" {

SEXP seqlift_torch_state_dict(SEXP path) {
  return guarded([&]() -> SEXP {
    const seqlift::StateDict state_dict = seqlift::read_state_dict(Rcpp::as<std::string>(path));
    std::vector<std::string> names;
    std::vector<std::string> dtypes;
    Rcpp::List shapes;
    for (const auto& one : state_dict.tensors) {
      names.push_back(one.first);
      dtypes.push_back(c10::toString(one.second.scalar_type()));
      const auto sizes = one.second.sizes();
      shapes.push_back(Rcpp::NumericVector(sizes.begin(), sizes.end()));
    }
    return Rcpp::List::create(Rcpp::Named("format") = state_dict.format,
                              Rcpp::Named("names") = names, Rcpp::Named("dtypes") = dtypes,
                              Rcpp::Named("shapes") = shapes);
  });
}

// `places` count from 1.
SEXP seqlift_torch_state_dict_values(SEXP path, SEXP places) {
  return guarded([&]() -> SEXP {
    const seqlift::StateDict state_dict = seqlift::read_state_dict(Rcpp::as<std::string>(path));
    Rcpp::List values;
    for (const int place : Rcpp::as<std::vector<int>>(places)) {
      const auto& one = state_dict.tensors.at(static_cast<size_t>(place) - 1);
      values.push_back(to_values(one.first, one.second));
    }
    return values;
  });
}

}  // extern "C"
