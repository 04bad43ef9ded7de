// A model from its file, with the layout of its input.
#pragma once

#include <Rcpp.h>

#include <memory>

#include "core/model/model.h"

namespace seqlift_r {

// `file`: list(path, layout); layout: list(dimensions, tokens = whole numbers of A, C, G, T and N,
// -1 for none), or NULL to leave it as it is.
std::shared_ptr<const seqlift::Model> load_with_layout(const Rcpp::List& file);

}  // namespace seqlift_r
