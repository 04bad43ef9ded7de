#include "core/import/exported/code.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "core/base/error.h"
#include "core/import/exported/names.h"
#include "core/import/exported/operations.h"

namespace seqlift {

const char* const exported_marker = "  # at ";

namespace {

constexpr size_t deepest = 64;  // modules inside modules

// A module that is being written.
struct Holder {
  std::string class_name;
  NamedTensors parameters;
  NamedTensors buffers;
  std::vector<std::pair<std::string, std::unique_ptr<Holder>>> inner;
  std::string source;
  int calls = 0;
  int pieces = 0;

  Holder* find(const std::string& name) const {
    for (const auto& [own, holder] : inner) {
      if (own == name) {
        return holder.get();
      }
    }
    return nullptr;
  }
};

class ModuleWriter {
 public:
  explicit ModuleWriter(const ExportedProgram& program) : program_(program) {}

  ModulePart write() {
    root_.class_name = plain_class(program_.class_name);
    for (const std::string& path : program_.module_paths) {
      holder_at(path);
    }
    place_weights();
    find_last_reads();
    Frame frame{"", &root_, {}, {}, ""};
    std::vector<std::string> inputs;
    for (const ExportedInput& input : program_.inputs) {
      if (input.kind == ExportedInput::Kind::user) {
        inputs.push_back(input_name(input.value, inputs));
        names_[input.value] = inputs.back();
        frame.local.insert(input.value);
      }
    }
    if (inputs.empty()) {
      throw Error("model", "The model takes no tensor.");
    }
    if (program_.outputs.empty()) {
      throw Error("model", "The model returns no tensor.");
    }
    frame.local.insert(exported_device);
    frame.body = "    " + name_of(exported_device) + " = " + inputs[0] + ".device\n";
    write_nodes(frame, 0, program_.nodes.size(), 0);
    std::vector<std::string> outputs;
    for (const std::string& output : program_.outputs) {
      if (program_.numbers.count(output) > 0) {
        throw Error("model", "The model returns a number that is no tensor.");
      }
      outputs.push_back(value(frame, output));
    }
    if (!frame.arguments.empty()) {
      throw Error("file", "The graph uses \"" + printable(frame.arguments[0]) +
                              "\", which it never computes.");
    }
    std::string arguments;
    for (const std::string& input : inputs) {
      arguments += ", " + input + ": Tensor";
    }
    root_.source += "def forward(self" + arguments + "):\n" + frame.body + "    return " +
                    (outputs.size() == 1 ? outputs[0] : "(" + with_commas(outputs) + ")") + "\n";
    ModulePart part = part_of(root_);
    if (program_.output_names.size() == outputs.size()) {
      part.output_names = program_.output_names;
    }
    return part;
  }

 private:
  // A method that is being written, of the module at `path`.
  struct Frame {
    std::string path;
    Holder* holder;
    std::unordered_set<std::string> local;  // values that have a name in it
    std::vector<std::string> arguments;     // those of them that come from outside
    std::string body;
  };

  Holder* holder_at(const std::string& path) {
    Holder* holder = &root_;
    const auto parts = split_path(path);
    if (parts.size() > deepest) {
      throw Error("model", "The model has more than " + std::to_string(deepest) +
                               " modules inside each other.");
    }
    for (const std::string& part : parts) {
      Holder* inner = holder->find(part);
      if (!inner) {
        check_part(part);
        holder->inner.emplace_back(part, std::make_unique<Holder>());
        inner = holder->inner.back().second.get();
      }
      holder = inner;
    }
    return holder;
  }

  void place_weights() {
    for (const ExportedInput& input : program_.inputs) {
      if (input.kind == ExportedInput::Kind::user || !placed_.insert(input.name).second) {
        continue;
      }
      const size_t dot = input.name.rfind('.');
      const std::string name = dot == std::string::npos ? input.name : input.name.substr(dot + 1);
      check_part(name);
      Holder* holder = holder_at(dot == std::string::npos ? "" : input.name.substr(0, dot));
      const at::Tensor& tensor = program_.weights.at(input.name);
      const bool parameter = input.kind == ExportedInput::Kind::parameter;
      (parameter ? holder->parameters : holder->buffers).emplace_back(name, tensor);
    }
    for (const ExportedInput& input : program_.inputs) {
      if (input.kind != ExportedInput::Kind::user) {
        weights_[input.value] = input.name;
      }
    }
  }

