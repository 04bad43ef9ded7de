#include "exported_operations.h"

#include <torch/csrc/jit/runtime/operator.h>
#include <torch/version.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <limits>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "error.h"

namespace seqlift {

const char* const exported_device = "device of the model";

namespace {

using Kind = ExportedArgument::Kind;
using Lookup = std::function<std::string(const std::string&)>;

struct Target {
  std::string name;      // "conv1d"
  std::string overload;  // "" for the default
};

// Of "torch.ops.aten.conv1d.default"; an empty name for anything else.
Target aten_target(const std::string& target) {
  const std::string prefix = "torch.ops.aten.";
  if (target.rfind(prefix, 0) != 0) {
    return {};
  }
  const std::string rest = target.substr(prefix.size());
  const size_t dot = rest.find('.');
  const std::string name = rest.substr(0, dot);
  const std::string overload = dot == std::string::npos ? "default" : rest.substr(dot + 1);
  if (!is_identifier(name)) {
    return {};
  }
  return {name, overload == "default" ? "" : overload};
}

const c10::FunctionSchema* find_schema(const Target& target) {
  if (target.name.empty()) {
    return nullptr;
  }
  const auto symbol = c10::Symbol::fromQualString("aten::" + target.name);
  for (const auto& candidate : torch::jit::getAllOperatorsFor(symbol)) {
    if (candidate->schema().overload_name() == target.overload) {
      return &candidate->schema();
    }
  }
  return nullptr;
}

bool takes_tensors(const c10::FunctionSchema& schema) {
  return std::any_of(schema.arguments().begin(), schema.arguments().end(), [](const auto& one) {
    return one.type()->str().find("Tensor") != std::string::npos;
  });
}

bool makes_tensors(const c10::FunctionSchema& schema) {
  return schema.argumentIndexWithName("device") && !takes_tensors(schema);
}

// Where the numbers lie says nothing about them; see `exported_device` for those that are made.
bool is_placement(const std::string& argument) {
  return argument == "device" || argument == "layout" || argument == "pin_memory" ||
         argument == "non_blocking";
}

std::string number_literal(double number) {
  if (std::isnan(number)) {
    return "float(\"nan\")";
  }
  if (std::isinf(number)) {
    return number < 0 ? "float(\"-inf\")" : "float(\"inf\")";
  }
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out.precision(std::numeric_limits<double>::max_digits10);
  out << std::scientific << number;
  return out.str();
}

std::string text_literal(const std::string& text) {
  std::string result = "\"";
  for (const char letter : text) {
    const bool plain = letter >= ' ' && letter <= '~' && letter != '"' && letter != '\\';
    result += plain ? letter : '_';
  }
  return result + "\"";
}

class OperationWriter {
 public:
  OperationWriter(const ExportedProgram& program, const ExportedNode& node, const Lookup& value)
      : program_(program), node_(node), value_(value) {}

  std::vector<std::string> write() {
    if (write_check() || write_number() || write_other_form()) {
      return std::move(lines_);
    }
    const Target target = aten_target(node_.target);
    const c10::FunctionSchema* schema = find_schema(target);
    if (!schema) {
      refuse("is not in LibTorch " TORCH_VERSION ", which this model is opened with");
    }
    assign(target.name, call(target.name, *schema), *schema);
    return std::move(lines_);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw Error("model", "The operation " + place_of(node_) + " " + why + ".");
  }

  const ExportedArgument* find(const std::string& name) const {
    for (const auto& [key, argument] : node_.inputs) {
      if (key == name) {
        return &argument;
      }
    }
    return nullptr;
  }
  // The one that `name` stands for, or the one at this place where the file has no names.
  const ExportedArgument& input(const std::string& name, size_t place) const {
    const ExportedArgument* found = find(name);
    if (!found && place < node_.inputs.size()) {
      found = &node_.inputs[place].second;
    }
    if (!found) {
      refuse("has no argument `" + name + "`");
    }
    return *found;
  }
  std::string written(const std::string& name, size_t place) const {
    return literal(input(name, place), nullptr);
  }

  std::string result(size_t index) const {
    if (index >= node_.outputs.size() || node_.outputs[index].empty()) {
      refuse("returns nothing");
    }
    return value_(node_.outputs[index]);
  }
  void give(size_t index, const std::string& expression) {
    lines_.push_back(result(index) + " = " + expression);
  }

  // An argument as TorchScript has it; `type` as this LibTorch wants it.
  std::string literal(const ExportedArgument& argument, const c10::Type* type) const {
    const std::string wanted = type ? type->str() : "";
    const bool real = wanted.rfind("float", 0) == 0;
    const bool whole = wanted.rfind("int", 0) == 0;
    switch (argument.kind) {
      case Kind::none:
        return "None";
      case Kind::value:
        return value_(argument.text);
      case Kind::integer:
        return real ? number_literal(static_cast<double>(argument.integer))
                    : std::to_string(argument.integer);
      case Kind::dtype:
      case Kind::memory_format:
        return std::to_string(argument.integer);
      case Kind::number:
        // Newer LibTorch takes any number where an older one takes a whole one (var.correction).
        if (whole && argument.number == std::floor(argument.number) &&
            std::abs(argument.number) < 1e15) {
          return std::to_string(static_cast<int64_t>(argument.number));
        }
        return number_literal(argument.number);
      case Kind::boolean:
        return argument.integer ? "True" : "False";
      case Kind::text:
        return text_literal(argument.text);
      case Kind::list:
        return list_literal(argument, type);
      default:
        refuse("has an argument that is not read (" + argument.text +
               "): control flow and objects of Python's cannot be part of a model here");
    }
  }

