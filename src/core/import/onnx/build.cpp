#include "core/import/onnx/build.h"

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/import/exported/names.h"
#include "core/import/exported/operations.h"
#include "core/import/keras/build.h"
#include "core/import/onnx/fold.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

namespace {

// A tensor of more numbers is of no model, and one that is made of constants alone of no file.
constexpr int64_t most_numbers = int64_t{1} << 31;
constexpr int64_t most_folded = int64_t{1} << 22;
// Shapes have few numbers.
constexpr int64_t most_contents = 1 << 12;
constexpr int64_t most_read = 16;

bool all_known(const Wholes& wholes) {
  return std::all_of(wholes.begin(), wholes.end(), [](const Whole& one) { return one.known(); });
}

}  // namespace

Sizes broadcast(const Sizes& one, const Sizes& other) {
  Sizes sizes(std::max(one.size(), other.size()), 1);
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int64_t a = i < one.size() ? one[one.size() - 1 - i] : 1;
    const int64_t b = i < other.size() ? other[other.size() - 1 - i] : 1;
    int64_t& size = sizes[sizes.size() - 1 - i];
    size = a == 1 ? b : b == 1 ? a : std::max(a, b);
    if (a > 1 && b > 1 && a != b) {
      throw Error("model", "sizes " + std::to_string(a) + " and " + std::to_string(b) +
                               " of its inputs do not go together");
    }
  }
  return sizes;
}

int64_t product_of(const Sizes& sizes, size_t begin, size_t end) {
  int64_t product = 1;
  for (size_t i = begin; i < std::min(end, sizes.size()); ++i) {
    if (sizes[i] < 0) {
      return -1;
    }
    product = sizes[i] > 0 && product > std::numeric_limits<int64_t>::max() / sizes[i]
                  ? std::numeric_limits<int64_t>::max()
                  : product * sizes[i];
  }
  return product;
}

at::Tensor Builder::known(const ProgramValue& value) const {
  if (value.constant) {
    return value.constant->tensor;
  }
  if (!value.wholes || !all_known(*value.wholes)) {
    return {};
  }
  std::vector<int64_t> numbers;
  for (const Whole& one : *value.wholes) {
    numbers.push_back(one.number);
  }
  const at::Tensor tensor = at::tensor(numbers, at::TensorOptions(at::kLong)).to(value.dtype);
  return tensor.reshape(value.sizes);
}

ProgramValue Builder::constant(const at::Tensor& tensor, bool parameter) {
  ProgramValue value;
  value.constant = std::make_shared<Constant>();
  value.constant->tensor = tensor;
  value.constant->parameter = parameter;
  value.dtype = tensor.scalar_type();
  value.sizes = tensor.sizes().vec();
  return value;
}

ProgramValue Builder::of_wholes(const Wholes& wholes, bool scalar, at::ScalarType dtype) {
  ProgramValue value;
  value.wholes = std::make_shared<const Wholes>(wholes);
  value.dtype = dtype;
  if (!scalar) {
    value.sizes = {static_cast<int64_t>(wholes.size())};
  }
  const at::Tensor tensor = known(value);
  return tensor.defined() ? constant(tensor) : value;
}

std::shared_ptr<const Wholes> Builder::contents(const ProgramValue& value, bool reads) {
  if (value.wholes) {
    return value.wholes;
  }
  if (value.is_float() || value.rank() > 1) {
    return nullptr;
  }
  if (value.constant) {
    const at::Tensor numbers = value.constant->tensor.to(at::kLong).reshape({-1}).contiguous();
    if (numbers.numel() > most_contents) {
      return nullptr;
    }
    const int64_t* data = numbers.data_ptr<int64_t>();
    return std::make_shared<const Wholes>(data, data + numbers.numel());
  }
  const int64_t count = value.rank() == 0 ? 1 : value.sizes[0];
  if (!reads || count < 0 || count > most_read) {
    return nullptr;
  }
  Wholes wholes;
  for (int64_t i = 0; i < count; ++i) {
    Whole whole;
    whole.value = new_value();
    program_.numbers[whole.value] = "int";
    ExportedNode node;
    node.target = "seqlift.lines";
    node.lines = {value.rank() == 0
                      ? "{=0} = int({0})"
                      : "{=0} = int(torch.select({0}, 0, " + std::to_string(i) + "))"};
    node.inputs.emplace_back("x", tensor_argument(value, "x"));
    node.outputs = {whole.value};
    push(std::move(node));
    wholes.push_back(whole);
  }
  return std::make_shared<const Wholes>(wholes);
}

