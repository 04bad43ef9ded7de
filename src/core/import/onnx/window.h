// What slides over the dimensions of an operator of ONNX, for convolutions and pooling.
#pragma once

#include <cstdint>
#include <string>

#include "core/import/onnx/operators.h"

namespace seqlift {
namespace onnx {

// What slides over the dimensions from the third on.
struct Window {
  int64_t dimensions = 0;
  Sizes kernel, stride, dilation;
  Wholes before, after;  // the padding
  bool ceil = false;

  int64_t span(size_t i) const { return (kernel[i] - 1) * dilation[i] + 1; }
  bool even() const {
    for (size_t i = 0; i < before.size(); ++i) {
      if (!before[i].known() || !after[i].known() || before[i].number != after[i].number) {
        return false;
      }
    }
    return true;
  }
  bool pads() const {
    for (size_t i = 0; i < before.size(); ++i) {
      if (!before[i].known() || !after[i].known() || before[i].number != 0 ||
          after[i].number != 0) {
        return true;
      }
    }
    return false;
  }
  Sizes padding() const {
    Sizes sizes;
    for (const Whole& one : before) {
      sizes.push_back(one.number);
    }
    return sizes;
  }
  std::string suffix() const { return std::to_string(dimensions) + "d"; }
};

Window read_window(Operator& op, const ProgramValue& x, const Sizes& kernel);
// What is known of the output's positions.
void slide(const Window& window, Sizes& sizes);
ProgramValue padded(Operator& op, const ProgramValue& x, const Window& window, double value);
void no_padding(Window& window);

}  // namespace onnx
}  // namespace seqlift
