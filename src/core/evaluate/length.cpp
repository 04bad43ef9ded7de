// Sequences that are too short for the model. A crop or an unpadded convolution then leaves no
// position, which is no error by itself, and what is averaged over none of them is NaN.

#include "core/base/error.h"
#include "core/evaluate/evaluation.h"
#include "core/numeric/shape_text.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

bool is_tensor(const c10::IValue& value) { return value.isTensor() && value.toTensor().defined(); }

bool is_empty(const c10::IValue& value) {
  return is_tensor(value) && value.toTensor().numel() == 0;
}

bool has_empty_input(const Call& call) {
  for (const Value& input : call.inputs) {
    if (is_empty(input.x)) {
      return true;
    }
  }
  return false;
}

// Sizes without the sequences.
std::string emptied_by(const Call& call) {
  for (const Value& input : call.inputs) {
    if (is_tensor(input.x) && input.x.toTensor().dim() > 1) {
      return call.where() + " leaves nothing of " + shape_text(input.x.toTensor()[0]) + ".";
    }
  }
  return call.where() + " leaves nothing.";
}

}  // namespace

void Evaluation::watch_length(const Call& call, const std::vector<Value>& outputs) {
  const bool of_nothing = has_empty_input(call);
  for (const Value& output : outputs) {
    if (is_empty(output.x) && !of_nothing) {
      emptied_ = emptied_by(call);
    }
    if (of_nothing && is_tensor(output.x) && at::isnan(output.x.toTensor()).any().item<bool>()) {
      refuse_length(call, "gives NaN");
    }
  }
}

void Evaluation::explain_failure(const Call& call, const std::string& why) const {
  if (has_empty_input(call)) {
    refuse_length(call, "fails");
  }
  // LibTorch's words for a kernel, and for a pooling window, that does not fit.
  for (const char* words : {"Kernel size can't be greater than actual input", "size is too small",
                            "Invalid computed output size"}) {
    if (why.find(words) != std::string::npos) {
      throw Error("length", "`X` is too short for the model. " + call.where() + " failed: " + why);
    }
  }
}

void Evaluation::refuse_length(const Call& call, const std::string& what) const {
  throw Error("length", "`X` is too short for the model. " + emptied_ +
                            (emptied_.empty() ? "" : " ") + call.where() + " " + what +
                            " without a position.");
}

}  // namespace seqlift
