// The JSON of torch.export's archives. Its schema is PyTorch's torch/_export/serde/schema.py,
// versions 1 to 8; what it calls a union is an object with one member.
#include "core/import/exported/program.h"

#include <algorithm>
#include <cstdlib>

#include "core/import/exported/json.h"

namespace seqlift {

namespace {

class ProgramParser : ExportedJson {
 public:
  using ExportedJson::ExportedJson;

  ExportedProgram parse(const json& root) {
    const json* version = find(root, "schema_version");
    const int64_t major =
        version ? version->is_object() ? integer(member(*version, "major")) : integer(*version) : 0;
    if (major < 1 || major > 8) {
      throw Error("file", "\"" + name_ + "\" has the graph of torch.export in version " +
                              std::to_string(major) + "; versions 1 to 8 are known.");
    }
    if (const json* torch = find(root, "torch_version")) {
      program_.torch_version = printable(text(*torch));
    }
    const json& module = member(root, "graph_module");
    const json& graph = member(module, "graph");
    read_values(graph, "");
    for (const json& node : array(member(graph, "nodes"))) {
      read_node(node, "", {}, 0);
    }
    read_signature(member(module, "signature"));
    if (const json* calls = find(module, "module_call_graph")) {
      for (const json& call : array(*calls)) {
        program_.module_paths.push_back(module_path(text(member(call, "fqn"))));
        const json* signature = find(call, "signature");
        const json* returned = signature ? find(*signature, "out_spec") : nullptr;
        if (returned && program_.module_paths.back().empty()) {
          program_.output_names = exported_output_names(text(*returned));
        }
      }
    }
    return std::move(program_);
  }

 private:
  using Names = std::unordered_map<std::string, std::string>;

  // "" stands for the graph itself; a graph inside has a prefix of its own and names of its inputs.
  static std::string named(const std::string& value, const std::string& prefix,
                           const Names& inputs) {
    const auto given = inputs.find(value);
    return given == inputs.end() ? prefix + value : given->second;
  }

  static ExportedArgument literal(ArgumentKind kind, int64_t integer) {
    ExportedArgument argument;
    argument.kind = kind;
    argument.integer = integer;
    return argument;
  }

  ExportedArgument read_one(const std::string& kind, const json& value, const std::string& prefix,
                            const Names& inputs) const {
    ExportedArgument argument;
    if (kind == "as_none") {
      return argument;
    }
    if (kind == "as_int") {
      return literal(ArgumentKind::integer, integer(value));
    }
    if (kind == "as_bool") {
      return literal(ArgumentKind::boolean, boolean(value));
    }
    if (kind == "as_scalar_type") {
      return literal(ArgumentKind::dtype, static_cast<int64_t>(dtype(value)));
    }
    if (kind == "as_memory_format") {
      // Theirs: contiguous 1, channels last 2 and 3, preserved 4. LibTorch's: 0, 2, 3, 1.
      const int64_t theirs = integer(value);
      const int64_t ours[] = {0, 0, 2, 3, 1};
      return literal(ArgumentKind::memory_format, theirs >= 1 && theirs <= 4 ? ours[theirs] : 0);
    }
    if (kind == "as_layout") {
      return literal(ArgumentKind::layout, integer(value) == 7);
    }
    if (kind == "as_float") {
      argument.kind = ArgumentKind::number;
      argument.number = number(value);
    } else if (kind == "as_string") {
      argument.kind = ArgumentKind::text;
      argument.text = text(value);
    } else if (kind == "as_device") {
      argument.kind = ArgumentKind::device;
      argument.text = text(member(value, "type"));
    } else if (kind == "as_tensor" || kind == "as_name") {
      argument.kind = ArgumentKind::value;
      argument.text =
          named(text(kind == "as_name" ? value : member(value, "name")), prefix, inputs);
    } else {
      argument.kind = ArgumentKind::other;
      argument.text = kind;
    }
    return argument;
  }

