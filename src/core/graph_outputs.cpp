#include "graph_outputs.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

#include "error.h"

namespace seqlift {

using torch::jit::Node;

namespace {

bool is_several(const torch::jit::Value* output) {
  return output->type()->cast<c10::TupleType>() ||
         output->node()->kind() == c10::prim::ListConstruct;
}

// Keys that TorchScript's source can say as they are.
bool is_plain(const std::string& key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char letter) {
    return letter >= ' ' && letter <= '~' && letter != '"' && letter != '\\';
  });
}

// The keys of a dictionary as it is written down, or none.
std::vector<std::string> keys_of(const torch::jit::Value* dictionary) {
  const Node* built = dictionary->node();
  if (built->kind() != c10::prim::DictConstruct || dictionary->uses().size() != 1) {
    return {};
  }
  std::vector<std::string> keys;
  for (size_t i = 0; i + 1 < built->inputs().size(); i += 2) {
    const auto key = torch::jit::toIValue(built->input(i));
    if (!key || !key->isString() || !is_plain(key->toStringRef()) ||
        std::find(keys.begin(), keys.end(), key->toStringRef()) != keys.end()) {
      return {};
    }
    keys.push_back(key->toStringRef());
  }
  return keys;
}

}  // namespace

std::vector<std::string> open_outputs(torch::jit::Graph& graph) {
  const torch::jit::Value* output = graph.outputs()[0];
  std::vector<std::string> names = keys_of(output);
  if (!names.empty()) {
    std::vector<torch::jit::Value*> values;
    for (size_t i = 0; i < names.size(); ++i) {
      values.push_back(output->node()->input(2 * i + 1));
    }
    torch::jit::WithInsertPoint guard(graph.block()->return_node());
    graph.block()->replaceOutput(
        0, values.size() == 1 ? values[0] : graph.insertNode(graph.createTuple(values))->output());
    return names;
  }
  const auto tuple = output->type()->cast<c10::TupleType>();
  if (tuple && tuple->schema()) {
    for (const c10::Argument& field : tuple->schema()->arguments()) {
      names.push_back(field.name());
    }
  }
  return names;
}

void refuse_output(const c10::IValue& returned) {
  throw Error("output", "The model returns something that is not a tensor" +
                            std::string(returned.isGenericDict()
                                            ? ": a dictionary that its code fills step by step. "
                                              "Return all of it at once: {\"a\": a, \"b\": b}."
                                            : "."));
}

int64_t count_outputs(const torch::jit::Value* output) {
  if (const auto tuple = output->type()->cast<c10::TupleType>()) {
    return static_cast<int64_t>(tuple->elements().size());
  }
  const bool built = output->node()->kind() == c10::prim::ListConstruct;
  return built ? static_cast<int64_t>(output->node()->inputs().size()) : 1;
}

torch::jit::Value* select_output(torch::jit::Graph& graph, torch::jit::Value* output,
                                 int64_t index) {
  const int64_t count = count_outputs(output);
  if (!is_several(output)) {
    if (index == 0) {
      return output;
    }
  } else if (index < count) {
    const auto kind = output->node()->kind();
    if (kind == c10::prim::TupleConstruct || kind == c10::prim::ListConstruct) {
      return output->node()->input(index);
    }
    torch::jit::Value* position = graph.insertConstant(index);
    Node* part = graph.create(c10::prim::TupleIndex, {output, position});
    part->output()->setType(output->type()->cast<c10::TupleType>()->elements()[index]);
    return graph.insertNode(part)->output();
  }
  throw Error("model", "The model has " + std::to_string(count) + " output" +
                           (count == 1 ? "" : "s") + ", there is no output " +
                           std::to_string(index + 1) + ".");
}

}  // namespace seqlift
