#include "core/model/graph_passes.h"

#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/constant_propagation.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "core/files/effects.h"
#include "core/model/operation_table.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

using torch::jit::Block;
using torch::jit::Node;

void collect_nodes(Block* block, const std::vector<c10::Symbol>& kinds, std::vector<Node*>& found) {
  for (Node* node : block->nodes()) {
    if (std::find(kinds.begin(), kinds.end(), node->kind()) != kinds.end()) {
      found.push_back(node);
    }
    for (Block* inner : node->blocks()) {
      collect_nodes(inner, kinds, found);
    }
  }
}

namespace {

// "body.3.weight" for an attribute access, by the chain that leads to it.
std::string attribute_path(const torch::jit::Value* value) {
  const Node* node = value->node();
  if (node->kind() != c10::prim::GetAttr) {
    return "";
  }
  return attribute_path(node->input()) + "." + node->s(c10::attr::name);
}

// A list, a dictionary, or what may hold one.
bool is_container(const torch::jit::Value* value) {
  const auto optional = value->type()->cast<c10::OptionalType>();
  const auto& type = optional ? *optional->getElementType() : *value->type();
  return type.cast<c10::ListType>() || type.cast<c10::DictType>() || type.cast<c10::TupleType>();
}

// The attribute whose memory `value` is or shows: followed back through views. nullptr where it is
// the result of a computation; `unclear` is set where that cannot be told.
const torch::jit::Value* written_attribute(const torch::jit::Value* value, bool& unclear) {
  while (true) {
    const Node* node = value->node();
    if (node->kind() == c10::prim::GetAttr) {
      return value;
    }
    const auto* schema = node->maybeSchema();
    if (!schema || node->inputs().empty() || schema->returns().size() != node->outputs().size()) {
      const bool own_input = node->kind() == c10::prim::Param && !node->owningBlock()->owningNode();
      unclear = unclear || !own_input;
      return nullptr;
    }
    if (!schema->returns()[value->offset()].alias_info()) {
      return nullptr;
    }
    value = node->input(0);
  }
}

void collect_writes(Block* block, std::set<std::string>& paths, bool& unclear) {
  for (Node* node : block->nodes()) {
    const auto* schema = node->maybeSchema();
    for (size_t i = 0; schema && i < schema->arguments().size() && i < node->inputs().size(); ++i) {
      const auto* alias = schema->arguments()[i].alias_info();
      if (alias && alias->isWrite()) {
        const torch::jit::Value* attribute = written_attribute(node->input(i), unclear);
        if (attribute) {
          paths.insert(attribute_path(attribute));
        }
      }
    }
    for (Block* inner : node->blocks()) {
      collect_writes(inner, paths, unclear);
    }
  }
}

// Which attributes are written to in place. LibTorch's own alias analysis takes all attributes of a
// model for one memory: a batch norm that counts its batches would make every weight look written.
void find_written_attributes(Graph& result, const torch::jit::AliasDb& aliases) {
  std::set<std::string> paths;
  bool unclear = false;
  collect_writes(result.graph->block(), paths, unclear);
  std::vector<Node*> attributes;
  collect_nodes(result.graph->block(), {c10::prim::GetAttr}, attributes);
  for (Node* node : attributes) {
    const bool tensor = node->output()->type()->isSubtypeOf(*c10::TensorType::get());
    const bool own = paths.count(attribute_path(node->output())) > 0;
    // Of lists and dictionaries the alias analysis is asked too: what is in them may be written to.
    const bool written =
        own || ((unclear || is_container(node->output())) && aliases.hasWriters(node->output()));
    if ((tensor || is_container(node->output())) && written) {
      result.written_attributes.insert(node->output());
    }
  }
}

bool returns_view(const c10::FunctionSchema& schema) {
  const auto aliased = [](const c10::Argument& value) { return value.alias_info() != nullptr; };
  return std::any_of(schema.returns().begin(), schema.returns().end(), aliased);
}

void find_written_results(Graph& result, Block* block, const torch::jit::AliasDb& aliases) {
  for (Node* node : block->nodes()) {
    const auto tensor = [](const torch::jit::Value* value) {
      return value->type()->isSubtypeOf(*c10::TensorType::get());
    };
    const bool made = node->maybeSchema() && node->outputs().size() == 1 &&
                      tensor(node->output()) &&
                      std::none_of(node->inputs().begin(), node->inputs().end(), tensor);
    const bool container = node->outputs().size() == 1 && is_container(node->output()) &&
                           node->kind() != c10::prim::TupleConstruct &&
                           node->kind() != c10::prim::GetAttr;
    if ((made || container) && aliases.hasWriters(node->output())) {
      result.written_results.insert(node);
    }
    if (node->maybeSchema() && !returns_view(*node->maybeSchema())) {
      for (size_t i = 0; i < node->inputs().size(); ++i) {
        if (tensor(node->input(i)) && aliases.hasWriters(node->input(i))) {
          result.written_inputs[node].push_back(static_cast<int>(i));
        }
      }
    }
    for (Block* inner : node->blocks()) {
      find_written_results(result, inner, aliases);
    }
  }
}

}  // namespace

