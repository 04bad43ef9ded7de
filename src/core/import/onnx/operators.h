// THE table of ONNX's operators, and what their builders work with.
//
// To add an operator: a row in operators.cpp, and a function `void name(Operator& op)` in the
// file of its kind, which reads every attribute that it has and gives its outputs.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/import/onnx/build.h"

namespace seqlift {
namespace onnx {

// One node about to become operations.
class Operator {
 public:
  Operator(Builder& builder, const Node& node, std::vector<ProgramValue> inputs,
           std::vector<bool> given)
      : build(builder),
        node(node),
        version(builder.version(node.domain)),
        inputs_(std::move(inputs)),
        given_(std::move(given)),
        outputs_(node.outputs.size()),
        has_output_(node.outputs.size(), false) {}

  Builder& build;
  const Node& node;
  int64_t version;         // of the operators, in the file
  std::string class_name;  // of the module; that of the row where it is empty

  [[noreturn]] void refuse(const std::string& why) const { build.refuse(node, why); }

  // Attributes. One that nothing reads is refused.
  bool has(const char* name) const;
  int64_t whole(const char* name, int64_t otherwise);
  double real(const char* name, double otherwise);
  std::string text(const char* name, const std::string& otherwise);
  Sizes wholes(const char* name);
  std::vector<double> reals(const char* name);
  std::vector<std::string> texts(const char* name);
  const Attribute* attribute(const char* name);
  // One that means nothing here.
  void ignore(const char* name) { read_.insert(name); }

  // Inputs.
  size_t count() const { return inputs_.size(); }
  bool given(size_t index) const { return index < given_.size() && given_[index]; }
  const ProgramValue& in(size_t index) const;
  // Those that must be known; `what`: "pads", for the message.
  at::Tensor known(size_t index, const char* what) const;
  double known_number(size_t index, const char* what) const;
  // Whole numbers that the operator is told as a tensor; the program may have to compute them.
  Wholes contents(size_t index, const char* what) const;
  Sizes known_wholes(size_t index, const char* what) const;
  // An attribute in older versions, an input in newer ones.
  Sizes axes(const char* name, size_t index, bool& present);
  // From 0; `rank` may be another than that of input 0.
  int64_t axis(int64_t given, int64_t rank) const;

  // Outputs. One that is not given is refused where something reads it.
  bool wanted(size_t index) const {
    return index < node.outputs.size() && !node.outputs[index].empty();
  }
  void give(const ProgramValue& value, size_t index = 0);
  // What has been given.
  const ProgramValue& result(size_t index = 0) const { return outputs_.at(index); }

  // Shorthands.
  ProgramValue emit(const std::string& target, const Arguments& arguments, const Sizes& sizes,
                    at::ScalarType dtype) {
    return build.emit(target, arguments, sizes, dtype);
  }
  // An operation of one tensor that keeps its sizes and type.
  ProgramValue same(const std::string& target, const ProgramValue& x, Arguments more = {});
  // An operation of two tensors.
  ProgramValue two(const std::string& target, const ProgramValue& one, const ProgramValue& other);
  ProgramValue add(const ProgramValue& one, const ProgramValue& other) {
    return two("add.Tensor", one, other);
  }
  ProgramValue multiply(const ProgramValue& one, const ProgramValue& other) {
    return two("mul.Tensor", one, other);
  }
  ProgramValue scaled(const ProgramValue& x, double factor);
  ProgramValue shifted(const ProgramValue& x, double by);
  ProgramValue reshaped(const ProgramValue& x, const Wholes& sizes);
  ProgramValue permuted(const ProgramValue& x, const Sizes& order);
  ProgramValue sliced(const ProgramValue& x, int64_t dim, const Whole& begin, const Whole& end);

 private:
  friend class Builder;

  void check_read() const;

