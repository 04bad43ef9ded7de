#include "core/evaluate/dtype.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "core/base/error.h"
#include "core/halves/constants.h"
#include "core/halves/half_precision.h"
#include "core/model/operation.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

void cast(std::vector<c10::IValue>& stack, at::ScalarType from, at::ScalarType to) {
  for (c10::IValue& value : stack) {
    if (value.isTensor() && value.toTensor().defined() && value.toTensor().scalar_type() == from) {
      value = value.toTensor().to(to);
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> tensors = value.toTensorVector();
      for (at::Tensor& tensor : tensors) {
        tensor = tensor.scalar_type() == from ? tensor.to(to) : tensor;
      }
      value = tensors;
    }
  }
}

namespace {

// A float32 model asked for float64.
bool widens(const Constants& constants) {
  return constants.native() == at::kFloat && constants.compute() == at::kDouble;
}

bool is_real(const c10::IValue& value) { return value.isDouble(); }

// Whether an operation that is told no dtype makes numbers of LibTorch's default one.
bool makes_default(const Call& call) {
  return call.row->typing == Typing::default_type ||
         (call.row->typing == Typing::default_type_if_real &&
          std::any_of(call.inputs.begin(), call.inputs.end(),
                      [](const Value& input) { return is_real(input.x); }));
}

}  // namespace

void follow_dtype(Call& call, const Constants& constants) {
  const int position = call.find("dtype");
  if (position < 0) {
    return;
  }
  const c10::IValue given = call.inputs[position].x;
  const bool own =
      given.isInt() && is_converted(constants, static_cast<at::ScalarType>(given.toInt()));
  if (call.row->typing == Typing::of_bytes && given.isInt() &&
      constants.native() != constants.compute()) {
    throw Error("unsupported_operation",
                call.where() +
                    " reads the bytes of numbers as another type, which is another "
                    "thing in another `dtype` than the model's own.");
  }
  if (own || (given.isNone() && widens(constants) && makes_default(call))) {
    call.inputs[position] = Value();
    call.inputs[position].x = static_cast<int64_t>(constants.compute());
  }
}

namespace {

// The numbers of a list of lists, and its sizes; false where it holds other things.
bool collect(const c10::IValue& value, size_t depth, std::vector<double>& numbers,
             std::vector<int64_t>& sizes) {
  if (is_real(value)) {
    numbers.push_back(value.toDouble());
    return true;
  }
  if (!value.isList()) {
    return false;
  }
  const auto elements = value.toListRef();
  const auto count = static_cast<int64_t>(elements.size());
  if (sizes.size() <= depth) {
    sizes.push_back(count);
  }
  bool fine = sizes[depth] == count;
  for (const c10::IValue& element : elements) {
    fine = fine && collect(element, depth + 1, numbers, sizes);
  }
  return fine;
}

// torch.tensor(0.1, dtype = torch.float64): LibTorch itself goes through float32.
std::optional<at::Tensor> in_double(const c10::IValue& data) {
  std::vector<double> numbers;
  std::vector<int64_t> sizes;
  if (!collect(data, 0, numbers, sizes) || numbers.empty()) {
    return std::nullopt;
  }
  return at::tensor(numbers, at::TensorOptions(at::kDouble)).reshape(sizes);
}

bool has_dtype(const std::vector<c10::IValue>& values,
               const std::function<bool(at::ScalarType)>& is) {
  bool found = false;
  for (const c10::IValue& value : values) {
    if (value.isTensor() && value.toTensor().defined()) {
      found = found || is(value.toTensor().scalar_type());
    } else if (value.isTensorList()) {
      for (const at::Tensor& tensor : value.toTensorVector()) {
        found = found || is(tensor.scalar_type());
      }
    }
  }
  return found;
}

bool is_whole(at::ScalarType type) { return at::isIntegralType(type, true); }

}  // namespace

void keep_double(Call& call, const Constants& constants) {
  const bool widened = widens(constants);
  if (call.row->typing == Typing::of_data) {
    const int position = call.find("dtype");
    const c10::IValue given = position >= 0 ? call.inputs[position].x : c10::IValue();
    const bool wide =
        given.isInt() ? static_cast<at::ScalarType>(given.toInt()) == at::kDouble : widened;
    if (wide) {
      call.evaluate = [evaluate = call.evaluate,
                       device = constants.device()](std::vector<c10::IValue> stack) {
        const auto numbers = in_double(stack[0]);
        return numbers ? std::vector<c10::IValue>{numbers->to(device)} : evaluate(std::move(stack));
      };
      return;
    }
  }
  if (!widened) {
    return;
  }
  if (call.row->typing == Typing::single) {
    if (call.inputs[0].x.isTensor()) {
      call.evaluate = [](std::vector<c10::IValue> stack) {
        return std::vector<c10::IValue>{stack[0].toTensor().to(at::kDouble)};
      };
    }
    return;
  }
  // where(condition, 0.1, 0.2)
  if (call.row->typing == Typing::of_choice && call.inputs.size() == 3 &&
      (is_real(call.inputs[1].x) || is_real(call.inputs[2].x))) {
    call.evaluate = [](std::vector<c10::IValue> stack) {
      const auto wide = [](const c10::IValue& value) {
        return value.isTensor()
                   ? value.toTensor()
                   : at::scalar_tensor(value.toScalar(), at::TensorOptions(at::kDouble));
      };
      const at::Tensor condition = stack[0].toTensor();
      const auto there = [&](const at::Tensor& value) {
        return value.dim() == 0 ? value.to(condition.device(), at::kDouble) : value;
      };
      return std::vector<c10::IValue>{
          at::where(condition, there(wide(stack[1])), there(wide(stack[2])))};
    };
    return;
  }
  // Whole numbers become LibTorch's default type where they meet real ones: arange(n) / n.
  call.evaluate = [evaluate = call.evaluate](std::vector<c10::IValue> stack) {
    std::vector<c10::IValue> given = stack;
    std::vector<c10::IValue> results = evaluate(std::move(stack));
    if (!has_dtype(results, [](at::ScalarType type) { return type == at::kFloat; })) {
      return results;
    }
    if (has_dtype(given, is_whole)) {
      for (const at::ScalarType type : {at::kLong, at::kInt, at::kShort, at::kChar, at::kByte}) {
        cast(given, type, at::kDouble);
      }
      cast(given, at::kBool, at::kDouble);
      results = evaluate(std::move(given));
    }
    cast(results, at::kFloat, at::kDouble);
    return results;
  };
}

}  // namespace seqlift
