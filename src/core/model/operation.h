// THE operation table: which kind an operation of the graph is, which rule it gets, and what else
// is decided by its name. Every rule keeps sum(m * (x - ref)) = f(x) - f(ref) exactly (DESIGN
// section 4).
//
// To add an operation: a line in the table of evaluate/operation_table.cpp; if its rule is new, a
// function `std::vector<Value> rule(Call&)` in the file of its kind in rules/, with its derivation.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <vector>

#include "core/halves/halves.h"
#include "core/model/graph.h"

namespace seqlift {

class Constants;

// One operation about to be evaluated on both halves.
struct Call {
  const torch::jit::Node* node = nullptr;
  const Provenance* provenance = nullptr;
  std::string name;  // "relu": without namespace, and without the _ of in-place variants
  std::vector<Value> inputs;
  BatchShape batch;
  Constants* constants = nullptr;
  bool plain_slice = false;  // a slice that nothing writes through
  // The operation itself, out of place.
  std::function<std::vector<c10::IValue>(std::vector<c10::IValue>)> evaluate;

  // Position of the argument called `name` in the operation's schema, or -1.
  int find(const std::string& name) const;
  bool depends(int input) const { return inputs[input].depends; }
  // Positions of the inputs through which a gradient flows.
  std::vector<int> dependent() const;
  Halves halves(int input) const;
  const c10::IValue& constant(int input) const { return inputs[input].x; }
  // "aten::relu (body.3.act, model.py:34)".
  std::string where() const;
};

using Rule = std::vector<Value> (*)(Call& call);

struct ChangeCall;
// What an operation makes of changes in windows (change.h): its results, or none where it changes
// more than windows.
using ChangeRule = std::vector<Value> (*)(ChangeCall& call);

enum class Kind {
  shape,  // the value does not depend on X, only on its shape and type
  linear,
  elementwise,
  product,
  max,
  softmax,
  normalisation,
  condition,  // comparisons, what is chosen by them, and indices
  recurrent,
  attention,  // fused attention
  random,
  other
};

struct Operation {
  const char* name;
  Kind kind;
  Rule rule;              // nullptr: refused when it depends on X
  const char* described;  // the rule in a word, for the audit
  // Where a change in a window of its input leaves a window of its output; nullptr: anywhere.
  ChangeRule change = nullptr;
};

// The table's row for an operation, or nullptr. `name` as in Call::name.
const Operation* find_operation(const std::string& name);
const std::vector<Operation>& operations();
const char* kind_name(Kind kind);

// A result of a rule as a value of the graph.
Value to_value(const Halves& halves);
// The same for truth values and whole numbers, which the model takes for the type `shown`.
Value to_value(const Halves& halves, at::ScalarType shown);
Value to_value(const c10::IValue& x, const c10::IValue& ref);

}  // namespace seqlift
