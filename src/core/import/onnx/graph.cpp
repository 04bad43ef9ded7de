// The nodes of an ONNX graph one after the other, with the names that each can see.
#include <algorithm>
#include <queue>
#include <unordered_map>

#include "core/base/error.h"
#include "core/import/exported/names.h"
#include "core/import/keras/build.h"
#include "core/import/onnx/build.h"
#include "core/import/onnx/operators.h"

namespace seqlift {
namespace onnx {

namespace {

// Operators by others, functions in functions: a file of a few lines can ask for 2^100 of them.
constexpr int64_t most_nodes = 50000;
constexpr int deepest_call = 32;
// What may be made of constants alone, beside the weights.
constexpr double folded_bytes = 1 << 28;
// What the versions of the operators mean is known for these.
constexpr int64_t first_version = 7;
constexpr int64_t last_version = 23;

// What a node reads, with what the graphs inside of it do.
void collect_reads(const Node& node, std::set<std::string>& names) {
  names.insert(node.inputs.begin(), node.inputs.end());
  for (const Attribute& attribute : node.attributes) {
    if (attribute.graph) {
      names.insert(attribute.graph->outputs.begin(), attribute.graph->outputs.end());
      for (const Node& inner : attribute.graph->nodes) {
        collect_reads(inner, names);
      }
    }
  }
}

// The nodes in an order in which each has what it reads: the file's own, where that is one.
std::vector<size_t> in_order(const std::vector<Node>& nodes) {
  std::unordered_map<std::string, size_t> made_by;
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& output : nodes[i].outputs) {
      if (!output.empty() && !made_by.emplace(output, i).second) {
        throw Error("file", "The ONNX file computes \"" + printable(output) + "\" twice.");
      }
    }
  }
  std::vector<size_t> missing(nodes.size(), 0);
  std::vector<std::vector<size_t>> readers(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    std::set<std::string> reads;
    collect_reads(nodes[i], reads);
    for (const std::string& name : reads) {
      const auto found = made_by.find(name);
      if (found != made_by.end()) {
        readers[found->second].push_back(i);
        ++missing[i];
      }
    }
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<size_t>> ready;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (missing[i] == 0) {
      ready.push(i);
    }
  }
  std::vector<size_t> order;
  while (!ready.empty()) {
    const size_t i = ready.top();
    ready.pop();
    order.push_back(i);
    for (const size_t reader : readers[i]) {
      if (--missing[reader] == 0) {
        ready.push(reader);
      }
    }
  }
  if (order.size() < nodes.size()) {
    const auto stuck = std::find_if(missing.begin(), missing.end(), [](size_t n) { return n > 0; });
    throw Error("file", "The graph of the ONNX file goes in a circle: " +
                            place_of(nodes[static_cast<size_t>(stuck - missing.begin())]) +
                            " reads what is computed from it.");
  }
  return order;
}

// Which dimensions the sequences have, as far as the declared sizes tell: "NCL", "N1LC", or "".
std::string layout_of(const Input& input) {
  const Sizes& sizes = input.sizes;
  if (sizes.size() < 3 || sizes.size() > 4) {
    return "";
  }
  std::string layout = "N";
  int channels = 0;
  int lengths = 0;
  for (size_t i = 1; i < sizes.size(); ++i) {
    const bool one = sizes.size() == 4 && sizes[i] == 1;
    const bool four = sizes[i] == 4;
    channels += four ? 1 : 0;
    lengths += !one && !four ? 1 : 0;
    layout += one ? '1' : four ? 'C' : 'L';
  }
  return channels == 1 && lengths == 1 ? layout : "";
}

}  // namespace

Builder::Builder(const Model& model, const std::string& file, size_t file_size)
    : model_(model), file_(file), room_(folded_bytes + 8. * static_cast<double>(file_size)) {
  program_.origin = "ONNX";
  program_.batch_advice =
      "torch.onnx.export(model, x, path, input_names=[\"x\"], dynamic_axes={\"x\": {0: "
      "\"batch\"}})";
  program_.class_name = "onnx.Graph";
}

void Builder::refuse(const Node& node, const std::string& why) const {
  throw Error("model", "The operator " + place_of(node) + " (" + printable(file_) + ", node " +
                           std::to_string(number_) + ") " + why + ".");
}

int64_t Builder::version(const std::string& domain) const {
  const auto found = versions_.back()->find(domain);
  return found == versions_.back()->end() ? 0 : found->second;
}

const ProgramValue& Builder::look_up(const std::string& name) const {
  for (size_t i = scopes_.size(); i-- > 0;) {
    const Scope& scope = scopes_[i];
    const auto found = scope.values.find(name);
    if (found != scope.values.end()) {
      return found->second;
    }
    const auto withheld = scope.withheld.find(name);
    if (withheld != scope.withheld.end()) {
      throw Error("model", "The model reads the output \"" + printable(name) +
                               "\" of the operator " + withheld->second +
                               ", which is not computed here.");
    }
    if (!scope.sees_outer) {
      break;
    }
  }
  throw Error("file", "The ONNX file reads \"" + printable(name) + "\", which it never computes.");
}

