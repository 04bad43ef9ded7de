// The inventory: every operator of the LibTorch in use through which a gradient can flow, against
// the operation table. Differentiable is what has a derivative (a `*Backward` node in autograd's
// generated header) and what is composed of such operators (a CompositeImplicitAutograd kernel that
// takes and returns tensors). tools/operator-inventory writes it out; why an operator has no rule
// is said in tools/operator-reasons.tsv.
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/jit/runtime/operator.h>
#include <torch/version.h>

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "catch.h"
#include "core/model/operation_table.h"

namespace {

struct Entry {
  std::string op, type, kind, rule, reason;
  std::string row() const { return op + "\t" + type + "\t" + kind + "\t" + rule + "\t" + reason; }
};

struct Reason {
  std::string pattern, type, reason;
  bool used = false;
};

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  INFO(path);
  REQUIRE(file.good());
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::vector<Reason> reasons() {
  std::vector<Reason> all;
  for (const std::string& line : lines_of(SEQLIFT_SOURCE "/tools/operator-reasons.tsv")) {
    if (line.empty() || line[0] == '#') {
      continue;
    }
    std::istringstream fields(line);
    Reason reason;
    std::getline(fields, reason.pattern, '\t');
    std::getline(fields, reason.type, '\t');
    std::getline(fields, reason.reason);
    INFO(line);
    REQUIRE((reason.type == "refused" || reason.type == "irrelevant"));
    REQUIRE(!reason.reason.empty());
    all.push_back(reason);
  }
  return all;
}

// "_fft_r2c" -> "FftR2C": a letter after anything but a letter is large.
std::string title(const std::string& name) {
  std::string result;
  bool start = true;
  for (const char letter : name) {
    const bool is_letter = std::isalpha(static_cast<unsigned char>(letter)) != 0;
    if (letter != '_') {
      result += start && is_letter
                    ? static_cast<char>(std::toupper(static_cast<unsigned char>(letter)))
                    : letter;
    }
    start = !is_letter;
  }
  return result;
}

// The names of autograd's nodes without "Backward0".
std::set<std::string> derivatives() {
  std::set<std::string> names;
  const std::regex node(
      "^struct (?:TORCH_API )?(\\w+?)Backward(?:Autograd\\w+?)?\\d+(?:_copy)? .*");
  for (const std::string& line : lines_of(SEQLIFT_AUTOGRAD_HEADER)) {
    std::smatch found;
    if (line.rfind("struct", 0) == 0 && std::regex_match(line, found, node)) {
      names.insert(found[1]);
    }
  }
  return names;
}

bool holds_tensors(const std::vector<c10::Argument>& arguments) {
  for (const c10::Argument& argument : arguments) {
    if (argument.type()->str().find("Tensor") != std::string::npos) {
      return true;
    }
  }
  return false;
}

bool is_composed(const c10::FunctionSchema& schema) {
  const auto handle =
      c10::Dispatcher::singleton().findSchema({schema.name(), schema.overload_name()});
  return handle && handle->hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd) &&
         holds_tensors(schema.arguments()) && holds_tensors(schema.returns());
}

std::string base_name(const c10::FunctionSchema& schema) {
  std::string name = schema.name().substr(schema.name().find("::") + 2);
  const size_t last = name.size() - 1;
  if (last > 0 && name[last] == '_' && name[last - 1] != '_') {
    name.pop_back();
  }
  return name;
}

// Every operator through which a gradient can flow; `unknown` gets the derivatives that belong to
// no operator.
std::set<std::string> differentiable(std::set<std::string>& unknown) {
  const std::set<std::string> nodes = derivatives();
  REQUIRE(nodes.size() > 300);
  unknown = nodes;
  std::set<std::string> names;
  for (const auto& known : torch::jit::getAllOperators()) {
    const c10::FunctionSchema& schema = known->schema();
    if (schema.name().rfind("aten::", 0) != 0) {
      continue;
    }
    const std::string name = base_name(schema);
    // The derivative of _slow_conv2d_forward is SlowConv2DBackward.
    const size_t suffix = name.rfind("_forward");
    const std::string short_title = title(name.substr(0, suffix));
    unknown.erase(title(name));
    unknown.erase(short_title);
    if (nodes.count(title(name)) + nodes.count(short_title) > 0 || is_composed(schema)) {
      names.insert(name);
    }
  }
  return names;
}

