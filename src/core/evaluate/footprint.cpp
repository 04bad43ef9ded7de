// What a graph takes of memory, and where it is cut to take less (recompute.h).

#include <algorithm>
#include <iomanip>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>

#include "core/base/error.h"
#include "core/base/memory.h"
#include "core/evaluate/evaluation.h"
#include "core/evaluate/recompute.h"
#include "core/evaluate/units.h"
#include "core/model/operation_table.h"
#include "core/numeric/device.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

namespace {

double storage_bytes(const at::Tensor& tensor) {
  return static_cast<double>(tensor.storage().nbytes());
}

// Memory that is an operation's own, and of its inputs, without the model's weights.
class Storages {
 public:
  explicit Storages(Constants& constants) : constants_(constants) {}

  void add(const c10::IValue& value) {
    visit_tensors(value, [&](const at::Tensor& tensor) {
      const bool counts = tensor.defined() && tensor.has_storage() && !constants_.keeps(tensor);
      if (counts && seen_.insert(tensor.storage().unsafeGetStorageImpl()).second) {
        bytes_ += storage_bytes(tensor);
      }
    });
  }
  double bytes() const { return bytes_; }

 private:
  Constants& constants_;
  std::set<const void*> seen_;
  double bytes_ = 0;
};

// What a backward pass needs of an operation of a kind, and the operation itself while it runs: in
// its results and in its inputs. Measured on networks of each kind; what LibTorch's own gradients
// save is about as much as our rules keep.
struct RuleNeed {
  double of_result = 0;
  double of_inputs = 0;
  double while_running = 0;
};

RuleNeed rule_need(Kind kind) {
  switch (kind) {
    case Kind::shape:
      return {0, 0, 0};
    case Kind::linear:
      return {0.5, 0, 1};  // an input, at times
    case Kind::elementwise:
      return {1, 0, 1};  // a slope
    case Kind::product:
      return {0, 1, 2};  // the factors halfway
    default:
      return {2, 1, 2};
  }
}

}  // namespace

void Evaluation::weigh(const Call& call, const std::vector<Value>& outputs) {
  Storages inputs(constants_);
  for (const Value& input : call.inputs) {
    inputs.add(input.x);
  }
  const double given = inputs.bytes();
  for (const Value& output : outputs) {
    inputs.add(output.x);
  }
  const double made = inputs.bytes() - given;
  const RuleNeed need = rule_need(call.row->kind);
  Footprint::Node& now = options_.footprint->now;
  if (made > 0) {
    now.kept += made * need.of_result + given * need.of_inputs;
  }
  now.temporary = std::max(now.temporary, made + need.while_running * (made + given));
}

void Evaluation::weigh_alive() {
  Storages storages(constants_);
  for (const auto& entry : values_) {
    storages.add(entry.second.x);
  }
  Footprint& footprint = *options_.footprint;
  footprint.now.alive = storages.bytes();
  footprint.nodes.push_back(footprint.now);
  footprint.now = {};
}

namespace {

// Beside the graphs, which know nothing of evaluations: by what is found out about a graph, which
// lives as long as it does.
class FootprintCache {
 public:
  using Key = std::weak_ptr<BatchFindings>;

  bool find(const Graph& graph, const std::string& shapes, Footprint& footprint) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto own = known_.find(graph.findings);
    const bool found = own != known_.end() && own->second.count(shapes) > 0;
    if (found) {
      footprint = own->second[shapes];
    }
    return found;
  }
  void remember(const Graph& graph, const std::string& shapes, const Footprint& footprint) {
    // A study of many lengths should not fill the memory.
    constexpr size_t most = 16;
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto entry = known_.begin(); entry != known_.end();) {
      entry = entry->first.expired() ? known_.erase(entry) : std::next(entry);
    }
    auto& own = known_[graph.findings];
    if (own.size() >= most) {
      own.clear();
    }
    own[shapes] = footprint;
  }

 private:
  std::mutex mutex_;
  std::map<Key, std::map<std::string, Footprint>, std::owner_less<Key>> known_;
};

FootprintCache& footprints() {
  static FootprintCache all;
  return all;
}

std::string footprint_key(const std::vector<Value>& inputs, const Constants& constants) {
  std::string text = std::to_string(static_cast<int>(constants.compute()));
  for (const Value& input : inputs) {
    text += ";";
    if (input.x.isTensor() && input.x.toTensor().defined()) {
      for (const int64_t size : input.x.toTensor().sizes()) {
        text += " " + std::to_string(size);
      }
    }
  }
  return text;
}

}  // namespace

Footprint footprint_of(const Graph& graph, Constants& constants, const std::vector<Value>& inputs) {
  const std::string shapes = footprint_key(inputs, constants);
  Footprint footprint;
  if (footprints().find(graph, shapes, footprint)) {
    return footprint;
  }
  const at::NoGradGuard guard;
  EvaluateOptions options;
  options.footprint = &footprint;
  options.unit = units_as_written(constants);
  std::vector<Value> own = inputs;
  for (Value& input : own) {
    input.x = input.x.isTensor() ? c10::IValue(input.x.toTensor().clone()) : input.x;
  }
  evaluate(graph, constants, own, options);
  remember_footprint(graph, constants, inputs, footprint);
  footprints().find(graph, shapes, footprint);
  return footprint;
}

