// One operation of the graph about to be evaluated, and what it returns. What is known of the
// operation itself is its row of the operation table (operation_table.h).
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/halves/halves.h"
#include "core/model/graph.h"

namespace seqlift {

class Constants;
struct Operation;
enum class Trait : uint8_t;

// One operation about to be evaluated on both halves.
struct Call {
  const torch::jit::Node* node = nullptr;
  const Provenance* provenance = nullptr;
  std::string name;  // "relu": without namespace, and without the _ of in-place variants
  const Operation* row = nullptr;  // never nullptr in an evaluation
  std::vector<Value> inputs;
  BatchShape batch;
  Constants* constants = nullptr;
  bool plain_slice = false;  // a slice that nothing writes through
  // The operation itself, out of place.
  std::function<std::vector<c10::IValue>(std::vector<c10::IValue>)> evaluate;

  bool is(Trait trait) const;
  // Position of the argument called `name` in the operation's schema, or -1.
  int find(const std::string& name) const;
  bool depends(int input) const { return inputs[input].depends; }
  // Positions of the inputs through which a gradient flows.
  std::vector<int> dependent() const;
  Halves halves(int input) const;
  const c10::IValue& constant(int input) const { return inputs[input].x; }
  // All inputs as they are on one half: what evaluate() takes.
  std::vector<c10::IValue> stack(bool of_references) const;
  // "aten::relu (body.3.act, model.py:34)".
  std::string where() const;
};

// An argument that is a whole number or several, one for each of `dims` dimensions: a single one
// stands for all of them.
std::vector<int64_t> per_dimension(const c10::IValue& argument, int64_t dims);
// The dimension that an argument counts from behind where it is negative.
inline int64_t counted_from_front(int64_t dim, int64_t rank) { return dim < 0 ? dim + rank : dim; }

// A result of a rule as a value of the graph.
Value to_value(const Halves& halves);
// The same for truth values and whole numbers, which the model takes for the type `shown`.
Value to_value(const Halves& halves, at::ScalarType shown);
Value to_value(const c10::IValue& x, const c10::IValue& ref);

}  // namespace seqlift
