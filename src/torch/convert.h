// R arrays and the core's tensors: the one place where the memory order changes. An R array
// [n, 4, L] varies fastest in n; seen with its dimensions reversed it is a contiguous tensor
// [L, 4, n], which is then permuted.
#pragma once

#include <ATen/core/Tensor.h>
#include <Rcpp.h>

#include "core/methods/deep_lift_shap.h"
#include "core/methods/predict.h"

namespace seqlift_r {

// A view of a double or integer array's memory, valid while the R object lives; integers are
// copied.
at::Tensor view_array(SEXP array);
// A double array with the tensor's dimensions.
Rcpp::NumericVector to_array(const at::Tensor& tensor);

// R arrays that results are written into, so that they are in memory once.
class OwnArrays {
 public:
  // A new double array, as view_array() sees it. On R's own thread alone.
  at::Tensor space(const std::vector<int64_t>& sizes);
  // The array that the tensor is a view of, or a copy of it.
  Rcpp::NumericVector array_of(const at::Tensor& tensor) const;

 private:
  std::vector<Rcpp::NumericVector> arrays_;
};

// `input`: list(codes = raw matrix [L, n], array = double array [n, C, L], n, args = list of
// arrays); one of codes and array is NULL.
seqlift::Sequences to_sequences(const Rcpp::List& input);
// `references`: a raw array [L, r, n] of codes or a double array [n, r, 4, L]. Channels of X beyond
// those that the references have are held at the value of X.
seqlift::References to_references(SEXP references, const seqlift::Sequences& sequences);

}  // namespace seqlift_r
