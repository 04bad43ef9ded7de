#include "deep_lift_shap.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "error.h"
#include "pairs.h"

namespace seqlift {

namespace {

constexpr int64_t bases = 4;

// A piece of work: some references of some sequences. Only one of the two is ever split.
struct Piece {
  int64_t i_begin, i_end, j_begin, j_end;
  int64_t sequences() const { return i_end - i_begin; }
  int64_t references() const { return j_end - j_begin; }
  int64_t pairs() const { return sequences() * references(); }
};

// Whole sequences where their references fit into a batch, else blocks of one sequence's references;
// smaller pieces where there would be fewer than there are threads.
std::vector<Piece> make_pieces(int64_t sequences, int64_t references,
                               const DeepLiftShapOptions& options) {
  int64_t pairs = options.batch_size;
  const int64_t all = sequences * references;
  if (options.work.threads > 1 && !options.work.here) {
    const int64_t share = (all + options.work.threads - 1) / options.work.threads;
    pairs = std::max<int64_t>(1, std::min(pairs, share));
  }
  std::vector<Piece> pieces;
  const int64_t whole = std::max<int64_t>(1, pairs / references);
  const int64_t block = std::min(pairs, references);
  for (int64_t i = 0; i < sequences; i += whole) {
    for (int64_t j = 0; j < references; j += block) {
      pieces.push_back({i, std::min(i + whole, sequences), j, std::min(j + block, references)});
    }
  }
  return pieces;
}

// Collects what the pieces give; every pair has its own place, so the order does not matter.
class Collector {
 public:
  Collector(int64_t sequences, int64_t references, const DeepLiftShapOptions& options)
      : references_(references), options_(options) {
    const auto targets = static_cast<int64_t>(options.targets.size());
    const auto in_double = at::TensorOptions().dtype(at::kDouble);
    result_.deltas = at::zeros({sequences, references, targets}, in_double);
    result_.predictions = at::zeros({sequences, targets}, in_double);
    result_.reference_predictions = at::zeros({sequences, references, targets}, in_double);
  }

  // Pairs of a piece: X and references as [pairs, C, L].
  void add(const Piece& piece, const at::Tensor& X, const at::Tensor& references,
           const PairResult& given, int64_t order) {
    const int64_t n = piece.sequences();
    const int64_t r = piece.references();
    const at::Tensor x = X.narrow(1, 0, bases);
    const at::Tensor ref = references.narrow(1, 0, bases);
    std::vector<at::Tensor> shares;
    std::vector<at::Tensor> values;
    for (const at::Tensor& whole : given.multipliers) {
      const at::Tensor m = whole.narrow(1, 0, bases);
      shares.push_back((m.to(at::kDouble) * (x - ref).to(at::kDouble)).sum({1, 2}));
      if (options_.output == DeepLiftShapOptions::Output::multipliers) {
        values.push_back(m.unflatten(0, {n, r}).cpu());
        continue;
      }
      const at::Tensor hypothetical = hypothetical_attributions(m, ref).to(at::kDouble);
      values.push_back(hypothetical.unflatten(0, {n, r}).sum(1).cpu());
    }
    const at::Tensor change = given.f_x - given.f_ref;
    const at::Tensor deltas = (at::stack(shares, 1) - change).unflatten(0, {n, r}).cpu();
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto place = [&](const at::Tensor& whole) {
      return whole.narrow(0, piece.i_begin, n).narrow(1, piece.j_begin, r);
    };
    place(result_.deltas).copy_(deltas);
    place(result_.reference_predictions).copy_(given.f_ref.unflatten(0, {n, r}).cpu());
    result_.predictions.narrow(0, piece.i_begin, n)
        .copy_(given.f_x.unflatten(0, {n, r}).select(1, 0).cpu());
    parts_[order] = {piece, at::stack(values, -1)};
  }

  // Sums over the references are formed in the order of the pieces, so that threads do not matter.
  DeepLiftShapResult finish(const Sequences& sequences) {
    const int64_t n = sequences.count;
    const bool raw = options_.output == DeepLiftShapOptions::Output::multipliers;
    for (const auto& entry : parts_) {
      const Piece& piece = entry.second.first;
      const at::Tensor& values = entry.second.second;
      if (!result_.values.defined()) {
        std::vector<int64_t> sizes = values.sizes().vec();
        sizes[0] = n;
        if (raw) {
          sizes[1] = references_;
        }
        result_.values = at::zeros(sizes, values.options());
      }
      at::Tensor rows = result_.values.narrow(0, piece.i_begin, piece.sequences());
      if (raw) {
        rows.narrow(1, piece.j_begin, piece.references()).copy_(values);
      } else {
        rows.add_(values);
      }
    }
    if (!raw) {
      result_.values.div_(static_cast<double>(references_));
    }
    if (options_.output == DeepLiftShapOptions::Output::attributions) {
      for (int64_t i = 0; i < n; ++i) {
        const at::Tensor x = sequences.X(i, i + 1).narrow(1, 0, bases).to(at::kDouble);
        result_.values.narrow(0, i, 1).mul_(x.unsqueeze(-1));
      }
    }
    return result_;
  }

