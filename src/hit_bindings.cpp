// R's door to hit calling. Arguments arrive checked; the wording of errors is R's.
#include <Rcpp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/motifs/hits.h"
#include "interruption.h"

namespace {

using Rcpp::Named;

// `motifs`: weights [4, width, n], and widths, firsts (from 1), ends and lambdas of each.
seqlift::HitMotifs hit_motifs(const Rcpp::List& motifs) {
  seqlift::HitMotifs all;
  const Rcpp::NumericVector weights = motifs["weights"];
  const Rcpp::IntegerVector shape = weights.attr("dim");
  all.width = static_cast<std::size_t>(shape[1]);
  all.weights.assign(weights.begin(), weights.end());
  for (const int width : Rcpp::as<std::vector<int>>(motifs["widths"])) {
    all.widths.push_back(static_cast<std::size_t>(width));
  }
  for (const int first : Rcpp::as<std::vector<int>>(motifs["firsts"])) {
    all.firsts.push_back(static_cast<std::size_t>(first) - 1);
  }
  for (const int end : Rcpp::as<std::vector<int>>(motifs["ends"])) {
    all.ends.push_back(static_cast<std::size_t>(end));
  }
  all.lambdas = Rcpp::as<std::vector<double>>(motifs["lambdas"]);
  return all;
}

seqlift::HitRegions hit_regions(const Rcpp::NumericVector& scores, const Rcpp::RawMatrix& codes) {
  seqlift::HitRegions regions;
  regions.n = static_cast<std::size_t>(codes.ncol());
  regions.length = static_cast<std::size_t>(codes.nrow());
  regions.scores = scores.begin();
  regions.codes = RAW(codes);
  return regions;
}

seqlift::HitOptions hit_options(const Rcpp::List& settings) {
  seqlift::HitOptions options;
  options.hypothetical = settings["hypothetical"];
  options.sqrt_transform = settings["sqrt_transform"];
  options.post_filter = settings["post_filter"];
  options.float64 = settings["float64"];
  options.compatible = settings["compatible"];
  options.tolerance = settings["tolerance"];
  options.step_size = settings["step_size"];
  options.step_size_min = settings["step_size_min"];
  options.step_adjust = settings["step_adjust"];
  options.max_steps = static_cast<std::size_t>(Rcpp::as<int>(settings["max_steps"]));
  options.workers.threads = static_cast<std::size_t>(Rcpp::as<int>(settings["threads"]));
  options.workers.poll = goes_on;
  return options;
}

}  // namespace

