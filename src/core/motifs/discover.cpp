#include "core/motifs/discover.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

namespace seqlift {

namespace {

// Each place once: where it came first, read as it came last.
std::vector<MotifSeqlet> once(const std::vector<Pattern>& patterns) {
  std::map<std::tuple<std::uint32_t, std::int32_t, std::int32_t>, std::size_t> places;
  std::vector<MotifSeqlet> seqlets;
  for (const Pattern& pattern : patterns) {
    for (const MotifSeqlet& seqlet : pattern.seqlets()) {
      const auto found = places.try_emplace(
          std::make_tuple(seqlet.example, seqlet.start, seqlet.end), seqlets.size());
      if (found.second) {
        seqlets.push_back(seqlet);
      } else {
        seqlets[found.first->second] = seqlet;
      }
    }
  }
  return seqlets;
}

class Discovery {
 public:
  Discovery(const ScoredRegions& regions, int sign, const DiscoverOptions& options)
      : regions_(regions), sign_(sign), options_(options) {
    leiden_.runs = options.n_leiden_runs;
    leiden_.seed = options.seed;
    leiden_.workers = options.workers;
    options_.merging.workers = options.workers;
  }

  std::vector<FoundPattern> run(const std::vector<MotifSeqlet>& called) {
    background_ = letter_shares(regions_, called);
    std::vector<MotifSeqlet> seqlets = by_importance(regions_, called);
    std::vector<Pattern> patterns = round(seqlets, true);
    seqlets = once(patterns);
    patterns = round(seqlets, false);
    patterns = merged(std::move(patterns));

    tell("subpatterns");
    std::vector<FoundPattern> found;
    for (Pattern& pattern : patterns) {
      if (is_motif(pattern, background_, options_.min_seqlets, options_.information_window,
                   options_.min_information, options_.merging.patterns.pseudocount)) {
        std::vector<Pattern> parts = subpatterns(regions_, pattern, subclusters());
        found.push_back({std::move(pattern), std::move(parts)});
      }
    }
    return found;
  }

 private:
  void tell(const char* step) const {
    if (options_.report) {
      options_.report(step);
    }
  }

  SubclusterOptions subclusters() const { return {options_.subcluster_perplexity, leiden_}; }

  std::vector<Pattern> round(const std::vector<MotifSeqlet>& seqlets, bool first) {
    if (seqlets.empty()) {
      return {};
    }
    tell("k-mers");
    const Neighbors neighbors = kmer_neighbors(regions_, seqlets, sign_, options_.n_neighbors + 1,
                                               options_.kmers, options_.workers);
    tell("similarities");
    const std::vector<float> similarities = neighbor_similarities(
        regions_, seqlets, neighbors, options_.merging.patterns.min_overlap, options_.workers);
    std::vector<bool> kept(seqlets.size(), true);
    if (first) {
      const std::vector<double> correlations = agreement(neighbors, similarities, options_.workers);
      for (std::size_t i = 0; i < kept.size(); ++i) {
        kept[i] = correlations[i] > options_.min_correlation;  // false where it is not defined
      }
    }
    std::vector<MotifSeqlet> remaining;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      if (kept[i]) {
        remaining.push_back(seqlets[i]);
      }
    }
    if (remaining.empty()) {
      return {};
    }
    tell("clusters");
    const Affinities affinities = adapted_affinities(kept_neighbors(neighbors, similarities, kept),
                                                     options_.perplexity, options_.workers);
    const Clusters clusters = leiden(affinities.weights, leiden_);
    tell("patterns");
    return patterns_of(regions_, remaining, clusters.membership, sign_, background_,
                       options_.merging.patterns, options_.workers);
  }

  // Patterns of many seqlets may be several motifs: their clusters are merged again as far as they
  // are alike, then all patterns are.
  std::vector<Pattern> merged(std::vector<Pattern> patterns) {
    tell("merging");
    const auto large =
        std::max(static_cast<double>(options_.min_seqlets), options_.subcluster_perplexity);
    std::vector<Pattern> parts;
    for (Pattern& pattern : patterns) {
      if (static_cast<double>(pattern.size()) > large) {
        std::vector<Pattern> own = collapse(regions_, subpatterns(regions_, pattern, subclusters()),
                                            background_, options_.merging);
        std::move(own.begin(), own.end(), std::back_inserter(parts));
      } else {
        parts.push_back(std::move(pattern));
      }
    }
    parts = collapse(regions_, std::move(parts), background_, options_.merging);
    std::stable_sort(parts.begin(), parts.end(),
                     [](const Pattern& a, const Pattern& b) { return a.size() > b.size(); });
    return parts;
  }

  const ScoredRegions& regions_;
  int sign_;
  DiscoverOptions options_;
  LeidenOptions leiden_;
  std::vector<double> background_;
};

}  // namespace

std::vector<FoundPattern> discover(const ScoredRegions& regions,
                                   const std::vector<MotifSeqlet>& seqlets, int sign,
                                   const DiscoverOptions& options) {
  return Discovery(regions, sign, options).run(seqlets);
}

}  // namespace seqlift