 private:
  int64_t references_;
  const DeepLiftShapOptions& options_;
  DeepLiftShapResult result_;
  std::map<int64_t, std::pair<Piece, at::Tensor>> parts_;
  std::mutex mutex_;
};

}  // namespace

// Base c instead of the reference's letters changes the input by (1 at c) - ref, so it is worth
// m_c - sum_b ref_b m_b.
at::Tensor hypothetical_attributions(const at::Tensor& multipliers, const at::Tensor& references) {
  return multipliers - (references * multipliers).sum(-2, true);
}

DeepLiftShapResult deep_lift_shap(const Graph& graph, Constants& constants,
                                  const Sequences& sequences, const References& references,
                                  const DeepLiftShapOptions& options) {
  const int64_t r = references.count;
  Collector collector(sequences.count, r, options);
  const PairOptions pair_options{options.targets, options.registrations, nullptr};
  // A model that cannot be evaluated on halves (it moves the batch dimension) is found out once.
  std::atomic<bool> repeated{false};

  const auto operator_piece = [&](const Piece& piece, int64_t order,
                                  const std::atomic<bool>& cancelled) {
    const PairEvaluator chunk(graph, constants, pair_options, cancelled);
    const at::Tensor X = to_compute(sequences.X(piece.i_begin, piece.i_end), constants);
    at::Tensor ref = to_compute(
        references.get(piece.i_begin, piece.i_end, piece.j_begin, piece.j_end), constants);
    const std::vector<Value> args =
        batch_of_args(sequences, constants, piece.i_begin, piece.i_end);
    const int64_t per_sequence = piece.references();
    const at::Tensor paired_X = X.repeat_interleave(per_sequence, 0);
    // One row alone would vanish in a squeeze(): the pair is evaluated twice.
    const bool alone = piece.pairs() == 1;
    const at::Tensor used = alone ? at::cat({ref, ref}) : ref;
    PairResult result;
    bool done = false;
    if (!repeated) {
      try {
        result = chunk.on_halves(X, used, args, alone ? 2 : per_sequence);
        done = true;
      } catch (const BatchMoved&) {
        repeated = true;
      }
    }
    if (!done) {
      std::vector<Value> all = args;
      const int64_t copies = alone ? 2 : per_sequence;
      for (Value& arg : all) {
        arg.x = arg.x.toTensor().repeat_interleave(copies, 0);
      }
      try {
        result = chunk.on_halves(X.repeat_interleave(copies, 0), used, all, 1);
      } catch (const BatchMoved&) {
        throw Error("evaluation",
                    "The model treats sequences differently depending on how many there are.");
      }
    }
    if (alone) {
      for (at::Tensor& m : result.multipliers) {
        m = m.narrow(0, 0, 1);
      }
      result.f_x = result.f_x.narrow(0, 0, 1);
      result.f_ref = result.f_ref.narrow(0, 0, 1);
    }
    collector.add(piece, paired_X, ref, result, order);
  };

  if (!options.module_mode) {
    const std::vector<Piece> pieces = make_pieces(sequences.count, r, options);
    const Chunk work = [&](int64_t i, const std::atomic<bool>& cancelled) {
      operator_piece(pieces[i], i, cancelled);
    };
    run_chunks(static_cast<int64_t>(pieces.size()), work, options.work);
    return collector.finish(sequences);
  }

  // The peers' softmax rule looks at the whole batch, so the batches are theirs: consecutive pairs.
  const int64_t pairs = sequences.count * r;
  const int64_t chunks = (pairs + options.batch_size - 1) / options.batch_size;
  const Chunk work = [&](int64_t i, const std::atomic<bool>& cancelled) {
    const PairEvaluator chunk(graph, constants, pair_options, cancelled);
    std::vector<at::Tensor> X;
    std::vector<at::Tensor> ref;
    std::vector<std::vector<at::Tensor>> args(sequences.args.size());
    const int64_t begin = i * options.batch_size;
    const int64_t end = std::min(begin + options.batch_size, pairs);
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t row = pair / r;
      X.push_back(to_compute(sequences.X(row, row + 1), constants));
      ref.push_back(to_compute(references.get(row, row + 1, pair % r, pair % r + 1), constants));
      const std::vector<Value> own = batch_of_args(sequences, constants, row, row + 1);
      for (size_t k = 0; k < own.size(); ++k) {
        args[k].push_back(own[k].x.toTensor());
      }
    }
    std::vector<Value> joined(args.size());
    for (size_t k = 0; k < args.size(); ++k) {
      joined[k].x = at::cat(args[k]);
    }
    const at::Tensor all_X = at::cat(X);
    const at::Tensor all_ref = at::cat(ref);
    const PairResult result = chunk.stacked(all_X, all_ref, joined);
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t k = pair - begin;
      PairResult one;
      for (const at::Tensor& m : result.multipliers) {
        one.multipliers.push_back(m.narrow(0, k, 1));
      }
      one.f_x = result.f_x.narrow(0, k, 1);
      one.f_ref = result.f_ref.narrow(0, k, 1);
      const Piece piece{pair / r, pair / r + 1, pair % r, pair % r + 1};
      collector.add(piece, all_X.narrow(0, k, 1), all_ref.narrow(0, k, 1), one, pair);
    }
  };
  run_chunks(chunks, work, options.work);
  return collector.finish(sequences);
}

}  // namespace seqlift