// Hits as columns (regions, motifs and places from 1), `regions` as columns, and `sums`
// [4, width, motif]; or `error`, the kind of what went wrong.
// [[Rcpp::export(rng = false)]]
Rcpp::List core_call_hits(const Rcpp::List& motifs, const Rcpp::NumericVector& scores,
                          const Rcpp::RawMatrix& codes, const Rcpp::List& settings) {
  const seqlift::HitMotifs all = hit_motifs(motifs);
  seqlift::HitResults results;
  try {
    results = seqlift::call_hits(all, hit_regions(scores, codes), hit_options(settings));
  } catch (const seqlift::Error& error) {
    return Rcpp::List::create(Named("error") = error.kind());
  }
  R_xlen_t n = 0;
  for (const seqlift::RegionFit& fit : results.regions) {
    n += static_cast<R_xlen_t>(fit.hits.size());
  }
  Rcpp::IntegerVector region(n);
  Rcpp::IntegerVector motif(n);
  Rcpp::IntegerVector start(n);
  Rcpp::NumericVector coefficient(n);
  Rcpp::NumericVector similarity(n);
  Rcpp::NumericVector importance(n);
  Rcpp::NumericVector importance_sq(n);
  Rcpp::NumericVector hit_explained(n);
  const auto n_regions = static_cast<R_xlen_t>(results.regions.size());
  Rcpp::NumericVector nll(n_regions);
  Rcpp::NumericVector gap(n_regions);
  Rcpp::NumericVector exact_gap(n_regions);
  Rcpp::NumericVector explained(n_regions);
  Rcpp::NumericVector step_size(n_regions);
  Rcpp::NumericVector global_scale(n_regions);
  Rcpp::IntegerVector n_steps(n_regions);
  Rcpp::IntegerVector outcome(n_regions);
  R_xlen_t row = 0;
  for (R_xlen_t i = 0; i < n_regions; ++i) {
    const seqlift::RegionFit& fit = results.regions[static_cast<std::size_t>(i)];
    for (const seqlift::Hit& hit : fit.hits) {
      region[row] = static_cast<int>(i) + 1;
      motif[row] = static_cast<int>(hit.motif) + 1;
      start[row] = static_cast<int>(hit.start) + 1;
      coefficient[row] = hit.coefficient;
      similarity[row] = hit.similarity;
      importance[row] = hit.importance;
      importance_sq[row] = hit.importance_sq;
      hit_explained[row] = hit.explained;
      ++row;
    }
    nll[i] = fit.nll;
    gap[i] = fit.gap;
    exact_gap[i] = fit.exact_gap;
    explained[i] = fit.explained;
    step_size[i] = fit.step_size;
    global_scale[i] = fit.global_scale;
    n_steps[i] = static_cast<int>(fit.n_steps);
    outcome[i] = static_cast<int>(fit.outcome) + 1;
  }
  Rcpp::NumericVector sums(results.sums.begin(), results.sums.end());
  sums.attr("dim") =
      Rcpp::IntegerVector{4, static_cast<int>(all.width), static_cast<int>(all.size())};
  return Rcpp::List::create(
      Named("hits") = Rcpp::List::create(
          Named("region") = region, Named("motif") = motif, Named("start") = start,
          Named("coefficient") = coefficient, Named("similarity") = similarity,
          Named("importance") = importance, Named("importance_sq") = importance_sq,
          Named("explained") = hit_explained),
      Named("regions") =
          Rcpp::List::create(Named("nll") = nll, Named("dual_gap") = gap,
                             Named("exact_gap") = exact_gap, Named("explained") = explained,
                             Named("n_steps") = n_steps, Named("step_size") = step_size,
                             Named("global_scale") = global_scale, Named("outcome") = outcome),
      Named("sums") = sums);
}

// The first steps of each region in double precision: gap and nll [region, step], and lists by
// region of coefficients [motif, place, kept] and scales [motif, place].
// [[Rcpp::export(rng = false)]]
Rcpp::List core_hit_steps(const Rcpp::List& motifs, const Rcpp::NumericVector& scores,
                          const Rcpp::RawMatrix& codes, const Rcpp::IntegerVector& kept,
                          const Rcpp::List& settings) {
  const seqlift::HitMotifs all = hit_motifs(motifs);
  const seqlift::HitRegions regions = hit_regions(scores, codes);
  const std::vector<std::size_t> steps(kept.begin(), kept.end());
  Rcpp::List found(codes.ncol());
  for (int i = 0; i < codes.ncol(); ++i) {
    const seqlift::HitSteps own =
        seqlift::hit_steps(all, regions, static_cast<std::size_t>(i), steps, hit_options(settings));
    Rcpp::List coefficients(kept.size());
    for (R_xlen_t k = 0; k < kept.size(); ++k) {
      coefficients[k] = Rcpp::wrap(own.coefficients[static_cast<std::size_t>(k)]);
    }
    found[i] =
        Rcpp::List::create(Named("gap") = own.gaps, Named("nll") = own.nlls,
                           Named("coefficients") = coefficients, Named("scales") = own.scales);
  }
  return found;
}

// Whether each hit stays: places from 1, end inclusive.
// [[Rcpp::export(rng = false)]]
Rcpp::LogicalVector core_collapse_hits(const Rcpp::IntegerVector& sequence,
                                       const Rcpp::NumericVector& start,
                                       const Rcpp::NumericVector& end,
                                       const Rcpp::NumericVector& similarity,
                                       double overlap_fraction) {
  std::vector<seqlift::HitPlace> hits;
  for (R_xlen_t i = 0; i < sequence.size(); ++i) {
    hits.push_back({sequence[i], static_cast<std::int64_t>(start[i]) - 1,
                    static_cast<std::int64_t>(end[i]), similarity[i]});
  }
  const std::vector<bool> stays = seqlift::collapse_hits(hits, overlap_fraction);
  return Rcpp::LogicalVector(stays.begin(), stays.end());
}
