// The inside of evaluate(): one evaluation of one graph. Control flow is in evaluate.cpp,
// attributes and containers in evaluate/containers.cpp, operations in evaluate/operation.cpp, what
// writes in place in evaluate/writes.cpp, rules in evaluate/rules.cpp.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/evaluate/evaluate.h"
#include "core/model/layout.h"

namespace seqlift {

// A value as the model itself knows it: truth values and whole numbers of their type, without the
// gradient that they carry for us.
Value concrete(const Value& value);
// Sums, flips and joins over the batch dimension mix rows, so the halves' rows no longer match by
// position. Shapes cannot always tell; an argument that names dimension 0 can.
bool touches_batch_dimension(const Call& call);
// Sums and maxima over the rows of a batch. Asked where both halves have as many rows; a dimension
// is taken for the batch's if it alone has that many entries.
bool mixes_sequences(const Call& call);

// Whether there is anything in a value that can be looked at further.
bool holds_tensor(const c10::IValue& value);

class PositionLog;
struct Strip;

// Tensors to take gradients with respect to, and what stands behind them in the same memory.
struct PartEntry {
  std::vector<at::Tensor> leaves;
  std::vector<at::Tensor> stand_ins;
};
PartEntry part_entry(const std::vector<at::Tensor>& given);

class Evaluation {
 public:
  Evaluation(const Graph& graph, Constants& constants, const EvaluateOptions& options)
      : graph_(graph),
        constants_(constants),
        options_(options),
        moved_(options.two_halves()),
        layouts_(*graph.layouts) {}

  std::vector<Value> run(const std::vector<Value>& inputs);

 private:
  using Node = torch::jit::Node;
  using Block = torch::jit::Block;

  Value& value(const torch::jit::Value* name) { return values_.at(name); }

  Value finish(c10::IValue x, c10::IValue ref, bool paired, bool tainted) const;
  void run_block(const Block* block);
  void run_and_free(const Node* node);
  // In parts of which only what crosses the cuts is kept (evaluate/recompute.cpp).
  struct Part;
  void run_in_parts(const Block* block);
  void forget(const Block* block, size_t end);
  bool can_be_cut() const;
  std::vector<Value*> values_in_order();
  std::vector<at::Tensor> crossing();
  void replace(const std::vector<at::Tensor>& from, const std::vector<at::Tensor>& to);
  static std::vector<at::Tensor> run_again(const Part& part, const std::vector<at::Tensor>& grads);
  // The first of them in strips of positions (evaluate/strips.cpp).
  struct StripPart;
  struct StripRun;
  bool run_in_strips(const std::vector<const Node*>& nodes);
  static StripRun run_strip(const StripPart& part, const Strip& strip);
  static std::vector<at::Tensor> run_strips_again(const StripPart& part,
                                                  const std::vector<at::Tensor>& grads);
  void stand_behind(const Evaluation& other);
  void weigh(const Call& call, const std::vector<Value>& outputs);
  void weigh_alive(const Node* node);
  void run_node(const Node* node);
  void get_attribute(const Node* node);
  c10::IValue own_copy(const c10::IValue& value, bool written,
                       std::map<const void*, c10::IValue>& copies) const;
  void enter_autocast(const Node* node);
  void create_object(const Node* node);

  // A condition must be the same for both halves. One that depends on the batch size alone may
  // differ between them: with X repeated they have one size.
  bool condition(const Value& value, const Node* node);
  void run_if(const Node* node);
  void run_loop(const Node* node);

