#include "core/model/trace_letters.h"

#include <algorithm>

namespace seqlift {

std::string without_trace_letters(const std::string& name) {
  constexpr size_t count = 24;
  if (name.size() <= count + 1 || name[name.size() - count - 1] != '_') {
    return name;
  }
  const bool letters = std::all_of(name.end() - count, name.end(),
                                   [](char letter) { return letter >= 'a' && letter <= 'z'; });
  return letters ? name.substr(0, name.size() - count - 1) : name;
}

}  // namespace seqlift
