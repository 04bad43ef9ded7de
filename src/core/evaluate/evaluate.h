// Evaluates a graph operation by operation, on one batch (predictions) or on the two halves of a
// batch of sequence-reference pairs (attributions).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "core/halves/constants.h"
#include "core/halves/halves.h"
#include "core/model/graph.h"
#include "core/model/operation.h"

namespace seqlift {

class ChangeLog;
struct Footprint;
struct Strips;

// What one operation reached from X turned out to be.
struct Step {
  const torch::jit::Node* node = nullptr;
  std::string operation;
  Provenance provenance;
  std::string kind;
  std::string rule;
  bool supported = true;
  std::string refusal;   // why not
  bool faithful = true;  // false where the rule does not keep summation-to-delta
  double delta = 0;      // its mean absolute local delta; NaN where none was measured
  // It reads X in steps: gradients and scores of bases that are not there are refused for it.
  bool stepped = false;
};

// What each operation adds to the convergence delta: sum(m (x - ref)) over its inputs minus
// sum(g (y - y_ref)) over its outputs, g being the gradients of the outputs and m the multipliers
// that the operation made of them. Along the graph the sums telescope: these local deltas add up to
// the delta of the whole model. Filled in by the backward pass.
struct Ledger {
  int64_t pairs = 0;
  // By operation, one number a pair, or a single one where the pairs cannot be told apart.
  std::map<const torch::jit::Node*, at::Tensor> deltas;
};

// How a module kept as one unit is evaluated: given the call's inputs, its outputs.
using UnitRule = std::function<std::vector<Value>(Call& call)>;

// Called with the stand-ins of the values that cross a cut, in their order, wherever an evaluation
// goes on behind it; `again` where it was there before.
using Resume = std::function<void(const std::vector<at::Tensor>& stand_ins, bool again)>;

// How letters that are not there are evaluated.
struct Letters {
  // X lies between sequences, where the linear map stands for the model.
  bool between = false;
  // Called for each operation that would be refused, in its place: for the audit.
  std::function<void(const torch::jit::Node*)> stepped;
};

struct EvaluateOptions {
  // One batch (Value::x alone) for what comes out.
  struct Prediction {};
  // One batch whose gradients are recorded (module mode, ordinary gradients). `batch` is what
  // Call::batch says to those who know what its rows are.
  struct Gradients {
    BatchShape batch;
  };
  // Two halves and the rules of the table; the gradients of the references' half are recorded.
  struct Pairs {
    BatchShape batch;
  };
  // The x half is one sequence and the other half edited copies of it, which are evaluated where
  // they differ from it (change.h).
  struct Edits {
    int64_t copies = 0;
    ChangeLog* log = nullptr;  // never nullptr in an evaluation
    Memo* memo = nullptr;      // what is known of the sequence from an earlier batch of copies
  };
  std::variant<Prediction, Gradients, Pairs, Edits> mode;  // what is evaluated, see there

  bool two_halves() const { return is<Pairs>() || is<Edits>(); }
  bool records_gradients() const { return is<Gradients>() || is<Pairs>(); }
  template <typename Mode>
  bool is() const {
    return std::holds_alternative<Mode>(mode);
  }
  BatchShape batch() const;
  // That of Edits, or nullptr.
  ChangeLog* changes() const;

  UnitRule unit;  // of a module that the graph left whole
  // Module mode: the peers' rule for an operation inside a registered class, or nothing.
  UnitRule override_operation;
  // Graphs built with layers: what takes the place of a layer's output.
  std::function<Value(int64_t layer, const Value& output)> layer;
  // The name of a unit's rule, for the audit.
  std::function<std::string(const Call& call)> unit_rule;
  // Called for every operation reached from X. Operations without a rule are then evaluated with
  // their ordinary gradient instead of being refused: for the audit, never for numbers.
  std::function<void(const Step&)> observe;
  // Operations without a rule are refused, or get the path integral of their gradient and are told
  // of here.
  std::function<void(const Call&)> integrate;
  // Local deltas are measured if there is a ledger to write them to.
  Ledger* ledger = nullptr;
  // Set by another thread to stop at the next operation (error kind "interrupt").
  const std::atomic<bool>* cancelled = nullptr;
  // Multipliers of bases that are not there, and gradients: what reads X in steps (comparisons,
  // roundings, look-ups) is evaluated as the linear map of X's letters that it is, or refused
  // (evaluate/letters.cpp). All else looks at the letters that are there.
  std::optional<Letters> letters;
  // Memory by recomputation (recompute.h): behind these nodes of the graph's block, counted from 0,
  // the graph is cut. Of an evaluation with gradients only the values that cross a cut are kept;
  // the backward pass evaluates each part once more, so that all that is named here must live, and
  // answer the same, until then. Not with `ledger`, `observe`, `before` or `after`, and not of a
  // graph that hands out layers.
  std::vector<size_t> cuts;
  // The part up to the first cut in strips of positions, or nullptr. Not with `carry`.
  std::shared_ptr<const Strips> strips;
  // Told of what crosses a cut, for what is known of values beside their numbers.
  std::function<Resume(const std::vector<at::Tensor>& crossing)> carry;
  // Where the bytes of each node are written to.
  Footprint* footprint = nullptr;
  // Where the answer of each condition of a branch or loop is written to, in turn.
  std::vector<bool>* conditions = nullptr;
  // Called before an operation, or a list, is evaluated, and after an operation.
  std::function<void(const torch::jit::Node*, const std::vector<Value>& inputs)> before;
  std::function<void(const Call&, const std::vector<Value>& outputs)> after;
};

// The values of the graph's outputs for `inputs` (X first, then the model's other arguments).
// Errors: kind "unsupported_operation" (no rule, named with module and source line), "random" (it
// draws random numbers that were not asked for), "discrete" (see EvaluateOptions::letters),
// "length" (X is too short for the model), "evaluation" (the model itself failed on this input).
std::vector<Value> evaluate(const Graph& graph, Constants& constants,
                            const std::vector<Value>& inputs, const EvaluateOptions& options);

}  // namespace seqlift
