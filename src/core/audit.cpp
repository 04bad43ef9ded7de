#include "audit.h"

#include <algorithm>
#include <limits>
#include <set>

#include "device.h"
#include "error.h"
#include "pairs.h"
#include "tensor_functions.h"

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
  }

  // `r` references of each row of X. False where the model moves the batch dimension.
  bool run(const at::Tensor& X, const at::Tensor& references, const std::vector<Value>& args,
           int64_t r) {
    seen_.clear();
    steps_.clear();
    ledger_ = {references.size(0), {}};
    result_ = {};
    multipliers_ = at::Tensor();
    try {
      result_ = options_.module_mode ? pairs_->stacked(X, references, args)
                                     : pairs_->on_halves(X, references, args, r);
      // This is the backward pass, which fills the ledger.
      multipliers_ = result_.multipliers ? result_.multipliers(0) : at::Tensor();
    } catch (const BatchMoved&) {
      return false;
    } catch (const Error& error) {
      // What is evaluated although it has no rule may make what follows fail: the steps say why.
      const bool refused = std::any_of(steps_.begin(), steps_.end(),
                                       [](const Step& step) { return !step.supported; });
      if (options_.module_mode || error.kind() != "evaluation" || !refused) {
        throw;
      }
    }
    return true;
  }

  AuditResult finish(const at::Tensor& change_in, int64_t n) {
    AuditResult result;
    const bool explained = multipliers_.defined();
    for (Step& step : steps_) {
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
  PairResult result_;
  at::Tensor multipliers_;
};

}  // namespace

namespace {

AuditResult audit_batch(const Graph& graph, Constants& constants, const Sequences& sequences,
                        const References& references, const DeepLiftShapOptions& options) {
  const int64_t n = sequences.count;
  const int64_t r = references.count;
  const at::Tensor X = to_compute(sequences.X(0, n), constants);
  const at::Tensor ref = to_compute(references.get(0, n, 0, r), constants);
  const at::Tensor repeated = X.repeat_interleave(r, 0);
  std::vector<Value> args = batch_of_args(sequences, constants, 0, n);
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
  return auditor.finish((repeated - ref).to(at::kDouble), n);
}

}  // namespace

AuditResult audit(const Graph& graph, Constants& constants, const Sequences& sequences,
                  const References& references, const DeepLiftShapOptions& options) {
  const int64_t pairs = sequences.count * references.count;
  BatchOptions batch_options;
  batch_options.most = batch_options.least = pairs;
  Batches batches(constants.device(), batch_options);
  AuditResult result;
  batches.attempt(
      pairs, [&]() { result = audit_batch(graph, constants, sequences, references, options); });
  return result;
}

}  // namespace seqlift
