// Operations on tensors that compute: elementwise, over dimensions, and products.

#include "core/import/keras/operation.h"

namespace seqlift {
namespace keras {

using nlohmann::json;

// ---- elementwise ----------------------------------------------------------------------------

const std::map<std::string, Elementwise>& unary_operations() {
  static const std::map<std::string, Elementwise> known = {
      {"Negative", {"-@"}},
      {"Absolute", {"torch.abs(@)"}},
      {"Abs", {"torch.abs(@)"}},
      {"Square", {"@ * @"}},
      {"Sqrt", {"torch.sqrt(@)"}},
      {"Rsqrt", {"torch.rsqrt(@)"}},
      {"Reciprocal", {"torch.reciprocal(@)"}},
      {"Exp", {"torch.exp(@)"}},
      {"Expm1", {"torch.expm1(@)"}},
      {"Log", {"torch.log(@)"}},
      {"Log1p", {"torch.log1p(@)"}},
      {"Log2", {"torch.log(@) / 0.6931471805599453"}},
      {"Log10", {"torch.log(@) / 2.302585092994046"}},
      {"Sin", {"torch.sin(@)"}},
      {"Cos", {"torch.cos(@)"}},
      {"Tanh", {"torch.tanh(@)", "torch.nn.modules.activation.Tanh"}},
      {"Erf", {"torch.erf(@)"}},
      {"Sign", {"torch.sign(@)"}},
      {"Relu", {"torch.relu(@)", "torch.nn.modules.activation.ReLU"}},
      {"Relu6", {"torch.hardtanh(@, 0., 6.)", "torch.nn.modules.activation.ReLU6"}},
      {"Sigmoid", {"torch.sigmoid(@)", "torch.nn.modules.activation.Sigmoid"}},
      {"Softplus", {"torch.softplus(@, 1, 40)", "torch.nn.modules.activation.Softplus"}},
      {"Softsign", {"@ / (torch.abs(@) + 1)"}},
      {"Silu", {"torch.silu(@)", "torch.nn.modules.activation.SiLU"}},
      {"Selu", {"torch.selu(@)", "torch.nn.modules.activation.SELU"}},
      {"LogSigmoid", {"torch.log_sigmoid(@)", "torch.nn.modules.activation.LogSigmoid"}},
      {"HardSigmoid", {"torch.hardsigmoid(@)", "torch.nn.modules.activation.Hardsigmoid"}},
      {"HardSilu", {"torch.hardswish(@)", "torch.nn.modules.activation.Hardswish"}},
      {"Identity", {"@"}},
      {"StopGradient", {"@"}}};
  return known;
}

const std::map<std::string, const char*>& binary_operations() {
  static const std::map<std::string, const char*> known = {{"Add", "@ + %"},
                                                           {"Subtract", "@ - %"},
                                                           {"Multiply", "@ * %"},
                                                           {"Divide", "@ / %"},
                                                           {"TrueDivide", "@ / %"},
                                                           {"Power", "torch.pow(@, %)"},
                                                           {"Maximum", "torch.maximum(@, %)"},
                                                           {"Minimum", "torch.minimum(@, %)"},
                                                           {"Greater", "@ > %"},
                                                           {"GreaterEqual", "@ >= %"},
                                                           {"Less", "@ < %"},
                                                           {"LessEqual", "@ <= %"},
                                                           {"Equal", "@ == %"},
                                                           {"NotEqual", "@ != %"}};
  return known;
}

namespace {

std::string with_operands(const std::string& expression, const std::string& one,
                          const std::string& other) {
  std::string text;
  for (const char letter : expression) {
    text += letter == '@' ? one : letter == '%' ? other : std::string(1, letter);
  }
  return text;
}

}  // namespace

// As numpy broadcasts them.
Shape broadcast(const Operation& op, const Shape& one, const Shape& other) {
  Shape shape(std::max(one.size(), other.size()), 1);
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t a = i < one.size() ? one[one.size() - 1 - i] : 1;
    const int64_t b = i < other.size() ? other[other.size() - 1 - i] : 1;
    // A length that is not known is taken for the one that is, as it has to be.
    const bool open = a == -1 || b == -1;
    if (a != b && a != 1 && b != 1 && (!open || a == batch_size || b == batch_size)) {
      op.refuse("joins inputs of different shapes");
    }
    shape[shape.size() - 1 - i] = a == 1 ? b : b == 1 ? a : a == -1 ? b : a;
  }
  return shape;
}

Built binary(Operation& op) {
  Shape one;
  Shape other;
  const std::string first = op.operand("x1", one);
  const std::string second = op.operand("x2", other);
  const bool extreme = op.name() == "Maximum" || op.name() == "Minimum";
  if (one.empty() && other.empty()) {
    op.refuse("is called with numbers alone");
  }
  if (extreme && (one.empty() || other.empty())) {
    const bool least = op.name() == "Maximum";
    return op.give(one.empty() ? other : one,
                   std::string(least ? "torch.clamp_min(" : "torch.clamp_max(") +
                       (one.empty() ? second : first) + ", " + (one.empty() ? first : second) +
                       ")");
  }
  return op.give(broadcast(op, one, other),
                 with_operands(binary_operations().at(op.name()), first, second));
}

Built unary(Operation& op) {
  const int64_t x = op.input("x");
  const Elementwise& known = unary_operations().at(op.name());
  return op.give(op.shape(x), with_operands(known.expression, op.text(x), ""), known.class_name);
}

Built clip(Operation& op) {
  const int64_t x = op.input("x");
  if (!op.find("x_min") || !op.find("x_max")) {
    op.refuse("has no lower or no upper bound");
  }
  return op.give(op.shape(x), "torch.clamp(" + op.text(x) + ", " +
                                  source_number(op.number("x_min", 0)) + ", " +
                                  source_number(op.number("x_max", 0)) + ")");
}

Built gelu(Operation& op) {
  const int64_t x = op.input("x");
  const bool approximate = op.flag("approximate", true);
  return op.give(op.shape(x),
                 "torch.gelu(" + op.text(x) + (approximate ? ", approximate=\"tanh\")" : ")"),
                 "torch.nn.modules.activation.GELU");
}

Built leaky(Operation& op) {
  const int64_t x = op.input("x");
  const bool elu = op.name() != "LeakyRelu";
  const double slope = elu ? op.number("alpha", 1) : op.number("negative_slope", 0.2);
  return op.give(op.shape(x),
                 (elu ? op.name() == "Elu" ? "torch.elu(" : "torch.celu(" : "torch.leaky_relu(") +
                     op.text(x) + ", " + source_number(slope) + ")",
                 elu ? nullptr : "torch.nn.modules.activation.LeakyReLU");
}

Built softmax_operation(Operation& op) {
  const int64_t x = op.input("x");
  const int64_t rank = static_cast<int64_t>(op.shape(x).size());
  const int64_t axis = op.find("axis") ? op.one_axis("axis", rank) : rank - 1;
  const bool logarithm = op.name() == "LogSoftmax";
  return op.give(
      op.shape(x),
      std::string(logarithm ? "torch.log_softmax(" : "torch.softmax(") + op.text(x) + ", " +
          std::to_string(op.axis(axis, rank)) + ")",
      logarithm ? "torch.nn.modules.activation.LogSoftmax" : "torch.nn.modules.activation.Softmax");
}

Built where_operation(Operation& op) {
  const int64_t condition = op.input("condition");
  Shape one;
  Shape other;
  const std::string first = op.operand("x1", one);
  const std::string second = op.operand("x2", other);
  return op.give(broadcast(op, op.shape(condition), broadcast(op, one, other)),
                 "torch.where(" + op.text(condition) + ", " + first + ", " + second + ")");
}

// Between floating-point types; a condition becomes numbers.
Built cast_operation(Operation& op) {
  const int64_t x = op.input("x");
  const json* type = op.find("dtype");
  static const std::set<std::string> floats = {"float16", "bfloat16", "float32", "float64"};
  if (!type || !type->is_string() || floats.count(type->get<std::string>()) == 0) {
    op.refuse("turns its input into something else than floating-point numbers");
  }
  return op.give(op.shape(x), op.text(x) + " * 1.0");
}

// ---- reductions -----------------------------------------------------------------------------

Built reduction(Operation& op) {
  const int64_t x = op.input("x");
  const Shape& from = op.shape(x);
  const int64_t rank = static_cast<int64_t>(from.size());
  if (!op.find("axis")) {
    op.refuse("works along the dimension of the sequences, which is not supported");
  }
  std::vector<int64_t> axes;
  for (const int64_t one : op.wholes("axis")) {
    axes.push_back(op.axis(one, rank));
  }
  std::sort(axes.begin(), axes.end());
  if (axes.empty() || std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    op.refuse("has no dimensions, or one twice, as `axis`");
  }
  const bool keep = op.flag("keepdims", false);
  Shape shape;
  for (int64_t i = 0; i < rank; ++i) {
    const bool gone = std::binary_search(axes.begin(), axes.end(), i);
    if (!gone || keep) {
      shape.push_back(gone ? 1 : from[static_cast<size_t>(i)]);
    }
  }
  const std::string kept = keep ? "True" : "False";
  const std::string input = op.text(x);
  const std::string over = source_list(axes);
  static const std::map<std::string, const char*> functions = {
      {"Sum", "sum"},   {"Mean", "mean"}, {"Max", "amax"},           {"Min", "amin"},
      {"Amax", "amax"}, {"Amin", "amin"}, {"Logsumexp", "logsumexp"}};
  const auto plain = functions.find(op.name());
  if (plain != functions.end()) {
    return op.give(shape, "torch." + std::string(plain->second) + "(" + input + ", " + over + ", " +
                              kept + ")");
  }
  const bool condition = op.name() == "Any" || op.name() == "All";
  if (op.name() == "Prod" || condition) {
    const std::string function = op.name() == "Any" ? "any" : op.name() == "All" ? "all" : "prod";
    std::string expression = condition ? "(" + input + " != 0)" : input;
    for (auto one = axes.rbegin(); one != axes.rend(); ++one) {
      expression =
          "torch." + function + "(" + expression + ", " + std::to_string(*one) + ", " + kept + ")";
    }
    return op.give(shape, expression);
  }
  const std::string centred = "(" + input + " - torch.mean(" + input + ", " + over + ", True))";
  const std::string variance =
      "torch.mean(" + centred + " * " + centred + ", " + over + ", " + kept + ")";
  return op.give(shape, op.name() == "Std" ? "torch.sqrt(" + variance + ")" : variance);
}

// ---- products -------------------------------------------------------------------------------

Built matmul_operation(Operation& op) {
  const int64_t one = op.input("x1");
  const int64_t other = op.input("x2");
  Shape first = op.shape(one);
  Shape second = op.shape(other);
  const auto turned = [&](const char* name, int64_t input, Shape& shape) {
    if (!op.flag(name, false) || shape.size() < 2) {
      return op.text(input);
    }
    std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
    return "torch.transpose(" + op.text(input) + ", -1, -2)";
  };
  const std::string left = turned("transpose_a", one, first);
  const std::string right = turned("transpose_b", other, second);
  if (first.size() < 3 || second.size() < 3) {
    op.refuse("multiplies inputs of fewer than 3 dimensions, which is not supported");
  }
  const int64_t inner = first.back();
  const int64_t rows = second[second.size() - 2];
  if (inner >= 0 && rows >= 0 && inner != rows) {
    op.refuse("multiplies inputs of shapes that do not go together");
  }
  Shape shape =
      broadcast(op, Shape(first.begin(), first.end() - 2), Shape(second.begin(), second.end() - 2));
  shape.push_back(first[first.size() - 2]);
  shape.push_back(second.back());
  return op.give(shape, "torch.matmul(" + left + ", " + right + ")");
}

Built einsum_operation(Operation& op) {
  const json* given = op.find("subscripts");
  const auto inputs = op.inputs("operands");
  std::string text = given && given->is_string() ? given->get<std::string>() : "";
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  const size_t arrow = text.find("->");
  const bool plain = std::all_of(text.begin(), text.end(), [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || letter == ',' ||
           letter == '-' || letter == '>';
  });
  if (arrow == std::string::npos || !plain) {
    op.refuse("has subscripts that are not understood");
  }
  std::map<char, int64_t> sizes;
  std::string list;
  size_t at = 0;
  for (const int64_t input : inputs) {
    const size_t end = std::min(text.find(',', at), arrow);
    const std::string letters = text.substr(at, end - at);
    if (at > arrow || letters.size() != op.shape(input).size()) {
      op.refuse("has subscripts that do not fit its inputs");
    }
    for (size_t i = 0; i < letters.size(); ++i) {
      const int64_t size = op.shape(input)[i];
      const auto known = sizes.emplace(letters[i], size);
      if (!known.second && known.first->second != size && known.first->second != -1 && size != -1) {
        op.refuse("has subscripts that do not fit its inputs");
      }
      known.first->second = known.first->second == -1 ? size : known.first->second;
    }
    at = end + 1;
    list += (list.empty() ? "" : ", ") + op.text(input);
  }
  Shape shape;
  for (const char letter : text.substr(arrow + 2)) {
    if (sizes.count(letter) == 0) {
      op.refuse("has subscripts that do not fit its inputs");
    }
    shape.push_back(sizes[letter]);
  }
  return op.give(shape, "torch.einsum(\"" + text + "\", [" + list + "])");
}

}  // namespace keras
}  // namespace seqlift
