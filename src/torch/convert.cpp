#include "convert.h"

#include "core/numeric/tensor_functions.h"

namespace seqlift_r {

namespace {

std::vector<int64_t> reversed_dims(SEXP array) {
  const SEXP dims = Rf_getAttrib(array, R_DimSymbol);
  std::vector<int64_t> sizes;
  if (Rf_isNull(dims)) {
    sizes.push_back(Rf_xlength(array));
  }
  for (int i = Rf_length(dims) - 1; i >= 0; --i) {
    sizes.push_back(INTEGER(dims)[i]);
  }
  return sizes;
}

at::Tensor all_reversed(const at::Tensor& tensor) {
  std::vector<int64_t> order;
  for (int64_t d = tensor.dim() - 1; d >= 0; --d) {
    order.push_back(d);
  }
  return tensor.permute(order);
}

// A double array of these dimensions, whatever is in it.
Rcpp::NumericVector new_array(at::IntArrayRef sizes) {
  R_xlen_t count = 1;
  Rcpp::IntegerVector dims(static_cast<R_xlen_t>(sizes.size()));
  for (size_t d = 0; d < sizes.size(); ++d) {
    count *= static_cast<R_xlen_t>(sizes[d]);
    dims[static_cast<R_xlen_t>(d)] = static_cast<int>(sizes[d]);
  }
  Rcpp::NumericVector values{Rcpp::no_init(count)};
  values.attr("dim") = dims;
  return values;
}

// Codes [..., L] (0 to 3, anything else is N) as one-hot [rows, 4, L].
at::Tensor letters_to_one_hot(const at::Tensor& codes) {
  const at::Tensor rows = codes.reshape({-1, codes.size(-1)});
  const at::Tensor letters = at::arange(4, at::kByte).view({1, 4, 1});
  return rows.unsqueeze(1).eq(letters).to(at::kFloat);
}

}  // namespace

at::Tensor view_array(SEXP array) {
  const std::vector<int64_t> sizes = reversed_dims(array);
  if (TYPEOF(array) == REALSXP) {
    return all_reversed(at::from_blob(REAL(array), sizes, at::kDouble));
  }
  if (TYPEOF(array) == RAWSXP) {
    return all_reversed(at::from_blob(RAW(array), sizes, at::kByte));
  }
  return all_reversed(at::from_blob(INTEGER(array), sizes, at::kInt)).to(at::kLong);
}

Rcpp::NumericVector to_array(const at::Tensor& tensor) {
  // Straight into R's memory: results may be large.
  const Rcpp::NumericVector values = new_array(tensor.sizes());
  view_array(values).copy_(tensor);
  return values;
}

at::Tensor OwnArrays::space(const std::vector<int64_t>& sizes) {
  arrays_.push_back(new_array(sizes));
  return view_array(arrays_.back());
}

Rcpp::NumericVector OwnArrays::array_of(const at::Tensor& tensor) const {
  for (const Rcpp::NumericVector& array : arrays_) {
    if (tensor.numel() > 0 && tensor.data_ptr() == static_cast<const void*>(array.begin())) {
      return array;
    }
  }
  return to_array(tensor);
}

seqlift::Sequences to_sequences(const Rcpp::List& input) {
  seqlift::Sequences sequences;
  sequences.count = Rcpp::as<int>(input["n"]);
  const SEXP codes = input["codes"];
  if (!Rf_isNull(codes)) {
    const at::Tensor all = all_reversed(view_array(codes));  // [n, L]
    sequences.X = [all](int64_t begin, int64_t end) {
      return letters_to_one_hot(all.narrow(0, begin, end - begin));
    };
  } else {
    const at::Tensor all = view_array(input["array"]);
    sequences.X = [all](int64_t begin, int64_t end) {
      return all.narrow(0, begin, end - begin).contiguous();
    };
  }
  const Rcpp::List args = input["args"];
  for (R_xlen_t i = 0; i < args.size(); ++i) {
    sequences.args.push_back(view_array(args[i]).contiguous());
  }
  return sequences;
}

seqlift::References to_references(SEXP references, const seqlift::Sequences& sequences) {
  seqlift::References result;
  const at::Tensor all = view_array(references);
  const bool codes = TYPEOF(references) == RAWSXP;
  // As R sees it: codes [L, r, n], arrays [n, r, C, L].
  result.count = all.size(1);
  const int64_t channels = sequences.count == 0 ? 0 : sequences.X(0, 1).size(1);
  result.get = [all, codes, channels, X = sequences.X](int64_t i_begin, int64_t i_end,
                                                       int64_t j_begin, int64_t j_end) {
    const int64_t n = i_end - i_begin;
    const int64_t r = j_end - j_begin;
    at::Tensor rows;
    if (codes) {
      const at::Tensor part = all_reversed(all).narrow(0, i_begin, n).narrow(1, j_begin, r);
      rows = letters_to_one_hot(part);
    } else {
      const at::Tensor part = all.narrow(0, i_begin, n).narrow(1, j_begin, r);
      rows = part.reshape({n * r, all.size(2), all.size(3)});
    }
    if (channels > rows.size(1)) {
      const at::Tensor held = X(i_begin, i_end).narrow(1, rows.size(1), channels - rows.size(1));
      rows = at::cat({rows.to(held.scalar_type()), held.repeat_interleave(r, 0)}, 1);
    }
    return rows;
  };
  return result;
}

}  // namespace seqlift_r