Whole Builder::size(const ProgramValue& value, int64_t dim) {
  const int64_t known = value.sizes[static_cast<size_t>(dim)];
  if (known >= 0) {
    return known;
  }
  const auto place = std::make_pair(value.name, dim);
  const auto found = known_sizes_.find(place);
  if (found != known_sizes_.end()) {
    return found->second;
  }
  Whole whole;
  whole.value = new_value();
  program_.numbers[whole.value] = "int";
  ExportedNode node;
  node.target = "torch.ops.aten.sym_size.int";
  node.inputs.emplace_back("self", tensor_argument(value, "x"));
  node.inputs.emplace_back("dim", exported(Argument(dim), "dim"));
  node.outputs = {whole.value};
  push(std::move(node));
  known_sizes_[place] = whole;
  return whole;
}

Wholes Builder::sizes(const ProgramValue& value) {
  Wholes wholes;
  for (int64_t i = 0; i < value.rank(); ++i) {
    wholes.push_back(size(value, i));
  }
  return wholes;
}

Whole Builder::compute(const std::string& operation, const Whole& one, const Whole& other) {
  if (one.known() && other.known()) {
    const int64_t a = one.number;
    const int64_t b = other.number;
    int64_t result = 0;
    bool fits = true;
    if (operation == "add") {
      fits = !__builtin_add_overflow(a, b, &result);
    } else if (operation == "sub") {
      fits = !__builtin_sub_overflow(a, b, &result);
    } else if (operation == "mul") {
      fits = !__builtin_mul_overflow(a, b, &result);
    } else if (operation == "max") {
      result = std::max(a, b);
    } else if (operation == "min") {
      result = std::min(a, b);
    } else {
      fits = b != 0 && b != -1;
      if (fits) {
        const int64_t quotient = a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
        result = operation == "floordiv" ? quotient : a - quotient * b;
      } else if (b == -1) {
        fits = a != std::numeric_limits<int64_t>::min();
        result = operation == "floordiv" && fits ? -a : 0;
      }
    }
    if (!fits) {
      throw Error("model", "whole numbers are divided by zero or go beyond 64 bits");
    }
    return result;
  }
  const bool nothing =
      other.known() && ((other.number == 0 && (operation == "add" || operation == "sub")) ||
                        (other.number == 1 && (operation == "mul" || operation == "floordiv")));
  if (nothing) {
    return one;
  }
  if (one.known() &&
      ((one.number == 0 && operation == "add") || (one.number == 1 && operation == "mul"))) {
    return other;
  }
  if (!one.known() && one.value == other.value && (operation == "max" || operation == "min")) {
    return one;
  }
  Whole whole;
  whole.value = new_value();
  program_.numbers[whole.value] = "int";
  ExportedNode node;
  const bool extreme = operation == "max" || operation == "min";
  node.target = extreme ? "torch.sym_" + operation : "_operator." + operation;
  node.inputs.emplace_back("a", exported(Argument(one), "a"));
  node.inputs.emplace_back("b", exported(Argument(other), "b"));
  node.outputs = {whole.value};
  push(std::move(node));
  return whole;
}

// What is not known may be 1.
void Builder::check_size(const Sizes& sizes) const {
  Sizes least = sizes;
  std::replace(least.begin(), least.end(), int64_t{-1}, int64_t{1});
  const int64_t count = product_of(least);
  if (count > most_numbers) {
    throw Error("model", "it would make a tensor of " + std::to_string(count) + " numbers");
  }
}