void remember_footprint(const Graph& graph, const Constants& constants,
                        const std::vector<Value>& inputs, Footprint footprint) {
  footprint.rows = inputs.at(0).x.toTensor().size(0);
  footprints().remember(graph, footprint_key(inputs, constants), footprint);
}

namespace {

// Cuts behind the nodes where least is alive, about every `kept` bytes.
std::vector<size_t> cuts_every(const Footprint& footprint, const std::vector<bool>& places,
                               double kept) {
  // The last part of a stretch, in which the best place is looked for.
  constexpr double leeway = 0.5;
  std::vector<size_t> cuts;
  double here = 0;
  double best = std::numeric_limits<double>::infinity();
  size_t place = 0;
  double behind_place = 0;
  for (size_t i = 0; i < footprint.nodes.size(); ++i) {
    here += footprint.nodes[i].kept;
    behind_place += footprint.nodes[i].kept;
    // Of places that are alike the last one.
    if (places[i] && here >= (1 - leeway) * kept && footprint.nodes[i].alive <= best) {
      best = footprint.nodes[i].alive;
      place = i;
      behind_place = 0;
    }
    if (here >= kept && best < std::numeric_limits<double>::infinity()) {
      cuts.push_back(place);
      here = behind_place;
      best = std::numeric_limits<double>::infinity();
    }
  }
  return cuts;
}

double peak_of(const Footprint& footprint, const std::vector<size_t>& cuts, const BatchRows& rows) {
  const auto plain = static_cast<double>(rows.plain);
  const auto recorded = static_cast<double>(rows.recorded);
  double peak = 0;
  double crossing = 0;
  double kept = 0;
  double most = 0;
  double gradients = 0;
  auto cut = cuts.begin();
  for (size_t i = 0; i < footprint.nodes.size(); ++i) {
    const Footprint::Node& node = footprint.nodes[i];
    kept += node.kept * recorded;
    most = std::max(most, kept + node.alive * plain + node.temporary * (plain + recorded));
    // A gradient of each value that is alive, and what forming them needs.
    gradients = std::max(gradients, (node.alive + 2 * node.temporary) * recorded);
    const bool last = i + 1 == footprint.nodes.size();
    if (last || (cut != cuts.end() && *cut == i)) {
      peak = std::max({peak, crossing + most, crossing + kept + gradients});
      crossing += node.alive * (plain + recorded);
      kept = most = gradients = 0;
      cut = last ? cut : std::next(cut);
    }
  }
  return peak / static_cast<double>(footprint.rows);
}

}  // namespace

CutPlan plan_cuts(const Footprint& footprint, const std::vector<bool>& places,
                  const BatchRows& rows, double budget) {
  constexpr int most_parts = 128;
  double all = 0;
  for (const Footprint::Node& node : footprint.nodes) {
    all += node.kept;
  }
  CutPlan best{{}, peak_of(footprint, {}, rows)};
  for (int parts = 2; parts <= most_parts && best.bytes > budget; ++parts) {
    const std::vector<size_t> cuts = cuts_every(footprint, places, all / parts);
    const double bytes = peak_of(footprint, cuts, rows);
    if (bytes < best.bytes) {
      best = {cuts, bytes};
    }
  }
  return best;
}

namespace {

ForcedCuts& forced_cuts() {
  static ForcedCuts cuts;
  return cuts;
}

std::string gigabytes(double bytes) {
  std::ostringstream text;
  text << std::setprecision(2) << bytes / (1 << 30) << " GB";
  return text.str();
}

}  // namespace

void force_cuts(ForcedCuts cuts) { forced_cuts() = std::move(cuts); }

BatchMemory within_memory(const Graph& graph, Constants& constants, const std::vector<Value>& row,
                          const BatchRows& rows) {
  const MemoryShare share = memory_share();
  if (!graph.layer_paths.empty() || !constants.device().is_cpu()) {
    return {};
  }
  if (forced_cuts()) {
    return {forced_cuts()(cut_places(graph)), false};
  }
  if (!share.budget) {
    return {};
  }
  Footprint footprint;
  try {
    footprint = footprint_of(graph, constants, row);
  } catch (const Error& error) {
    if (error.kind() == "memory" || error.kind() == "interrupt") {
      throw;
    }
    return {};  // told of by the evaluation itself
  }
  const auto budget = static_cast<double>(*share.budget);
  BatchMemory memory;
  memory.remembers = peak_of(footprint, {}, {0, rows.plain + rows.recorded}) <= budget;
  if (memory.remembers || peak_of(footprint, {}, rows) <= budget) {
    return memory;
  }
  const CutPlan plan = plan_cuts(footprint, cut_places(graph), rows, budget);
  if (share.most && plan.bytes > static_cast<double>(*share.most)) {
    throw OutOfMemory("it needs about " + gigabytes(plan.bytes) + " beside the model, of which " +
                      gigabytes(static_cast<double>(*share.most)) +
                      " can be had (`seqlift_memory()`).");
  }
  memory.cuts = plan.cuts;
  return memory;
}

}  // namespace seqlift
