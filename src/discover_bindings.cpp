// R's door to motif discovery: the whole, and its steps one by one, which the tests compare with
// other tools. Arguments arrive checked; indices of sequences and positions count from 0 here, ends
// are exclusive.
#include <Rcpp.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/motifs/discover.h"
#include "interruption.h"

namespace {

using Rcpp::Named;
using Regions = Rcpp::XPtr<seqlift::ScoredRegions>;
using seqlift::MotifSeqlet;

seqlift::WorkerOptions workers_of(int threads) {
  seqlift::WorkerOptions workers;
  workers.threads = static_cast<std::size_t>(threads);
  workers.poll = goes_on;
  return workers;
}

// Rows: example, start, end, whether it is read as its reverse complement.
std::vector<MotifSeqlet> seqlets_of(const Rcpp::IntegerMatrix& table) {
  std::vector<MotifSeqlet> seqlets;
  for (int i = 0; i < table.nrow(); ++i) {
    MotifSeqlet one;
    one.example = static_cast<std::uint32_t>(table(i, 0));
    one.start = table(i, 1);
    one.end = table(i, 2);
    one.reversed = table.ncol() > 3 && table(i, 3) != 0;
    seqlets.push_back(one);
  }
  return seqlets;
}

Rcpp::IntegerMatrix table_of(const std::vector<MotifSeqlet>& seqlets) {
  Rcpp::IntegerMatrix table(static_cast<int>(seqlets.size()), 4);
  for (int i = 0; i < table.nrow(); ++i) {
    const MotifSeqlet& one = seqlets[static_cast<std::size_t>(i)];
    table(i, 0) = static_cast<int>(one.example);
    table(i, 1) = one.start;
    table(i, 2) = one.end;
    table(i, 3) = one.reversed ? 1 : 0;
  }
  return table;
}

// [length, 4] of numbers position by position.
Rcpp::NumericMatrix matrix_of(const std::vector<double>& values) {
  const int length = static_cast<int>(values.size() / seqlift::n_letters);
  Rcpp::NumericMatrix matrix(length, static_cast<int>(seqlift::n_letters));
  for (int i = 0; i < length; ++i) {
    for (int base = 0; base < static_cast<int>(seqlift::n_letters); ++base) {
      matrix(i, base) =
          values[static_cast<std::size_t>(i) * seqlift::n_letters + static_cast<std::size_t>(base)];
    }
  }
  return matrix;
}

Rcpp::List list_of(const seqlift::Pattern& pattern) {
  return Rcpp::List::create(Named("seqlets") = table_of(pattern.seqlets()),
                            Named("ppm") = matrix_of(pattern.letters()),
                            Named("contributions") = matrix_of(pattern.contributions()),
                            Named("hypothetical") = matrix_of(pattern.hypothetical()),
                            Named("attribution") = pattern.sums());
}

Rcpp::List list_of(const std::vector<seqlift::Pattern>& patterns) {
  Rcpp::List list(static_cast<R_xlen_t>(patterns.size()));
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    list[static_cast<R_xlen_t>(i)] = list_of(patterns[i]);
  }
  return list;
}

std::vector<seqlift::Pattern> patterns_from(const seqlift::ScoredRegions& regions,
                                            const Rcpp::List& tables) {
  std::vector<seqlift::Pattern> patterns;
  for (R_xlen_t i = 0; i < tables.size(); ++i) {
    patterns.emplace_back(regions, seqlets_of(tables[i]));
  }
  return patterns;
}

template <class T>
Rcpp::List list_of(const seqlift::SparseRows<T>& rows) {
  return Rcpp::List::create(
      Named("begin") = Rcpp::NumericVector(rows.begin.begin(), rows.begin.end()),
      Named("index") = Rcpp::IntegerVector(rows.index.begin(), rows.index.end()),
      Named("value") = Rcpp::NumericVector(rows.value.begin(), rows.value.end()));
}

template <class T>
seqlift::SparseRows<T> rows_from(const Rcpp::List& list) {
  const Rcpp::NumericVector begin = list["begin"];
  const Rcpp::IntegerVector index = list["index"];
  const Rcpp::NumericVector value = list["value"];
  seqlift::SparseRows<T> rows;
  rows.begin.assign(begin.begin(), begin.end());
  rows.index.assign(index.begin(), index.end());
  rows.value.assign(value.begin(), value.end());
  return rows;
}