std::vector<Node*> all_nodes(Block* block) {
  std::vector<Node*> nodes;
  for (Node* node : block->nodes()) {
    nodes.push_back(node);
    for (Block* inner : node->blocks()) {
      const std::vector<Node*> below = all_nodes(inner);
      nodes.insert(nodes.end(), below.begin(), below.end());
    }
  }
  return nodes;
}

std::optional<c10::IValue> attribute_value(const Graph& graph, const torch::jit::Value* value) {
  if (value == graph.graph->inputs()[0]) {
    return graph.self;
  }
  const Node* node = value->node();
  if (node->kind() != c10::prim::GetAttr) {
    return std::nullopt;
  }
  const auto holder = attribute_value(graph, node->input());
  if (!holder || !holder->isObject()) {
    return std::nullopt;
  }
  return holder->toObject()->getAttr(node->s(c10::attr::name));
}

void take_known_branches(Graph& graph, std::set<std::string> names) {
  std::vector<Node*> sets;
  collect_nodes(graph.graph->block(), {c10::prim::SetAttr}, sets);
  // The same module may be known by several paths, so a name that is set is set everywhere.
  for (const Node* node : sets) {
    names.insert(node->s(c10::attr::name));
  }
  std::vector<Node*> attributes;
  collect_nodes(graph.graph->block(), {c10::prim::GetAttr}, attributes);
  for (Node* node : attributes) {
    const auto value = attribute_value(graph, node->output());
    const bool plain = value && (value->isBool() || value->isInt() || value->isDouble() ||
                                 value->isString() || value->isNone());
    if (plain && names.count(node->s(c10::attr::name)) == 0) {
      torch::jit::WithInsertPoint guard(node);
      torch::jit::Value* constant = graph.graph->insertConstant(*value);
      node->output()->replaceAllUsesWith(constant);
    }
  }
  torch::jit::ConstantPropagationImmutableTypes(graph.graph);
}

std::vector<std::string> read_not_finite(const Graph& graph) {
  const std::vector<std::string>& bad = graph.model->not_finite;
  std::map<const void*, std::string> names;
  const auto note = [&](const auto& list) {
    for (const auto& one : list) {
      if (std::find(bad.begin(), bad.end(), one.name) != bad.end()) {
        names[one.value.unsafeGetTensorImpl()] = one.name;
      }
    }
  };
  note(graph.model->module.named_parameters());
  note(graph.model->module.named_buffers());
  const auto looks = [](const torch::jit::Use& use) {
    return operation_of(use.user->kind().toUnqualString()).kind != Kind::shape;
  };
  std::set<std::string> read;
  std::vector<Node*> attributes;
  collect_nodes(graph.graph->block(), {c10::prim::GetAttr}, attributes);
  for (Node* node : attributes) {
    const auto& uses = node->output()->uses();
    if (std::none_of(uses.begin(), uses.end(), looks)) {
      continue;
    }
    const auto value = attribute_value(graph, node->output());
    const bool object = node->output()->type()->cast<c10::ClassType>() != nullptr;
    const bool made = node->input()->node()->kind() == c10::prim::CreateObject;
    if (!value && !object && !made) {
      return bad;
    }
    if (value) {
      visit_tensors(*value, [&](const at::Tensor& tensor) {
        const auto found = names.find(tensor.unsafeGetTensorImpl());
        if (found != names.end()) {
          read.insert(found->second);
        }
      });
    }
  }
  return {read.begin(), read.end()};
}

void drop_lifts(Graph& graph) {
  std::vector<Node*> lifts;
  collect_nodes(graph.graph->block(), {c10::aten::lift, c10::aten::lift_fresh}, lifts);
  for (Node* node : lifts) {
    node->output()->replaceAllUsesWith(node->input());
    node->destroy();
  }
}

