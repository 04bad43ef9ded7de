// What is true of an operation beside its kind and its rule.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "core/model/operation_table.h"

namespace seqlift {

// The rows of a table by their names. Errors: kind "internal" for a name that stands in the table
// twice, or not at all: a list of names that says something of no row says nothing.
class RowsByName {
 public:
  explicit RowsByName(std::vector<Operation>& rows);
  Operation& at(const char* name) const;

 private:
  std::unordered_map<std::string, Operation*> rows_;
};

void set_properties(std::vector<Operation>& rows);

}  // namespace seqlift