  std::string list_literal(const ExportedArgument& argument, const c10::Type* type) const {
    const c10::Type* inner = nullptr;
    if (type) {
      const auto list =
          type->kind() == c10::TypeKind::OptionalType && !type->containedTypes().empty()
              ? type->containedTypes()[0].get()
              : type;
      inner = list->containedTypes().empty() ? nullptr : list->containedTypes()[0].get();
    }
    std::string text = "[";
    bool none = false;
    for (size_t i = 0; i < argument.items.size(); ++i) {
      text += (i ? ", " : "") + literal(argument.items[i], inner);
      none = none || argument.items[i].kind == Kind::none;
    }
    text += "]";
    const bool optional = none || (inner && inner->kind() == c10::TypeKind::OptionalType);
    if (optional) {
      return "annotate(List[Optional[Tensor]], " + text + ")";
    }
    if (argument.items.empty() && !argument.tensors) {
      const bool real = inner && inner->kind() == c10::TypeKind::FloatType;
      return std::string("annotate(List[") + (real ? "float" : "int") + "], [])";
    }
    return text;
  }

  // An argument that is named in the file by a name that this LibTorch does not use, or not at all,
  // is the one at its place.
  std::vector<const ExportedArgument*> by_schema(const c10::FunctionSchema& schema) const {
    const auto& wanted = schema.arguments();
    std::vector<const ExportedArgument*> given(wanted.size(), nullptr);
    std::vector<size_t> left;
    for (size_t i = 0; i < node_.inputs.size(); ++i) {
      const auto place = schema.argumentIndexWithName(node_.inputs[i].first);
      if (place) {
        given[*place] = &node_.inputs[i].second;
      } else {
        left.push_back(i);
      }
    }
    for (const size_t i : left) {
      const ExportedArgument& argument = node_.inputs[i].second;
      if (i < wanted.size() && !given[i] && !wanted[i].kwarg_only()) {
        given[i] = &argument;
      } else if (argument.kind != Kind::none &&
                 !(argument.kind == Kind::boolean && !argument.integer)) {
        refuse("has an argument `" + printable(node_.inputs[i].first) +
               "` that LibTorch " TORCH_VERSION ", which this model is opened with, does not know");
      }
    }
    return given;
  }

  std::string call(const std::string& name, const c10::FunctionSchema& schema) {
    check_mode(name);
    const auto given = by_schema(schema);
    std::string text = "torch." + name + "(";
    bool named = false;
    bool first = true;
    for (size_t i = 0; i < given.size(); ++i) {
      const c10::Argument& wanted = schema.arguments()[i];
      std::string argument;
      if (wanted.name() == "layout" && given[i] && given[i]->kind == Kind::layout &&
          !given[i]->integer) {
        refuse("makes a sparse tensor");
      }
      if (wanted.name() == "device" && makes_tensors(schema)) {
        argument = value_(exported_device);
      } else if (given[i] && !is_placement(wanted.name())) {
        argument = literal(*given[i], wanted.type().get());
      }
      if (argument.empty()) {
        named = true;  // what follows cannot be told by its place
        continue;
      }
      text += first ? "" : ", ";
      text += named || wanted.kwarg_only() ? wanted.name() + "=" + argument : argument;
      first = false;
    }
    return text + ")";
  }

  void assign(const std::string& name, const std::string& call, const c10::FunctionSchema& schema) {
    const auto& returns = schema.returns();
    if (returns.empty() || node_.outputs.empty()) {
      lines_.push_back(call);
      return;
    }
    if (node_.returns_list && returns.size() == 1) {
      if (node_.outputs.size() == 1) {
        lines_.push_back(result(0) + "_list = " + call);
        give(0, result(0) + "_list[0]");
        return;
      }
    } else if (returns.size() != node_.outputs.size()) {
      refuse("returns " + std::to_string(node_.outputs.size()) + " values, and in LibTorch " +
             TORCH_VERSION + " " + std::to_string(returns.size()) + " (" + name + ")");
    }
    std::string targets;
    for (size_t i = 0; i < node_.outputs.size(); ++i) {
      const std::string& output = node_.outputs[i];
      targets += (i ? ", " : "") + (output.empty() ? "unused" + std::to_string(i) : value_(output));
    }
    lines_.push_back(targets + " = " + call);
  }