  void find_last_reads() {
    for (size_t i = 0; i < program_.nodes.size(); ++i) {
      for (const std::string& name : values_read(program_.nodes[i])) {
        last_read_[name] = i;
      }
    }
    for (const std::string& name : program_.outputs) {
      last_read_[name] = program_.nodes.size();
    }
  }

  // A number for every value, so that no name of the file can be a word of TorchScript.
  std::string name_of(const std::string& value) {
    return names_.emplace(value, "v" + std::to_string(names_.size())).first->second;
  }

  // The inputs of forward keep theirs.
  static std::string input_name(const std::string& given, const std::vector<std::string>& taken) {
    static const std::unordered_set<std::string> words = {
        "self",  "def",      "return", "if",     "elif",   "else",    "for",      "while",
        "in",    "is",       "not",    "and",    "or",     "with",    "as",       "pass",
        "break", "continue", "lambda", "global", "class",  "import",  "from",     "None",
        "True",  "False",    "del",    "raise",  "assert", "try",     "except",   "finally",
        "yield", "nonlocal", "async",  "await",  "torch",  "getattr", "annotate", "float",
        "int",   "max",      "min"};
    const bool number = given.size() > 1 && given[0] == 'v' &&
                        std::all_of(given.begin() + 1, given.end(),
                                    [](unsigned char letter) { return std::isdigit(letter); });
    std::string name = is_identifier(given) && !number && words.count(given) == 0
                           ? given
                           : "input_" + std::to_string(taken.size());
    while (std::find(taken.begin(), taken.end(), name) != taken.end()) {
      name += "_";
    }
    return name;
  }

  // What a value is called in a method: a name, a weight of the module or of those inside it, or an
  // argument.
  std::string value(Frame& frame, const std::string& name) {
    if (frame.local.count(name) > 0) {
      return name_of(name);
    }
    const auto weight = weights_.find(name);
    if (weight != weights_.end() && is_inside(weight->second, frame.path)) {
      std::string object = "self";
      const size_t begin = frame.path.empty() ? 0 : frame.path.size() + 1;
      for (const std::string& part : split_path(weight->second.substr(begin))) {
        object = access(object, part);
      }
      return object;
    }
    frame.local.insert(name);
    frame.arguments.push_back(name);
    return name_of(name);
  }

  std::string type_of(const std::string& value) const {
    if (value == exported_device) {
      return "Device";
    }
    const auto number = program_.numbers.find(value);
    return number == program_.numbers.end() ? "Tensor" : number->second;
  }

  // Where the call of a module that node `begin` belongs to ends.
  size_t end_of_call(size_t begin, size_t end, size_t depth) const {
    const ExportedModuleCall& call = program_.nodes[begin].modules[depth];
    size_t i = begin + 1;
    while (i < end && program_.nodes[i].modules.size() > depth &&
           program_.nodes[i].modules[depth].key == call.key &&
           program_.nodes[i].modules[depth].path == call.path) {
      ++i;
    }
    return i;
  }

  void write_nodes(Frame& frame, size_t begin, size_t end, size_t depth) {
    size_t i = begin;
    while (i < end) {
      const ExportedNode& node = program_.nodes[i];
      if (depth >= node.modules.size() || depth >= deepest) {
        write_node(frame, node);
        ++i;
        continue;
      }
      const size_t next = end_of_call(i, end, depth);
      write_call(frame, i, next, depth);
      i = next;
    }
  }

  void write_node(Frame& frame, const ExportedNode& node) {
    const std::unordered_set<std::string> outputs(node.outputs.begin(), node.outputs.end());
    const auto lines = write_operation(program_, node, [&](const std::string& name) {
      return outputs.count(name) > 0 ? name_of(name) : value(frame, name);
    });
    for (const std::string& output : node.outputs) {
      frame.local.insert(output);
    }
    // What stands behind the exported_marker is put on the operations once the source is compiled.
    std::string place;
    if (!node.file.empty() && node.line > 0 && node.line < (int64_t{1} << 30)) {
      place = exported_marker + file_name(node.file) + ":" + std::to_string(node.line) + ":" +
              printable(node.code);
    }
    for (const std::string& line : lines) {
      frame.body += "    " + line + place + "\n";
    }
  }