void Builder::name_value(const std::string& name, const ProgramValue& value) {
  if (!scopes_.back().values.emplace(name, value).second) {
    throw Error("file", "The ONNX file computes \"" + printable(name) + "\" twice.");
  }
}

void Builder::add_inputs() {
  std::vector<Input> inputs = model_.graph.inputs;
  for (const Input& input : inputs) {
    if (!input.tensor) {
      throw Error("model", "The input \"" + printable(input.name) +
                               "\" of the ONNX file is no tensor whose number of dimensions it "
                               "says.");
    }
  }
  if (inputs.empty()) {
    throw Error("model", "The model takes no tensor.");
  }
  const auto first = std::find_if(inputs.begin(), inputs.end(),
                                  [](const Input& input) { return !layout_of(input).empty(); });
  if (first != inputs.end()) {
    std::rotate(inputs.begin(), first, first + 1);
    layout_ = layout_of(inputs[0]);
  }
  // A number of sequences that is fixed is set free later, where all else is known too.
  const int64_t fixed = inputs[0].sizes.empty() ? -1 : inputs[0].sizes[0];
  const bool whole = std::all_of(inputs.begin(), inputs.end(), [&](const Input& input) {
    return !input.sizes.empty() && input.sizes[0] == fixed && product_of(input.sizes) >= 0;
  });
  fixed_batch_ = whole ? fixed : 0;
  std::set<std::string> taken;
  for (const Input& input : inputs) {
    ProgramValue value;
    value.name = keras::attribute_name(input.name, taken);
    value.dtype = input.dtype;
    value.sizes = input.sizes;
    if (!whole && !value.sizes.empty()) {
      value.sizes[0] = -1;
    }
    check_size(value.sizes);
    program_.inputs.push_back({ExportedInput::Kind::user, value.name, ""});
    program_.sizes[value.name] = value.sizes;
    program_.dtypes[value.name] = value.dtype;
    name_value(input.name, value);
  }
}

ExportedProgram Builder::build() {
  const int64_t version = model_.versions.count("") > 0 ? model_.versions.at("") : 0;
  if (version < first_version || version > last_version) {
    throw Error("model", "The ONNX file has version " + std::to_string(version) +
                             " of the operators (opset); versions " +
                             std::to_string(first_version) + " to " + std::to_string(last_version) +
                             " are read.");
  }
  versions_.push_back(&model_.versions);
  scopes_.emplace_back();
  for (const auto& [name, tensor] : model_.graph.initializers) {
    name_value(name, constant(tensor, true));
  }
  add_inputs();
  build_nodes(model_.graph.nodes, model_.graph.outputs);
  if (model_.graph.outputs.empty()) {
    throw Error("model", "The model returns no tensor.");
  }
  for (const std::string& output : model_.graph.outputs) {
    program_.outputs.push_back(tensor_argument(look_up(output), "constant").text);
    program_.output_names.push_back(printable(output));
  }
  return std::move(program_);
}

std::vector<ProgramValue> Builder::build_inner(const Graph& graph,
                                               const std::vector<ProgramValue>& inputs) {
  if (graph.inputs.size() != inputs.size()) {
    throw Error("model", "its graph takes " + std::to_string(graph.inputs.size()) + " inputs");
  }
  scopes_.emplace_back();
  for (size_t i = 0; i < inputs.size(); ++i) {
    name_value(graph.inputs[i].name, inputs[i]);
  }
  for (const auto& [name, tensor] : graph.initializers) {
    name_value(name, constant(tensor, true));
  }
  const Node* outer = node_;
  const std::string path = path_;
  build_nodes(graph.nodes, graph.outputs);
  node_ = outer;
  path_ = path;
  std::vector<ProgramValue> outputs;
  for (const std::string& output : graph.outputs) {
    outputs.push_back(look_up(output));
  }
  scopes_.pop_back();
  return outputs;
}

// What no output needs is not built: it might not even be possible to.
void Builder::build_nodes(const std::vector<Node>& nodes, const std::vector<std::string>& outputs) {
  const std::vector<size_t> order = in_order(nodes);
  std::set<std::string> needed(outputs.begin(), outputs.end());
  std::vector<bool> used(nodes.size(), false);
  for (size_t i = order.size(); i-- > 0;) {
    const Node& node = nodes[order[i]];
    used[order[i]] =
        std::any_of(node.outputs.begin(), node.outputs.end(),
                    [&](const std::string& output) { return needed.count(output) > 0; });
    if (used[order[i]]) {
      collect_reads(node, needed);
    }
  }
  for (const size_t i : order) {
    if (used[i]) {
      build_node(nodes[i]);
    }
  }
}

// The name of the node, or its operator and number.
std::string Builder::path_of(const Node& node) {
  std::string name = node.name.empty() ? node.operation + "_" + std::to_string(number_) : node.name;
  name.erase(0, std::min(name.find_first_not_of('/'), name.size()));
  std::set<std::string> alone;
  std::string path = keras::attribute_name(name.substr(0, 120), alone);
  // One look, however many have the same name.
  if (paths_.count(path) > 0) {
    path += "_" + std::to_string(number_);
  }
  while (!paths_.insert(path).second) {
    path += "_";
  }
  return path;
}

