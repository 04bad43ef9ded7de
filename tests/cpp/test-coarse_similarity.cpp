#include <cmath>
#include <cstdint>
#include <vector>

#include "catch.h"
#include "core/motifs/coarse_similarity.h"
#include "core/sequences/random.h"
#include "planted.h"

using planted_site::gata_site;
using planted_site::planted;
using planted_site::Planted;
using seqlift::MotifSeqlet;
using seqlift::RandomState;
using seqlift::ScoredRegions;

TEST_CASE("gapped k-mers are the mean scores of their positions", "[coarse_similarity]") {
  // A C G with contributions 1, 2, 4, and k-mers of two positions.
  ScoredRegions regions(1, 3);
  regions.add(0, {0, 1, 2}, {1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 4, 0});
  MotifSeqlet seqlet;
  seqlet.end = 3;
  seqlift::GappedKmerOptions options;
  options.min_k = options.max_k = 2;
  const auto kmers = seqlift::seqlet_kmers(regions, seqlet, 1, options);
  // AC: 1 + 2 x 5; A.G: 1 + 3 x 25; CG: 2 + 3 x 5.
  REQUIRE(kmers.size() == 3);
  CHECK(kmers[0].key == 11);
  CHECK(kmers[0].score == 1.5);
  CHECK(kmers[1].key == 17);
  CHECK(kmers[1].score == 3);
  CHECK(kmers[2].key == 76);
  CHECK(kmers[2].score == 2.5);
  options.max_length = 2;
  CHECK(seqlift::seqlet_kmers(regions, seqlet, 1, options).size() == 2);
  options.max_length = 15;
  options.n_positions = 2;
  const auto important = seqlift::seqlet_kmers(regions, seqlet, 1, options);
  REQUIRE(important.size() == 1);
  CHECK(important[0].key == 17);
  // The least, of negative sign, are the first two.
  const auto negative = seqlift::seqlet_kmers(regions, seqlet, -1, options);
  REQUIRE(negative.size() == 1);
  CHECK(negative[0].key == 11);
  CHECK(negative[0].score == -1.5);
}

TEST_CASE("neighbours are those of the same site on either strand", "[coarse_similarity]") {
  RandomState random(3);
  Planted all = planted(24, gata_site, random, 0.0);
  // The site is all that is looked at.
  seqlift::GappedKmerOptions options;
  options.n_positions = 6;
  for (std::size_t threads : {1, 3}) {
    seqlift::WorkerOptions workers;
    workers.threads = threads;
    const auto found = seqlift::kmer_neighbors(all.regions, all.seqlets, 1, 24, options, workers);
    REQUIRE(found.rows() == 24);
    for (std::size_t i = 0; i < 24; ++i) {
      for (std::size_t r = 0; r < 24; ++r) {
        CHECK(std::abs(found.cosine[i * 24 + r] - 1) < 1e-12);
      }
    }
  }
}
