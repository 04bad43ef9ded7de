#include "core/model/graph_outputs.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "core/base/error.h"

namespace seqlift {

using torch::jit::Node;

namespace {

// A list that stays as it is written down: nothing appends to it or puts another tensor into it.
bool is_fixed_list(const torch::jit::Value* output) {
  if (output->node()->kind() != c10::prim::ListConstruct) {
    return false;
  }
  const auto reads = [](const torch::jit::Use& use) {
    if (use.user->kind() == c10::prim::Return) {
      return true;
    }
    const auto* schema = use.user->maybeSchema();
    if (!schema || use.offset >= schema->arguments().size()) {
      return false;
    }
    const auto* alias = schema->arguments()[use.offset].alias_info();
    // What comes out may be the list itself, or hold it.
    const bool kept = std::any_of(use.user->outputs().begin(), use.user->outputs().end(),
                                  [](const torch::jit::Value* value) {
                                    return !value->type()->isSubtypeOf(*c10::TensorType::get());
                                  });
    return !(alias && alias->isWrite()) && !kept;
  };
  return std::all_of(output->uses().begin(), output->uses().end(), reads);
}

// What may turn out to hold a tensor when the model is run.
bool may_hold_tensor(const c10::TypePtr& type) {
  if (const auto list = type->cast<c10::ListType>()) {
    return may_hold_tensor(list->getElementType());
  }
  if (const auto optional = type->cast<c10::OptionalType>()) {
    return may_hold_tensor(optional->getElementType());
  }
  if (const auto tuple = type->cast<c10::TupleType>()) {
    return std::any_of(tuple->elements().begin(), tuple->elements().end(), may_hold_tensor);
  }
  if (const auto dictionary = type->cast<c10::DictType>()) {
    return may_hold_tensor(dictionary->getValueType());
  }
  switch (type->kind()) {
    case c10::TypeKind::NoneType:
    case c10::TypeKind::StringType:
    case c10::TypeKind::IntType:
    case c10::TypeKind::FloatType:
    case c10::TypeKind::ComplexType:
    case c10::TypeKind::BoolType:
    case c10::TypeKind::NumberType:
    case c10::TypeKind::DeviceObjType:
    case c10::TypeKind::ClassType:
      return false;
    default:
      return true;
  }
}

std::string described(const c10::IValue& value) {
  if (value.isNone()) {
    return "None";
  }
  if (value.isTuple() || value.isList() || value.isGenericDict()) {
    const size_t size = value.isTuple()  ? value.toTupleRef().elements().size()
                        : value.isList() ? value.toListRef().size()
                                         : value.toGenericDict().size();
    const std::string name = value.isTuple() ? "tuple" : value.isList() ? "list" : "dictionary";
    return size == 0 ? "an empty " + name : "a " + name;
  }
  return value.isString() ? "a text" : value.isTensor() ? "an undefined tensor" : value.tagKind();
}

// Keys that TorchScript's source can say as they are.
bool is_plain(const std::string& key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char letter) {
    return letter >= ' ' && letter <= '~' && letter != '"' && letter != '\\';
  });
}

// A text that the code says, or puts together from what it says: `task + "_counts"` of a loop over
// modules is one for each of them.
std::optional<std::string> constant_text(const torch::jit::Value* value) {
  if (const auto constant = torch::jit::toIValue(value)) {
    return constant->isString() ? std::optional(constant->toStringRef()) : std::nullopt;
  }
  const Node* made = value->node();
  if (made->kind() != c10::aten::add || made->inputs().size() != 2) {
    return std::nullopt;
  }
  const auto left = constant_text(made->input(0));
  const auto right = constant_text(made->input(1));
  return left && right ? std::optional(*left + *right) : std::nullopt;
}

struct Entries {
  std::vector<std::string> keys;
  std::vector<torch::jit::Value*> values;
  std::vector<Node*> sets;  // what fills the dictionary after it is made
  std::vector<std::pair<Node*, torch::jit::Value*>> reads;  // of what it holds then
};

