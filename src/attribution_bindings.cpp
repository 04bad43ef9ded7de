// Dense numerics of attributions, on R's own memory.
#include <RcppEigen.h>

// m_c - sum_b(ref_b m_b) at every position. In R's order an array [rows..., 4, L] is, position by
// position, a matrix of all rows and the four bases.
// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector core_project_multipliers(const Rcpp::NumericVector& multipliers,
                                             const Rcpp::NumericVector& references, int n_bases,
                                             int length) {
  const Eigen::Index rows = multipliers.size() / (static_cast<Eigen::Index>(n_bases) * length);
  Rcpp::NumericVector projected(Rcpp::no_init(multipliers.size()));
  for (Eigen::Index l = 0; l < length; ++l) {
    const Eigen::Index start = l * rows * n_bases;
    const Eigen::Map<const Eigen::ArrayXXd> m(multipliers.begin() + start, rows, n_bases);
    const Eigen::Map<const Eigen::ArrayXXd> ref(references.begin() + start, rows, n_bases);
    Eigen::Map<Eigen::ArrayXXd> out(projected.begin() + start, rows, n_bases);
    out = m.colwise() - (ref * m).rowwise().sum();
  }
  return projected;
}
