#include "core/methods/audit.h"

#include <algorithm>
#include <limits>
#include <set>

#include "core/base/error.h"
#include "core/methods/batch_check.h"
#include "core/methods/pairs.h"
#include "core/numeric/device.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// One evaluation of everything, with a ledger of local deltas.
class Auditor {
 public:
  Auditor(const Graph& graph, Constants& constants, const DeepLiftShapOptions& options)
      : never_(false), options_(options) {
    pair_options_.targets = {options.targets[0]};
    pair_options_.registrations = options.registrations;
    pair_options_.integrate = options.integrate;
    pair_options_.ledger = &ledger_;
    pair_options_.observe = [this](const Step& step) {
      if (seen_.insert(step.node).second) {
        steps_.push_back(step);
      }
    };
    pairs_ = std::make_unique<PairEvaluator>(graph, constants, pair_options_, never_);
    // What reads X in steps is found by an evaluation of its own: there it would be replaced by the
    // linear map that it is, where it is one.
    letters_options_.targets = pair_options_.targets;
    letters_options_.registrations = options.registrations;
    letters_options_.integrate = options.integrate;
    letters_options_.observe = [](const Step&) {};
    letters_options_.letters =
        Letters{false, [this](const torch::jit::Node* node) { stepped_.insert(node); }};
    letters_ = std::make_unique<PairEvaluator>(graph, constants, letters_options_, never_);
  }

  // `r` references of each row of X. False where the model moves the batch dimension.
  bool run(const at::Tensor& X, const at::Tensor& references, const std::vector<Value>& args,
           int64_t r) {
    seen_.clear();
    steps_.clear();
    stepped_.clear();
    ledger_ = {references.size(0), {}};
    result_ = {};
    multipliers_ = at::Tensor();
    const auto pairs_of = [&](const PairEvaluator& pairs) {
      return options_.module_mode ? pairs.stacked(X, references, args)
                                  : pairs.on_halves(X, references, args, r);
    };
    // What is evaluated although it has no rule may make what follows fail, or give the halves
    // another number of rows: the steps say why.
    const auto refused = [this]() {
      return !options_.module_mode && std::any_of(steps_.begin(), steps_.end(),
                                                  [](const Step& step) { return !step.supported; });
    };
    try {
      result_ = pairs_of(*pairs_);
      // This is the backward pass, which fills the ledger.
      multipliers_ = result_.multipliers ? result_.multipliers(0) : at::Tensor();
      pairs_of(*letters_);
    } catch (const BatchMoved&) {
      return r == 1 && refused();
    } catch (const Error& error) {
      if (error.kind() != "evaluation" || !refused()) {
        throw;
      }
    }
    return true;
  }

  AuditResult finish(const at::Tensor& change_in, int64_t n) {
    AuditResult result;
    const bool explained = multipliers_.defined();
    for (Step& step : steps_) {
      step.stepped = stepped_.count(step.node) > 0;
      const auto entry = ledger_.deltas.find(step.node);
      step.delta = !explained                      ? std::numeric_limits<double>::quiet_NaN()
                   : entry == ledger_.deltas.end() ? 0
                   : entry->second.numel() == 1
                       ? entry->second.abs().item<double>() / static_cast<double>(ledger_.pairs)
                       : entry->second.abs().mean().item<double>();
    }
    result.steps = std::move(steps_);
    if (explained) {
      const at::Tensor change = (result_.f_x - result_.f_ref).select(1, 0);
      const at::Tensor sum = (multipliers_.to(at::kDouble) * change_in).sum({1, 2});
      result.changes = change.reshape({n, -1}).cpu();
      result.deltas = (sum - change).reshape({n, -1}).cpu();
    }
    return result;
  }

 private:
  const std::atomic<bool> never_;
  const DeepLiftShapOptions& options_;
  PairOptions pair_options_;
  Ledger ledger_;
  std::set<const torch::jit::Node*> seen_;
  std::vector<Step> steps_;
  std::unique_ptr<PairEvaluator> pairs_;
  PairOptions letters_options_;
  std::unique_ptr<PairEvaluator> letters_;
  std::set<const torch::jit::Node*> stepped_;
  PairResult result_;
  at::Tensor multipliers_;
};

}  // namespace

