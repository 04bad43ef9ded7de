// One operation of an exported program as lines of TorchScript: the general call in
// operations.cpp, what is written in another form in forms.cpp.
#pragma once

#include <ATen/core/function_schema.h>
#include <torch/version.h>

#include <string>
#include <vector>

#include "core/import/exported/operations.h"

namespace seqlift {

struct AtenTarget {
  std::string name;      // "conv1d"
  std::string overload;  // "" for the default
};

// Of "torch.ops.aten.conv1d.default"; an empty name for anything else.
AtenTarget aten_target(const std::string& target);
// Nothing where this LibTorch does not have it.
const c10::FunctionSchema* find_schema(const AtenTarget& target);

class OperationWriter {
 public:
  OperationWriter(const ExportedProgram& program, const ExportedNode& node, const ValueName& value)
      : program_(program), node_(node), value_(value) {}

  std::vector<std::string> write();

 private:
  using Kind = ExportedArgument::Kind;

  [[noreturn]] void refuse(const std::string& why) const;
  const ExportedArgument* find(const std::string& name) const;
  // The one that `name` stands for, or the one at this place where the file has no names.
  const ExportedArgument& input(const std::string& name, size_t place) const;
  std::string written(const std::string& name, size_t place) const;
  std::string result(size_t index) const;
  void give(size_t index, const std::string& expression);
  // An argument as TorchScript has it; `type` as this LibTorch wants it.
  std::string literal(const ExportedArgument& argument, const c10::Type* type) const;
  std::string list_literal(const ExportedArgument& argument, const c10::Type* type) const;
  // An argument that is named in the file by a name that this LibTorch does not use, or not at all,
  // is the one at its place.
  std::vector<const ExportedArgument*> by_schema(const c10::FunctionSchema& schema) const;
  void write_lines();
  std::string call(const std::string& name, const c10::FunctionSchema& schema);
  void assign(const std::string& name, const std::string& call, const c10::FunctionSchema& schema);
  // A model is explained as it predicts, and what depends on the mode is fixed by the export.
  void check_mode(const std::string& name) const;

  // Other forms (forms.cpp); false where the operation has none of that kind.

  // What torch.export checks of its own: the sizes and types that it took for granted.
  bool write_check() const;
  // Python's arithmetic on sizes.
  bool write_number();
  // Operations that are written as others, which older LibTorch has too and which have rules. Each
  // computes the same numbers.
  bool write_other_form();
  // One dimension after the other, from the last one, so that the places of the others stay.
  bool write_squeeze();
  // A comparison looks at a difference, and that to infinity is infinite.
  bool write_infinite();
  // softmax(q k' / sqrt(d) + mask) v, as PyTorch's documentation writes it.
  bool write_attention();
  // "view_copy" and its like: what the view shows, as a tensor of its own.
  bool write_view_copy(const AtenTarget& target);

  const ExportedProgram& program_;
  const ExportedNode& node_;
  const ValueName& value_;
  std::vector<std::string> lines_;
};

}  // namespace seqlift
