#include "core/methods/deep_lift_shap.h"

#include <algorithm>
#include <optional>

#include "core/base/error.h"
#include "core/evaluate/recompute.h"
#include "core/halves/memo.h"
#include "core/methods/batch_check.h"
#include "core/methods/chunks.h"
#include "core/methods/collector.h"
#include "core/numeric/device.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// The most bytes of a row's activations that are alive at once; nothing where the evaluation itself
// will say what is wrong.
std::optional<double> bytes_alive(const Graph& graph, Constants& constants,
                                  const Sequences& sequences) {
  try {
    const std::vector<Value> row = first_row(to_compute(sequences.X(0, 1), constants),
                                             batch_of_args(sequences, constants, 0, 1), graph);
    double most = 0;
    for (const Footprint::Node& node : footprint_of(graph, constants, row).nodes) {
      most = std::max(most, node.alive_bytes());
    }
    return most;
  } catch (const Error& error) {
    if (error.kind() == "memory" || error.kind() == "interrupt") {
      throw;
    }
    return std::nullopt;
  }
}

// How many pairs are evaluated together, at most `batch_size`. A model whose weights overflow the
// cache wants as many as there are for each reading of them, but activations of a size that the
// allocator gives back to the system after each operation cost more: of 512 channels and 2114
// positions 20 pairs together take a third longer than 5. A small model wants its activations to
// stay in the cache (64 channels are assumed), which is worth a third of the time (bench/).
int64_t pairs_together(const Graph& graph, Constants& constants, const Sequences& sequences,
                       int64_t batch_size) {
  constexpr int64_t cache = 1 << 21;
  constexpr int64_t bytes = 4;
  constexpr double most_alive = 64 << 20;
  constexpr int64_t least = 4;
  if (!constants.device().is_cpu() || batch_size <= least) {
    return batch_size;
  }
  if (graph.model->parameters * bytes <= 2 * cache) {
    const int64_t length = std::max<int64_t>(sequences.X(0, 1).size(2), 1);
    return std::min(batch_size, std::max(least, cache / (64 * bytes * length)));
  }
  const std::optional<double> alive =
      graph.layer_paths.empty() ? bytes_alive(graph, constants, sequences) : std::nullopt;
  if (!alive || *alive <= 0) {
    return batch_size;
  }
  const double fitting = std::min(most_alive / *alive, static_cast<double>(batch_size));
  return std::min(batch_size, std::max(least, static_cast<int64_t>(fitting)));
}

// What each thread takes at once: whole sequences with all their references where these are
// evaluated together, else one sequence whose references come in blocks; a share of its references
// where there are fewer sequences than threads.
std::vector<Piece> make_pieces(int64_t sequences, int64_t references, int64_t together,
                               const WorkOptions& work) {
  const int64_t threads = work.here ? 1 : work.threads;
  const int64_t fair = std::max<int64_t>(1, sequences / threads);
  const int64_t whole = std::min(fair, std::max<int64_t>(1, together / references));
  const int64_t shares = sequences < threads ? (threads + sequences - 1) / sequences : 1;
  const int64_t share = std::max<int64_t>(1, (references + shares - 1) / shares);
  std::vector<Piece> pieces;
  for (int64_t i = 0; i < sequences; i += whole) {
    for (int64_t j = 0; j < references; j += share) {
      pieces.push_back({i, std::min(i + whole, sequences), j, std::min(j + share, references)});
    }
  }
  return pieces;
}

// Everything that a call was given, for the two modes.
struct Inputs {
  const Graph& graph;
  Constants& constants;
  const Sequences& sequences;
  const References& references;
  const DeepLiftShapOptions& options;
  const PairOptions& pair_options;
  Collector& collector;
  WorkOptions work;
};

std::vector<Value> repeat_rows(const std::vector<Value>& args, int64_t times) {
  std::vector<Value> repeated = args;
  for (Value& arg : repeated) {
    arg.x = arg.x.toTensor().repeat_interleave(times, 0);
  }
  return repeated;
}

