// What is known of a graph's memory, and where it is cut to take less (recompute.h).

#include <algorithm>
#include <iomanip>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>

#include "core/base/error.h"
#include "core/base/memory.h"
#include "core/evaluate/evaluation.h"
#include "core/evaluate/recompute.h"
#include "core/evaluate/units.h"
#include "core/numeric/device.h"

namespace seqlift {

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
  return remember_footprint(graph, constants, inputs, std::move(footprint));
}

Footprint remember_footprint(const Graph& graph, const Constants& constants,
                             const std::vector<Value>& inputs, Footprint footprint) {
  footprint.rows = inputs.at(0).x.toTensor().size(0);
  footprint.length = positions_of(inputs[0].x.toTensor()).length;
  footprint.met.clear();
  footprints().remember(graph, footprint_key(inputs, constants), footprint);
  return footprint;
}

namespace {

// Memory, each storage once.
class Held {
 public:
  void add(const std::vector<Footprint::Storage>& storages) {
    for (const Footprint::Storage& storage : storages) {
      bytes_ += numbers_.insert(storage.number).second ? storage.bytes : 0;
    }
  }
  // Together with others, of which each is named once.
  double with(const std::vector<Footprint::Storage>& storages) const {
    double bytes = bytes_;
    for (const Footprint::Storage& storage : storages) {
      bytes += numbers_.count(storage.number) > 0 ? 0 : storage.bytes;
    }
    return bytes;
  }