Rcpp::List failure(const seqlift::Error& error) {
  return Rcpp::List::create(Named("error") = error.kind(), Named("message") = error.what());
}

}  // namespace

// Room for the scores of `n` sequences.
// [[Rcpp::export(rng = false)]]
SEXP core_scored_regions(int n, int length) {
  return Regions(
      new seqlift::ScoredRegions(static_cast<std::size_t>(n), static_cast<std::size_t>(length)));
}

// Adds sequences, by number from 0: codes [L, n] and scores [n, 4, L].
// [[Rcpp::export(rng = false)]]
void core_add_regions(SEXP regions, const Rcpp::IntegerVector& examples,
                      const Rcpp::RawVector& codes, const Rcpp::NumericVector& scores) {
  const Regions all(regions);
  const auto length = static_cast<R_xlen_t>(all->length());
  const R_xlen_t n = examples.size();
  std::vector<std::uint8_t> own(all->length());
  std::vector<float> numbers(all->length() * seqlift::n_letters);
  for (R_xlen_t i = 0; i < n; ++i) {
    for (R_xlen_t l = 0; l < length; ++l) {
      own[static_cast<std::size_t>(l)] = codes[i * length + l];
      for (R_xlen_t base = 0; base < 4; ++base) {
        numbers[static_cast<std::size_t>(l * 4 + base)] =
            static_cast<float>(scores[i + n * (base + 4 * l)]);
      }
    }
    all->add(static_cast<std::size_t>(examples[i]), own, numbers);
  }
}

// The patterns of seqlets of one sign, each with `subpatterns`; or what went wrong.
// [[Rcpp::export(rng = false)]]
Rcpp::List core_discover(SEXP regions, const Rcpp::IntegerMatrix& seqlets, int sign,
                         int n_leiden_runs, double seed, int threads,
                         const Rcpp::Function& report) {
  seqlift::DiscoverOptions options;
  options.n_leiden_runs = static_cast<std::size_t>(n_leiden_runs);
  options.seed = static_cast<std::uint32_t>(seed);
  options.workers = workers_of(threads);
  options.report = [&](const std::string& step) { report(step); };
  try {
    const std::vector<seqlift::FoundPattern> found =
        seqlift::discover(*Regions(regions), seqlets_of(seqlets), sign, options);
    Rcpp::List patterns(static_cast<R_xlen_t>(found.size()));
    for (std::size_t i = 0; i < found.size(); ++i) {
      Rcpp::List one = list_of(found[i].pattern);
      one["subpatterns"] = list_of(found[i].subpatterns);
      patterns[static_cast<R_xlen_t>(i)] = one;
    }
    return Rcpp::List::create(Named("patterns") = patterns);
  } catch (const seqlift::Error& error) {
    return failure(error);
  }
}

// The steps.

