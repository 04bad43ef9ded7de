// THE operation table: which kind an operation of the graph is and which rule it gets. Every rule
// keeps sum(m * (x - ref)) = f(x) - f(ref) exactly (DESIGN section 4).
//
// To add an operation: a line in the table of rules.cpp; if its rule is new, a function
// `std::vector<Value> rule(Call&)` in the rules_*.cpp file of its kind, with its derivation.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <vector>

#include "graph.h"
#include "halves.h"

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

// The rules, by file.
namespace rules {
std::vector<Value> linear(Call& call);         // rules_linear.cpp
std::vector<Value> slice(Call& call);          // rules_linear.cpp
std::vector<Value> linear_in_one(Call& call);  // rules_linear.cpp
std::vector<Value> convolution(Call& call);    // rules_convolution.cpp
std::vector<Value> batch_norm(Call& call);     // rules_normalisation.cpp
std::vector<Value> elementwise(Call& call);    // rules_elementwise.cpp
std::vector<Value> kinked(Call& call);         // rules_elementwise.cpp
std::vector<Value> relu(Call& call);           // rules_elementwise.cpp
std::vector<Value> glu(Call& call);            // rules_elementwise.cpp
std::vector<Value> product(Call& call);        // rules_product.cpp
std::vector<Value> quotient(Call& call);       // rules_product.cpp
std::vector<Value> power(Call& call);          // rules_product.cpp
bool is_one_factor(const Call& call);          // rules_product.cpp
std::vector<Value> max_pool(Call& call);       // rules_max.cpp
std::vector<Value> max_over_dims(Call& call);  // rules_max.cpp
std::vector<Value> maximum(Call& call);        // rules_max.cpp
std::vector<Value> clamp(Call& call);          // rules_max.cpp
std::vector<Value> softmax(Call& call);        // rules_softmax.cpp
std::vector<Value> logaddexp(Call& call);      // rules_softmax.cpp
std::vector<Value> logcumsumexp(Call& call);   // rules_softmax.cpp
std::vector<Value> layer_norm(Call& call);     // rules_normalisation.cpp
std::vector<Value> group_norm(Call& call);     // rules_normalisation.cpp
std::vector<Value> instance_norm(Call& call);  // rules_normalisation.cpp
std::vector<Value> rms_norm(Call& call);       // rules_normalisation.cpp
std::vector<Value> variance(Call& call);       // rules_normalisation.cpp
std::vector<Value> comparison(Call& call);     // rules_condition.cpp
std::vector<Value> logic(Call& call);          // rules_condition.cpp
std::vector<Value> any_or_all(Call& call);     // rules_condition.cpp
std::vector<Value> step(Call& call);           // rules_condition.cpp
std::vector<Value> cast(Call& call);           // rules_condition.cpp
std::vector<Value> where(Call& call);          // rules_condition.cpp
std::vector<Value> masked_fill(Call& call);    // rules_condition.cpp
std::vector<Value> index_put(Call& call);      // rules_condition.cpp
std::vector<Value> order(Call& call);          // rules_order.cpp
std::vector<Value> lookup(Call& call);         // rules_order.cpp
std::vector<Value> integral(Call& call);       // rules_integrate.cpp

std::vector<Value> recurrent(Call& call);                     // rules_recurrent.cpp
std::vector<Value> recurrent_cell(Call& call);                // rules_recurrent.cpp
std::vector<Value> scaled_dot_product_attention(Call& call);  // rules_attention.cpp
std::vector<Value> vector_norm(Call& call);                   // rules_norm.cpp
std::vector<Value> distance(Call& call);                      // rules_norm.cpp
std::vector<Value> similarity(Call& call);                    // rules_norm.cpp
std::vector<Value> renorm(Call& call);                        // rules_norm.cpp
std::vector<Value> prod(Call& call);                          // rules_reduce.cpp
std::vector<Value> cumprod(Call& call);                       // rules_reduce.cpp
std::vector<Value> several(Call& call);                       // rules_several.cpp
std::vector<Value> several_bent(Call& call);                  // rules_several.cpp
std::vector<Value> hypot(Call& call);                         // rules_several.cpp
std::vector<Value> loss(Call& call);                          // rules_loss.cpp
std::vector<Value> class_loss(Call& call);                    // rules_loss.cpp
std::vector<Value> fourier(Call& call);                       // rules_complex.cpp
std::vector<Value> as_complex(Call& call);                    // rules_complex.cpp
std::vector<Value> absolute(Call& call);                      // rules_complex.cpp
std::vector<Value> angle(Call& call);                         // rules_complex.cpp
std::vector<Value> polar(Call& call);                         // rules_complex.cpp
}  // namespace rules

}  // namespace seqlift