bool Builder::can_fold(const Arguments& arguments, const std::vector<Result>& results) const {
  if (!folds_) {
    return false;
  }
  double read = 0;
  for (const auto& [name, argument] : arguments) {
    for (const ProgramValue& one : argument.tensors) {
      const at::Tensor tensor = known(one);
      if (!tensor.defined()) {
        return false;
      }
      read += static_cast<double>(tensor.numel());
    }
    if (!all_known(argument.wholes)) {
      return false;
    }
  }
  double made = 0;
  for (const Result& result : results) {
    const int64_t count = product_of(result.sizes);
    made += static_cast<double>(count < 0 ? most_folded : count);
  }
  return made <= std::max(static_cast<double>(most_folded), 4 * read) && 8 * made <= room_;
}

ProgramValue Builder::folded(const at::Tensor& tensor, const Arguments& arguments) {
  bool parameter = false;
  for (const auto& one : arguments) {
    for (const ProgramValue& value : one.second.tensors) {
      parameter = parameter || (value.constant && value.constant->parameter);
    }
  }
  room_ -= static_cast<double>(tensor.nbytes());
  return constant(tensor, parameter);
}

std::vector<ProgramValue> Builder::emit(const std::string& target, const Arguments& arguments,
                                        const std::vector<Result>& results, bool list) {
  for (const Result& result : results) {
    check_size(result.sizes);
  }
  std::vector<ProgramValue> values;
  if (can_fold(arguments, results)) {
    const auto tensors =
        run_operation(target, arguments, [&](const ProgramValue& value) { return known(value); });
    for (const at::Tensor& tensor : tensors) {
      values.push_back(folded(tensor, arguments));
    }
    if (values.size() == results.size()) {
      return values;
    }
    throw Error("model", "it has another number of outputs than the file says");
  }
  ExportedNode node;
  const bool overload = target.find('.') != std::string::npos;
  node.target = "torch.ops.aten." + target + (overload ? "" : ".default");
  for (const auto& [name, argument] : arguments) {
    const bool self = std::string(name) == "self" || std::string(name) == "other";
    node.inputs.emplace_back(name, exported(argument, self ? "constant" : name));
  }
  for (const Result& result : results) {
    ProgramValue value;
    value.name = new_value();
    value.dtype = result.dtype;
    value.sizes = result.sizes;
    program_.sizes[value.name] = value.sizes;
    node.outputs.push_back(value.name);
    values.push_back(value);
  }
  node.returns_list = list;
  push(std::move(node));
  return values;
}

ProgramValue Builder::emit(const std::string& target, const Arguments& arguments,
                           const Sizes& sizes, at::ScalarType dtype) {
  return emit(target, arguments, {{sizes, dtype}}, false)[0];
}

std::vector<ProgramValue> Builder::write(const std::vector<std::string>& lines,
                                         const std::vector<Argument>& arguments,
                                         const std::vector<Result>& results) {
  ExportedNode node;
  node.target = "seqlift.lines";
  node.lines = lines;
  for (const Argument& argument : arguments) {
    node.inputs.emplace_back("input", exported(argument, "weight"));
  }
  std::vector<ProgramValue> values;
  for (const Result& result : results) {
    check_size(result.sizes);
    ProgramValue value;
    value.name = new_value();
    value.dtype = result.dtype;
    value.sizes = result.sizes;
    program_.sizes[value.name] = value.sizes;
    node.outputs.push_back(value.name);
    values.push_back(value);
  }
  push(std::move(node));
  return values;
}

ProgramValue Builder::for_each_sequence(const ProgramValue& value) {
  if (fixed_batch_ == 0 || !value.constant || value.rank() < 2 || value.sizes[0] != fixed_batch_) {
    return value;
  }
  const at::Tensor row = value.constant->tensor.narrow(0, 0, 1);
  if (!at::equal(row.expand_as(value.constant->tensor), value.constant->tensor)) {
    return value;
  }
  const ProgramValue one = constant(row.contiguous(), value.constant->parameter);
  folds_ = false;
  const ProgramValue all =
      emit("expand", {{"self", one}, {"size", value.sizes}}, value.sizes, value.dtype);
  folds_ = true;
  return all;
}

}  // namespace onnx
}  // namespace seqlift
