// THE operation table: all that is decided by an operation's name. A row says which kind it is,
// which rule it gets and how a change in a window passes it (vignettes/rules.Rmd), and what every
// other part of the engine asks of it. Nothing else in the engine compares names of operations.
//
// To add an operation: its name in evaluate/operation_table.cpp, and in those lists of
// evaluate/operation_properties.cpp that are true of it; if its rule is new, a function
// `std::vector<Value> rule(Call&)` in the file of its kind in rules/, with its derivation.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

#include "core/halves/derivatives.h"
#include "core/halves/halves.h"

namespace seqlift {

struct Call;
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
const char* kind_name(Kind kind);

enum class Trait : uint8_t {
  // Each result is formed of several entries along the dimensions that `dim` names, of all entries
  // where it names none: over the batch it mixes the sequences.
  combines,
  permutes,             // its dims name all dimensions, in another order
  adds_dimension,       // `dim` counts the dimensions of its result
  slices,               // start, end and step of one dimension
  element,              // takes one element of a list, a tuple or a tensor
  takes_apart,          // takes a list's or tuple's elements for themselves, and not the list
  convolves,            // its rule is the fast way to evaluate it, with or without a gradient
  transposed,           // ... and goes the other way: from each position to several
  low_precision,        // bfloat16 makes it faster; the others stay in float32, as autocast does it
  drops,                // dropout: in evaluation mode its input
  detaches,             // stops ordinary gradients and changes no number
  chooses_by_x,         // linear by itself, but a condition or an index of X may choose
  quadratic,            // of degree two in all of its inputs together
  powers,               // a product that is not linear in one input alone
  divides,              // a quotient
  bitwise,              // works on the bits of numbers, on truth values as logic does
  finds_places,         // its only result are indices
  rectifies,            // relu
  rounds,               // a result without slope although its type is that of numbers
  hands_on,             // by value: what comes of a step of X is still a step, value for value
  chooses,              // a step chooses among, or masks, what depends on X by itself
  looks_for_nan,        // tells NaN from numbers, or leaves it out
  looks_up,             // by an index: one made of NaN fails
  draws_like,           // random numbers of which its input says no more than the shape
  keeps_numbers,        // its results are its input's numbers, whatever their type and their order
  casts,                // ... in their order; round() does so with whole numbers
  views,                // only says how its input's numbers are to be read
  shares_by_layout,     // whether the result shares memory with its input depends on its layout
  keeps_order,          // memory laid out row by row goes in and comes out so
  copies_in_order,      // a copy in the memory format that it is told
  strided,              // reads memory by strides of its own
  onednn_gradient,      // LibTorch's gradient in float is oneDNN's (convolution_gradient.h)
  gradient_as_laid_out  // LibTorch's derivative reads a gradient as if it lay as the result does
};

// What an operation needs to know of its inputs' layout in memory (layout.h).
enum class LayoutUse : uint8_t {
  none,
  numbers,  // its success or its result depends on it
  answer    // it says what the layout is, and reads no number
};

// How an operation in place changes the way its tensor is seen, and no number.
enum class View : uint8_t { none, t, transpose, unsqueeze, squeeze, as_strided, memory };

// A faster way to the same numbers where nothing is differentiated.
enum class FastPath : uint8_t {
  none,
  dense_layer,    // the weights once for all rows
  line_as_image,  // [n, C, L] in channels-last memory as images of height one
  line_pool       // ... by the pooling of images
};

// The type of a result that is told none.
enum class Typing : uint8_t {
  of_inputs,
  default_type,          // LibTorch's default
  default_type_if_real,  // ... of real numbers
  of_data,               // that of the numbers of a list, which LibTorch reads as float32
  single,                // float32 whatever comes in
  of_choice,             // that of the two numbers to choose from
  of_bytes               // its input's bytes read as another type
};

// What an operation does for one number of its result (window_costs.h).
enum class Cost : uint8_t {
  numbers,
  dear_numbers,  // exponentials take several instructions each, a softmax several passes
  product,       // of its first two factors
  attention      // of each two positions
};

// How the shape of its result is found without its numbers (shapes_alone.h).
enum class ShapeBy : uint8_t {
  computing,  // it is evaluated
  input,      // its results have the shape and the type of the first input
  meta,       // LibTorch has it for tensors without memory, in every version that is built against
  numbers     // the numbers decide about it
};

// What the rules of RevealCancel do with it (reveal_cancel_rules.cpp).
enum class Reveal : uint8_t {
  parts,      // hands each part on by itself: it has no negative factors
  passes,     // the input as it is
  negates,    // the parts change places
  adds,       // ... of the second input where alpha is negative
  subtracts,  // ... of the second input
  subtracts_first,
  scales,       // ... where the factor is negative
  weighs,       // a sum with weights of both signs
  elementwise,  // RevealCancel, or Rescale
  shared        // the table's rule for both parts: what has factors of both signs, and all else
};

// Factors of both signs that only some arguments bring with them.
enum class SignedBy : uint8_t { nothing, alpha, interpolation };

// Module mode: what the peers' classes of this name do (units.cpp).
enum class PeerPool : uint8_t { none, line, image };

// What a layer tells of the number of channels that it takes (input_layout.h).
enum class LayerKind : uint8_t {
  none,
  convolution,
  linear,
  matmul,
  lookup,
  recurrent,
  norm,
  layer_norm
};

// How the positions of its result follow those of its input, where a piece of the sequence gives
// the same numbers as the whole, but for its ends (evaluate/positions.h).
enum class Along : uint8_t {
  not_known,
  each,      // number by number, of inputs that are broadcast
  channels,  // ... with a parameter for each channel
  slides,    // a window of positions, everywhere the same
  pads,      // numbers are put before and behind
  combines,  // ... the entries of the dimensions that `dim` names
  lasts,     // ... those of the last dimensions, as many as `normalized_shape` has
  products,  // ... those of the last dimension, by a matrix
  views,     // sizes of dimensions are read otherwise
  reorders,  // dimensions change places, or come and go with size one
  slices,    // a piece of one dimension
  joins      // several values side by side
};

// Which of the operations that share a rule a row is.
enum class Form : uint8_t {
  plain,
  // extremes and orders
  minimum,
  both_extremes,
  sorted,
  largest_few,
  nth,
  median,
  running_maximum,
  running_minimum,
  // sums and differences
  difference,
  reversed_difference,
  mean,
  root,
  // softmax and its kind
  log,
  sum,
  negative,
  base_two,
  // comparisons and logic
  greater,
  greater_equal,
  less,
  less_equal,
  equal,
  not_equal,
  close,
  heaviside,
  conjunction,
  disjunction,
  exclusive,
  negation,
  // steps of one value
  count,
  sign,
  // norms and distances
  matrix,
  matrix_or_vector,
  all_pairs,
  // recurrent cells
  lstm,
  gru,
  rnn_tanh,
  rnn_relu
};

using Traits = std::bitset<64>;

struct Operation {
  const char* name = "";
  Kind kind = Kind::other;
  Rule rule = nullptr;             // nullptr: refused when it depends on X
  const char* described = "none";  // the rule in a word, for the audit
  Traits traits = {};
  Form form = Form::plain;
  // Where a change in a window of its input leaves a window of its output; nullptr: anywhere.
  ChangeRule change = nullptr;
  Compute derivative = nullptr;  // takes its place where LibTorch has no derivative, or a wrong one
  FastPath fast = FastPath::none;
  Cost cost = Cost::numbers;
  ShapeBy shape = ShapeBy::computing;
  Reveal reveal = Reveal::shared;
  SignedBy signed_by = SignedBy::nothing;
  PeerPool peer_pool = PeerPool::none;
  Along along = Along::not_known;
  Typing typing = Typing::of_inputs;
  LayoutUse layout = LayoutUse::none;
  View view = View::none;
  LayerKind layer = LayerKind::none;
  int8_t added = -1;   // the input that a product has added to it: a bias, addmm's first
  int8_t spatial = 0;  // over how many last dimensions a pooling goes
  const char* linear_in = nullptr;  // the only input that may depend on X, or nullptr

  bool is(Trait trait) const { return traits[static_cast<size_t>(trait)]; }
};

// Every row, by name. In-place variants share the row of their plain name.
const std::vector<Operation>& operations();
// The row of an operation, or nullptr. `name` as in Call::name.
const Operation* find_operation(const std::string& name);
// The same; a row of which nothing is true for what the table does not know.
const Operation& operation_of(const std::string& name);
const Operation& operation_of(const torch::jit::Node* node);
// Without namespace, and without the _ of in-place variants.
std::string plain_name(const torch::jit::Node* node);

}  // namespace seqlift
