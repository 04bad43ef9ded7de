// What DeepLIFT/SHAP keeps of the pairs of sequences and references as they are evaluated.
#pragma once

#include <map>
#include <mutex>

#include "core/methods/deep_lift_shap.h"
#include "core/methods/pairs.h"

namespace seqlift {

// A piece of work: some references of some sequences. Only one of the two is ever split.
struct Piece {
  int64_t i_begin, i_end, j_begin, j_end;
  int64_t sequences() const { return i_end - i_begin; }
  int64_t references() const { return j_end - j_begin; }
  int64_t pairs() const { return sequences() * references(); }
};

// Values of each reference, or the sum over references; with it, where it is asked for, the sum of
// the squared deviations from its mean.
struct Sum {
  at::Tensor values;
  at::Tensor squares;

  // Sums of `count` and of `more` references become one: the update of Welford (1962) for groups
  // (Chan, Golub and LeVeque 1979), which keeps nothing of a reference.
  void add(int64_t count, const Sum& other, int64_t more);
};

// Collects what the pieces give; every pair has its own place, so the order does not matter. What
// is complete is written into the result on the way, so that it is in memory once.
class Collector {
 public:
  Collector(const Sequences& sequences, int64_t references, const DeepLiftShapOptions& options,
            bool by_layer);

  // A block of the pairs of `whole`: X and references as [pairs, C, L]. The blocks of a piece come
  // one after the other. What is on a device comes to the CPU before anything is kept, so that a
  // block for which memory runs out leaves nothing here.
  void add(const Piece& whole, const Piece& piece, const at::Tensor& X,
           const at::Tensor& references, const PairResult& given);

  // Writes sequences that are complete into the result, if there are some. Not a part of add(),
  // which is tried again where memory runs out.
  void write_complete();

  // Sums over the references are formed in the order of the pieces, so that threads do not matter.
  DeepLiftShapResult finish();

 private:
  // What is kept of the sequences, or of each layer.
  struct Kept {
    Sum whole;
    at::Tensor deltas;
    // Of sequences that are not complete, by their first sequence and reference, and how many pairs
    // of a sequence's pieces there are.
    std::map<std::pair<int64_t, int64_t>, std::pair<Piece, Sum>> parts;
    std::map<int64_t, int64_t> pairs;
    int64_t complete = 0;  // sequences that are, in `parts`
  };
  // What a block adds to it: values, and the sums of the contributions [pairs, targets].
  struct Part {
    Sum values;
    at::Tensor sums;
  };

  Part of_sequences(const Piece& piece, const at::Tensor& X, const at::Tensor& references,
                    const PairResult& given) const;
  Part of_layer(const Piece& piece, const LayerPairs& layer) const;
  // Writes the sequences that are complete into the whole.
  void settle(Kept& kept) const;
  // The parts of the sequences from `begin` on become one, and are let go.
  Sum joined(Kept& kept, int64_t begin) const;
  // Means and their standard errors in place of sums, and the letters that are there.
  void finish_rows(Sum& rows, int64_t begin) const;
  at::Tensor space_for(std::vector<int64_t> sizes) const;

  // Whether each reference has values of its own.
  bool raw() const {
    return options_.output == DeepLiftShapOptions::Output::multipliers ||
           options_.output == DeepLiftShapOptions::Output::contributions;
  }
  at::Tensor raw_values(const at::Tensor& m, const at::Tensor& contributions) const {
    return options_.output == DeepLiftShapOptions::Output::multipliers ? m : contributions;
  }
  int64_t target_dim() const { return options_.profile ? -3 : -1; }

  const Sequences& sequences_;
  int64_t references_;
  const DeepLiftShapOptions& options_;
  DeepLiftShapResult result_;
  std::vector<Kept> kept_;
  bool by_layer_;
  std::mutex mutex_;
};

}  // namespace seqlift