namespace {

// Some of the references [j, j + r) of some of the sequences [i, i + n).
struct Share {
  int64_t i = 0;
  int64_t n = 0;
  int64_t j = 0;
  int64_t r = 0;
};

AuditResult audit_share(const Graph& graph, Constants& constants, const Sequences& sequences,
                        const References& references, const DeepLiftShapOptions& options,
                        const Share& share) {
  int64_t n = share.n;
  const int64_t r = share.r;
  at::Tensor X = to_compute(sequences.X(share.i, share.i + n), constants);
  at::Tensor ref =
      to_compute(references.get(share.i, share.i + n, share.j, share.j + r), constants);
  std::vector<Value> args = batch_of_args(sequences, constants, share.i, share.i + n);
  if (n == 1 && graph.findings->alone_differs) {
    n = 2;
    X = twice(X);
    ref = twice(ref);
    for (Value& arg : args) {
      arg.x = twice(arg.x.toTensor());
    }
  }
  const at::Tensor repeated = X.repeat_interleave(r, 0);
  Auditor auditor(graph, constants, options);
  if (options.module_mode || !auditor.run(X, ref, args, r)) {
    for (Value& arg : args) {
      arg.x = arg.x.toTensor().repeat_interleave(r, 0);
    }
    if (!auditor.run(repeated, ref, args, 1)) {
      throw Error("evaluation",
                  "The model treats sequences differently depending on how many there are.");
    }
  }
  // Extra channels beyond the bases are the same in X and its references.
  AuditResult result = auditor.finish((repeated - ref).to(at::kDouble), n);
  for (at::Tensor* values : {&result.deltas, &result.changes}) {
    *values = values->defined() ? values->narrow(0, 0, share.n) : *values;
  }
  return result;
}

// Adds the steps of another share of `pairs` to those of `before`; their deltas are sums over pairs
// until the end.
void add_steps(std::vector<Step>& steps, std::vector<Step>& more, double pairs) {
  for (Step& step : more) {
    step.delta *= pairs;
    const auto same = std::find_if(steps.begin(), steps.end(),
                                   [&](const Step& known) { return known.node == step.node; });
    if (same == steps.end()) {
      steps.push_back(std::move(step));
      continue;
    }
    same->delta += step.delta;
    same->faithful = same->faithful && step.faithful;
    same->stepped = same->stepped || step.stepped;
    if (same->supported && !step.supported) {
      same->supported = false;
      same->kind = step.kind;
      same->rule = step.rule;
      same->refusal = step.refusal;
    }
  }
}

// The peers' softmax rule looks at the whole batch.
bool looks_at_batch(const Graph& graph, const DeepLiftShapOptions& options) {
  if (!options.module_mode) {
    return false;
  }
  return std::any_of(graph.provenance.begin(), graph.provenance.end(), [](const auto& entry) {
    return short_class_name(entry.second.class_name) == "Softmax";
  });
}

// A pair at a time: the audit keeps the change of every value, where an attribution keeps what its
// rules need, and should not take more memory than that with all of its pairs.
AuditResult audit_pairs(const Graph& graph, Constants& constants, const Sequences& sequences,
                        const References& references, const DeepLiftShapOptions& options) {
  const int64_t n = sequences.count;
  const int64_t r = references.count;
  AuditResult result;
  std::vector<at::Tensor> deltas;
  std::vector<at::Tensor> changes;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < r; ++j) {
      AuditResult one = audit_share(graph, constants, sequences, references, options, {i, 1, j, 1});
      add_steps(result.steps, one.steps, 1);
      if (!one.deltas.defined()) {
        return {};
      }
      deltas.push_back(one.deltas);
      changes.push_back(one.changes);
    }
  }
  for (Step& step : result.steps) {
    step.delta /= static_cast<double>(n * r);
  }
  result.deltas = at::cat(deltas).reshape({n, r});
  result.changes = at::cat(changes).reshape({n, r});
  return result;
}

// Where a pair by itself has no deltas (in a model that squeezes, its row vanishes; an output is no
// row of targets) all of them are evaluated together.
AuditResult audit_batch(const Graph& graph, Constants& constants, const Sequences& sequences,
                        const References& references, const DeepLiftShapOptions& options) {
  if (!looks_at_batch(graph, options)) {
    try {
      AuditResult result = audit_pairs(graph, constants, sequences, references, options);
      if (result.deltas.defined()) {
        return result;
      }
    } catch (const Error& error) {
      if (error.kind() == "memory" || error.kind() == "interrupt") {
        throw;
      }
    }
  }
  return audit_share(graph, constants, sequences, references, options,
                     {0, sequences.count, 0, references.count});
}

}  // namespace

AuditResult audit(const Graph& graph, Constants& constants, const Sequences& sequences,
                  const References& references, const DeepLiftShapOptions& options) {
  const int64_t pairs = sequences.count * references.count;
  // Random operations are told of, not refused.
  if (graph.random.empty() || constants.conduct().random_state) {
    check_batch(graph, constants, sequences, pairs);
  }
  BatchOptions batch_options;
  batch_options.most = batch_options.least = pairs;
  Batches batches(constants.device(), batch_options);
  AuditResult result;
  batches.attempt(
      pairs, [&]() { result = audit_batch(graph, constants, sequences, references, options); });
  return result;
}

}  // namespace seqlift
