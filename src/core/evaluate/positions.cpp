#include "core/evaluate/positions.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <sstream>

#include "core/evaluate/positions_through.h"
#include "core/halves/constants.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

namespace {

// Constants that are computed and small enough to be looked at; larger ones are not followed.
constexpr int64_t few_numbers = 64;

void write_constant(const at::Tensor& tensor, std::ostream& text) {
  const at::Tensor values = tensor.detach().to(at::kDouble).flatten();
  for (int64_t i = 0; i < values.numel(); ++i) {
    text << values[i].item<double>() << ",";
  }
}

bool in_words(const c10::IValue& value) {
  return value.isNone() || value.isInt() || value.isDouble() || value.isBool() ||
         value.isString() || value.isIntList() || value.isDoubleList() || value.isBoolList() ||
         value.isDevice();
}

}  // namespace

Positions positions_of(const at::Tensor& X) {
  Positions positions;
  for (int64_t d = 1; d < X.dim(); ++d) {
    if (X.size(d) > positions.length) {
      positions.axis = d;
      positions.length = X.size(d);
    }
  }
  return positions;
}

void PositionLog::given(const at::Tensor& tensor, const Positions& positions) {
  note(tensor, positions);
}

void PositionLog::copied(const at::Tensor& from, const at::Tensor& to) {
  if (const Positions* own = find(from)) {
    note(to, Positions(*own));
  }
}

void PositionLog::note(const at::Tensor& tensor, const Positions& positions) {
  known_.erase(tensor.unsafeGetTensorImpl());
  known_.emplace(
      tensor.unsafeGetTensorImpl(),
      Known{c10::weak_intrusive_ptr<c10::TensorImpl>(tensor.getIntrusivePtr()), positions});
}

const Positions* PositionLog::find(const at::Tensor& tensor) const {
  const auto known = known_.find(tensor.unsafeGetTensorImpl());
  return known == known_.end() || known->second.tensor.expired() ? nullptr
                                                                 : &known->second.positions;
}

PositionLog::Steps PositionLog::take() { return std::exchange(steps_, {}); }

void PositionLog::follow(const Call& call, const std::vector<Value>& outputs) {
  PositionInputs inputs;
  bool known = true;
  std::ostringstream constants;
  constants.precision(std::numeric_limits<double>::max_digits10);
  for (const Value& input : call.inputs) {
    visit_tensors(input.x, [&](const at::Tensor& tensor) {
      if (!tensor.defined()) {
        return;
      }
      const Positions* own = find(tensor);
      inputs.tensors.push_back(tensor);
      inputs.positions.push_back(own);
      known = known && (!own || own->followed());
      if (!own && !call.constants->keeps(tensor)) {
        if (tensor.numel() <= few_numbers && !tensor.is_complex()) {
          write_constant(tensor, constants);
        } else {
          known = false;
        }
      }
    });
  }
  std::vector<at::Tensor> results;
  for (const Value& output : outputs) {
    visit_tensors(output.x, [&](const at::Tensor& tensor) {
      if (tensor.defined()) {
        results.push_back(tensor);
      }
    });
  }
  if (!inputs.any() || results.empty()) {
    return;
  }
  std::string along;
  Followed positions;
  if (known && results.size() == 1 && !outputs[0].change()) {
    positions = through(call, inputs, results[0], along);
  }
  steps_.followed = steps_.followed && positions.has_value();
  std::ostringstream text;
  text.precision(std::numeric_limits<double>::max_digits10);
  text << call.name << " " << constants.str();
  if (positions) {
    text << positions->axis << "/" << positions->step << "/" << positions->before << "/"
         << positions->behind << along;
  }
  const bool sizes = call.row->along == Along::views || !along.empty();
  for (const Value& input : call.inputs) {
    if (!sizes && in_words(input.x)) {
      text << " " << input.x;
    }
  }
  steps_.text += text.str() + "\n";
  for (const at::Tensor& result : results) {
    note(result, positions.value_or(Positions()));
  }
}

}  // namespace seqlift