// An operation over a batch dimension that was moved cannot be told by its shape, so the first and
// the last pair are evaluated once more, in other company. X and args are repeated to the rows of
// the references.
void check_independent(const PairEvaluator& pairs, const at::Tensor& X, const at::Tensor& ref,
                       const std::vector<Value>& args, const PairResult& result) {
  const at::Tensor rows =
      at::tensor({int64_t{0}, X.size(0) - 1, int64_t{0}}, at::kLong).to(X.device());
  std::vector<Value> chosen_args = args;
  for (Value& arg : chosen_args) {
    arg.x = arg.x.toTensor().index_select(0, rows);
  }
  at::Tensor company = ref.index_select(0, rows);
  company[2].copy_(X[0]);
  const PairResult again = pairs.on_halves(X.index_select(0, rows), company, chosen_args, 1);
  for (const auto& f :
       {std::make_pair(result.f_ref, again.f_ref), std::make_pair(result.f_x, again.f_x)}) {
    const at::Tensor ends = f.first.index_select(0, rows.narrow(0, 0, 2).to(f.first.device()));
    check_company(ends, f.second.narrow(0, 0, 2), ref.scalar_type());
  }
}

// What is known of how a model treats its batch. `repeated`: it cannot be evaluated on halves
// because it moves the batch dimension; X is then repeated to the rows of the references.
// `checked`: with one reference a sequence both halves have one shape, which tells nothing, so the
// first block is checked.
struct Treatment {
  std::atomic<bool> repeated{false};
  std::atomic<bool> checked{false};
};

// One block of pairs in operator mode.
PairResult evaluate_block(const PairEvaluator& pairs, const at::Tensor& X, const at::Tensor& ref,
                          const std::vector<Value>& args, int64_t per_sequence, Memo* memo,
                          Treatment& treatment) {
  if (!treatment.repeated) {
    try {
      PairResult result = pairs.on_halves(X, ref, args, per_sequence, memo);
      if (per_sequence == 1 && !treatment.checked) {
        check_independent(pairs, X, ref, args, result);
        treatment.checked = true;
      }
      return result;
    } catch (const BatchMoved&) {
      treatment.repeated = true;
    }
  }
  const at::Tensor repeated_X = X.repeat_interleave(per_sequence, 0);
  const std::vector<Value> repeated_args = repeat_rows(args, per_sequence);
  try {
    const PairResult result = pairs.on_halves(repeated_X, ref, repeated_args, 1);
    check_independent(pairs, repeated_X, ref, repeated_args, result);
    return result;
  } catch (const BatchMoved&) {
    throw Error("evaluation",
                "The model treats sequences differently depending on how many there are.");
  }
}

// A pair by itself is evaluated twice: in a model that squeezes, its row would vanish. Where it is
// sure to be no such model, each half is one row, and there is no other that it could be matched
// with.
PairResult evaluate_single(const PairEvaluator& pairs, const at::Tensor& X, const at::Tensor& ref,
                           const std::vector<Value>& args, Treatment& treatment, bool sure) {
  if (sure) {
    return pairs.on_halves(X, ref, args, 1);
  }
  PairResult result = evaluate_block(pairs, X, at::cat({ref, ref}), args, 2, nullptr, treatment);
  result.multipliers = [both = result.multipliers](size_t t) { return both(t).narrow(0, 0, 1); };
  for (LayerPairs& layer : result.layers) {
    layer.x = layer.x.narrow(0, 0, 1);
    layer.ref = layer.ref.narrow(0, 0, 1);
    for (at::Tensor& m : layer.multipliers) {
      m = m.narrow(0, 0, 1);
    }
  }
  result.f_x = result.f_x.narrow(0, 0, 1);
  result.f_ref = result.f_ref.narrow(0, 0, 1);
  return result;
}