  std::vector<ProgramValue> inputs_;
  std::vector<bool> given_;
  std::vector<ProgramValue> outputs_;
  std::vector<bool> has_output_;
  std::set<std::string> read_;
};

struct OperatorRow {
  const char* name;
  void (*build)(Operator& op);
  const char* class_name;  // of PyTorch's module that does the same; nullptr: "onnx.<name>"
  const char* domain = "";
};

// nullptr where there is none.
const OperatorRow* find_operator(const std::string& name, const std::string& domain = "");
const std::vector<OperatorRow>& operator_rows();

// elementwise.cpp
void unary(Operator& op);
void softsign(Operator& op);
void softplus(Operator& op);
void elu(Operator& op);
void selu(Operator& op);
void celu(Operator& op);
void leaky_relu(Operator& op);
void prelu(Operator& op);
void hard_sigmoid(Operator& op);
void thresholded_relu(Operator& op);
void shrink(Operator& op);
void clip(Operator& op);
void gelu(Operator& op);
void softmax(Operator& op);
void dropout(Operator& op);
void cast(Operator& op);
void identity(Operator& op);
// Of recurrent layers: an expression of "{x}". Parameters come one after the other for those that
// take any; `alpha` and `beta` count them.
std::string activation_expression(Operator& op, const std::string& name,
                                  const std::vector<double>& alphas,
                                  const std::vector<double>& betas, size_t& alpha, size_t& beta);

// arithmetic.cpp
void binary(Operator& op);
void variadic(Operator& op);
void power(Operator& op);
void modulus(Operator& op);
void comparison(Operator& op);
void where(Operator& op);

// linear.cpp
void gemm(Operator& op);
void matmul(Operator& op);
ProgramValue product_of_matrices(Operator& op, const ProgramValue& x, const ProgramValue& y);
void einsum(Operator& op);
void cumsum(Operator& op);
void trilu(Operator& op);

// normalisation.cpp
void batch_normalisation(Operator& op);
void instance_normalisation(Operator& op);
void layer_normalisation(Operator& op);
void group_normalisation(Operator& op);
void lp_normalisation(Operator& op);
void mean_variance_normalisation(Operator& op);

// window.cpp
void convolution(Operator& op);
void transposed_convolution(Operator& op);
void max_pool(Operator& op);
void average_pool(Operator& op);
void lp_pool(Operator& op);
void global_pool(Operator& op);

// resize.cpp
void resize(Operator& op);

// reduce.cpp
void reduce(Operator& op);
void arg_extreme(Operator& op);
void top_k(Operator& op);

// shape.cpp
void shape(Operator& op);
void size(Operator& op);
void reshape(Operator& op);
void flatten(Operator& op);
void squeeze(Operator& op);
void unsqueeze(Operator& op);
void transpose(Operator& op);
void expand(Operator& op);
void tile(Operator& op);
void constant(Operator& op);
void constant_of_shape(Operator& op);
void range(Operator& op);

// pieces.cpp
void concat(Operator& op);
void split(Operator& op);
void slice(Operator& op);
void pad(Operator& op);

// gather.cpp
void gather(Operator& op);
void gather_elements(Operator& op);
void gather_nd(Operator& op);
void one_hot(Operator& op);
void scatter_elements(Operator& op);
void reverse_sequence(Operator& op);
void depth_and_space(Operator& op);
void eye_like(Operator& op);
void dequantise(Operator& op);
void non_zero(Operator& op);
void scatter_nd(Operator& op);

// recurrent.cpp
void recurrent(Operator& op);

// fused.cpp
void fused_convolution(Operator& op);
void fused_gemm(Operator& op);
void fused_matmul(Operator& op);
void bias_gelu(Operator& op);
void quick_gelu(Operator& op);
void bias_softmax(Operator& op);
void skip_layer_normalisation(Operator& op);
void rms_normalisation(Operator& op);
void local_response_normalisation(Operator& op);

// loops.cpp
void loop(Operator& op);
void scan(Operator& op);

// operators.cpp
void condition(Operator& op);

}  // namespace onnx
}  // namespace seqlift