  // Lists are written to later (append), so each half gets one of its own from the start.
  void construct(const Node* node);
  static c10::IValue assemble(const Node* node, std::vector<c10::IValue> parts);
  void unpack(const Node* node);
  std::string place(const Node* node) const;
  void run_operation(const Node* node);
  std::vector<Value> apply(Call& call, bool tainted);
  std::vector<Value> measured(Call& call, bool tainted);
  std::vector<Value> both_halves(const Call& call, bool tainted);
  bool shared(const Node* node, const Value& self) const;
  void write_back(const Call& call, std::vector<Value>& outputs, bool tainted);
  void shield(Call& call) const;
  void refresh_containers(const Node* node);
  std::vector<Value> ruled(Call& call, bool tainted);
  std::vector<Value> by_rule(Call& call, bool tainted);
  std::vector<Value> checked(Call& call) const;
  std::vector<Value> observed(Call& call, bool tainted);
  void report_ordinary(const Call& call) const;
  [[noreturn]] void refuse(const Call& call, const std::string& why) const;
  // Sequences too short for the model (evaluate/length.cpp): looked for in an operation's results,
  // and as the reason why LibTorch failed.
  void watch_length(const Call& call, const std::vector<Value>& outputs);
  void explain_failure(const Call& call, const std::string& why) const;
  [[noreturn]] void refuse_length(const Call& call, const std::string& what) const;
  void draw(Call& call);
  // What depends on X by steps alone (evaluate/letters.cpp).
  using Steps = std::vector<const Node*>;
  Steps steps_of(const Node* node) const;
  void read_letters(const Node* node, std::vector<Value>& inputs, Steps& steps,
                    const Operation& row);
  void mark_steps(const Call& call, const Steps& steps, const std::vector<Value>& outputs);
  void mark_step(const torch::jit::Value* value, const Node* step);
  bool read_exactly(const Node* node, size_t input, int visit, Value& value) const;
  at::Tensor values_of_letters(const Node* node, size_t input, int visit) const;
  void refuse_step(const Node* step) const;
  // Edited copies of a sequence (evaluate/changes.cpp).
  std::vector<Value> changed(Call& call);
  std::vector<c10::IValue> original_outputs(Call& call) const;
  // The reference half of a value in full, instead of its windows or parts.
  Value in_full(const Value& value) const;
  bool kept_in_parts(const Node* node, const std::vector<Value>& given) const;
  // Layouts in memory (evaluate/layout.cpp).
  void keep_inputs(const std::vector<Value>& inputs);
  void lay_out(Call& call, int64_t visit);
  void keep_layout(const Call& call, std::vector<Value>& outputs, int64_t visit);
  void note_layout(const Call& call, bool writes);
  void note_constant(const torch::jit::Value* name, const c10::IValue& value);
  void note_list(const Node* node);
  void set_row_by_row(const torch::jit::Value* name, bool row_by_row);
  void stop_recording(const Node* node) const;
  std::shared_ptr<const LayoutRecord> run_plainly(const std::vector<Value>& inputs) const;
  const LayoutRecord& usual_record();
  std::shared_ptr<const LayoutRecord> exact_record();
  std::vector<Layout> recorded(const Node* node, int64_t visit, bool output, size_t place,
                               const std::vector<at::Tensor>& halves);
  std::vector<Value> unit_plainly(const Call& call) const;
  void report(const Call& call, const std::string& kind, const std::string& rule, bool supported,
              bool faithful, const std::string& refusal = "") const;

  const Graph& graph_;
  Constants& constants_;
  const EvaluateOptions options_;  // its own: a part of the graph may be evaluated again later
  std::unordered_map<const torch::jit::Value*, Value> values_;
  std::map<std::pair<const void*, std::string>, Value> attributes_;
  // What stands in attributes that are written to, and what this evaluation has in its place: of
  // each half.
  std::map<const void*, c10::IValue> copies_of_x_;
  std::map<const void*, c10::IValue> copies_of_ref_;
  // As the model's own code sees it in a prediction; what we record is ours to choose.
  bool grad_enabled_ = false;
  std::string emptied_;  // which operation left nothing of its input, the last one
  std::vector<c10::IValue> objects_;

  // A run of the model as written, by LibTorch's operations alone; `record_` is told the layouts.
  bool plainly_ = false;
  LayoutRecord* record_ = nullptr;
  bool moved_;  // an operation of ours may have left its result in another layout
  Layouts& layouts_;
  std::vector<Value> as_given_;
  std::unordered_map<const Node*, int64_t> visits_;
  std::unordered_set<const torch::jit::Value*> row_by_row_;  // so in the model's own run
  std::shared_ptr<const LayoutRecord> usual_;
  std::shared_ptr<const LayoutRecord> exact_;

  std::vector<Value> given_;  // the inputs
  // The step through which alone a value depends on X, of those that do.
  std::unordered_map<const torch::jit::Value*, const Node*> steps_;
  std::unordered_map<const Node*, int> step_visits_;  // of operations that look for steps
  std::map<std::string, int> drawn_;                  // how often a random operation was
  // What changed in a measured value, by its place in autograd's graph; the node is kept so that
  // its address stays its own.
  using GradientNode = std::decay_t<decltype(std::declval<at::Tensor>().grad_fn())>;
  std::unordered_map<const void*, std::pair<GradientNode, at::Tensor>> changes_;
  std::shared_ptr<PositionLog> positions_;  // where positions are followed
};

}  // namespace seqlift