  ExportedArgument read_argument(const json& given, const std::string& prefix,
                                 const Names& inputs) const {
    const auto [kind, value] = only(given);
    static const std::unordered_map<std::string, std::string> lists = {
        {"as_ints", "as_int"},       {"as_floats", "as_float"},  {"as_bools", "as_bool"},
        {"as_strings", "as_string"}, {"as_tensors", ""},         {"as_optional_tensors", "union"},
        {"as_sym_ints", "union"},    {"as_sym_floats", "union"}, {"as_sym_bools", "union"}};
    const auto list = lists.find(kind);
    if (list != lists.end()) {
      ExportedArgument argument;
      argument.kind = ArgumentKind::list;
      argument.tensors = kind == "as_tensors" || kind == "as_optional_tensors";
      for (const json& item : array(*value)) {
        if (list->second == "union") {
          const auto [item_kind, item_value] = only(item);
          argument.items.push_back(read_one(item_kind, *item_value, prefix, inputs));
        } else {
          const std::string item_kind = argument.tensors ? "as_tensor" : list->second;
          argument.items.push_back(read_one(item_kind, item, prefix, inputs));
        }
      }
      return argument;
    }
    const bool symbolic = kind == "as_sym_int" || kind == "as_sym_float" || kind == "as_sym_bool" ||
                          kind == "as_optional_tensor";
    if (symbolic) {
      const auto [inner_kind, inner] = only(*value);
      return read_one(inner_kind, *inner, prefix, inputs);
    }
    return read_one(kind, *value, prefix, inputs);
  }

  void read_values(const json& graph, const std::string& prefix) {
    if (const json* tensors = find(graph, "tensor_values")) {
      for (const auto& entry : object(*tensors).items()) {
        program_.sizes[prefix + entry.key()] = sizes(member(entry.value(), "sizes"));
        program_.dtypes[prefix + entry.key()] = dtype(member(entry.value(), "dtype"));
      }
    }
    const std::pair<const char*, const char*> kinds[] = {
        {"sym_int_values", "int"}, {"sym_float_values", "float"}, {"sym_bool_values", "bool"}};
    for (const auto& [key, type] : kinds) {
      if (const json* values = find(graph, key)) {
        for (const auto& entry : object(*values).items()) {
          program_.numbers[prefix + entry.key()] = type;
        }
      }
    }
  }

  void read_node(const json& given, const std::string& prefix, const Names& inputs, int depth) {
    ExportedNode node;
    node.target = text(member(given, "target"));
    if (const json* metadata = find(given, "metadata")) {
      if (const json* stack = find(*metadata, "nn_module_stack")) {
        read_modules(text(*stack), node);
      }
      if (const json* trace = find(*metadata, "stack_trace")) {
        read_trace(text(*trace), node);
      }
    }
    // A block of code under torch.no_grad() is a graph inside the graph. No gradient of the
    // forward pass depends on it here.
    if (node.target.find("wrap_with_set_grad_enabled") != std::string::npos && depth < 16) {
      return open(given, prefix, inputs, depth, node);
    }
    for (const json& input : array(member(given, "inputs"))) {
      const json* name = find(input, "name");
      node.inputs.emplace_back(name ? text(*name) : "",
                               read_argument(member(input, "arg"), prefix, inputs));
    }
    for (const json& output : array(member(given, "outputs"))) {
      const ExportedArgument argument = read_argument(output, prefix, inputs);
      if (argument.kind == ArgumentKind::list) {
        node.returns_list = true;
        for (const ExportedArgument& item : argument.items) {
          node.outputs.push_back(item.text);
        }
      } else if (argument.kind == ArgumentKind::value) {
        node.outputs.push_back(argument.text);
      } else if (argument.kind == ArgumentKind::none) {
        node.outputs.emplace_back();
      } else {
        fail("an operation returns what is no value");
      }
    }
    note_writing(node.target);
    program_.nodes.push_back(std::move(node));
  }

