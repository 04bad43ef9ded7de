#include <string>

#include "bindings.h"
#include "core/import/onnx/onnx.h"
#include "handle.h"

using namespace seqlift_r;

extern "C" {

// How the sequences lie in the model's input, "" where the file does not tell.
SEXP seqlift_torch_convert_onnx(SEXP path, SEXP to) {
  return guarded([&]() -> SEXP {
    return Rcpp::wrap(
        seqlift::convert_onnx(Rcpp::as<std::string>(path), Rcpp::as<std::string>(to)));
  });
}

}  // extern "C"