  // One call of a module: a method of it, and the line that calls the method.
  void write_call(Frame& frame, size_t begin, size_t end, size_t depth) {
    const ExportedModuleCall& call = program_.nodes[begin].modules[depth];
    std::vector<std::string> outputs;
    for (size_t i = begin; i < end; ++i) {
      for (const std::string& output : program_.nodes[i].outputs) {
        const auto last = last_read_.find(output);
        if (last != last_read_.end() && last->second >= end) {
          outputs.push_back(output);
        }
      }
    }
    if (outputs.empty() || call.path == frame.path) {
      return write_nodes(frame, begin, end, depth + 1);
    }
    // A module that belongs to another one is called here as one of this module's own, by the last
    // part of its name; its weights are then arguments.
    std::string path = call.path;
    std::vector<std::string> steps;
    if (is_inside(path, frame.path)) {
      steps = split_path(path.substr(frame.path.empty() ? 0 : frame.path.size() + 1));
    } else {
      std::string name = split_path(path).back();
      while (frame.holder->find(name) && borrowed_[frame.holder->find(name)] != path) {
        name += "_";
      }
      steps = {name};
      path = (frame.path.empty() ? "" : frame.path + ".") + name;
      borrowed_[holder_at(path)] = call.path;
    }
    std::string object = "self";
    for (const std::string& step : steps) {
      object = access(object, step);
    }
    Frame inside{path, holder_at(path), {}, {}, ""};
    inside.holder->class_name = plain_class(call.class_name);
    write_nodes(inside, begin, end, depth + 1);

    std::vector<std::string> given;
    std::string arguments;
    for (const std::string& argument : inside.arguments) {
      arguments += ", " + name_of(argument) + ": " + type_of(argument);
      given.push_back(value(frame, argument));
    }
    std::vector<std::string> returned;
    for (const std::string& output : outputs) {
      returned.push_back(name_of(output));
      frame.local.insert(output);
    }
    const std::string method = method_name(inside, call);
    const std::string results = with_commas(returned);
    inside.holder->source += "def " + method + "(self" + arguments + "):\n" + inside.body +
                             "    return " +
                             (returned.size() == 1 ? results : "(" + results + ")") + "\n";
    frame.body +=
        "    " + results + " = " + object + "." + method + "(" + with_commas(given) + ")\n";
  }

  // Later calls are named as a trace names them. What is only a piece of a call, with operations of
  // other modules in between, is no forward: a rule for the whole module would be wrong for it.
  std::string method_name(Frame& inside, const ExportedModuleCall& call) {
    if (pieces_.empty()) {
      find_pieces();
    }
    if (keys_differ_ && pieces_.at(call.key + "\n" + call.path) > 1) {
      return "piece" + std::to_string(inside.holder->pieces++);
    }
    const int calls = inside.holder->calls++;
    return calls == 0 ? "forward" : "forward" + std::to_string(calls);
  }

  // How often each call of a module begins anew. Files in which a second call has the key of the
  // first one say nothing of pieces.
  void find_pieces() {
    std::vector<const ExportedModuleCall*> open;
    for (const ExportedNode& node : program_.nodes) {
      size_t same = 0;
      while (same < open.size() && same < node.modules.size() &&
             open[same]->key == node.modules[same].key &&
             open[same]->path == node.modules[same].path) {
        ++same;
      }
      open.resize(same);
      for (size_t i = same; i < node.modules.size() && i < deepest; ++i) {
        open.push_back(&node.modules[i]);
        ++pieces_[node.modules[i].key + "\n" + node.modules[i].path];
        keys_differ_ = keys_differ_ || node.modules[i].key.find('@') != std::string::npos;
      }
    }
  }

  // A module without a call of its own holds others: a ModuleList where they have numbers.
  static ModulePart part_of(Holder& holder) {
    ModulePart part;
    part.source = holder.source;
    part.parameters = std::move(holder.parameters);
    part.buffers = std::move(holder.buffers);
    bool numbered = !holder.inner.empty();
    for (auto& [name, inner] : holder.inner) {
      numbered = numbered && !is_identifier(name);
      part.parts.emplace_back(name, part_of(*inner));
    }
    part.class_name = !holder.class_name.empty() ? holder.class_name
                      : numbered                 ? "torch.nn.modules.container.ModuleList"
                                                 : "torch.nn.modules.module.Module";
    return part;
  }

  const ExportedProgram& program_;
  Holder root_;
  std::unordered_set<std::string> placed_;
  std::unordered_map<std::string, std::string> weights_;  // value -> "body.0.weight"
  std::unordered_map<std::string, std::string> names_;    // value -> its name in the code
  std::unordered_map<std::string, size_t> last_read_;     // value -> node
  std::unordered_map<Holder*, std::string> borrowed_;     // module -> the path it was called by
  std::unordered_map<std::string, int> pieces_;
  bool keys_differ_ = false;
};

}  // namespace

ModulePart write_exported(const ExportedProgram& program) { return ModuleWriter(program).write(); }

}  // namespace seqlift
