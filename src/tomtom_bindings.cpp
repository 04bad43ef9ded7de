// R's door to the comparison of motifs. Arguments arrive checked; the wording of errors is R's.
#include <Rcpp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/motifs/gapped_words.h"
#include "core/motifs/tomtom.h"
#include "interruption.h"

namespace {

using Rcpp::Named;

seqlift::MotifSet motif_set(const Rcpp::NumericVector& values, const Rcpp::IntegerVector& widths,
                            int n_rows) {
  seqlift::MotifSet set;
  set.n_rows = static_cast<std::size_t>(n_rows);
  set.values.assign(values.begin(), values.end());
  set.widths.assign(widths.begin(), widths.end());
  return set;
}

}  // namespace

// Columns of the table of matches, query and target as numbers from 1; or what went wrong: `error`,
// its kind, and `message`.
// [[Rcpp::export(rng = false)]]
Rcpp::List core_tomtom(const Rcpp::NumericVector& queries, const Rcpp::IntegerVector& query_widths,
                       const Rcpp::NumericVector& targets, const Rcpp::IntegerVector& target_widths,
                       int n_rows, int n_score_bins, int n_median_bins, int n_target_bins,
                       bool reverse_complement, int n_nearest, double max_p_value, bool compatible,
                       int threads) {
  seqlift::TomtomOptions options;
  options.scores.n_score_bins = n_score_bins;
  options.scores.n_median_bins = n_median_bins;
  options.scores.compatible = compatible;
  options.n_target_bins = n_target_bins;
  options.reverse_complement = reverse_complement;
  options.n_nearest = n_nearest;
  options.max_p_value = max_p_value;
  options.workers.threads = threads;
  options.workers.poll = goes_on;
  std::vector<std::vector<seqlift::TomtomMatch>> matches;
  try {
    matches = seqlift::tomtom(motif_set(queries, query_widths, n_rows),
                              motif_set(targets, target_widths, n_rows), options);
  } catch (const seqlift::Error& error) {
    return Rcpp::List::create(Named("error") = error.kind(), Named("message") = error.what());
  }
  R_xlen_t n = 0;
  for (const auto& own : matches) {
    n += static_cast<R_xlen_t>(own.size());
  }
  Rcpp::IntegerVector query(Rcpp::no_init(n));
  Rcpp::IntegerVector target(Rcpp::no_init(n));
  Rcpp::NumericVector p_value(Rcpp::no_init(n));
  Rcpp::NumericVector q_value(Rcpp::no_init(n));
  Rcpp::IntegerVector score(Rcpp::no_init(n));
  Rcpp::IntegerVector offset(Rcpp::no_init(n));
  Rcpp::IntegerVector overlap(Rcpp::no_init(n));
  Rcpp::IntegerVector strand(Rcpp::no_init(n));
  auto* query_row = query.begin();
  auto* target_row = target.begin();
  auto* p_value_row = p_value.begin();
  auto* q_value_row = q_value.begin();
  auto* score_row = score.begin();
  auto* offset_row = offset.begin();
  auto* overlap_row = overlap.begin();
  auto* strand_row = strand.begin();
  for (std::size_t i = 0; i < matches.size(); ++i) {
    for (const seqlift::TomtomMatch& match : matches[i]) {
      *query_row++ = static_cast<int>(i) + 1;
      *target_row++ = static_cast<int>(match.target) + 1;
      *p_value_row++ = match.p_value;
      *q_value_row++ = match.q_value;
      *score_row++ = match.score;
      *offset_row++ = match.offset;
      *overlap_row++ = match.overlap;
      *strand_row++ = match.reverse_complement ? 2 : 1;
    }
    // A large table is not held twice.
    std::vector<seqlift::TomtomMatch>().swap(matches[i]);
  }
  return Rcpp::List::create(Named("query") = query, Named("target") = target,
                            Named("p_value") = p_value, Named("q_value") = q_value,
                            Named("score") = score, Named("offset") = offset,
                            Named("overlap") = overlap, Named("strand") = strand);
}

// `codes` and `scores` are [length, n].
// [[Rcpp::export(rng = false)]]
Rcpp::List core_gapped_kmers(const Rcpp::RawMatrix& codes, const Rcpp::NumericMatrix& scores,
                             int min_letters, int max_letters, int max_step, int max_length,
                             int max_words, int max_positions) {
  seqlift::GappedWordOptions options;
  options.min_letters = min_letters;
  options.max_letters = max_letters;
  options.max_step = max_step;
  options.max_length = max_length;
  options.max_words = max_words;
  options.max_positions = max_positions;
  std::vector<int> example;
  std::vector<std::string> words;
  std::vector<double> sums;
  const std::size_t length = codes.nrow();
  for (int i = 0; i < codes.ncol(); ++i) {
    Rcpp::checkUserInterrupt();
    const std::size_t start = static_cast<std::size_t>(i) * length;
    for (const seqlift::GappedWord& word :
         seqlift::gapped_words(RAW(codes) + start, scores.begin() + start, length, options)) {
      example.push_back(i + 1);
      words.push_back(word.letters);
      sums.push_back(word.score);
    }
  }
  return Rcpp::List::create(Named("example") = example, Named("gkmer") = words,
                            Named("score") = sums);
}