const Function* Builder::find_function(const Node& node) const {
  for (const Function& function : model_.functions) {
    if (function.name == node.operation && function.domain == node.domain) {
      return &function;
    }
  }
  return nullptr;
}

void Builder::build_node(const Node& node) {
  if (++number_ > most_nodes) {
    throw Error("model", "The model has more than " + std::to_string(most_nodes) + " operations.");
  }
  if (const Function* function = find_function(node)) {
    return call_function(*function, node);
  }
  const OperatorRow* row = find_operator(node.operation, node.domain);
  node_ = &node;
  if (!row) {
    const bool optimised = node.domain.rfind("com.microsoft", 0) == 0;
    refuse(node, node.domain.empty() ? "is not one that is known here"
                 : optimised ? "is one that onnxruntime wrote and that is not known here; the file "
                               "that it optimised may have none of these"
                             : "is of the domain \"" + printable(node.domain) +
                                   "\", whose operators are not known here");
  }
  std::vector<ProgramValue> inputs;
  std::vector<bool> given;
  for (const std::string& input : node.inputs) {
    given.push_back(!input.empty());
    inputs.push_back(input.empty() ? ProgramValue() : look_up(input));
  }
  path_ = path_of(node);
  const std::string path = path_;
  const size_t before = program_.nodes.size();
  Operator op(*this, node, std::move(inputs), std::move(given));
  try {
    row->build(op);
    op.check_read();
  } catch (const Error& error) {
    // What is found where the node is not known names it here.
    const std::string why = error.what();
    if (why.rfind("The ", 0) == 0) {
      throw;
    }
    refuse(node, "cannot be computed: " + why);
  } catch (const c10::Error& error) {
    const std::string why = error.what_without_backtrace();
    refuse(node, "cannot be computed: " + why.substr(0, why.find('\n')));
  }
  const std::string class_name = !op.class_name.empty() ? op.class_name
                                 : row->class_name      ? row->class_name
                                                        : "onnx." + node.operation;
  for (size_t i = before; i < program_.nodes.size(); ++i) {
    auto& modules = program_.nodes[i].modules;
    if (!modules.empty() && modules.back().path == path) {
      modules.back().class_name = class_name;
    }
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i].empty()) {
      continue;
    }
    if (op.has_output_[i]) {
      name_value(node.outputs[i], op.outputs_[i]);
    } else {
      scopes_.back().withheld[node.outputs[i]] = place_of(node);
    }
  }
  path_.clear();
  node_ = nullptr;
}

void Builder::call_function(const Function& function, const Node& node) {
  if (++depth_ > deepest_call) {
    throw Error("model", "The functions of the ONNX file call each other in a circle.");
  }
  Scope scope;
  scope.sees_outer = false;
  for (size_t i = 0; i < function.inputs.size() && i < node.inputs.size(); ++i) {
    if (!node.inputs[i].empty()) {
      scope.values.emplace(function.inputs[i], look_up(node.inputs[i]));
    }
  }
  // What is given for the attributes that the function's nodes refer to.
  std::map<std::string, Attribute> attributes;
  for (const Attribute& attribute : function.defaults) {
    attributes[attribute.name] = attribute;
  }
  for (const Attribute& attribute : node.attributes) {
    attributes[attribute.name] = attribute;
  }
  std::vector<Node> nodes;
  for (const Node& inner : function.nodes) {
    Node filled = inner;
    filled.attributes.clear();
    filled.name = (node.name.empty() ? node.operation : node.name) + "/" +
                  (inner.name.empty() ? inner.operation : inner.name);
    for (const Attribute& attribute : inner.attributes) {
      const Attribute* given = &attribute;
      if (attribute.type == Attribute::Type::reference) {
        const auto found = attributes.find(attribute.text);
        if (found == attributes.end()) {
          continue;  // the operator's own default
        }
        given = &found->second;
      }
      filled.attributes.push_back(*given);
      filled.attributes.back().name = attribute.name;
    }
    // An input of the function that is not given is none of the operators inside either.
    for (std::string& input : filled.inputs) {
      const auto place = std::find(function.inputs.begin(), function.inputs.end(), input);
      if (place != function.inputs.end() && scope.values.count(input) == 0) {
        input.clear();
      }
    }
    nodes.push_back(std::move(filled));
  }
  scopes_.push_back(std::move(scope));
  versions_.push_back(function.versions.empty() ? versions_.back() : &function.versions);
  build_nodes(nodes, function.outputs);
  std::vector<ProgramValue> outputs;
  for (size_t i = 0; i < function.outputs.size() && i < node.outputs.size(); ++i) {
    outputs.push_back(look_up(function.outputs[i]));
  }
  versions_.pop_back();
  scopes_.pop_back();
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!node.outputs[i].empty()) {
      name_value(node.outputs[i], outputs[i]);
    }
  }
  --depth_;
}

}  // namespace onnx
}  // namespace seqlift
