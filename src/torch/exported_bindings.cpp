#include <string>

#include "bindings.h"
#include "core/import/exported/module.h"
#include "handle.h"

using namespace seqlift_r;

extern "C" {

SEXP seqlift_torch_is_exported_program(SEXP path) {
  return guarded([&]() -> SEXP {
    return Rcpp::wrap(seqlift::is_exported_program(Rcpp::as<std::string>(path)));
  });
}

SEXP seqlift_torch_convert_exported_program(SEXP path, SEXP to) {
  return guarded([&]() -> SEXP {
    seqlift::convert_exported_program(Rcpp::as<std::string>(path), Rcpp::as<std::string>(to));
    return R_NilValue;
  });
}

}  // extern "C"
