// The one exception type of the core. `kind` is a word of the field of R's condition
// classes (seqlift_error_<kind>); the bindings translate it once, nothing else catches it.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace seqlift {

class Error : public std::runtime_error {
 public:
  Error(std::string kind, const std::string& message)
      : std::runtime_error(message), kind_(std::move(kind)) {}
  const std::string& kind() const { return kind_; }

 private:
  std::string kind_;
};

}  // namespace seqlift