  // A model is explained as it predicts, and what depends on the mode is fixed by the export.
  void check_mode(const std::string& name) const {
    const ExportedArgument* train = find("training");
    train = train ? train : find("train");
    const ExportedArgument* dropout = find("dropout");
    const bool recurrent = dropout != nullptr;
    const bool matters = recurrent ? dropout->kind == Kind::number && dropout->number > 0
                                   : name.find("dropout") != std::string::npos ||
                                         name.find("batch_norm") != std::string::npos ||
                                         name.find("rrelu") != std::string::npos;
    if (matters && train && train->kind == Kind::boolean && train->integer) {
      refuse("was exported in training mode: call model.eval() before torch.export.export()");
    }
  }

  // What torch.export checks of its own: the sizes and types that it took for granted.
  bool write_check() const {
    static const std::unordered_set<std::string> checks = {"_assert_tensor_metadata",
                                                           "_assert_scalar",
                                                           "_assert_async",
                                                           "_functional_assert_async",
                                                           "_functional_assert_scalar",
                                                           "sym_constrain_range",
                                                           "sym_constrain_range_for_size"};
    return checks.count(aten_target(node_.target).name) > 0;
  }

  // Python's arithmetic on sizes.
  bool write_number() {
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
    const bool python = target.rfind("_operator.", 0) == 0;
    const auto sign = python ? operators.find(target.substr(10)) : operators.end();
    if (sign == operators.end()) {
      return false;
    }
    give(0, "(" + written("a", 0) + ") " + sign->second + " (" + written("b", 1) + ")");
    return true;
  }

  // Operations that are written as others, which older LibTorch has too and which have rules. Each
  // computes the same numbers.
  bool write_other_form() {
    const Target target = aten_target(node_.target);
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
      const Target index{"index", "Tensor"};
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
                  ")), " + dim + ", True)), torch.zeros_like(" + x + "), torch.softmax(" + x +
                  ", " + dim + "))");
      return true;
    }
    if (name == "_scaled_dot_product_flash_attention_for_cpu" ||
        (name == "scaled_dot_product_attention" && !find_schema(target))) {
      return write_attention();
    }
    return write_view_copy(target);
  }

  // One dimension after the other, from the last one, so that the places of the others stay.
  bool write_squeeze() {
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

  // A comparison looks at a difference, and that to infinity is infinite.
  bool write_infinite() {
    const ExportedArgument& other = input("other", 1);
    if (other.kind != Kind::number || !std::isinf(other.number)) {
      return false;
    }
    give(0, std::string(other.number < 0 ? "torch.isneginf(" : "torch.isposinf(") +
                written("self", 0) + ")");
    return true;
  }

  // softmax(q k' / sqrt(d) + mask) v, as PyTorch's documentation writes it.
  bool write_attention() {
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

  // "view_copy" and its like: what the view shows, as a tensor of its own.
  bool write_view_copy(const Target& target) {
    static const std::unordered_set<std::string> views = {
        "view",   "permute",         "transpose", "expand", "squeeze",  "unsqueeze", "slice",
        "select", "split",           "t",         "unbind", "diagonal", "alias",     "unfold",
        "detach", "split_with_sizes"};
    const std::string& name = target.name;
    const size_t end = name.size() > 5 ? name.size() - 5 : 0;
    if (end == 0 || name.compare(end, 5, "_copy") != 0 || views.count(name.substr(0, end)) == 0) {
      return false;
    }
    const Target plain{name.substr(0, end), target.overload};
    const c10::FunctionSchema* schema = find_schema(plain);
    if (!schema) {
      return false;
    }
    assign(plain.name, call(plain.name, *schema), *schema);
    return true;
  }

  const ExportedProgram& program_;
  const ExportedNode& node_;
  const Lookup& value_;
  std::vector<std::string> lines_;
};

void collect(const ExportedArgument& argument, std::vector<std::string>& names) {
  if (argument.kind == Kind::value) {
    names.push_back(argument.text);
  }
  for (const ExportedArgument& item : argument.items) {
    collect(item, names);
  }
}

}  // namespace

std::vector<std::string> values_read(const ExportedNode& node) {
  std::vector<std::string> names;
  for (const auto& input : node.inputs) {
    collect(input.second, names);
  }
  return names;
}

std::vector<std::string> write_operation(const ExportedProgram& program, const ExportedNode& node,
                                         const Lookup& value) {
  return OperationWriter(program, node, value).write();
}

std::string file_name(const std::string& path) {
  const size_t slash = path.find_last_of("/\\");
  return printable(slash == std::string::npos ? path : path.substr(slash + 1));
}

std::string place_of(const ExportedNode& node) {
  std::string text = printable(node.target);
  std::string place;
  if (!node.modules.empty()) {
    place = "in " + printable(node.modules.back().path);
  }
  if (!node.file.empty()) {
    place += (place.empty() ? "" : ", ") + file_name(node.file) + ":" + std::to_string(node.line);
  }
  return place.empty() ? text : text + " (" + place + ")";
}

bool is_identifier(const std::string& text) {
  const auto plain = [](unsigned char letter) { return std::isalnum(letter) || letter == '_'; };
  return !text.empty() && text.size() < 256 && !std::isdigit(static_cast<unsigned char>(text[0])) &&
         std::all_of(text.begin(), text.end(), plain);
}

}  // namespace seqlift
