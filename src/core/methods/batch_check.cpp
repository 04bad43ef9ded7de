#include "core/methods/batch_check.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "core/base/error.h"
#include "core/base/memory.h"
#include "core/evaluate/evaluate.h"
#include "core/evaluate/recompute.h"
#include "core/evaluate/units.h"
#include "core/methods/mixing_watch.h"
#include "core/model/graph_passes.h"
#include "core/model/operation_table.h"
#include "core/model/random_operations.h"
#include "core/numeric/device.h"
#include "core/numeric/shape_text.h"
#include "core/numeric/steady_memory.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

using torch::jit::Block;
using torch::jit::Node;

namespace {

// Differences below this part of the largest output are rounding for sure; above it float64
// decides.
constexpr double rounding = 1e-5;
constexpr double rounding_in_double = 1e-8;
// Where float64 cannot be asked.
constexpr double coarse = 1e-2;
// Outputs below this are what rounding leaves of larger numbers.
constexpr double smallest = 1e-4;
// Longer sequences have one neighbour instead of two: time and memory.
constexpr int64_t long_sequence = 1 << 16;
// Of longer ones a piece is looked at among others, which takes less than half of the time.
constexpr int64_t worth_a_piece = 1 << 13;

struct Company {
  at::Tensor X;
  std::vector<Value> args;
};

// What the model gives, in double, or why it gives nothing that has a row for each sequence.
struct Given {
  std::vector<at::Tensor> outputs;
  std::string failure;
  std::vector<bool> conditions;  // of branches and loops, in turn
  bool works() const { return failure.empty(); }
};

// `weighed`: what it takes of memory is written there, and remembered (recompute.h).
Given ask(const Graph& graph, Constants& constants, const Company& rows,
          const MixingWatch::After& after = {}, Footprint* weighed = nullptr) {
  const at::NoGradGuard guard;
  Given given;
  EvaluateOptions options;
  options.after = after;
  options.footprint = weighed;
  options.conditions = &given.conditions;
  options.unit = units_as_written(constants);
  std::vector<Value> inputs(1);
  inputs[0].x = to_compute(rows.X, constants).clone();
  for (const Value& arg : rows.args) {
    const at::Tensor values = arg.x.toTensor();
    Value own;
    own.x = at::isFloatingType(values.scalar_type()) ? to_compute(values, constants)
                                                     : values.to(constants.device());
    inputs.push_back(own);
  }
  try {
    const std::vector<Value> outputs = evaluate(graph, constants, inputs, options);
    if (weighed) {
      *weighed = remember_footprint(graph, constants, inputs, std::move(*weighed));
    }
    for (const Value& value : outputs) {
      const bool tensor = value.x.isTensor() && value.x.toTensor().defined();
      if (!tensor || value.x.toTensor().dim() == 0 ||
          value.x.toTensor().size(0) != rows.X.size(0)) {
        given.failure = "its output does not have a row for each of them.";
        return given;
      }
      const at::Tensor output = value.x.toTensor().detach().resolve_conj();
      given.outputs.push_back(
          (output.is_complex() ? at::view_as_real(output) : output).cpu().to(at::kDouble));
    }
  } catch (const Error& error) {
    if (error.kind() == "interrupt" || error.kind() == "memory" || error.kind() == "random") {
      throw;
    }
    given.failure = error.what();
  } catch (const std::exception& error) {
    throw_if_out_of_memory(error);
    given.failure = error.what();
  }
  return given;
}

// The largest difference of a row, as a part of the row's largest number. Infinite where one is a
// number and the other is none.
double distance(const Given& a, int64_t row_a, const Given& b, int64_t row_b) {
  const double infinite = std::numeric_limits<double>::infinity();
  if (a.outputs.size() != b.outputs.size()) {
    return infinite;
  }
  double largest = 0;
  for (size_t i = 0; i < a.outputs.size(); ++i) {
    const at::Tensor x = a.outputs[i][row_a];
    const at::Tensor y = b.outputs[i][row_b];
    if (x.sizes() != y.sizes()) {
      return infinite;
    }
    if (x.numel() == 0) {
      continue;
    }
    const at::Tensor equal = (x == y).logical_or(x.isnan().logical_and(y.isnan()));
    const at::Tensor apart = at::where(equal, at::zeros_like(x), (x - y).abs());
    if (!apart.isfinite().all().item<bool>()) {
      return infinite;
    }
    const at::Tensor size = at::where(x.isfinite(), x.abs(), at::zeros_like(x));
    const double scale = std::max(size.max().item<double>(), smallest);
    largest = std::max(largest, apart.max().item<double>() / scale);
  }
  return largest;
}

Company in_company(const std::vector<Company>& all) {
  Company rows;
  std::vector<at::Tensor> X;
  for (const Company& one : all) {
    X.push_back(one.X);
  }
  rows.X = at::cat(X);
  for (size_t k = 0; k < all[0].args.size(); ++k) {
    std::vector<at::Tensor> values;
    for (const Company& one : all) {
      values.push_back(one.args[k].x.toTensor());
    }
    Value arg;
    arg.x = at::cat(values);
    rows.args.push_back(arg);
  }
  return rows;
}

// A row in which no number is one.
Company no_numbers(const Company& row) {
  Company empty = row;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  empty.X = at::full_like(row.X, nan);
  for (Value& arg : empty.args) {
    const at::Tensor values = arg.x.toTensor();
    arg.x = at::isFloatingType(values.scalar_type()) ? at::full_like(values, nan) : values;
  }
  return empty;
}

// Whether the model's code looks for NaN, which would then be no neighbour like another. What looks
// up by an index made of NaN fails; on a device other than the CPU for good.
bool looks_for_nan(const Graph& graph, const at::Device& device) {
  const std::vector<Node*> nodes = all_nodes(graph.graph->block());
  return std::any_of(nodes.begin(), nodes.end(), [&](const Node* node) {
    const Operation& row = operation_of(node);
    return row.is(Trait::looks_for_nan) || (!device.is_cpu() && row.is(Trait::looks_up));
  });
}

class BatchCheck {
 public:
  BatchCheck(const Graph& graph, Constants& constants, const Sequences& sequences,
             int64_t batch_size)
      : graph_(graph), constants_(constants), sequences_(sequences), batch_size_(batch_size) {}