void answer_as_predicting(Graph& graph) {
  const std::vector<std::pair<const char*, bool>> answers{{"aten::is_grad_enabled", false},
                                                          {"prim::requires_grad", false},
                                                          {"aten::retains_grad", false},
                                                          {"aten::is_leaf", true},
                                                          {"aten::is_inference", false},
                                                          {"aten::is_autocast_enabled", false},
                                                          {"aten::is_autocast_cpu_enabled", false},
                                                          {"aten::has_torch_function", false}};
  for (const auto& answer : answers) {
    std::vector<Node*> nodes;
    collect_nodes(graph.graph->block(), {c10::Symbol::fromQualString(answer.first)}, nodes);
    for (Node* node : nodes) {
      const torch::jit::WithInsertPoint guard(node);
      node->output()->replaceAllUsesWith(graph.graph->insertConstant(answer.second));
      node->destroy();
    }
  }
}

void find_written(Graph& graph) {
  const torch::jit::AliasDb aliases(graph.graph);
  find_written_attributes(graph, aliases);
  find_written_results(graph, graph.graph->block(), aliases);
  std::vector<Node*> slices;
  collect_nodes(graph.graph->block(), {c10::aten::slice}, slices);
  for (Node* node : slices) {
    if (!aliases.hasWriters(node->output()) && !aliases.hasWriters(node->input(0))) {
      graph.plain_slices.insert(node);
    }
  }
}

bool is_tensor(const torch::jit::Value* value) {
  return value->type()->isSubtypeOf(*c10::TensorType::get());
}

bool is_batch_size(const torch::jit::Value* value) {
  const Node* node = value->node();
  const std::string name = node->kind().toUnqualString();
  const auto constant = [&](size_t i) -> int64_t {
    const auto found = torch::jit::toIValue(node->input(i));
    return found && found->isInt() ? found->toInt() : -1;
  };
  const auto is_shape = [](const torch::jit::Value* sizes) {
    return sizes->node()->kind() == c10::aten::size && sizes->node()->inputs().size() == 1;
  };
  if (name == "size") {
    return node->inputs().size() == 2 && constant(1) == 0;
  }
  if (name == "len") {
    return is_tensor(node->input(0));
  }
  if (name == "__getitem__") {
    return constant(1) == 0 && is_shape(node->input(0));
  }
  if (name == "ListUnpack") {
    return value->offset() == 0 && is_shape(node->input(0));
  }
  static const std::set<std::string> passes{"NumToTensor", "Int", "IntImplicit", "mul"};
  return passes.count(name) > 0 && is_batch_size(node->input(0));
}

namespace {

bool is_comparison(Form form) {
  return form == Form::equal || form == Form::not_equal || form == Form::greater ||
         form == Form::greater_equal || form == Form::less || form == Form::less_equal;
}

}  // namespace

bool asks_for_one(const Graph& graph) {
  const auto whole = [](const torch::jit::Value* value) -> std::optional<int64_t> {
    const auto constant = torch::jit::toIValue(value);
    if (constant && constant->isInt()) {
      return constant->toInt();
    }
    return std::nullopt;
  };
  const std::vector<Node*> nodes = all_nodes(graph.graph->block());
  return std::any_of(nodes.begin(), nodes.end(), [&](const Node* node) {
    const Operation& row = operation_of(node);
    if (row.view == View::squeeze) {
      return node->inputs().size() == 1 || whole(node->input(1)) == 0;
    }
    return is_comparison(row.form) && node->inputs().size() == 2 &&
           ((is_batch_size(node->input(0)) && whole(node->input(1))) ||
            (is_batch_size(node->input(1)) && whole(node->input(0))));
  });
}

void check_effects(const torch::jit::Block* block) {
  for (const torch::jit::Node* node : block->nodes()) {
    const std::string space = node->kind().ns().toUnqualString();
    const std::string name = node->kind().toUnqualString();
    const std::string effect = effect_of(space, name);
    if (!effect.empty()) {
      const std::string source = source_of(node);
      refuse_effect("The model's code" + (source.empty() ? "" : " (" + source + ")"),
                    space + "::" + name, effect);
    }
    for (const torch::jit::Block* inner : node->blocks()) {
      check_effects(inner);
    }
  }
}

}  // namespace seqlift
