#include "core/import/onnx/operators.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "core/base/error.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

namespace {

// The domain of the operators that onnxruntime makes of others.
constexpr const char* onnxruntime = "com.microsoft";

// One row an operator.
// clang-format off
std::vector<OperatorRow> make_rows() {
  std::vector<OperatorRow> rows{
      {"Conv", convolution, nullptr},  // the class goes by the number of dimensions
      {"ConvTranspose", transposed_convolution, nullptr},
      {"Gemm", gemm, nullptr},
      {"MatMul", matmul, nullptr},
      {"Einsum", einsum, nullptr},
      {"BatchNormalization", batch_normalisation, nullptr},
      {"InstanceNormalization", instance_normalisation, nullptr},
      {"LayerNormalization", layer_normalisation, "torch.nn.modules.normalization.LayerNorm"},
      {"GroupNormalization", group_normalisation, "torch.nn.modules.normalization.GroupNorm"},
      {"LpNormalization", lp_normalisation, nullptr},
      {"MeanVarianceNormalization", mean_variance_normalisation, nullptr},
      {"MaxPool", max_pool, nullptr},
      {"AveragePool", average_pool, nullptr},
      {"LpPool", lp_pool, nullptr},
      {"GlobalAveragePool", global_pool, nullptr},
      {"GlobalMaxPool", global_pool, nullptr},
      {"GlobalLpPool", global_pool, nullptr},
      {"Softsign", softsign, nullptr},
      {"Softplus", softplus, "torch.nn.modules.activation.Softplus"},
      {"Elu", elu, "torch.nn.modules.activation.ELU"},
      {"Selu", selu, "torch.nn.modules.activation.SELU"},
      {"Celu", celu, "torch.nn.modules.activation.CELU"},
      {"LeakyRelu", leaky_relu, "torch.nn.modules.activation.LeakyReLU"},
      {"PRelu", prelu, "torch.nn.modules.activation.PReLU"},
      {"HardSigmoid", hard_sigmoid, "torch.nn.modules.activation.Hardsigmoid"},
      {"ThresholdedRelu", thresholded_relu, "torch.nn.modules.activation.Threshold"},
      {"Shrink", shrink, nullptr},
      {"Clip", clip, nullptr},
      {"Gelu", gelu, "torch.nn.modules.activation.GELU"},
      {"Softmax", softmax, "torch.nn.modules.activation.Softmax"},
      {"LogSoftmax", softmax, "torch.nn.modules.activation.LogSoftmax"},
      {"Dropout", dropout, nullptr},
      {"Identity", identity, nullptr},
      {"Cast", cast, nullptr},
      {"CastLike", cast, nullptr},
      {"Pow", power, nullptr},
      {"Mod", modulus, nullptr},
      {"Where", where, nullptr},
      {"CumSum", cumsum, nullptr},
      {"Trilu", trilu, nullptr},
      {"Resize", resize, "torch.nn.modules.upsampling.Upsample"},
      {"Upsample", resize, "torch.nn.modules.upsampling.Upsample"},
      {"ArgMax", arg_extreme, nullptr},
      {"ArgMin", arg_extreme, nullptr},
      {"TopK", top_k, nullptr},
      {"Shape", shape, nullptr},
      {"Size", size, nullptr},
      {"Reshape", reshape, nullptr},
      {"Flatten", flatten, nullptr},
      {"Squeeze", squeeze, nullptr},
      {"Unsqueeze", unsqueeze, nullptr},
      {"Transpose", transpose, nullptr},
      {"Expand", expand, nullptr},
      {"Tile", tile, nullptr},
      {"Constant", constant, nullptr},
      {"ConstantOfShape", constant_of_shape, nullptr},
      {"Range", range, nullptr},
      {"Concat", concat, nullptr},
      {"Split", split, nullptr},
      {"Slice", slice, nullptr},
      {"Pad", pad, nullptr},
      {"Gather", gather, nullptr},
      {"GatherElements", gather_elements, nullptr},
      {"GatherND", gather_nd, nullptr},
      {"OneHot", one_hot, nullptr},
      {"ScatterElements", scatter_elements, nullptr},
      {"ScatterND", scatter_nd, nullptr},
      {"Scatter", scatter_elements, nullptr},  // its name before version 11
      {"ReverseSequence", reverse_sequence, nullptr},
      {"DepthToSpace", depth_and_space, nullptr},
      {"SpaceToDepth", depth_and_space, nullptr},
      {"EyeLike", eye_like, nullptr},
      {"NonZero", non_zero, nullptr},
      {"DequantizeLinear", dequantise, nullptr},
      {"LSTM", recurrent, "torch.nn.modules.rnn.LSTM"},
      {"GRU", recurrent, "torch.nn.modules.rnn.GRU"},
      {"RNN", recurrent, "torch.nn.modules.rnn.RNN"},
      {"If", condition, nullptr},
      {"Loop", loop, nullptr},
      {"Scan", scan, nullptr},
      {"LRN", local_response_normalisation, "torch.nn.modules.normalization.LocalResponseNorm"},
      {"RMSNormalization", rms_normalisation, nullptr},
      // onnxruntime's: some of them are of no domain.
      {"SimplifiedLayerNormalization", rms_normalisation, nullptr},
      {"FusedConv", fused_convolution, nullptr, onnxruntime},
      {"FusedGemm", fused_gemm, nullptr, onnxruntime},
      {"FusedMatMul", fused_matmul, nullptr, onnxruntime},
      {"TransposeMatMul", fused_matmul, nullptr, onnxruntime},
      {"Gelu", gelu, "torch.nn.modules.activation.GELU", onnxruntime},
      {"BiasGelu", bias_gelu, nullptr, onnxruntime},
      {"FastGelu", bias_gelu, nullptr, onnxruntime},
      {"QuickGelu", quick_gelu, nullptr, onnxruntime},
      {"BiasSoftmax", bias_softmax, nullptr, onnxruntime},
      {"LayerNormalization", layer_normalisation, "torch.nn.modules.normalization.LayerNorm",
       onnxruntime},
      {"SimplifiedLayerNormalization", rms_normalisation, nullptr, onnxruntime},
      {"SkipLayerNormalization", skip_layer_normalisation, nullptr, onnxruntime},
      {"SkipSimplifiedLayerNormalization", skip_layer_normalisation, nullptr, onnxruntime}};
  const auto add = [&](void (*build)(Operator&), const std::vector<const char*>& names) {
    for (const char* name : names) {
      rows.push_back({name, build, nullptr});
    }
  };
  rows.push_back({"Relu", unary, "torch.nn.modules.activation.ReLU"});
  rows.push_back({"Sigmoid", unary, "torch.nn.modules.activation.Sigmoid"});
  rows.push_back({"Tanh", unary, "torch.nn.modules.activation.Tanh"});
  rows.push_back({"Mish", unary, "torch.nn.modules.activation.Mish"});
  rows.push_back({"HardSwish", unary, "torch.nn.modules.activation.Hardswish"});
  add(unary, {"Abs", "Neg", "Exp", "Log", "Sqrt", "Reciprocal", "Erf", "Floor", "Ceil", "Round",
              "Sign", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh",
              "Atanh", "Not", "IsNaN"});
  add(binary, {"Add", "Sub", "Mul", "Div", "And", "Or", "Xor"});
  add(variadic, {"Max", "Min", "Sum", "Mean"});
  add(comparison, {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"});
  add(reduce, {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1",
               "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"});
  return rows;
}
// clang-format on

}  // namespace

const std::vector<OperatorRow>& operator_rows() {
  static const std::vector<OperatorRow> rows = make_rows();
  return rows;
}

const OperatorRow* find_operator(const std::string& name, const std::string& domain) {
  static const auto index = [] {
    std::unordered_map<std::string, const OperatorRow*> rows;
    for (const OperatorRow& row : operator_rows()) {
      rows[std::string(row.domain) + ":" + row.name] = &row;
    }
    return rows;
  }();
  const auto found = index.find(domain + ":" + name);
  return found == index.end() ? nullptr : found->second;
}

bool Operator::has(const char* name) const {
  return std::any_of(node.attributes.begin(), node.attributes.end(),
                     [&](const Attribute& one) { return one.name == name; });
}

const Attribute* Operator::attribute(const char* name) {
  read_.insert(name);
  for (const Attribute& one : node.attributes) {
    if (one.name == name) {
      return &one;
    }
  }
  return nullptr;
}

namespace {

const Attribute* of_type(const Operator& op, const Attribute* attribute, Attribute::Type type) {
  if (attribute && attribute->type != type) {
    op.refuse("has an attribute `" + printable(attribute->name) + "` of another type than it has");
  }
  return attribute;
}

}  // namespace

int64_t Operator::whole(const char* name, int64_t otherwise) {
  const Attribute* found = of_type(*this, attribute(name), Attribute::Type::whole);
  return found ? found->whole : otherwise;
}

double Operator::real(const char* name, double otherwise) {
  const Attribute* found = of_type(*this, attribute(name), Attribute::Type::real);
  return found ? found->number : otherwise;
}

std::string Operator::text(const char* name, const std::string& otherwise) {
  const Attribute* found = of_type(*this, attribute(name), Attribute::Type::text);
  return found ? found->text : otherwise;
}

Sizes Operator::wholes(const char* name) {
  const Attribute* found = of_type(*this, attribute(name), Attribute::Type::wholes);
  return found ? found->wholes : Sizes();
}

std::vector<double> Operator::reals(const char* name) {
  const Attribute* found = of_type(*this, attribute(name), Attribute::Type::reals);
  return found ? found->reals : std::vector<double>();
}

std::vector<std::string> Operator::texts(const char* name) {
  const Attribute* found = of_type(*this, attribute(name), Attribute::Type::texts);
  return found ? found->texts : std::vector<std::string>();
}

void Operator::check_read() const {
  for (const Attribute& one : node.attributes) {
    if (read_.count(one.name) == 0) {
      refuse("has an attribute `" + printable(one.name) + "`, which is not known here");
    }
  }
}

const ProgramValue& Operator::in(size_t index) const {
  if (!given(index)) {
    refuse("has no input " + std::to_string(index + 1));
  }
  return inputs_[index];
}

at::Tensor Operator::known(size_t index, const char* what) const {
  const at::Tensor tensor = build.known(in(index));
  if (!tensor.defined()) {
    refuse(std::string("has ") + what + " that are computed from the sequences, or while the " +
           "model runs, which is not supported");
  }
  return tensor;
}

double Operator::known_number(size_t index, const char* what) const {
  const at::Tensor tensor = known(index, what);
  if (tensor.numel() != 1) {
    refuse(std::string("has ") + std::to_string(tensor.numel()) + " numbers as " + what);
  }
  return tensor.to(at::kDouble).item<double>();
}

Wholes Operator::contents(size_t index, const char* what) const {
  const auto found = build.contents(in(index), true);
  if (!found) {
    refuse(std::string("has ") + what + " that cannot be told");
  }
  return *found;
}

Sizes Operator::known_wholes(size_t index, const char* what) const {
  const at::Tensor tensor = known(index, what).to(at::kLong).reshape({-1}).contiguous();
  const int64_t* data = tensor.data_ptr<int64_t>();
  return Sizes(data, data + tensor.numel());
}

Sizes Operator::axes(const char* name, size_t index, bool& present) {
  present = given(index) || has(name);
  return given(index) ? known_wholes(index, name) : wholes(name);
}

int64_t Operator::axis(int64_t given, int64_t rank) const {
  if (given < -rank || given >= rank) {
    refuse("has the axis " + std::to_string(given) + " of " + std::to_string(rank) + " dimensions");
  }
  return given < 0 ? given + rank : given;
}

void Operator::give(const ProgramValue& value, size_t index) {
  if (index < outputs_.size()) {
    outputs_[index] = value;
    has_output_[index] = true;
  }
}

ProgramValue Operator::same(const std::string& target, const ProgramValue& x, Arguments more) {
  more.insert(more.begin(), {"self", x});
  return emit(target, more, x.sizes, x.dtype);
}

ProgramValue Operator::two(const std::string& target, const ProgramValue& one,
                           const ProgramValue& other) {
  return emit(target, {{"self", one}, {"other", other}}, broadcast(one.sizes, other.sizes),
              one.dtype);
}

ProgramValue Operator::scaled(const ProgramValue& x, double factor) {
  return factor == 1 ? x : same("mul.Scalar", x, {{"other", factor}});
}

ProgramValue Operator::shifted(const ProgramValue& x, double by) {
  return by == 0 ? x : same("add.Scalar", x, {{"other", by}});
}

ProgramValue Operator::reshaped(const ProgramValue& x, const Wholes& sizes) {
  Sizes known;
  int64_t open = -1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    known.push_back(sizes[i].known() ? sizes[i].number : -1);
    open = sizes[i].known() && sizes[i].number == -1 ? static_cast<int64_t>(i) : open;
  }
  // What is left for -1, where all else is known, or is a size of the input in the same place: that
  // of the batch, mostly.
  const int64_t total = product_of(x.sizes);
  if (open >= 0 && total >= 0) {
    Sizes others = known;
    others[static_cast<size_t>(open)] = 1;
    const int64_t rest = product_of(others);
    if (rest > 0) {
      known[static_cast<size_t>(open)] = total % rest == 0 ? total / rest : -1;
    }
  }
  if (open > 0 && total < 0 && x.rank() > 0 && x.sizes[0] < 0 && !sizes[0].known() &&
      sizes[0].value == build.size(x, 0).value) {
    const int64_t row = product_of(x.sizes, 1);
    Sizes others(known.begin() + 1, known.end());
    others[static_cast<size_t>(open) - 1] = 1;
    const int64_t rest = product_of(others);
    if (row > 0 && rest > 0 && row % rest == 0) {
      known[static_cast<size_t>(open)] = row / rest;
    }
  }
  return emit("reshape", {{"self", x}, {"shape", sizes}}, known, x.dtype);
}

ProgramValue Operator::permuted(const ProgramValue& x, const Sizes& order) {
  Sizes sizes;
  bool moves = false;
  for (size_t i = 0; i < order.size(); ++i) {
    sizes.push_back(x.sizes[static_cast<size_t>(order[i])]);
    moves = moves || order[i] != static_cast<int64_t>(i);
  }
  return moves ? emit("permute", {{"self", x}, {"dims", order}}, sizes, x.dtype) : x;
}

ProgramValue Operator::sliced(const ProgramValue& x, int64_t dim, const Whole& begin,
                              const Whole& end) {
  Sizes sizes = x.sizes;
  int64_t& size = sizes[static_cast<size_t>(dim)];
  if (size >= 0 && begin.known() && end.known()) {
    const auto place = [&](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
    };
    size = std::max<int64_t>(place(end.number) - place(begin.number), 0);
  } else {
    size = -1;
  }
  return emit("slice.Tensor",
              {{"self", x}, {"dim", dim}, {"start", begin}, {"end", end}, {"step", 1}}, sizes,
              x.dtype);
}

// The branch that is taken, where that is known.
void condition(Operator& op) {
  const Attribute* then_branch = op.attribute("then_branch");
  const Attribute* else_branch = op.attribute("else_branch");
  const at::Tensor known = op.build.known(op.in(0));
  if (!known.defined() || known.numel() != 1) {
    op.refuse("has a condition that is only known while the model runs, which is not supported");
  }
  const Attribute* branch = known.to(at::kBool).item<bool>() ? then_branch : else_branch;
  if (!branch || !branch->graph) {
    op.refuse("has no graph for the branch that its condition chooses");
  }
  const auto outputs = op.build.build_inner(*branch->graph);
  for (size_t i = 0; i < outputs.size(); ++i) {
    op.give(outputs[i], i);
  }
}

}  // namespace onnx
}  // namespace seqlift
