// The inside of evaluate(): one evaluation of one graph. Control flow, attributes and containers
// are in evaluate.cpp, operations in evaluate_operation.cpp, their rules in evaluate_rules.cpp.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "evaluate.h"

namespace seqlift {

// All tensors inside a value, those in lists, tuples and dictionaries included.
void visit_tensors(const c10::IValue& value, const std::function<void(const at::Tensor&)>& visit);
// A value as the model itself knows it: truth values and whole numbers of their type, without the
// gradient that they carry for us.
Value concrete(const Value& value);
// Sums, flips and joins over the batch dimension mix rows, so the halves' rows no longer match by
// position. Shapes cannot always tell; an argument that names dimension 0 can.
bool touches_batch_dimension(const Call& call);
// Sums and maxima over the rows of a batch. Asked where both halves have as many rows; a dimension
// is taken for the batch's if it alone has that many entries.
bool mixes_sequences(const Call& call);

class Evaluation {
 public:
  Evaluation(const Graph& graph, Constants& constants, const EvaluateOptions& options)
      : graph_(graph), constants_(constants), options_(options) {}

  std::vector<Value> run(const std::vector<Value>& inputs);

 private:
  using Node = torch::jit::Node;
  using Block = torch::jit::Block;

  Value& value(const torch::jit::Value* name) { return values_.at(name); }

  Value finish(c10::IValue x, c10::IValue ref, bool paired, bool tainted) const;
  void run_block(const Block* block);
  void run_node(const Node* node);
  void get_attribute(const Node* node);
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
  std::vector<Value> ruled(Call& call, const Operation* operation, bool tainted);
  std::vector<Value> by_rule(Call& call, const Operation* operation, bool tainted);
  std::vector<Value> checked(Call& call, const Operation* operation) const;
  std::vector<Value> observed(Call& call, const Operation* operation, bool tainted);
  void report_ordinary(const Call& call, const Operation* operation) const;
  [[noreturn]] void refuse(const Call& call, const std::string& why) const;
  // Sequences too short for the model (evaluate_length.cpp): looked for in an operation's results,
  // and as the reason why LibTorch failed.
  void watch_length(const Call& call, const std::vector<Value>& outputs);
  void explain_failure(const Call& call, const std::string& why) const;
  [[noreturn]] void refuse_length(const Call& call, const std::string& what) const;
  // Edited copies of a sequence (evaluate_changes.cpp).
  std::vector<Value> changed(Call& call);
  std::vector<c10::IValue> original_outputs(Call& call, const Operation* operation) const;
  // The reference half of a value in full, instead of its windows or parts.
  Value settle(const Value& value) const;
  bool kept_in_parts(const Node* node, const std::vector<Value>& given) const;
  void report(const Call& call, const std::string& kind, const std::string& rule, bool supported,
              bool faithful, const std::string& refusal = "") const;

  const Graph& graph_;
  Constants& constants_;
  const EvaluateOptions& options_;
  std::unordered_map<const torch::jit::Value*, Value> values_;
  std::map<std::pair<const void*, std::string>, Value> attributes_;
  std::string emptied_;  // which operation left nothing of its input, the last one
  std::vector<c10::IValue> objects_;
};

}  // namespace seqlift
