// What an ONNX file says, as plain structures. Nothing is computed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/files/mapped_file.h"

namespace seqlift {
namespace onnx {

struct Graph;

struct Attribute {
  // By the field that holds the value, or by the file's own word for it.
  enum class Type { real, whole, text, tensor, graph, reals, wholes, texts, reference, other };
  std::string name;
  Type type = Type::other;
  double number = 0;  // real; see shortest() in model.cpp
  int64_t whole = 0;
  std::string text;  // and the attribute of the function that a reference names
  at::Tensor tensor;
  std::shared_ptr<Graph> graph;
  std::vector<double> reals;
  std::vector<int64_t> wholes;
  std::vector<std::string> texts;
};

struct Node {
  std::string name;
  std::string operation;  // "Conv"
  std::string domain;     // "" for ONNX's own
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<Attribute> attributes;
};

struct Input {
  std::string name;
  bool tensor = false;  // a tensor whose number of dimensions is known
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> sizes;  // -1 for one that is not fixed
};

struct Graph {
  std::vector<Node> nodes;
  std::vector<std::pair<std::string, at::Tensor>> initializers;
  std::vector<Input> inputs;  // without those that are initializers too
  std::vector<std::string> outputs;
};

// A operation that the file defines by others.
struct Function {
  std::string name;
  std::string domain;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<Node> nodes;
  std::vector<Attribute> defaults;
  std::map<std::string, int64_t> versions;
};

struct Model {
  std::string producer;
  std::map<std::string, int64_t> versions;  // of the operators, by domain
  Graph graph;
  std::vector<Function> functions;
};

// `folder`: where files of weights beside this one lie, "" where there can be none. Errors: kind
// "file" (damaged, weights that are elsewhere or do not fit), "model" (types that are not read).
Model read_model(const Bytes& bytes, const std::string& folder);
Model read_model(const std::string& path);

// "Conv \"/body/conv\"", for messages.
std::string place_of(const Node& node);

}  // namespace onnx
}  // namespace seqlift