  // "torch.ops.aten.add_.Tensor", not "torch.ops.aten.__and__.Tensor". detach_ changes no number.
  void note_writing(const std::string& target) {
    const std::string name = target.substr(0, target.rfind('.'));
    const size_t length = name.size();
    const bool writes = length > 2 && name[length - 1] == '_' && name[length - 2] != '_' &&
                        name != "torch.ops.aten.detach_";
    program_.writes_in_place = program_.writes_in_place || writes;
  }

  void open(const json& given, const std::string& prefix, const Names& inputs, int depth,
            const ExportedNode& caller) {
    const json& arguments = array(member(given, "inputs"));
    if (arguments.size() < 2) {
      fail("a graph inside the graph is missing");
    }
    const json& graph = member(member(member(arguments[1], "arg"), "as_graph"), "graph");
    const json& parameters = array(member(graph, "inputs"));
    if (parameters.size() + 2 != arguments.size()) {
      fail("a graph inside the graph is called with another number of inputs");
    }
    const std::string inside = prefix + "inner" + std::to_string(++inner_graphs_) + ".";
    Names names;
    for (size_t i = 0; i < parameters.size(); ++i) {
      const ExportedArgument outer = read_argument(member(arguments[i + 2], "arg"), prefix, inputs);
      const ExportedArgument inner = read_argument(parameters[i], "", {});
      if (outer.kind == ArgumentKind::value && inner.kind == ArgumentKind::value) {
        names[inner.text] = outer.text;
      }
    }
    read_values(graph, inside);
    const size_t first = program_.nodes.size();
    for (const json& node : array(member(graph, "nodes"))) {
      read_node(node, inside, names, depth + 1);
    }
    for (size_t i = first; i < program_.nodes.size(); ++i) {
      if (program_.nodes[i].modules.empty()) {
        program_.nodes[i].modules = caller.modules;
      }
    }
    std::vector<std::string> returned;
    for (const json& output : array(member(graph, "outputs"))) {
      returned.push_back(read_argument(output, inside, names).text);
    }
    size_t next = 0;
    for (const json& output : array(member(given, "outputs"))) {
      const ExportedArgument argument = read_argument(output, prefix, inputs);
      const std::vector<ExportedArgument> items = argument.kind == ArgumentKind::list
                                                      ? argument.items
                                                      : std::vector<ExportedArgument>{argument};
      for (const ExportedArgument& item : items) {
        if (next == returned.size()) {
          fail("a graph inside the graph returns another number of outputs");
        }
        ExportedNode same;
        same.modules = caller.modules;
        same.target = "seqlift.same";
        ExportedArgument from;
        from.kind = ArgumentKind::value;
        from.text = returned[next++];
        same.inputs.emplace_back("value", from);
        same.outputs.push_back(item.text);
        program_.nodes.push_back(std::move(same));
      }
    }
  }

  // "key,path,class;key,path,class".
  void read_modules(const std::string& stack, ExportedNode& node) {
    size_t begin = 0;
    while (begin <= stack.size()) {
      const size_t end = std::min(stack.find(';', begin), stack.size());
      const std::string entry = stack.substr(begin, end - begin);
      begin = end + 1;
      // The early versions' paths hold commas: "getattr(L['self'].body, '0')".
      const size_t first = entry.find(',');
      const size_t last = entry.rfind(',');
      if (first == std::string::npos || first == last) {
        continue;
      }
      ExportedModuleCall call;
      call.path = module_path(entry.substr(first + 1, last - first - 1));
      call.class_name = entry.substr(last + 1);
      if (call.class_name.rfind("<class '", 0) == 0) {
        call.class_name = call.class_name.substr(8, call.class_name.find('\'', 8) - 8);
      }
      if (call.path.rfind("_empty_nn_module_stack", 0) == 0) {
        continue;  // made by torch.export, not by the user's code
      }
      if (call.path.empty()) {
        program_.class_name = call.class_name;
      } else {
        call.key = entry.substr(0, first);
        node.modules.push_back(std::move(call));
      }
    }
  }

