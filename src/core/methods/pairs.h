// Evaluates one chunk of sequence-reference pairs: multipliers of the references' half in operator
// mode, of the sequences above their references in module mode.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/evaluate/evaluate.h"
#include "core/evaluate/units.h"
#include "core/methods/predict.h"

namespace seqlift {

struct PairOptions {
  std::vector<int64_t> targets{0};           // columns of the model's output, from 0
  Registrations registrations;               // modules that are units of a rule of their own
  std::function<void(const Step&)> observe;  // the audit's: nothing is refused, no result
  std::optional<Letters> letters;            // for multipliers of bases that are not there
  bool profile = false;                      // an output [n, strands, K] counts as [n, strands K]
  bool mean_normalise = false;               // explain a column less the mean of all columns
  bool integrate = false;    // what has no rule gets the path integral of its gradient
  Ledger* ledger = nullptr;  // the audit's: where the backward pass writes local deltas
};

// A layer in place of the sequences: rows in the order of the pairs.
struct LayerPairs {
  std::vector<at::Tensor> multipliers;  // per target [pairs, ...]
  at::Tensor x;                         // [pairs, ...]
  at::Tensor ref;
};

// Rows in the order of the pairs.
struct PairResult {
  // Of target t of PairOptions, [pairs, C, L], made when it is asked for: of many targets only one
  // is in memory.
  std::function<at::Tensor(size_t t)> multipliers;
  std::vector<LayerPairs> layers;  // of the graph; then there are no multipliers of X
  at::Tensor f_x;                  // [pairs, targets], float64
  at::Tensor f_ref;
  std::set<std::string> integrated;  // the operations that were, as Call::where() names them
};

// Pairs as rows, in the dtype and on the device of the call: each sequence beside its references.
struct PairRows {
  at::Tensor X;             // [pairs, C, L]
  at::Tensor references;    // [pairs, C, L]
  std::vector<Value> args;  // of the sequence of each pair
};

// Pairs begin .. end - 1 of sequences x references.
PairRows gather_pairs(const Sequences& sequences, const References& references,
                      Constants& constants, int64_t begin, int64_t end);

// [rows, targets] of the model's output, further dimensions laid side by side for a `profile`.
// Errors: kind "output" where it is something else.
at::Tensor columns_of(const at::Tensor& output, int64_t rows, bool profile = false);
// The one output of a graph, on one half. Errors: kinds "output", "unsupported_operation".
at::Tensor single_output(const std::vector<Value>& outputs, bool ref);
// Errors: kind "target" where there is no such column.
void check_targets(const std::vector<int64_t>& targets, int64_t columns);
// What is explained: the one output's columns, less the mean of them with `mean_normalise`.
// Errors: as the three above.
at::Tensor explained_columns(const std::vector<Value>& outputs, bool ref, int64_t rows,
                             const PairOptions& options);
// The gradients of a target's column with respect to each of `points`; `keep` where others will be
// asked for.
std::vector<at::Tensor> column_gradients(const at::Tensor& columns,
                                         const std::vector<at::Tensor>& points, int64_t target,
                                         bool keep);
// The targets' columns, in double and without history.
at::Tensor chosen(const at::Tensor& columns, const std::vector<int64_t>& targets);
// What the model gives for a sequence must not depend on the rows beside it. `f` and `again`: the
// same rows in other company, in arithmetic of this type. Errors: kind "unsupported_operation".
void check_company(const at::Tensor& f, const at::Tensor& again, at::ScalarType type);
// The first row of a batch, twice in a model that treats one specially: for within_memory().
std::vector<Value> first_row(const at::Tensor& X, const std::vector<Value>& args,
                             const Graph& graph);
// A tensor of its own to take gradients with respect to.
at::Tensor leaf_of(const at::Tensor& values);

class PairEvaluator {
 public:
  PairEvaluator(const Graph& graph, Constants& constants, const PairOptions& options,
                const std::atomic<bool>& cancelled)
      : graph_(graph), constants_(constants), options_(options), cancelled_(cancelled) {}

  // X has n rows, `references` n r; args have the rows of X. `memo` carries the x half from one
  // block of references of the same X to the next. Throws BatchMoved where the halves' rows cannot
  // be matched: repeat X and its args, and give r = 1.
  PairResult on_halves(const at::Tensor& X, const at::Tensor& references,
                       const std::vector<Value>& args, int64_t r, Memo* memo = nullptr) const;
  // The peers' way: one batch of all sequences above all references, gradients of the former.
  PairResult stacked(const at::Tensor& X, const at::Tensor& references,
                     const std::vector<Value>& args) const;

 private:
  EvaluateOptions common() const;
  void explain_layers(const std::vector<Halves>& layers, const at::Tensor& f_ref, int64_t r,
                      PairResult& result) const;

  const Graph& graph_;
  Constants& constants_;
  const PairOptions& options_;
  const std::atomic<bool>& cancelled_;
};

}  // namespace seqlift
