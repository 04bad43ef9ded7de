#include "core/import/exported/operations.h"

#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <sstream>

#include "core/base/error.h"
#include "core/import/exported/writer.h"

namespace seqlift {

const char* const exported_device = "device of the model";

AtenTarget aten_target(const std::string& target) {
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

const c10::FunctionSchema* find_schema(const AtenTarget& target) {
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

namespace {

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

}  // namespace

std::vector<std::string> OperationWriter::write() {
  if (node_.target == "seqlift.lines") {
    write_lines();
    return std::move(lines_);
  }
  if (write_check() || write_number() || write_other_form()) {
    return std::move(lines_);
  }
  const AtenTarget target = aten_target(node_.target);
  const c10::FunctionSchema* schema = find_schema(target);
  if (!schema) {
    refuse("is not in LibTorch " TORCH_VERSION ", which this model is opened with");
  }
  assign(target.name, call(target.name, *schema), *schema);
  return std::move(lines_);
}

void OperationWriter::write_lines() {
  for (const std::string& line : node_.lines) {
    std::string written;
    for (size_t i = 0; i < line.size(); ++i) {
      const size_t end = line[i] == '{' ? line.find('}', i) : std::string::npos;
      if (end == std::string::npos) {
        written += line[i];
        continue;
      }
      const bool output = line[i + 1] == '=';
      const size_t number = std::stoul(line.substr(i + (output ? 2 : 1), end - i));
      written += output ? result(number) : literal(node_.inputs.at(number).second, nullptr);
      i = end;
    }
    lines_.push_back(written);
  }
}

void OperationWriter::refuse(const std::string& why) const {
  throw Error("model", "The operation " + place_of(node_) + " " + why + ".");
}

const ExportedArgument* OperationWriter::find(const std::string& name) const {
  for (const auto& [key, argument] : node_.inputs) {
    if (key == name) {
      return &argument;
    }
  }
  return nullptr;
}

const ExportedArgument& OperationWriter::input(const std::string& name, size_t place) const {
  const ExportedArgument* found = find(name);
  if (!found && place < node_.inputs.size()) {
    found = &node_.inputs[place].second;
  }
  if (!found) {
    refuse("has no argument `" + name + "`");
  }
  return *found;
}

std::string OperationWriter::written(const std::string& name, size_t place) const {
  return literal(input(name, place), nullptr);
}

std::string OperationWriter::result(size_t index) const {
  if (index >= node_.outputs.size() || node_.outputs[index].empty()) {
    refuse("returns nothing");
  }
  return value_(node_.outputs[index]);
}

void OperationWriter::give(size_t index, const std::string& expression) {
  lines_.push_back(result(index) + " = " + expression);
}

std::string OperationWriter::literal(const ExportedArgument& argument,
                                     const c10::Type* type) const {
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

std::string OperationWriter::list_literal(const ExportedArgument& argument,
                                          const c10::Type* type) const {
  const c10::Type* inner = nullptr;
  if (type) {
    const auto list = type->kind() == c10::TypeKind::OptionalType && !type->containedTypes().empty()
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

std::vector<const ExportedArgument*> OperationWriter::by_schema(
    const c10::FunctionSchema& schema) const {
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

std::string OperationWriter::call(const std::string& name, const c10::FunctionSchema& schema) {
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

void OperationWriter::assign(const std::string& name, const std::string& call,
                             const c10::FunctionSchema& schema) {
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

void OperationWriter::check_mode(const std::string& name) const {
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

namespace {

void collect(const ExportedArgument& argument, std::vector<std::string>& names) {
  if (argument.kind == ExportedArgument::Kind::value) {
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
                                         const ValueName& value) {
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