// The multipliers of many targets take long: each is a step of the progress bar, and the work can
// be stopped before it.
PairResult counted(PairResult result, int64_t pairs, std::atomic<int64_t>& done,
                   const std::atomic<bool>& cancelled) {
  if (result.multipliers) {
    result.multipliers = [own = result.multipliers, pairs, &done, &cancelled](size_t t) {
      stop_if(cancelled);
      at::Tensor multipliers = own(t);
      done += pairs;
      return multipliers;
    };
  }
  return result;
}

// A single sequence in a model that treats one specially: it is evaluated twice with its
// references.
PairResult evaluate_alone(const PairEvaluator& pairs, const at::Tensor& X, const at::Tensor& ref,
                          const std::vector<Value>& args, Treatment& treatment) {
  const int64_t r = ref.size(0);
  PairResult result =
      evaluate_block(pairs, twice(X), twice(ref), repeat_rows(args, 2), r, nullptr, treatment);
  result.multipliers = [both = result.multipliers, r](size_t t) { return both(t).narrow(0, 0, r); };
  for (LayerPairs& layer : result.layers) {
    layer.x = layer.x.narrow(0, 0, r);
    layer.ref = layer.ref.narrow(0, 0, r);
    for (at::Tensor& m : layer.multipliers) {
      m = m.narrow(0, 0, r);
    }
  }
  result.f_x = result.f_x.narrow(0, 0, r);
  result.f_ref = result.f_ref.narrow(0, 0, r);
  return result;
}

void run_operator_mode(const Inputs& in) {
  const int64_t length = in.sequences.X(0, 1).size(2);
  BatchOptions batch_options;
  batch_options.most = pairs_together(in.graph, in.constants, in.sequences, in.options.batch_size);
  Batches batches(in.constants.device(), batch_options);
  const std::vector<Piece> pieces =
      make_pieces(in.sequences.count, in.references.count, batch_options.most, in.work);
  Treatment treatment;
  treatment.checked = in.constants.reduced();  // rounds too coarsely to tell
  const int64_t all_targets =
      in.sequences.count * in.references.count * static_cast<int64_t>(in.options.targets.size());
  std::atomic<int64_t> done{0};
  Chunks chunks =
      chunks_of(static_cast<int64_t>(pieces.size()), in.graph, passes * batch_options.most, length);
  if (in.graph.layer_paths.empty()) {
    chunks.share_done = [&]() {
      return std::min(1.0, static_cast<double>(done) / static_cast<double>(all_targets));
    };
  }
  const Chunk work = [&](int64_t number, const std::atomic<bool>& cancelled) {
    const PairEvaluator pairs(in.graph, in.constants, in.pair_options, cancelled);
    const Piece& all = pieces[number];
    for (int64_t i = all.i_begin; i < all.i_end;) {
      // As many sequences with all their references as are left room for; else one, whose
      // references come in blocks of about the same size.
      const int64_t whole = std::max<int64_t>(1, batches.limit() / all.references());
      const Piece piece{i, std::min(i + whole, all.i_end), all.j_begin, all.j_end};
      const at::Tensor X = to_compute(in.sequences.X(piece.i_begin, piece.i_end), in.constants);
      const std::vector<Value> args =
          batch_of_args(in.sequences, in.constants, piece.i_begin, piece.i_end);
      Memo memo;
      const auto evaluate = [&](const Piece& block) {
        const at::Tensor ref =
            to_compute(in.references.get(block.i_begin, block.i_end, block.j_begin, block.j_end),
                       in.constants);
        const bool special = block.sequences() == 1 && in.graph.findings->alone_differs;
        const PairResult result =
            special ? evaluate_alone(pairs, X, ref, args, treatment)
            : block.pairs() == 1
                ? evaluate_single(pairs, X, ref, args, treatment, !in.constants.conduct().joint)
                : evaluate_block(pairs, X, ref, args, block.references(), &memo, treatment);
        in.collector.add(piece, block, X.repeat_interleave(block.references(), 0), ref,
                         counted(result, block.pairs(), done, cancelled));
      };
      bool fits = true;
      for (int64_t j = piece.j_begin; j < piece.j_end && fits;) {
        const int64_t rest = piece.j_end - j;
        // Several sequences are one block: where it fails, nothing of them has been collected.
        const int64_t room = piece.sequences() > 1 ? rest : std::max<int64_t>(1, batches.limit());
        const int64_t blocks = (rest + room - 1) / room;
        const Piece block{i, piece.i_end, j, j + (rest + blocks - 1) / blocks};
        if (batches.attempt(block.pairs(), [&]() { evaluate(block); })) {
          j = block.j_end;
        } else {
          memo = Memo();
          fits = piece.sequences() == 1;
        }
      }
      i = fits ? piece.i_end : i;
      in.collector.write_complete();
    }
  };
  run_chunks(chunks, work, in.work);
}

