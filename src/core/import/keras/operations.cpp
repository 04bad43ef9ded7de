// Operations on tensors that stand between layers in a functional model: those of keras.ops in
// Keras 3 (`x + y`, `x[:, 5:-5]`, `ops.mean(x, axis=1)`), and TensorFlow's in tf.keras, where each
// is a TFOpLambda. They are named as Keras 3 names them, and computed in Keras's order of
// dimensions, of which the first is that of the sequences. Keras: src/ops; tf.keras:
// layers/core/tf_op_layer.py.

#include "core/import/keras/operations.h"

#include "core/import/keras/operation.h"

namespace seqlift {
namespace keras {

using nlohmann::json;

namespace {

// ---- which there are ------------------------------------------------------------------------

struct KnownOperation {
  OperationBuilder build;
  std::vector<std::string> parameters;  // in their order
};

const std::map<std::string, KnownOperation>& known_operations() {
  static const std::map<std::string, KnownOperation> known = [] {
    std::map<std::string, KnownOperation> rows = {
        {"Clip", {clip, {"x", "x_min", "x_max"}}},
        {"Gelu", {gelu, {"x", "approximate"}}},
        {"LeakyRelu", {leaky, {"x", "negative_slope"}}},
        {"Elu", {leaky, {"x", "alpha"}}},
        {"Celu", {leaky, {"x", "alpha"}}},
        {"Softmax", {softmax_operation, {"x", "axis"}}},
        {"LogSoftmax", {softmax_operation, {"x", "axis"}}},
        {"Where", {where_operation, {"condition", "x1", "x2"}}},
        {"Cast", {cast_operation, {"x", "dtype"}}},
        {"Reshape", {reshape_operation, {"x", "newshape"}}},
        {"Transpose", {transpose_operation, {"x", "axes"}}},
        {"Swapaxes", {transpose_operation, {"x", "axis1", "axis2"}}},
        {"ExpandDims", {expand_operation, {"x", "axis"}}},
        {"Squeeze", {squeeze_operation, {"x", "axis"}}},
        {"Concatenate", {join_operation, {"xs", "axis"}}},
        {"Stack", {join_operation, {"xs", "axis"}}},
        {"Flip", {flip_operation, {"x", "axis"}}},
        {"Repeat", {repeat_operation, {"x", "repeats", "axis"}}},
        {"Tile", {tile_operation, {"x", "repeats"}}},
        {"Pad", {pad_operation, {"x", "pad_width", "mode", "constant_values"}}},
        {"GetItem", {item_operation, {"x", "key"}}},
        {"Split", {split_operation, {"x", "indices_or_sections", "axis"}}},
        {"Matmul", {matmul_operation, {"x1", "x2"}}},
        {"Einsum", {einsum_operation, {}}}};
    for (const auto& one : unary_operations()) {
      rows[one.first] = {unary, {"x"}};
    }
    for (const auto& one : binary_operations()) {
      rows[one.first] = {binary, {"x1", "x2"}};
    }
    for (const char* name :
         {"Sum", "Mean", "Max", "Min", "Amax", "Amin", "Prod", "Var", "Std", "Logsumexp"}) {
      rows[name] = {reduction, {"x", "axis", "keepdims"}};
    }
    for (const char* name : {"Any", "All"}) {
      rows[name] = {reduction, {"x", "axis", "keepdims"}};
    }
    return rows;
  }();
  return known;
}

// TensorFlow's names of them, without "compat.v1." and its like in front.
const std::map<std::string, std::string>& tensorflow_names() {
  static const std::map<std::string, std::string> names = {{"add", "Add"},
                                                           {"subtract", "Subtract"},
                                                           {"sub", "Subtract"},
                                                           {"multiply", "Multiply"},
                                                           {"mul", "Multiply"},
                                                           {"divide", "Divide"},
                                                           {"truediv", "TrueDivide"},
                                                           {"pow", "Power"},
                                                           {"maximum", "Maximum"},
                                                           {"minimum", "Minimum"},
                                                           {"greater", "Greater"},
                                                           {"greater_equal", "GreaterEqual"},
                                                           {"less", "Less"},
                                                           {"less_equal", "LessEqual"},
                                                           {"equal", "Equal"},
                                                           {"not_equal", "NotEqual"},
                                                           {"negative", "Negative"},
                                                           {"neg", "Negative"},
                                                           {"abs", "Absolute"},
                                                           {"square", "Square"},
                                                           {"sqrt", "Sqrt"},
                                                           {"rsqrt", "Rsqrt"},
                                                           {"reciprocal", "Reciprocal"},
                                                           {"exp", "Exp"},
                                                           {"expm1", "Expm1"},
                                                           {"log", "Log"},
                                                           {"log1p", "Log1p"},
                                                           {"sin", "Sin"},
                                                           {"cos", "Cos"},
                                                           {"tanh", "Tanh"},
                                                           {"erf", "Erf"},
                                                           {"sign", "Sign"},
                                                           {"relu", "Relu"},
                                                           {"relu6", "Relu6"},
                                                           {"sigmoid", "Sigmoid"},
                                                           {"softplus", "Softplus"},
                                                           {"softsign", "Softsign"},
                                                           {"silu", "Silu"},
                                                           {"swish", "Silu"},
                                                           {"selu", "Selu"},
                                                           {"elu", "Elu"},
                                                           {"log_sigmoid", "LogSigmoid"},
                                                           {"gelu", "Gelu"},
                                                           {"leaky_relu", "LeakyRelu"},
                                                           {"softmax", "Softmax"},
                                                           {"log_softmax", "LogSoftmax"},
                                                           {"clip_by_value", "Clip"},
                                                           {"where", "Where"},
                                                           {"cast", "Cast"},
                                                           {"reduce_sum", "Sum"},
                                                           {"reduce_mean", "Mean"},
                                                           {"reduce_max", "Max"},
                                                           {"reduce_min", "Min"},
                                                           {"reduce_prod", "Prod"},
                                                           {"reduce_variance", "Var"},
                                                           {"reduce_std", "Std"},
                                                           {"reduce_logsumexp", "Logsumexp"},
                                                           {"reshape", "Reshape"},
                                                           {"transpose", "Transpose"},
                                                           {"expand_dims", "ExpandDims"},
                                                           {"squeeze", "Squeeze"},
                                                           {"concat", "Concatenate"},
                                                           {"stack", "Stack"},
                                                           {"reverse", "Flip"},
                                                           {"repeat", "Repeat"},
                                                           {"tile", "Tile"},
                                                           {"pad", "Pad"},
                                                           {"getitem", "GetItem"},
                                                           {"split", "Split"},
                                                           {"matmul", "Matmul"},
                                                           {"einsum", "Einsum"},
                                                           {"identity", "Identity"},
                                                           {"stop_gradient", "StopGradient"}};
  return names;
}

// What TensorFlow calls the arguments.
std::string keras_argument(const std::string& operation, const std::string& name) {
  static const std::map<std::string, std::string> names = {{"y", "x2"},
                                                           {"perm", "axes"},
                                                           {"shape", "newshape"},
                                                           {"values", "xs"},
                                                           {"b", "x2"},
                                                           {"clip_value_min", "x_min"},
                                                           {"clip_value_max", "x_max"},
                                                           {"multiples", "repeats"},
                                                           {"paddings", "pad_width"},
                                                           {"slice_spec", "key"},
                                                           {"equation", "subscripts"},
                                                           {"inputs", "operands"},
                                                           {"reduction_indices", "axis"},
                                                           {"keep_dims", "keepdims"}};
  if (operation == "Where" && (name == "x" || name == "y")) {
    return name == "x" ? "x1" : "x2";
  }
  if (operation == "LeakyRelu" && name == "alpha") {
    return "negative_slope";
  }
  const auto found = names.find(name);
  return found == names.end() ? name : found->second;
}

}  // namespace

const char* const input_mark = "input of the call";

bool is_operation(const std::string& name) { return known_operations().count(name) > 0; }

std::string operation_of_tensorflow(const std::string& function) {
  const auto found = tensorflow_names().find(function.substr(function.rfind('.') + 1));
  return found == tensorflow_names().end() ? function : found->second;
}

json operation_arguments(const std::string& operation, const json& options, const json& positional,
                         const json& named, bool tensorflow) {
  json arguments = json::object();
  const auto known = known_operations().find(operation);
  if (known == known_operations().end() || !positional.is_array()) {
    return arguments;
  }
  const auto set = [&](const json& from) {
    if (!from.is_object()) {
      return;
    }
    for (const auto& one : from.items()) {
      arguments[tensorflow ? keras_argument(operation, one.key()) : one.key()] = one.value();
    }
  };
  if (!tensorflow) {
    set(options);
  }
  const auto& parameters = known->second.parameters;
  if (parameters.empty()) {
    // All that come are one.
    const bool list = positional.size() == 1 && positional[0].is_array();
    arguments["operands"] = list ? positional[0] : positional;
  }
  for (size_t i = 0; i < positional.size() && i < parameters.size(); ++i) {
    arguments[parameters[i]] = positional[i];
  }
  set(named);
  if (tensorflow && operation == "Gelu" && !arguments.contains("approximate")) {
    arguments["approximate"] = false;  // keras.ops has it the other way round
  }
  return arguments;
}

Built operation(LayerCall& call, const std::string& name, const json& arguments) {
  Operation op(call, name, arguments);
  Built built = known_operations().at(name).build(op);
  op.finish();
  return built;
}

}  // namespace keras
}  // namespace seqlift