  // "body.0", of "body.0@1" (its second call) and of "L['self'].body[0]".
  static std::string module_path(const std::string& given) {
    std::string path;
    for (size_t i = 0; i < given.size(); ++i) {
      const auto skip = [&](const char* word) {
        const size_t length = std::char_traits<char>::length(word);
        const bool here = given.compare(i, length, word) == 0;
        i += here ? length - 1 : 0;
        return here;
      };
      if (skip("L['self']") || skip("getattr(") || skip("')") || skip("]")) {
        continue;
      }
      if (skip(", '") || skip("[")) {
        path += '.';
      } else {
        path += given[i];
      }
    }
    path = path.substr(0, path.find('@'));
    const size_t begin = path.find_first_not_of('.');
    return begin == std::string::npos ? "" : path.substr(begin);
  }

  // Python's own words: 'File "net.py", line 12, in forward', the line under it. The innermost
  // line that is not PyTorch's.
  static void read_trace(const std::string& trace, ExportedNode& node) {
    size_t at = 0;
    while ((at = trace.find("File \"", at)) != std::string::npos) {
      const size_t begin = at + 6;
      const size_t end = trace.find("\", line ", begin);
      if (end == std::string::npos) {
        return;
      }
      at = end + 8;
      const std::string file = trace.substr(begin, end - begin);
      const bool torch =
          file.find("/torch/") != std::string::npos || file.empty() || file[0] == '<';
      if (torch && !node.file.empty()) {
        continue;
      }
      node.file = file;
      node.line = std::strtol(trace.c_str() + at, nullptr, 10);
      const size_t eol = trace.find('\n', at);
      const size_t code = eol == std::string::npos ? eol : trace.find_first_not_of(" \n", eol);
      node.code =
          code == std::string::npos ? "" : trace.substr(code, trace.find('\n', code) - code);
    }
  }

  void read_signature(const json& signature) {
    for (const json& spec : array(member(signature, "input_specs"))) {
      const auto [kind, value] = only(spec);
      ExportedInput input;
      if (kind == "user_input") {
        const ExportedArgument argument = read_argument(member(*value, "arg"), "", {});
        if (argument.kind != ArgumentKind::value) {
          continue;  // a number or a text, which is part of the graph
        }
        input.value = argument.text;
      } else if (kind == "parameter" || kind == "buffer" || kind == "tensor_constant") {
        input.kind = kind == "parameter" ? ExportedInput::Kind::parameter
                     : kind == "buffer"  ? ExportedInput::Kind::buffer
                                         : ExportedInput::Kind::constant;
        input.value = text(member(member(*value, "arg"), "name"));
        input.name = text(member(*value, (kind + "_name").c_str()));
      } else if (kind == "constant_input" || kind == "token") {
        continue;
      } else {
        throw Error("model", "The model in \"" + name_ + "\" takes an object of the user's own (" +
                                 printable(kind) + "), which is not read.");
      }
      program_.inputs.push_back(std::move(input));
    }
    // What is written to a buffer is lost at the end of a call, as the model is never changed.
    for (const json& spec : array(member(signature, "output_specs"))) {
      const auto [kind, value] = only(spec);
      if (kind != "user_output") {
        continue;
      }
      const ExportedArgument argument = read_argument(member(*value, "arg"), "", {});
      if (argument.kind == ArgumentKind::value) {
        program_.outputs.push_back(argument.text);
      } else if (argument.kind != ArgumentKind::none) {
        throw Error("model", "The model in \"" + name_ + "\" returns a constant.");
      }
    }
  }

  ExportedProgram program_;
  int64_t inner_graphs_ = 0;
};

}  // namespace

ExportedProgram parse_exported_program(const char* text, size_t size, const std::string& name) {
  return ProgramParser(name).parse(parse_exported_json(text, size, name));
}

}  // namespace seqlift
