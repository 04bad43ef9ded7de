// R's door to the seqlets of the sequence core: tracks are matrices [length, n]. Arguments arrive
// checked.
#include <Rcpp.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/sequences/seqlets.h"

namespace {

using Rcpp::Named;

// Columns of R's table, positions from 1 and ends inclusive.
Rcpp::List seqlet_columns(const std::vector<seqlift::Seqlet>& seqlets) {
  const auto count = static_cast<R_xlen_t>(seqlets.size());
  Rcpp::IntegerVector example(count), start(count), end(count);
  Rcpp::NumericVector attribution(count), p_value(count);
  for (R_xlen_t i = 0; i < count; ++i) {
    const seqlift::Seqlet& seqlet = seqlets[i];
    example[i] = static_cast<int>(seqlet.example) + 1;
    start[i] = static_cast<int>(seqlet.start) + 1;
    end[i] = static_cast<int>(seqlet.end);
    attribution[i] = seqlet.attribution;
    p_value[i] = std::isnan(seqlet.p_value) ? NA_REAL : seqlet.p_value;
  }
  return Rcpp::List::create(Named("example") = example, Named("start") = start, Named("end") = end,
                            Named("attribution") = attribution, Named("p_value") = p_value);
}

using Sums = Rcpp::XPtr<seqlift::WindowSums>;

// A matrix [length, n].
seqlift::TracksView tracks_view(const Rcpp::NumericMatrix& tracks) {
  return {tracks.begin(), static_cast<std::size_t>(tracks.nrow()),
          static_cast<std::size_t>(tracks.ncol())};
}

seqlift::TfModiscoSeqletOptions tfmodisco_options(int window_size, int flank, double target_fdr,
                                                  double min_passing_frac,
                                                  double max_passing_frac) {
  seqlift::TfModiscoSeqletOptions options;
  options.window_size = window_size;
  options.flank = flank;
  options.target_fdr = target_fdr;
  options.min_passing_frac = min_passing_frac;
  options.max_passing_frac = max_passing_frac;
  return options;
}

}  // namespace

// [[Rcpp::export(rng = false)]]
Rcpp::List core_recursive_seqlets(Rcpp::NumericMatrix tracks, double threshold, int min_length,
                                  int max_length, int additional_flanks, bool compatible) {
  const seqlift::TracksView view = tracks_view(tracks);
  seqlift::RecursiveSeqletOptions options;
  options.threshold = threshold;
  options.min_length = min_length;
  options.max_length = max_length;
  options.additional_flanks = additional_flanks;
  options.compatible = compatible;
  const seqlift::SpanDistribution null(view, options.max_length, options);
  std::vector<seqlift::Seqlet> all;
  for (std::size_t i = 0; i < view.count; ++i) {
    Rcpp::checkUserInterrupt();
    const auto own = seqlift::recursive_seqlets(view, i, null, options);
    all.insert(all.end(), own.begin(), own.end());
  }
  return seqlet_columns(all);
}

// [[Rcpp::export(rng = false)]]
Rcpp::List core_tfmodisco_seqlets(Rcpp::NumericMatrix tracks, int window_size, int flank,
                                  double target_fdr, double min_passing_frac,
                                  double max_passing_frac) {
  return seqlet_columns(seqlift::tfmodisco_seqlets(
      tracks_view(tracks),
      tfmodisco_options(window_size, flank, target_fdr, min_passing_frac, max_passing_frac)));
}

// Sums of the windows of tracks that come in pieces; those beyond `held` numbers go to a file in
// `folder`.
// [[Rcpp::export(rng = false)]]
SEXP core_window_sums(int length, int window_size, double held, std::string folder) {
  return Sums(new seqlift::WindowSums(static_cast<std::size_t>(length),
                                      static_cast<std::size_t>(window_size),
                                      static_cast<std::size_t>(held), folder));
}

// Tracks [length, n]; what went wrong, or nothing.
// [[Rcpp::export(rng = false)]]
Rcpp::CharacterVector core_add_tracks(SEXP sums, Rcpp::NumericMatrix tracks) {
  try {
    Sums(sums)->add(tracks_view(tracks));
    return Rcpp::CharacterVector();
  } catch (const seqlift::Error& error) {
    return Rcpp::CharacterVector::create(error.what());
  }
}

// As tfmodisco 2.6 calls them, with `sign` (1, -1, or 0: too weak for one). Of each sign the first
// `most` are returned, and those without one if `all`. Beside them `n` of all and of each
// sign, and `thresholds`: of the signs of seqlets, of positive windows and of negative ones.
// [[Rcpp::export(rng = false)]]
Rcpp::List core_tfmodisco_calls(SEXP sums, int window_size, int flank, double target_fdr,
                                double min_passing_frac, double max_passing_frac,
                                double weak_quantile, double most, bool all) {
  seqlift::TfModiscoSeqletOptions options =
      tfmodisco_options(window_size, flank, target_fdr, min_passing_frac, max_passing_frac);
  options.n_quantiles = 19;
  options.sorted = true;
  std::vector<seqlift::Seqlet> kept;
  std::vector<int> signs;
  double n = 0;
  double n_positive = 0;
  double n_negative = 0;
  seqlift::TfModiscoThresholds thresholds;
  try {
    const auto found = seqlift::tfmodisco_thresholds(*Sums(sums), options, weak_quantile);
    if (found) {
      thresholds = *found;
      seqlift::call_windows(*Sums(sums), options, thresholds, [&](const seqlift::Seqlet& seqlet) {
        const int sign = seqlet.attribution > thresholds.sign    ? 1
                         : seqlet.attribution < -thresholds.sign ? -1
                                                                 : 0;
        double& of_sign = sign > 0 ? n_positive : n_negative;
        ++n;
        of_sign += sign == 0 ? 0 : 1;
        if (sign == 0 ? all : of_sign <= most) {
          kept.push_back(seqlet);
          signs.push_back(sign);
        }
      });
    }
  } catch (const seqlift::Error& error) {
    return Rcpp::List::create(Named("error") = error.what());
  }
  Rcpp::List columns = seqlet_columns(kept);
  columns["sign"] = Rcpp::IntegerVector(signs.begin(), signs.end());
  columns["n"] = Rcpp::NumericVector::create(n, n_positive, n_negative);
  columns["thresholds"] =
      Rcpp::NumericVector::create(thresholds.sign, thresholds.positive, -thresholds.negative);
  return columns;
}
