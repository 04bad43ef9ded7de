// From similarities to the weights of a graph whose clusters are motifs: distances are scaled so
// that each seqlet has as many neighbours as any other, however dense its part of the graph is
// (van der Maaten and Hinton 2008 for the perplexity; TF-MoDISco for the rest).
#pragma once

#include <cstddef>
#include <vector>

#include "core/motifs/fine_similarity.h"
#include "core/motifs/workers.h"

namespace seqlift {

// Rows of neighbours with their similarities, without the seqlets that `kept` leaves out; the
// others are numbered anew.
SparseRows<float> kept_neighbors(const Neighbors& neighbors, const std::vector<float>& similarities,
                                 const std::vector<bool>& kept);

struct Affinities {
  SparseRows<double> weights;  // symmetric; the diagonal of adapted_affinities() is there
  std::vector<double> betas;   // of each row
};

// Similarities a become distances ln(1 / (a / 2) - 1), from 0 on, of which those of 0 (of a seqlet
// to itself) are left out; the two of a pair are averaged. A bisection finds for each row the beta
// at which exp(-beta d) has the perplexity; the weights are made of exp(-d / beta), as the peer's.
Affinities adapted_affinities(const SparseRows<float>& similarities, double perplexity,
                              const WorkerOptions& workers = {});

// The numbers of the `count` largest, from the largest down, equals by number.
std::vector<std::uint32_t> largest(const std::vector<double>& values, std::size_t count);

// The seqlets that are most like each, as t-SNE weighs them.
struct RowNeighbors {
  std::size_t count = 0;
  std::vector<std::uint32_t> index;  // [n, count], the seqlet itself normally first
  std::vector<double> similarity;
};

// Symmetric weights that sum up to 1. The first neighbour of each is taken to be itself.
SparseRows<double> perplexity_affinities(const RowNeighbors& neighbors, double perplexity,
                                         const WorkerOptions& workers = {});

}  // namespace seqlift
