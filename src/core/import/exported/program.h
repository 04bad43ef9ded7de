// What a torch.export archive (".pt2") says, as plain structures: the operations of the graph, its
// inputs and outputs, and the weights. Nothing is run. Both layouts are read: that of PyTorch 2.1
// to 2.7 (serialized_exported_program.json) and the PT2 archive of later ones (models/<name>.json).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/files/mapped_file.h"

namespace seqlift {

class ZipReader;

// An argument of an operation: a literal, the name of a value, or a list of these.
struct ExportedArgument {
  enum class Kind {
    none,
    value,  // text: the name of a tensor or of a number that the graph computes
    integer,
    number,
    boolean,
    text,
    dtype,          // integer: LibTorch's own number
    memory_format,  // integer: LibTorch's own number
    layout,         // integer: 1 where it is strided, else 0
    device,         // text: "cpu"
    list,
    other  // text: what the file calls it
  };
  Kind kind = Kind::none;
  int64_t integer = 0;  // and 0 or 1 of a boolean
  double number = 0;
  std::string text;
  std::vector<ExportedArgument> items;
  bool tensors = false;  // of a list: its items are tensors or None
};
using ArgumentKind = ExportedArgument::Kind;

struct ExportedModuleCall {
  std::string key;         // one of each call: "L__self__act@1"
  std::string path;        // "body.0.act"
  std::string class_name;  // "torch.nn.modules.activation.ReLU"
};

struct ExportedNode {
  std::string target;  // "torch.ops.aten.conv1d.default"
  std::vector<std::pair<std::string, ExportedArgument>> inputs;
  std::vector<std::string> outputs;         // names of values
  bool returns_list = false;                // one list, of which `outputs` are the items
  std::vector<ExportedModuleCall> modules;  // from the outside in, without the model itself
  // The innermost line of the user's own code.
  std::string file;
  int64_t line = 0;
  std::string code;
  // Of the target "seqlift.lines": TorchScript, in which {0} stands for the first input and {=0}
  // for the first output.
  std::vector<std::string> lines;
};

struct ExportedInput {
  enum class Kind { parameter, buffer, constant, user };
  Kind kind = Kind::user;
  std::string value;  // its name in the graph
  std::string name;   // of a weight: "body.0.conv.weight"
};

struct ExportedProgram {
  std::string origin =
      "torch.export";  // who wrote it, and how its batch dimension is set free there
  std::string batch_advice =
      "torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim(\"batch\")},))";
  std::string class_name;  // of the model; "" where the file does not say
  std::vector<ExportedNode> nodes;
  std::vector<ExportedInput> inputs;
  std::vector<std::string> outputs;       // names of the values that forward returns
  std::vector<std::string> output_names;  // the keys where it returns a dictionary, else empty
  // Sizes of tensors as they were exported; -1 for one that is not fixed.
  std::unordered_map<std::string, std::vector<int64_t>> sizes;
  std::unordered_map<std::string, at::ScalarType> dtypes;
  // "int", "float" or "bool", of the values that are not tensors.
  std::unordered_map<std::string, std::string> numbers;
  // Every module in the order of the model, where the file says so.
  std::vector<std::string> module_paths;
  std::unordered_map<std::string, at::Tensor> weights;  // by their name
  bool writes_in_place = false;  // whether an operation writes to one of its inputs
  std::string torch_version;
};

bool is_exported_program(const ZipReader& archive);

// Errors: kind "file" (damaged, a version that is not known, weights that are missing or do not
// fit the file), "model" (what cannot become a model here: code compiled for one device, control
// flow, objects of the user's own).
ExportedProgram read_exported_program(const std::string& path);

// The graph alone, without the weights. `name`: of the file, for messages.
ExportedProgram parse_exported_program(const char* text, size_t size, const std::string& name);

}  // namespace seqlift
