#include "load.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/model/input_layout.h"

namespace seqlift_r {

std::shared_ptr<const seqlift::Model> load_with_layout(const Rcpp::List& file) {
  const auto model = seqlift::load_model(Rcpp::as<std::string>(file["path"]));
  const SEXP layout = file["layout"];
  if (!Rf_isNull(layout)) {
    const Rcpp::List given(layout);
    seqlift::InputLayout wanted;
    wanted.dimensions = Rcpp::as<std::string>(given["dimensions"]);
    const auto tokens = Rcpp::as<std::vector<int>>(given["tokens"]);
    std::copy_n(tokens.begin(), wanted.tokens.size(), wanted.tokens.begin());
    seqlift::set_input_layout(*model, wanted);
  }
  return model;
}

}  // namespace seqlift_r