// [[Rcpp::export(rng = false)]]
Rcpp::IntegerMatrix core_sorted_seqlets(SEXP regions, const Rcpp::IntegerMatrix& seqlets) {
  return table_of(seqlift::by_importance(*Regions(regions), seqlets_of(seqlets)));
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector core_letter_shares(SEXP regions, const Rcpp::IntegerMatrix& seqlets) {
  const std::vector<double> shares = seqlift::letter_shares(*Regions(regions), seqlets_of(seqlets));
  return Rcpp::NumericVector(shares.begin(), shares.end());
}

// Keys and scores of each seqlet's gapped k-mers.
// [[Rcpp::export(rng = false)]]
Rcpp::List core_seqlet_kmers(SEXP regions, const Rcpp::IntegerMatrix& seqlets, int sign,
                             int n_positions, int min_k, int max_k, int max_length, int max_kmers) {
  seqlift::GappedKmerOptions options;
  options.n_positions = static_cast<std::size_t>(n_positions);
  options.min_k = static_cast<std::size_t>(min_k);
  options.max_k = static_cast<std::size_t>(max_k);
  options.max_length = static_cast<std::size_t>(max_length);
  options.max_kmers = static_cast<std::size_t>(max_kmers);
  Rcpp::List rows;
  for (const MotifSeqlet& seqlet : seqlets_of(seqlets)) {
    Rcpp::NumericVector keys;
    Rcpp::NumericVector scores;
    for (const seqlift::GappedKmer& kmer :
         seqlift::seqlet_kmers(*Regions(regions), seqlet, sign, options)) {
      keys.push_back(static_cast<double>(kmer.key));
      scores.push_back(kmer.score);
    }
    rows.push_back(Rcpp::List::create(Named("key") = keys, Named("score") = scores));
  }
  return rows;
}

// Neighbours (from 0) and their cosines, [count, seqlets].
// [[Rcpp::export(rng = false)]]
Rcpp::List core_kmer_neighbors(SEXP regions, const Rcpp::IntegerMatrix& seqlets, int sign,
                               int count, int threads) {
  const seqlift::Neighbors neighbors =
      seqlift::kmer_neighbors(*Regions(regions), seqlets_of(seqlets), sign,
                              static_cast<std::size_t>(count), {}, workers_of(threads));
  Rcpp::IntegerVector index(neighbors.index.begin(), neighbors.index.end());
  Rcpp::NumericVector cosine(neighbors.cosine.begin(), neighbors.cosine.end());
  const Rcpp::IntegerVector shape{static_cast<int>(neighbors.count), seqlets.nrow()};
  index.attr("dim") = shape;
  cosine.attr("dim") = shape;
  return Rcpp::List::create(Named("index") = index, Named("cosine") = cosine);
}

// Similarities of the neighbours and how far they agree with the cosines.
// [[Rcpp::export(rng = false)]]
Rcpp::List core_neighbor_similarities(SEXP regions, const Rcpp::IntegerMatrix& seqlets,
                                      const Rcpp::IntegerMatrix& index,
                                      const Rcpp::NumericMatrix& cosine, double min_overlap,
                                      int threads) {
  seqlift::Neighbors neighbors;
  neighbors.count = static_cast<std::size_t>(index.nrow());
  neighbors.index.assign(index.begin(), index.end());
  neighbors.cosine.assign(cosine.begin(), cosine.end());
  const std::vector<float> similarities = seqlift::neighbor_similarities(
      *Regions(regions), seqlets_of(seqlets), neighbors, min_overlap, workers_of(threads));
  const std::vector<double> agreement =
      seqlift::agreement(neighbors, similarities, workers_of(threads));
  Rcpp::NumericVector values(similarities.begin(), similarities.end());
  values.attr("dim") = Rcpp::IntegerVector{index.nrow(), index.ncol()};
  return Rcpp::List::create(Named("similarity") = values, Named("agreement") = Rcpp::NumericVector(
                                                              agreement.begin(), agreement.end()));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List core_adapted_affinities(const Rcpp::IntegerMatrix& index,
                                   const Rcpp::NumericMatrix& similarity,
                                   const Rcpp::LogicalVector& kept, double perplexity) {
  seqlift::Neighbors neighbors;
  neighbors.count = static_cast<std::size_t>(index.nrow());
  neighbors.index.assign(index.begin(), index.end());
  const std::vector<float> values(similarity.begin(), similarity.end());
  const seqlift::Affinities found = seqlift::adapted_affinities(
      seqlift::kept_neighbors(neighbors, values, std::vector<bool>(kept.begin(), kept.end())),
      perplexity);
  Rcpp::List result = list_of(found.weights);
  result["betas"] = Rcpp::NumericVector(found.betas.begin(), found.betas.end());
  return result;
}

// [[Rcpp::export(rng = false)]]
Rcpp::List core_leiden(const Rcpp::List& weights, int runs, double seed, int threads) {
  seqlift::LeidenOptions options;
  options.runs = static_cast<std::size_t>(runs);
  options.seed = static_cast<std::uint32_t>(seed);
  options.workers = workers_of(threads);
  const seqlift::Clusters found = seqlift::leiden(rows_from<double>(weights), options);
  return Rcpp::List::create(
      Named("membership") = Rcpp::IntegerVector(found.membership.begin(), found.membership.end()),
      Named("modularity") = found.modularity,
      Named("of_runs") = Rcpp::NumericVector(found.of_runs.begin(), found.of_runs.end()));
}

// [[Rcpp::export(rng = false)]]
double core_modularity(const Rcpp::List& weights, const Rcpp::IntegerVector& membership) {
  return seqlift::modularity(rows_from<double>(weights),
                             std::vector<std::uint32_t>(membership.begin(), membership.end()));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List core_cluster_patterns(SEXP regions, const Rcpp::IntegerMatrix& seqlets,
                                 const Rcpp::IntegerVector& membership, int sign,
                                 const std::vector<double>& background) {
  return list_of(seqlift::patterns_of(
      *Regions(regions), seqlets_of(seqlets),
      std::vector<std::uint32_t>(membership.begin(), membership.end()), sign, background, {}));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List core_subcluster_affinities(SEXP regions, const Rcpp::IntegerMatrix& seqlets,
                                      double perplexity, int threads) {
  const seqlift::RowNeighbors neighbors = seqlift::subcluster_neighbors(
      *Regions(regions), seqlets_of(seqlets), perplexity, workers_of(threads));
  Rcpp::List result =
      list_of(seqlift::perplexity_affinities(neighbors, perplexity, workers_of(threads)));
  const Rcpp::IntegerVector shape{static_cast<int>(neighbors.count), seqlets.nrow()};
  Rcpp::IntegerVector index(neighbors.index.begin(), neighbors.index.end());
  Rcpp::NumericVector similarity(neighbors.similarity.begin(), neighbors.similarity.end());
  index.attr("dim") = shape;
  similarity.attr("dim") = shape;
  result["neighbors"] = index;
  result["similarity"] = similarity;
  return result;
}

// Rows: parent, child, offset, reversed, similarity, area under the curve.
// [[Rcpp::export(rng = false)]]
Rcpp::NumericMatrix core_pattern_pairs(SEXP regions, const Rcpp::List& patterns, int threads) {
  const seqlift::ScoredRegions& all = *Regions(regions);
  const std::vector<seqlift::Pattern> own = patterns_from(all, patterns);
  seqlift::MergeOptions options;
  options.workers = workers_of(threads);
  const int n = static_cast<int>(own.size());
  Rcpp::NumericMatrix pairs(n * (n - 1), 6);
  int row = 0;
  for (int i = 0; i < n; ++i) {
    const std::vector<float> within =
        seqlift::similarities_within(all, own[static_cast<std::size_t>(i)], options.workers);
    for (int j = 0; j < n; ++j) {
      if (i == j) {
        continue;
      }
      const seqlift::PatternPair pair = seqlift::compare_patterns(
          all, own[static_cast<std::size_t>(i)], within, own[static_cast<std::size_t>(j)], options);
      const double values[]{static_cast<double>(i),
                            static_cast<double>(j),
                            static_cast<double>(pair.place.offset),
                            pair.place.reversed ? 1.0 : 0.0,
                            pair.place.similarity,
                            pair.auroc};
      std::copy(std::begin(values), std::end(values), pairs.row(row++).begin());
    }
  }
  return pairs;
}

// [[Rcpp::export(rng = false)]]
Rcpp::List core_collapse_patterns(SEXP regions, const Rcpp::List& patterns,
                                  const std::vector<double>& background, int threads) {
  const seqlift::ScoredRegions& all = *Regions(regions);
  seqlift::MergeOptions options;
  options.workers = workers_of(threads);
  return list_of(seqlift::collapse(all, patterns_from(all, patterns), background, options));
}

// [[Rcpp::export(rng = false)]]
Rcpp::LogicalVector core_are_motifs(SEXP regions, const Rcpp::List& patterns,
                                    const std::vector<double>& background, int min_seqlets,
                                    int window, double min_information, double pseudocount) {
  const seqlift::ScoredRegions& all = *Regions(regions);
  Rcpp::LogicalVector found;
  for (const seqlift::Pattern& pattern : patterns_from(all, patterns)) {
    found.push_back(seqlift::is_motif(pattern, background, static_cast<std::size_t>(min_seqlets),
                                      static_cast<std::size_t>(window), min_information,
                                      pseudocount));
  }
  return found;
}
