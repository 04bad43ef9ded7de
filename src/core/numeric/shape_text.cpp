#include "core/numeric/shape_text.h"

namespace seqlift {

std::string shape_text(const at::Tensor& tensor) {
  std::string text;
  for (const int64_t size : tensor.sizes()) {
    text += (text.empty() ? "" : " x ") + std::to_string(size);
  }
  return text.empty() ? "a single number" : text;
}

}  // namespace seqlift
