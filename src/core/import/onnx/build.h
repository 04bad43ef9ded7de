// The graph of an ONNX file as a program of LibTorch's operations (import/exported/program.h): what
// each operator becomes is in operators.h. Values carry what can be known of them before anything
// runs: sizes, constants, and the numbers of a shape, which are followed through the arithmetic
// that exporters write for them.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/import/exported/program.h"
#include "core/import/onnx/model.h"

namespace seqlift {
namespace onnx {

using Sizes = std::vector<int64_t>;  // -1 for one that is not known

// A whole number: known, or a value of the program.
struct Whole {
  int64_t number = 0;
  std::string value;

  Whole() = default;
  Whole(int64_t known) : number(known) {}
  bool known() const { return value.empty(); }
};
using Wholes = std::vector<Whole>;

struct Constant {
  at::Tensor tensor;
  bool parameter = false;  // made of weights, not a number of the computation
  std::string value;       // in the program, once something reads it
};

struct ProgramValue {
  std::string name;  // in the program; "" of one that is known or is `wholes`
  std::shared_ptr<Constant> constant;
  std::shared_ptr<const Wholes> wholes;  // of whole numbers in at most one dimension
  at::ScalarType dtype = at::kFloat;
  Sizes sizes;

  int64_t rank() const { return static_cast<int64_t>(sizes.size()); }
  bool is_float() const { return at::isFloatingType(dtype); }
};

// An argument of an operation.
struct Argument {
  enum class Kind { none, tensor, tensors, whole, wholes, number, boolean, text, dtype };
  Kind kind = Kind::none;
  std::vector<ProgramValue> tensors;
  Wholes wholes;
  double number = 0;
  std::string text;

  Argument() = default;
  Argument(const ProgramValue& value) : kind(Kind::tensor), tensors{value} {}
  Argument(const std::vector<ProgramValue>& values) : kind(Kind::tensors), tensors(values) {}
  Argument(const Whole& whole) : kind(Kind::whole), wholes{whole} {}
  Argument(int64_t whole) : kind(Kind::whole), wholes{Whole(whole)} {}
  Argument(int whole) : kind(Kind::whole), wholes{Whole(whole)} {}
  Argument(const Wholes& wholes) : kind(Kind::wholes), wholes(wholes) {}
  Argument(const Sizes& known) : kind(Kind::wholes), wholes(known.begin(), known.end()) {}
  Argument(double number) : kind(Kind::number), number(number) {}
  Argument(bool flag) : kind(Kind::boolean), number(flag ? 1 : 0) {}
  Argument(const char* text) : kind(Kind::text), text(text) {}
  Argument(at::ScalarType dtype) : kind(Kind::dtype), number(static_cast<double>(dtype)) {}
};
using Arguments = std::vector<std::pair<const char*, Argument>>;

struct Result {
  Sizes sizes;
  at::ScalarType dtype;
};

// Of both, as LibTorch and ONNX broadcast them.
Sizes broadcast(const Sizes& one, const Sizes& other);
// -1 where one is not known.
int64_t product_of(const Sizes& sizes, size_t begin = 0, size_t end = ~size_t{0});

class Builder {
 public:
  // `file`: its name, which operations say they are from.
  Builder(const Model& model, const std::string& file, size_t file_size);

  ExportedProgram build();
  // How the sequences lie in the input, as the sizes that the file declares tell: "NLC"; else "".
  const std::string& layout() const { return layout_; }

  // One operation: "relu", "add.Tensor". Computed here where all that it reads is known.
  ProgramValue emit(const std::string& target, const Arguments& arguments, const Sizes& sizes,
                    at::ScalarType dtype);
  // One that returns several tensors, or, with `list`, a list of tensors.
  std::vector<ProgramValue> emit(const std::string& target, const Arguments& arguments,
                                 const std::vector<Result>& results, bool list);
  // Lines of TorchScript; {0} stands for the first argument, {=0} for the first result.
  std::vector<ProgramValue> write(const std::vector<std::string>& lines,
                                  const std::vector<Argument>& arguments,
                                  const std::vector<Result>& results);

  ProgramValue constant(const at::Tensor& tensor, bool parameter = false);
  ProgramValue of_wholes(const Wholes& wholes, bool scalar, at::ScalarType dtype = at::kLong);
  // The tensor where it is known, else an undefined one.
  at::Tensor known(const ProgramValue& value) const;
  // The numbers of whole numbers in at most one dimension, where they can be followed; `reads`
  // lets the program read them from the tensor.
  std::shared_ptr<const Wholes> contents(const ProgramValue& value, bool reads = false);

  // The size of dimension `dim`, from 0.
  Whole size(const ProgramValue& value, int64_t dim);
  // All of them.
  Wholes sizes(const ProgramValue& value);
  // "add", "sub", "mul", "floordiv", "mod"; "max" and "min".
  Whole compute(const std::string& operation, const Whole& one, const Whole& other);

  // The number of sequences that the file is fixed to, else 0.
  int64_t fixed_batch() const { return fixed_batch_; }
  // One row, or that of a constant whose rows are all alike, for each sequence of that number, as
  // an operation that can be set free; another constant as it is.
  ProgramValue for_each_sequence(const ProgramValue& value);

  int64_t version(const std::string& domain) const;
  // A graph inside an operator, in the scope of that, of its `inputs`; its outputs.
  std::vector<ProgramValue> build_inner(const Graph& graph,
                                        const std::vector<ProgramValue>& inputs = {});

  [[noreturn]] void refuse(const Node& node, const std::string& why) const;

 private:
  friend class Operator;

  struct Scope {
    std::map<std::string, ProgramValue> values;
    std::map<std::string, std::string>
        withheld;  // outputs that are not computed, and whose they are
    bool sees_outer = true;
  };

  void add_inputs();
  void build_nodes(const std::vector<Node>& nodes, const std::vector<std::string>& outputs);
  void build_node(const Node& node);
  void call_function(const Function& function, const Node& node);
  const Function* find_function(const Node& node) const;
  const ProgramValue& look_up(const std::string& name) const;
  void name_value(const std::string& name, const ProgramValue& value);
  std::string path_of(const Node& node);
  std::string new_value() { return "value " + std::to_string(values_++); }
  ExportedArgument exported(const Argument& argument, const char* role);
  ExportedArgument tensor_argument(const ProgramValue& value, const char* role);
  void push(ExportedNode node);
  bool can_fold(const Arguments& arguments, const std::vector<Result>& results) const;
  ProgramValue folded(const at::Tensor& tensor, const Arguments& arguments);
  void check_size(const Sizes& sizes) const;

  const Model& model_;
  std::string layout_;
  std::string file_;
  ExportedProgram program_;
  std::vector<Scope> scopes_;
  std::vector<const std::map<std::string, int64_t>*> versions_;
  std::set<std::string> paths_;
  std::map<std::pair<std::string, int64_t>, Whole> known_sizes_;
  const Node* node_ = nullptr;
  std::string path_;  // of the module that the node is
  int64_t fixed_batch_ = 0;
  bool folds_ = true;
  int64_t number_ = 0;
  int64_t values_ = 0;
  int depth_ = 0;
  double room_;  // bytes that may be made of constants
};

}  // namespace onnx
}  // namespace seqlift