  // Why the model is refused, "" where it is not; nothing where it fails on this sequence anyway.
  // What a piece of the sequence says against it is asked of the whole.
  std::optional<std::string> refusal() {
    std::optional<std::string> found = refusal_of(true);
    if (piece_ > 0 && (found != "" || special_ != graph_.findings->alone_differs)) {
      found = refusal_of(false);
    }
    if (found == "" && special_) {
      graph_.findings->alone_differs = true;
    }
    return found;
  }

 private:
  std::optional<std::string> refusal_of(bool pieces) {
    piece_ = 0;
    own_ = {};
    own_ = row(0);
    special_ = graph_.findings->alone_differs;
    Footprint footprint;
    Given one = ask(graph_, constants_, by_itself(), {}, &footprint);
    if (!one.works() && !special_) {
      special_ = true;
      one = ask(graph_, constants_, by_itself());
    }
    if (!one.works()) {
      return std::nullopt;
    }
    const auto budget = memory_share().budget;
    const auto room_for = [&](int64_t rows) {
      return !budget || footprint.nodes.empty() ||
             plain_bytes(footprint, rows) <= static_cast<double>(*budget);
    };
    const bool room = room_for(3);
    if (pieces && !room_for(2)) {
      one = of_a_piece(std::move(one), {1, 5});
    } else if (pieces && own_.X.size(2) >= worth_a_piece) {
      one = of_a_piece(std::move(one), {1});
    }
    const bool two = batch_size_ < 3 || own_.X.size(2) >= long_sequence || !room;
    if (!looks_for_nan(graph_, constants_.device())) {
      const Company other = no_numbers(own_);
      rows_ = two ? in_company({other, own_}) : in_company({other, own_, other});
      MixingWatch watch(graph_);
      const Given among = ask(graph_, constants_, rows_, watch.after());
      if (among.works()) {
        const std::string found = compare(one, among);
        // A comparison may have swallowed what is no number.
        if (!found.empty() || !watch.spread()) {
          return found;
        }
      }
    }
    const Company first = row(sequences_.count - 1);
    const Company second = row(std::min<int64_t>(1, sequences_.count - 1));
    rows_ = two ? in_company({first, own_}) : in_company({first, own_, second});
    const Given among = ask(graph_, constants_, rows_);
    return among.works() ? compare(one, among) : of_one_size(among);
  }

  // A sequence as [1, C, L]; in place of the first one again, its reverse complement.
  Company row(int64_t i) const {
    Company rows;
    rows.X = sequences_.X(i, i + 1);
    rows.args = batch_of_args(sequences_, constants_, i, i + 1);
    if (piece_ > 0) {
      rows.X = rows.X.narrow(2, 0, piece_);
    }
    if (own_.X.defined() && i == 0) {
      rows.X = at::cat({rows.X.narrow(1, 0, 4).flip({1, 2}), rows.X.slice(1, 4)}, 1);
    }
    return rows;
  }

  // What the model gives for the first part of the sequence, where it takes sequences of such a
  // length and does the same with them: whether it mixes those of a batch does not depend on how
  // long they are. Else `whole`.
  Given of_a_piece(Given whole, const std::vector<int64_t>& eighths) {
    const Company all = own_;
    const int64_t length = own_.X.size(2);
    for (const int64_t part : eighths) {
      piece_ = length / 8 * part;
      if (own_.args.empty() && length % 8 == 0) {
        own_.X = all.X.narrow(2, 0, piece_);
        Given one = ask(graph_, constants_, by_itself());
        if (one.works() && one.conditions == whole.conditions) {
          return one;
        }
      }
    }
    own_ = all;
    piece_ = 0;
    return whole;
  }