// The peers' softmax rule looks at the whole batch, so the batches are theirs: consecutive pairs,
// as many as were asked for or none.
void run_module_mode(const Inputs& in) {
  const int64_t r = in.references.count;
  const int64_t pairs = in.sequences.count * r;
  const int64_t size = in.options.batch_size;
  BatchOptions batch_options;
  batch_options.most = batch_options.least = size;
  Batches batches(in.constants.device(), batch_options);
  const Chunk work = [&](int64_t number, const std::atomic<bool>& cancelled) {
    const PairEvaluator evaluator(in.graph, in.constants, in.pair_options, cancelled);
    const int64_t begin = number * size;
    const int64_t end = std::min(begin + size, pairs);
    batches.attempt(end - begin, [&]() {
      const PairRows rows = gather_pairs(in.sequences, in.references, in.constants, begin, end);
      const PairResult result = evaluator.stacked(rows.X, rows.references, rows.args);
      for (int64_t pair = begin; pair < end; ++pair) {
        const int64_t k = pair - begin;
        PairResult one;
        one.multipliers = [&result, k](size_t t) { return result.multipliers(t).narrow(0, k, 1); };
        one.f_x = result.f_x.narrow(0, k, 1);
        one.f_ref = result.f_ref.narrow(0, k, 1);
        const Piece piece{pair / r, pair / r + 1, pair % r, pair % r + 1};
        in.collector.add(piece, piece, rows.X.narrow(0, k, 1), rows.references.narrow(0, k, 1),
                         one);
      }
    });
    in.collector.write_complete();
  };
  run_chunks(chunks_of((pairs + size - 1) / size, in.graph, passes * std::min(size, pairs),
                       in.sequences.X(0, 1).size(2)),
             work, in.work);
}

}  // namespace

// Base c instead of the reference's letters changes the input by (1 at c) - ref, so it is worth
// m_c - sum_b ref_b m_b.
at::Tensor hypothetical_attributions(const at::Tensor& multipliers, const at::Tensor& references) {
  return multipliers - (references * multipliers).sum(-2, true);
}

DeepLiftShapResult deep_lift_shap(const Graph& graph, Constants& constants,
                                  const Sequences& sequences, const References& references,
                                  const DeepLiftShapOptions& options) {
  check_batch(graph, constants, sequences, options.batch_size);
  const bool by_layer = !graph.layer_paths.empty() && !options.module_mode;
  using Output = DeepLiftShapOptions::Output;
  Collector collector(sequences, references.count, options, by_layer);
  PairOptions pair_options;
  pair_options.targets = options.targets;
  pair_options.registrations = options.registrations;
  pair_options.profile = options.profile;
  pair_options.mean_normalise = options.mean_normalise;
  pair_options.integrate = options.integrate;
  if (graph.layer_paths.empty() &&
      (options.output == Output::hypothetical || options.output == Output::multipliers)) {
    pair_options.letters = Letters();
  }
  const Inputs inputs{graph,   constants,    sequences, references,
                      options, pair_options, collector, work_on(constants.device(), options.work)};
  if (options.module_mode) {
    run_module_mode(inputs);
  } else {
    run_operator_mode(inputs);
  }
  return collector.finish();
}

}  // namespace seqlift
