// Operations of exported programs that are not written as they stand there.
#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "core/base/error.h"
#include "core/import/exported/writer.h"

namespace seqlift {

bool OperationWriter::write_check() const {
  static const std::unordered_set<std::string> checks = {"_assert_tensor_metadata",
                                                         "_assert_scalar",
                                                         "_assert_async",
                                                         "_functional_assert_async",
                                                         "_functional_assert_scalar",
                                                         "sym_constrain_range",
                                                         "sym_constrain_range_for_size"};
  return checks.count(aten_target(node_.target).name) > 0;
}

bool OperationWriter::write_number() {
  static const std::unordered_map<std::string, std::string> operators = {
      {"add", "+"}, {"sub", "-"},  {"mul", "*"}, {"floordiv", "//"}, {"truediv", "/"},
      {"mod", "%"}, {"pow", "**"}, {"eq", "=="}, {"ne", "!="},       {"lt", "<"},
      {"le", "<="}, {"gt", ">"},   {"ge", ">="}, {"and_", "and"},    {"or_", "or"}};
  static const std::unordered_map<std::string, std::string> functions = {
      {"_operator.neg", "-"},    {"math.ceil", "torch.ceil"},  {"math.floor", "torch.floor"},
      {"math.trunc", "int"},     {"torch.sym_float", "float"}, {"torch.sym_int", "int"},
      {"torch.sym_not", "not "}, {"torch.sym_max", "max"},     {"torch.sym_min", "min"}};
  const std::string& target = node_.target;
  if (target == "seqlift.same") {
    give(0, written("value", 0));
    return true;
  }
  if (target == "torch.ops.aten.sym_size.int" || target == "torch.ops.aten.sym_stride.int") {
    const bool size = target.find("size") != std::string::npos;
    give(0, std::string(size ? "torch.size(" : "torch.stride(") + written("self", 0) +
                (size ? ", " : ")[") + written("dim", 1) + (size ? ")" : "]"));
    return true;
  }
  if (target == "torch.ops.aten.sym_numel.default") {
    give(0, "torch.numel(" + written("self", 0) + ")");
    return true;
  }
  const auto function = functions.find(target);
  if (function != functions.end()) {
    const bool two = function->second == "max" || function->second == "min";
    give(0, function->second + "(" + written("a", 0) + (two ? ", " + written("b", 1) : "") + ")");
    return true;
  }
  if (target.rfind("_operator.", 0) != 0) {
    return false;
  }
  const auto sign = operators.find(target.substr(10));
  if (sign == operators.end()) {
    return false;
  }
  give(0, "(" + written("a", 0) + ") " + sign->second + " (" + written("b", 1) + ")");
  return true;
}

bool OperationWriter::write_other_form() {
  const AtenTarget target = aten_target(node_.target);
  const std::string& name = target.name;
  if (name == "_native_batch_norm_legit_no_training") {
    // Batch norm in evaluation mode; what else it returns is empty then.
    give(0, "torch.batch_norm(" + written("input", 0) + ", " + written("weight", 1) + ", " +
                written("bias", 2) + ", " + written("running_mean", 3) + ", " +
                written("running_var", 4) + ", False, " + written("momentum", 5) + ", " +
                written("eps", 6) + ", False)");
    return true;
  }
  if (name.rfind("_native_batch_norm_legit", 0) == 0) {
    refuse("was exported in training mode: call model.eval() before torch.export.export()");
  }
  if (name == "_to_copy" || (name == "to" && target.overload != "other")) {
    // Moving to a device is left out: the model is on one device altogether.
    const ExportedArgument* dtype = find("dtype");
    const bool changes = dtype && dtype->kind == Kind::dtype;
    const std::string x = written("self", 0);
    give(0, changes ? "torch.to(" + x + ", " + std::to_string(dtype->integer) + ", False, " +
                          (name == "to" ? "False)" : "True)")
                    : (name == "to" ? x : "torch.clone(" + x + ")"));
    return true;
  }
  if (name == "lift_fresh_copy") {
    give(0, "torch.clone(" + written("self", 0) + ")");
    return true;
  }
  if (name == "native_dropout") {
    check_mode(name);
    give(0, "torch.clone(" + written("input", 0) + ")");
    return true;
  }
  // A view of what LibTorch may have laid out in another order than the PyTorch that exported it.
  // A reshape is the same numbers; only where something is written in place could it differ.
  if ((name == "view" && target.overload.empty()) || name == "_unsafe_view") {
    const char* const form = program_.writes_in_place ? "torch.view(" : "torch.reshape(";
    give(0, form + written("self", 0) + ", " + written("size", 1) + ")");
    return true;
  }
  if (name == "squeeze" && target.overload == "dims" && !find_schema(target)) {
    return write_squeeze();
  }
  if (name == "_unsafe_index" && target.overload == "Tensor") {
    // index without its check of the bounds
    const AtenTarget index{"index", "Tensor"};
    assign(index.name, call(index.name, *find_schema(index)), *find_schema(index));
    return true;
  }
  if (name == "eq" && target.overload == "Scalar") {
    return write_infinite();
  }
  if (name == "_safe_softmax") {
    // A row that is masked altogether is zero (torch/_decomp).
    const std::string x = written("self", 0);
    const std::string dim = written("dim", 1);
    give(0, "torch.where(torch.logical_not(torch.any(torch.logical_not(torch.isneginf(" + x +
                ")), " + dim + ", True)), torch.zeros_like(" + x + "), torch.softmax(" + x + ", " +
                dim + "))");
    return true;
  }
  if (name == "_scaled_dot_product_flash_attention_for_cpu" ||
      (name == "scaled_dot_product_attention" && !find_schema(target))) {
    return write_attention();
  }
  return write_view_copy(target);
}

bool OperationWriter::write_squeeze() {
  const ExportedArgument& x = input("self", 0);
  const auto sizes = program_.sizes.find(x.text);
  std::vector<int64_t> dims;
  for (const ExportedArgument& item : input("dim", 1).items) {
    const bool negative = item.integer < 0;
    if (item.kind != Kind::integer || (negative && sizes == program_.sizes.end())) {
      return false;
    }
    dims.push_back(negative ? item.integer + static_cast<int64_t>(sizes->second.size())
                            : item.integer);
  }
  std::sort(dims.begin(), dims.end(), std::greater<int64_t>());
  std::string text = literal(x, nullptr);
  for (const int64_t dim : dims) {
    text = "torch.squeeze(" + text + ", " + std::to_string(dim) + ")";
  }
  give(0, text);
  return true;
}

bool OperationWriter::write_infinite() {
  const ExportedArgument& other = input("other", 1);
  if (other.kind != Kind::number || !std::isinf(other.number)) {
    return false;
  }
  give(0, std::string(other.number < 0 ? "torch.isneginf(" : "torch.isposinf(") +
              written("self", 0) + ")");
  return true;
}

bool OperationWriter::write_attention() {
  const ExportedArgument* dropout = find("dropout_p");
  if (dropout && dropout->kind == Kind::number && dropout->number > 0) {
    refuse("was exported in training mode: call model.eval() before torch.export.export()");
  }
  const ExportedArgument* grouped = find("enable_gqa");
  if (grouped && grouped->integer) {
    refuse("shares heads between queries (enable_gqa), which LibTorch " TORCH_VERSION " cannot");
  }
  const std::string q = written("query", 0);
  const std::string k = written("key", 1);
  const std::string v = written("value", 2);
  const ExportedArgument* scale = find("scale");
  const std::string factor = scale && scale->kind != Kind::none
                                 ? literal(*scale, nullptr)
                                 : "1. / float(torch.size(" + q + ", -1)) ** 0.5";
  const std::string out = result(0);
  const std::string scores = out + "_scores";
  lines_.push_back(scores + " = torch.matmul(" + q + ", torch.transpose(" + k + ", -2, -1)) * (" +
                   factor + ")");
  const ExportedArgument* causal = find("is_causal");
  const std::string minus = "float(\"-inf\")";
  if (causal && causal->kind == Kind::boolean && causal->integer) {
    lines_.push_back(scores + " = torch.masked_fill(" + scores +
                     ", torch.triu(torch.ones([torch.size(" + q + ", -2), torch.size(" + k +
                     ", -2)], dtype=11, device=" + value_(exported_device) + "), 1), " + minus +
                     ")");
  }
  const ExportedArgument* mask = find("attn_mask");
  if (mask && mask->kind == Kind::value) {
    const std::string m = value_(mask->text);
    const auto type = program_.dtypes.find(mask->text);
    if (type != program_.dtypes.end() && type->second == at::kBool) {
      lines_.push_back(scores + " = torch.masked_fill(" + scores + ", torch.logical_not(" + m +
                       "), " + minus + ")");
    } else {
      lines_.push_back(scores + " = " + scores + " + " + m);
    }
  }
  lines_.push_back(out + " = torch.matmul(torch.softmax(" + scores + ", -1), " + v + ")");
  return true;
}

bool OperationWriter::write_view_copy(const AtenTarget& target) {
  static const std::unordered_set<std::string> views = {
      "view",   "permute",         "transpose", "expand", "squeeze",  "unsqueeze", "slice",
      "select", "split",           "t",         "unbind", "diagonal", "alias",     "unfold",
      "detach", "split_with_sizes"};
  const std::string& name = target.name;
  const size_t end = name.size() > 5 ? name.size() - 5 : 0;
  if (end == 0 || name.compare(end, 5, "_copy") != 0 || views.count(name.substr(0, end)) == 0) {
    return false;
  }
  const AtenTarget plain{name.substr(0, end), target.overload};
  const c10::FunctionSchema* schema = find_schema(plain);
  if (!schema) {
    return false;
  }
  assign(plain.name, call(plain.name, *schema), *schema);
  return true;
}

}  // namespace seqlift