// A dictionary that is returned as it is written down, or filled line by line, and nothing else;
// without keys where the code does not tell them.
Entries entries_of(torch::jit::Value* dictionary) {
  Node* built = dictionary->node();
  if (built->kind() != c10::prim::DictConstruct) {
    return {};
  }
  Entries entries;
  const auto place = [&entries](const std::string& key) {
    return std::find(entries.keys.begin(), entries.keys.end(), key) - entries.keys.begin();
  };
  for (size_t i = 0; i + 1 < built->inputs().size(); i += 2) {
    const auto key = constant_text(built->input(i));
    if (!key || !is_plain(*key) || place(*key) < static_cast<int64_t>(entries.keys.size())) {
      return {};
    }
    entries.keys.push_back(*key);
    entries.values.push_back(built->input(i + 1));
  }
  std::vector<Node*> users;
  for (const torch::jit::Use& use : dictionary->uses()) {
    const auto kind = use.user->kind();
    if (kind == c10::prim::Return) {
      continue;
    }
    if ((kind != c10::aten::_set_item && kind != c10::aten::__getitem__) || use.offset != 0 ||
        use.user->owningBlock() != built->owningBlock()) {
      return {};
    }
    users.push_back(use.user);
  }
  std::sort(users.begin(), users.end(),
            [](const Node* a, const Node* b) { return a->isBefore(b); });
  for (Node* user : users) {
    const auto key = constant_text(user->input(1));
    if (!key || !is_plain(*key)) {
      return {};
    }
    const size_t at = static_cast<size_t>(place(*key));
    const bool sets = user->kind() == c10::aten::_set_item;
    if (at == entries.keys.size() && sets) {
      entries.keys.push_back(*key);
      entries.values.push_back(nullptr);
    } else if (at == entries.keys.size()) {
      return {};
    }
    if (sets) {
      entries.values[at] = user->input(2);
      entries.sets.push_back(user);
    } else {
      entries.reads.emplace_back(user, entries.values[at]);
    }
  }
  return entries;
}

}  // namespace

std::vector<std::string> open_outputs(torch::jit::Graph& graph) {
  torch::jit::Value* output = graph.outputs()[0];
  const Entries entries = entries_of(output);
  std::vector<std::string> names = entries.keys;
  if (!names.empty()) {
    const std::vector<torch::jit::Value*>& values = entries.values;
    torch::jit::WithInsertPoint guard(graph.block()->return_node());
    graph.block()->replaceOutput(
        0, values.size() == 1 ? values[0] : graph.insertNode(graph.createTuple(values))->output());
    // A value that was read there may have been put there again.
    std::map<const torch::jit::Value*, torch::jit::Value*> read;
    for (const auto& [node, value] : entries.reads) {
      const auto source = read.find(value);
      read[node->output()] = source == read.end() ? value : source->second;
      node->output()->replaceAllUsesWith(read[node->output()]);
    }
    for (Node* set : entries.sets) {
      set->destroy();
    }
    for (const auto& entry : entries.reads) {
      entry.first->destroy();
    }
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
  const bool filled = returned.isGenericDict() && !returned.toGenericDict().empty();
  throw Error("output",
              filled ? "The model returns something that is not a tensor: a dictionary whose "
                       "keys the code computes, or that it fills in a branch or a loop or hands "
                       "on. Return all of it "
                       "at once: {\"a\": a, \"b\": b}."
                     : "The model returns something that is not a tensor: " + described(returned) +
                           ". Only tensors can be predicted and explained; select_output() chooses "
                           "one of several outputs.");
}

void check_output(const torch::jit::Value* output) {
  const bool nothing = is_fixed_list(output) && output->node()->inputs().empty();
  if (nothing || !may_hold_tensor(output->type())) {
    throw Error("output", "The model returns no tensor but " +
                              (nothing ? "an empty list" : output->type()->annotation_str()) +
                              ": there is nothing to predict or to explain.");
  }
}

int64_t count_outputs(const torch::jit::Value* output) {
  if (const auto tuple = output->type()->cast<c10::TupleType>()) {
    return static_cast<int64_t>(tuple->elements().size());
  }
  if (is_fixed_list(output)) {
    return static_cast<int64_t>(output->node()->inputs().size());
  }
  return output->type()->cast<c10::ListType>() ? 0 : 1;
}

torch::jit::Value* select_output(torch::jit::Graph& graph, torch::jit::Value* output,
                                 int64_t index) {
  const int64_t count = count_outputs(output);
  torch::jit::Value* position = graph.insertConstant(index);
  if (count == 0) {
    Node* part = graph.create(c10::aten::__getitem__, {output, position});
    part->output()->setType(c10::TensorType::get());
    return graph.insertNode(part)->output();
  }
  const auto kind = output->node()->kind();
  const auto tuple = output->type()->cast<c10::TupleType>();
  if (!tuple && !output->type()->cast<c10::ListType>() && index == 0) {
    return output;
  }
  if (index < count && (kind == c10::prim::TupleConstruct || !tuple)) {
    return output->node()->input(index);
  }
  if (index < count) {
    Node* part = graph.create(c10::prim::TupleIndex, {output, position});
    part->output()->setType(tuple->elements()[index]);
    return graph.insertNode(part)->output();
  }
  throw Error("model", "The model has " + std::to_string(count) + " output" +
                           (count == 1 ? "" : "s") + ", there is no output " +
                           std::to_string(index + 1) + ".");
}

}  // namespace seqlift