 private:
  std::set<int64_t> numbers_;
  double bytes_ = 0;
};

// By which the graph is divided: what it holds until its backward pass.
double weight_of(const Footprint::Node& node, bool halves) {
  return halves ? node.halves.kept + node.made : node.gradients.kept + node.made;
}

// Cuts behind the nodes where least is alive, about every `kept` bytes, from node `from` on.
std::vector<size_t> cuts_every(const Footprint& footprint, const std::vector<bool>& places,
                               double kept, bool halves, size_t from = 0) {
  // The last part of a stretch, in which the best place is looked for.
  constexpr double leeway = 0.5;
  std::vector<size_t> cuts;
  double here = 0;
  double best = std::numeric_limits<double>::infinity();
  size_t place = 0;
  double behind_place = 0;
  for (size_t i = from; i < footprint.nodes.size(); ++i) {
    const double weight = weight_of(footprint.nodes[i], halves);
    const double alive = footprint.nodes[i].alive_bytes();
    here += weight;
    behind_place += weight;
    // Of places that are alike the last one.
    if (places[i] && here >= (1 - leeway) * kept && alive <= best) {
      best = alive;
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

// The nodes begin .. end - 1 as one part, beside what crosses the cuts up to it.
double peak_of_part(const Footprint& footprint, size_t begin, size_t end, const Held& crossing,
                    const BatchRows& rows, bool last) {
  const auto recorded = static_cast<double>(rows.recorded);
  const double both = static_cast<double>(rows.plain) + recorded;
  const auto need = [&](const Footprint::Node& node) {
    return rows.halves() ? node.halves : node.gradients;
  };
  double kept = 0;     // beside what is alive
  double results = 0;  // that LibTorch's gradients refer to
  double peak = 0;
  std::vector<Footprint::Storage> before;
  for (size_t i = begin; i < end; ++i) {
    const Footprint::Node& node = footprint.nodes[i];
    if (i > 0) {
      before = footprint.nodes[i - 1].alive;
    }
    kept += need(node).kept * recorded;
    results += rows.halves() || rows.recorded == 0 ? 0 : node.made * recorded;
    const double alive = crossing.with(before) * both + node.made * both;
    const double held = std::max(alive, crossing.with({}) * both + results) + kept;
    peak = std::max(peak, held + need(node).forward * std::max(both - recorded, recorded) +
                              need(node).once * static_cast<double>(footprint.rows));
  }
  if (rows.recorded == 0) {
    return peak;
  }
  // Backwards: what is kept goes node by node, unless there are further targets. The values of the
  // last part may still be referred to.
  const double outputs = last ? footprint.nodes[end - 1].alive_bytes() * both : 0;
  double behind = 0;
  for (size_t i = end; i-- > begin;) {
    const Footprint::Node& node = footprint.nodes[i];
    const double gradients = (node.alive_bytes() + node.made + need(node).backward) * recorded;
    peak = std::max(peak, crossing.with({}) * both + kept + results - behind + outputs + gradients +
                              need(node).once * static_cast<double>(footprint.rows));
    const double own = need(node).kept + (rows.halves() ? 0 : node.made);
    behind += last ? 0 : own * recorded;
  }
  return peak;
}

// For what no operation is asked about: small tensors, sums of gradients. And what is kept of the
// model's weights.
double with_margin(const Footprint& footprint, double peak, const BatchRows& rows) {
  constexpr double margin = 1.15;
  const double prepared = rows.halves() ? footprint.prepared : 0;
  return margin * peak / static_cast<double>(footprint.rows) + prepared;
}

// The nodes up to `end` in strips: of what is inside a share, of what crosses the cut all.
double peak_of_strips(const Footprint& footprint, size_t end, const BatchRows& rows,
                      const Strips& strips) {
  int64_t longest = 0;
  for (const Strip& strip : strips_of(strips)) {
    longest = std::max(longest, strip.to - strip.from);
  }
  const double share = static_cast<double>(longest) / static_cast<double>(strips.length);
  double once = 0;
  for (size_t i = 0; i <= end; ++i) {
    const Footprint::Node& node = footprint.nodes[i];
    once = std::max(once, (rows.halves() ? node.halves : node.gradients).once);
  }
  const double results =
      footprint.nodes[end].alive_bytes() * static_cast<double>(rows.plain + 2 * rows.recorded);
  return share * peak_of_part(footprint, 0, end + 1, Held(), rows, false) +
         once * static_cast<double>(footprint.rows) + results;
}

double peak_of(const Footprint& footprint, const std::vector<size_t>& cuts, const BatchRows& rows,
               const Strips* strips = nullptr) {
  double peak = 0;
  Held crossing;
  size_t begin = 0;
  for (size_t k = 0; k <= cuts.size(); ++k) {
    const bool last = k == cuts.size();
    const size_t end = last ? footprint.nodes.size() : cuts[k] + 1;
    peak = std::max(peak, strips && k == 0
                              ? peak_of_strips(footprint, cuts[0], rows, *strips)
                              : peak_of_part(footprint, begin, end, crossing, rows, last));
    if (!last) {
      crossing.add(footprint.nodes[cuts[k]].alive);
    }
    begin = end;
  }
  return with_margin(footprint, peak, rows);
}

}  // namespace

double plain_bytes(const Footprint& footprint, int64_t rows) {
  return peak_of(footprint, {}, {rows, 0});
}

double memo_bytes(const Footprint& footprint, const BatchRows& rows) {
  double made = 0;
  for (const Footprint::Node& node : footprint.nodes) {
    made += node.made;
  }
  return made * static_cast<double>(rows.plain) / static_cast<double>(footprint.rows);
}

CutPlan plan_cuts(const Footprint& footprint, const std::vector<bool>& places,
                  const BatchRows& rows, double budget) {
  constexpr int most_parts = 128;
  double all = 0;
  for (const Footprint::Node& node : footprint.nodes) {
    all += weight_of(node, rows.halves());
  }
  CutPlan best{{}, peak_of(footprint, {}, rows), nullptr};
  for (int parts = 2; parts <= most_parts && best.bytes > budget; ++parts) {
    const std::vector<size_t> cuts = cuts_every(footprint, places, all / parts, rows.halves());
    const double bytes = peak_of(footprint, cuts, rows);
    if (bytes < best.bytes) {
      best = {cuts, bytes, nullptr};
    }
  }
  return best;
}

namespace {

// Behind which node the first part ends that can be evaluated in strips: where least crosses, in
// the half that is further from X of what follows it. Nothing: there is no such part.
std::optional<size_t> end_of_strips(const Graph& graph, const Footprint& footprint,
                                    const std::vector<bool>& places) {
  const std::vector<bool> ends = strip_ends(graph, footprint);
  double all = 0;
  size_t followed = 0;
  while (followed < places.size() && footprint.nodes[followed].steps.followed) {
    all += footprint.nodes[followed++].made;
  }
  std::optional<size_t> end;
  double least = std::numeric_limits<double>::infinity();
  double behind = 0;
  for (size_t i = 0; i < followed; ++i) {
    behind += footprint.nodes[i].made;
    const double alive = footprint.nodes[i].alive_bytes();
    if (places[i] && ends[i] && behind >= 0.5 * all && alive > 0 && alive <= least) {
      least = alive;
      end = i;
    }
  }
  return end;
}

// As wide as X; nothing where there is no part to divide.
std::optional<Strips> undivided(const Graph& graph, const Footprint& footprint,
                                const std::vector<bool>& places, int64_t& unit) {
  const auto end = end_of_strips(graph, footprint, places);
  if (!end) {
    return std::nullopt;
  }
  Strips strips;
  strips.end = *end;
  unit = 1;
  int64_t node = 0;
  for (const torch::jit::Node* of_block : graph.graph->block()->nodes()) {
    for (const torch::jit::Value* output : of_block->outputs()) {
      const auto own = footprint.positions.find(output->unique());
      if (own != footprint.positions.end()) {
        unit = std::lcm(unit, own->second.step);
        strips.before = std::max(strips.before, own->second.before);
        strips.behind = std::max(strips.behind, own->second.behind - own->second.step);
        strips.positions[output->unique()] = own->second;
      }
    }
    if (++node > static_cast<int64_t>(*end)) {
      break;
    }
  }
  const auto whole_units = [&](int64_t positions) { return (positions + unit - 1) / unit * unit; };
  strips.before = whole_units(strips.before);
  strips.behind = whole_units(strips.behind);
  strips.length = footprint.length;
  strips.width = whole_units(strips.length);
  for (size_t i = 0; i <= *end; ++i) {
    strips.steps.push_back(footprint.nodes[i].steps.text);
  }
  return strips;
}

}  // namespace

CutPlan plan_strips(const Graph& graph, const Footprint& footprint, const std::vector<bool>& places,
                    const BatchRows& rows, double budget) {
  constexpr int most_parts = 128;
  int64_t unit = 1;
  auto strips = undivided(graph, footprint, places, unit);
  if (!strips) {
    return {{}, std::numeric_limits<double>::infinity(), nullptr};
  }
  // Strips that are narrower than what they look at take more than twice the time.
  const int64_t narrowest = std::max(unit, strips->before + strips->behind);
  const auto fits = [&]() {
    return with_margin(footprint, peak_of_strips(footprint, strips->end, rows, *strips), rows) <=
           budget;
  };
  for (int64_t count = 2; !fits() && strips->length / count >= narrowest; ++count) {
    strips->width = (strips->length / count + unit) / unit * unit;
  }
  double rest = 0;
  for (size_t i = strips->end + 1; i < footprint.nodes.size(); ++i) {
    rest += weight_of(footprint.nodes[i], rows.halves());
  }
  CutPlan best{{strips->end}, peak_of(footprint, {strips->end}, rows, &*strips), nullptr};
  for (int parts = 2; parts <= most_parts && best.bytes > budget; ++parts) {
    std::vector<size_t> cuts =
        cuts_every(footprint, places, rest / parts, rows.halves(), strips->end + 1);
    cuts.insert(cuts.begin(), strips->end);
    const double bytes = peak_of(footprint, cuts, rows, &*strips);
    if (bytes < best.bytes) {
      best = {cuts, bytes, nullptr};
    }
  }
  best.strips = std::make_shared<const Strips>(*strips);
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
    return {forced_cuts()(cut_places(graph)), nullptr, false};
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
  const double whole = peak_of(footprint, {}, rows);
  memory.remembers = whole + memo_bytes(footprint, rows) <= budget;
  if (whole <= budget) {
    return memory;
  }
  CutPlan plan = plan_cuts(footprint, cut_places(graph), rows, budget);
  if (plan.bytes > budget && rows.strips) {
    const CutPlan in_strips = plan_strips(graph, footprint, cut_places(graph), rows, budget);
    plan = in_strips.bytes < plan.bytes ? in_strips : plan;
  }
  if (share.most && plan.bytes > static_cast<double>(*share.most)) {
    throw OutOfMemory("it needs about " + gigabytes(plan.bytes) + " beside the model, of which " +
                      gigabytes(static_cast<double>(*share.most)) +
                      " can be had (`seqlift_memory()`).");
  }
  memory.cuts = plan.cuts;
  memory.strips = plan.strips;
  return memory;
}

}  // namespace seqlift
