// The core's exception for whoever called it. `kind` is the end of the class of R's condition
// (seqlift_error_<kind>), which the bindings make; between them some add to it, or go another way.
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