  // As a sequence is evaluated by itself.
  Company by_itself() const { return special_ ? in_company({own_, own_}) : own_; }

  std::string compare(const Given& one, const Given& among) {
    bool same = distance(one, 0, among, 1) <= rounding || same_in_double(among);
    if (!same && !special_) {
      // Because it is alone?
      special_ = true;
      const Given two = ask(graph_, constants_, by_itself());
      same = two.works() && (distance(two, 0, among, 1) <= rounding || same_in_double(among));
    }
    if (same) {
      return "";
    }
    MixingWatch watch(graph_, share_of_numbers(rows_.X) == 1);
    ask(graph_, constants_, rows_, watch.after());
    const std::string place = watch.place();
    return "The model mixes the sequences of a batch: what it gives for one depends on the "
           "others." +
           (place.empty() ? "" : " The first operation that takes them together is " + place + ".");
  }

  // Whether it is rounding that differs.
  bool same_in_double(const Given& among) {
    if (constants_.compute() == at::kDouble) {
      const Given one = ask(graph_, constants_, by_itself());
      return one.works() && distance(one, 0, among, 1) <= rounding_in_double;
    }
    Constants wide(constants_.native(), at::kDouble, constants_.device());
    wide.set_conduct(constants_.conduct());
    const Given one = ask(graph_, wide, by_itself());
    const Given others = ask(graph_, wide, rows_);
    if (!one.works() || !others.works()) {
      const Given again = ask(graph_, constants_, by_itself());
      return again.works() && distance(again, 0, among, 1) <= coarse;
    }
    return distance(one, 0, others, 1) <= rounding_in_double;
  }

  // The model fails on several sequences, whatever they are.
  std::string of_one_size(const Given& among) const {
    return std::string("The model takes ") + (special_ ? "2 sequences" : "1 sequence") +
           " at a time alone: their number is written into its code, as a trace does. For " +
           std::to_string(rows_.X.size(0)) + ": " + among.failure;
  }

  const Graph& graph_;
  Constants& constants_;
  const Sequences& sequences_;
  int64_t batch_size_;
  Company own_;           // the first sequence
  Company rows_;          // and in company, the second row
  bool special_ = false;  // a single sequence is evaluated twice
  int64_t piece_ = 0;     // of this length, from the first position; 0: all
};

std::string key_of(const Sequences& sequences) {
  std::string key = shape_text(sequences.X(0, 1));
  for (const at::Tensor& arg : sequences.args) {
    key += "/" + shape_text(arg[0]);
  }
  return key;
}

// With fewer rows where there is no memory for more. What was not tried is not let through.
std::optional<std::string> refusal_within_memory(const Graph& graph, Constants& constants,
                                                 const Sequences& sequences, int64_t batch_size) {
  constexpr int64_t fewest = 2;
  std::string why;
  for (const int64_t rows : {std::max(batch_size, fewest), fewest}) {
    try {
      const SteadyMemory memory;
      return BatchCheck(graph, constants, sequences, rows).refusal();
    } catch (const std::exception& error) {
      if (!is_out_of_memory(error)) {
        throw;
      }
      why = error.what();
      why = why.substr(0, why.find('\n'));
    }
  }
  throw Error("memory", "There is not enough memory on " + constants.device().str() +
                            " for a batch of 2, which a model is tried on before its first "
                            "numbers: " +
                            why + " Shorter sequences or dtype = \"float32\" take less.");
}

}  // namespace

at::Tensor twice(const at::Tensor& rows) { return at::cat({rows, rows}); }

void check_batch(const Graph& graph, Constants& constants, const Sequences& sequences,
                 int64_t batch_size) {
  if (!constants.conduct().random_state) {
    refuse_random(graph);
  }
  if (constants.conduct().joint || sequences.count == 0) {
    return;
  }
  BatchFindings& findings = *graph.findings;
  const std::lock_guard<std::mutex> lock(findings.mutex);
  const std::string key = key_of(sequences);
  auto known = findings.refusals.find(key);
  if (known == findings.refusals.end()) {
    std::optional<std::string> found;
    if (constants.reduced()) {
      Constants plain(constants.native(), at::kFloat, constants.device());
      plain.set_conduct(constants.conduct());
      found = refusal_within_memory(graph, plain, sequences, batch_size);
    } else {
      found = refusal_within_memory(graph, constants, sequences, batch_size);
    }
    if (!found) {
      return;
    }
    known = findings.refusals.emplace(key, *found).first;
  }
  if (!known->second.empty()) {
    throw Error("batch", known->second);
  }
}

}  // namespace seqlift
