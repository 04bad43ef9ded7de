#include <torch/csrc/jit/api/module.h>

#include <string>

#include "bindings.h"
#include "core/files/save_module.h"
#include "core/import/keras/keras.h"
#include "core/numeric/tensor_functions.h"
#include "handle.h"

using namespace seqlift_r;

namespace {

// HDF5 counts dimensions from the slowest, R from the fastest: the same memory, turned round.
at::Tensor to_weight(SEXP array, at::ScalarType dtype) {
  const at::Tensor view = view_array(array);
  std::vector<int64_t> order;
  for (int64_t i = view.dim(); i-- > 0;) {
    order.push_back(i);
  }
  return view.permute(order).to(dtype).contiguous().clone();
}

}  // namespace

extern "C" {

// `file`: list(config, keras_version, backend, dtype, layers = list of list(name, weights = list of
// double arrays by name)), or of an archive one layer "" with all weights by their paths; the model
// is written to `path`.
SEXP seqlift_torch_convert_keras(SEXP file_list, SEXP path) {
  return guarded([&]() -> SEXP {
    const Rcpp::List given(file_list);
    const auto dtype = choice<at::ScalarType>(text(given, "dtype"),
                                              {{"float64", at::kDouble}, {"float32", at::kFloat}});
    seqlift::KerasFile file;
    file.config = text(given, "config");
    file.keras_version = text(given, "keras_version");
    file.backend = text(given, "backend");
    for (const SEXP one : Rcpp::List(given["layers"])) {
      const Rcpp::List layer(one);
      const Rcpp::List weights(layer["weights"]);
      seqlift::KerasLayerWeights own;
      own.name = text(layer, "name");
      for (R_xlen_t i = 0; i < weights.size(); ++i) {
        own.weights.emplace_back(Rcpp::as<std::string>(Rcpp::CharacterVector(weights.names())[i]),
                                 to_weight(weights[i], dtype));
      }
      file.layers.push_back(std::move(own));
    }
    if (file.layers.size() == 1 && file.layers[0].name.empty()) {
      file.layers = seqlift::keras_archive_weights(file.config, file.layers[0].weights);
    }
    const seqlift::KerasModel model = seqlift::keras_model(file);
    seqlift::save_module(seqlift::build_module(model.part), Rcpp::as<std::string>(path));
    return Rcpp::List::create(Rcpp::Named("theano") = model.theano,
                              Rcpp::Named("tokens") = static_cast<double>(model.tokens));
  });
}

}  // extern "C"