Entry classified(const std::string& name, std::vector<Reason>& why) {
  Entry entry{name, "MISSING", "", "", ""};
  for (Reason& reason : why) {
    if (std::regex_match(name, std::regex(reason.pattern))) {
      reason.used = true;
      entry.type = reason.type;
      entry.reason = reason.reason;
      break;
    }
  }
  const seqlift::Operation* operation = seqlift::find_operation(name);
  if (!operation || operation->kind == seqlift::Kind::other) {
    return entry;
  }
  entry.kind = seqlift::kind_name(operation->kind);
  if (operation->rule) {
    entry.type = operation->kind == seqlift::Kind::linear ? "linear" : "covered";
    entry.rule = operation->described;
    entry.reason = "";
  } else if (operation->kind == seqlift::Kind::shape) {
    entry.type = "constant";
    entry.reason = "says nothing of X but its shape or type";
  } else if (entry.reason.empty()) {
    static const std::map<seqlift::Kind, const char*> because{
        {seqlift::Kind::condition, "a condition or an index: steps, not slopes"},
        {seqlift::Kind::random, "draws random numbers"},
        {seqlift::Kind::max, "chooses by the order of X's values"},
        {seqlift::Kind::recurrent, "a fused recurrent layer"},
        {seqlift::Kind::attention, "fused attention"}};
    entry.type = "refused";
    entry.reason = because.at(operation->kind);
  }
  return entry;
}

std::string version() {
  return std::to_string(TORCH_VERSION_MAJOR) + "." + std::to_string(TORCH_VERSION_MINOR);
}

// The LibTorch that the reasons and the table in inst/extdata are complete for.
const char* const complete_for = "1.13";

struct Inventory {
  std::vector<Entry> entries;
  std::vector<Reason> why;
  std::set<std::string> unknown;
};

Inventory take() {
  Inventory inventory;
  inventory.why = reasons();
  for (const std::string& name : differentiable(inventory.unknown)) {
    inventory.entries.push_back(classified(name, inventory.why));
  }
  return inventory;
}

const char* const header = "op\tclass\tkind\trule\treason";

}  // namespace

TEST_CASE("every differentiable operator of LibTorch has a rule or a reason", "[inventory]") {
  const Inventory inventory = take();
  CHECK(inventory.entries.size() > 600);
  std::string missing;
  for (const Entry& entry : inventory.entries) {
    missing += entry.type == "MISSING" ? " " + entry.op : "";
  }
  std::string unknown;
  for (const std::string& name : inventory.unknown) {
    unknown += " " + name;
  }
  std::string unused;
  for (const Reason& reason : inventory.why) {
    unused += reason.used ? "" : " " + reason.pattern;
  }
  if (version() != complete_for) {
    WARN("LibTorch " << version() << " has operators without a reason, which are refused:"
                     << missing << "; derivatives of no operator:" << unknown);
    return;
  }
  CHECK(missing == "");
  CHECK(unknown == "");
  CHECK(unused == "");
}

TEST_CASE("the inventory that the package ships is that of its table", "[inventory]") {
  if (version() != complete_for) {
    WARN("The inventory is of LibTorch " << complete_for << ", this is " << version());
    return;
  }
  std::vector<std::string> now{header};
  for (const Entry& entry : take().entries) {
    now.push_back(entry.row());
  }
  INFO("tools/operator-inventory inst/extdata/operators.tsv writes it anew");
  CHECK(lines_of(SEQLIFT_SOURCE "/inst/extdata/operators.tsv") == now);
}

// For tools/operator-inventory: run by name only.
TEST_CASE("write the inventory", "[.write_inventory]") {
  const char* path = std::getenv("SEQLIFT_INVENTORY");
  REQUIRE(path != nullptr);
  std::ofstream file(path);
  file << header << "\n";
  std::map<std::string, int> totals;
  double relevant = 0;
  double covered = 0;
  for (const Entry& entry : take().entries) {
    file << entry.row() << "\n";
    ++totals[entry.type];
    relevant += entry.type == "irrelevant" ? 0 : 1;
    covered += entry.type == "covered" || entry.type == "linear" || entry.type == "constant";
  }
  REQUIRE(file.good());
  std::cout << "LibTorch " << version() << ":";
  for (const auto& total : totals) {
    std::cout << " " << total.second << " " << total.first << ",";
  }
  std::cout << " " << 100 * covered / relevant << " % of the relevant ones have a rule\n";
}
