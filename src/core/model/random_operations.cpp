#include "core/model/random_operations.h"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "core/base/error.h"
#include "core/model/graph_passes.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

using torch::jit::Block;
using torch::jit::Node;

namespace {

// Flags that evaluation turns off (leave_training() in evaluate/operation.cpp).
constexpr const char* training_flags[] = {"train", "training", "dropout_p"};

bool takes_generator(const c10::FunctionSchema& schema) {
  return std::any_of(schema.arguments().begin(), schema.arguments().end(), [](const auto& one) {
    const auto optional = one.type()->template cast<c10::OptionalType>();
    const c10::TypePtr type = optional ? optional->getElementType() : one.type();
    return type->kind() == c10::TypeKind::GeneratorType;
  });
}

bool is_tagged(const c10::FunctionSchema& schema) {
  const auto handle = c10::Dispatcher::singleton().findSchema(schema.operator_name());
  return handle && handle->hasTag(at::Tag::nondeterministic_seeded);
}

bool has_argument(const c10::FunctionSchema& schema, const char* name) {
  return schema.argumentIndexWithName(name).has_value();
}

// Whether the numbers drawn by one operation reach the outputs: what is made of them is followed
// through the graph, and through memory that is written to.
class Spread {
 public:
  Spread(Graph& graph, const std::vector<Node*>& nodes, const torch::jit::AliasDb& aliases)
      : graph_(graph), nodes_(nodes), aliases_(aliases) {}

  bool reaches(const Node* source) {
    reached_.clear();
    names_.clear();
    std::vector<const torch::jit::Value*> found(source->outputs().begin(), source->outputs().end());
    add(source, found);
    for (size_t before = 0; before != reached_.size() + names_.size();) {
      before = reached_.size() + names_.size();
      for (Node* node : nodes_) {
        pass(node);
      }
    }
    return reached_.count(graph_.graph->outputs()[0]) > 0;
  }

 private:
  bool has(const torch::jit::Value* value) const { return reached_.count(value) > 0; }

  void add(const Node* node, const std::vector<const torch::jit::Value*>& values) {
    reached_.insert(values.begin(), values.end());
    const auto* schema = node->maybeSchema();
    for (size_t i = 0; schema && i < schema->arguments().size() && i < node->inputs().size(); ++i) {
      const auto* alias = schema->arguments()[i].alias_info();
      if (alias && alias->isWrite()) {
        share(node->input(i));
      }
    }
  }

  // Everything that may show the memory of a value that was written to.
  void share(const torch::jit::Value* written) {
    reached_.insert(written);
    for (const Node* node : nodes_) {
      for (const torch::jit::Value* value : node->outputs()) {
        if (!has(value) && aliases_.mayContainAlias(const_cast<torch::jit::Value*>(written),
                                                    const_cast<torch::jit::Value*>(value))) {
          reached_.insert(value);
        }
      }
    }
  }

  void pass(Node* node) {
    if (node->kind() == c10::prim::SetAttr) {
      if (has(node->input(1))) {
        names_.insert(node->s(c10::attr::name));
      }
      return;
    }
    if (node->kind() == c10::prim::GetAttr) {
      if (names_.count(node->s(c10::attr::name)) > 0) {
        reached_.insert(node->output());
      }
      return;
    }
    if (!node->blocks().empty()) {
      return pass_blocks(node);
    }
    const bool shape_only = operation_of(node).kind == Kind::shape;
    bool given = false;
    for (size_t i = shape_only ? 1 : 0; i < node->inputs().size(); ++i) {
      given = given || has(node->input(i));
    }
    const bool known = std::all_of(node->outputs().begin(), node->outputs().end(),
                                   [&](const torch::jit::Value* value) { return has(value); });
    if (given && (!known || node->outputs().empty())) {
      add(node, {node->outputs().begin(), node->outputs().end()});
    }
  }

  void pass_blocks(Node* node) {
    const bool loop = node->kind() == c10::prim::Loop;
    // A random condition: everything that comes of it is.
    const bool choice = has(node->input(0)) || (loop && has(node->input(1)));
    for (Block* block : node->blocks()) {
      for (size_t i = 0; i < block->outputs().size(); ++i) {
        const int64_t out = static_cast<int64_t>(i) - (loop ? 1 : 0);
        if (has(block->outputs()[i]) && out >= 0) {
          reached_.insert(node->outputs()[out]);
        }
      }
      for (size_t i = 1; loop && i < block->inputs().size(); ++i) {
        if (has(node->input(i + 1)) || has(node->outputs()[i - 1])) {
          reached_.insert(block->inputs()[i]);
        }
      }
    }
    if (choice) {
      reached_.insert(node->outputs().begin(), node->outputs().end());
    }
  }

  Graph& graph_;
  const std::vector<Node*>& nodes_;
  const torch::jit::AliasDb& aliases_;
  std::set<const torch::jit::Value*> reached_;
  std::set<std::string> names_;
};

// Whether a value has a row for each sequence: it comes from the inputs of the model, or was made
// with the number of sequences as its first size.
bool has_rows(const torch::jit::Value* value, std::set<const torch::jit::Value*>& seen) {
  if (!seen.insert(value).second) {
    return false;
  }
  const Node* node = value->node();
  if (node->kind() == c10::prim::Param) {
    return is_tensor(value) || node->owningBlock()->owningNode();
  }
  if (node->kind() == c10::prim::GetAttr || node->kind() == c10::prim::Constant) {
    return false;
  }
  for (const torch::jit::Value* input : node->inputs()) {
    if (input->node()->kind() == c10::prim::ListConstruct && !is_tensor(input)) {
      const auto sizes = input->node()->inputs();
      if (!sizes.empty() && !is_tensor(sizes[0]) && is_batch_size(sizes[0])) {
        return true;
      }
    }
    const bool followed = is_tensor(input) || input->node()->kind() == c10::prim::ListConstruct;
    if (followed && has_rows(input, seen)) {
      return true;
    }
  }
  for (const Block* block : node->blocks()) {
    if (has_rows(block->outputs()[value->offset() + (node->kind() == c10::prim::Loop ? 1 : 0)],
                 seen)) {
      return true;
    }
  }
  return false;
}

bool is_true(const torch::jit::Value* value) {
  const auto constant = torch::jit::toIValue(value);
  return constant && constant->isBool() && constant->toBool();
}

double number(const Node* node, const char* name, double otherwise) {
  const auto position = node->schema().argumentIndexWithName(name);
  if (!position) {
    return otherwise;
  }
  const auto constant = torch::jit::toIValue(node->input(*position));
  return constant && constant->isDouble() ? constant->toDouble() : otherwise;
}

// Numbers of LibTorch's own generator, from a seed; it is left as it was. One at a time: the
// generator is the process's.
std::vector<c10::IValue> seeded(
    const std::function<std::vector<c10::IValue>(std::vector<c10::IValue>)>& evaluate,
    std::vector<c10::IValue> stack, uint64_t seed, const at::Device& device) {
  static std::mutex one_at_a_time;
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  at::Generator generator = at::globalContext().defaultGenerator(device);
  at::Tensor state;
  {
    const std::lock_guard<std::mutex> own(generator.mutex());
    state = generator.get_state();
    generator.set_current_seed(seed);
  }
  const auto restore = [&]() {
    const std::lock_guard<std::mutex> own(generator.mutex());
    generator.set_state(state);
  };
  try {
    std::vector<c10::IValue> result = evaluate(std::move(stack));
    restore();
    return result;
  } catch (...) {
    restore();
    throw;
  }
}

// FNV-1a, so that a seed gives the same numbers everywhere.
uint64_t hash_of(const std::string& text) {
  uint64_t hash = 14695981039346656037ULL;
  for (const char letter : text) {
    hash = (hash ^ static_cast<unsigned char>(letter)) * 1099511628211ULL;
  }
  return hash;
}

int64_t rows_of(const std::vector<c10::IValue>& stack) {
  for (const c10::IValue& value : stack) {
    if (value.isTensor() && value.toTensor().defined() && value.toTensor().dim() > 0) {
      return value.toTensor().size(0);
    }
  }
  for (const c10::IValue& value : stack) {
    if (value.isIntList() && !value.toIntVector().empty()) {
      return value.toIntVector()[0];
    }
  }
  return 1;
}

// The inputs for row `row` alone.
std::vector<c10::IValue> one_row(const std::vector<c10::IValue>& stack, int64_t row, int64_t rows) {
  std::vector<c10::IValue> own = stack;
  bool tensors = false;
  for (c10::IValue& value : own) {
    if (value.isTensor() && value.toTensor().defined() && value.toTensor().dim() > 0 &&
        value.toTensor().size(0) == rows) {
      value = value.toTensor().narrow(0, row, 1);
      tensors = true;
    }
  }
  for (c10::IValue& value : own) {
    if (!tensors && value.isIntList() && !value.toIntVector().empty()) {
      std::vector<int64_t> sizes = value.toIntVector();
      sizes[0] = 1;
      value = sizes;
      break;
    }
  }
  return own;
}

}  // namespace

bool draws_random(const Node* node) {
  const auto* schema = node->maybeSchema();
  if (!schema || !node->kind().is_aten()) {
    return false;
  }
  for (const char* flag : training_flags) {
    if (has_argument(*schema, flag)) {
      return false;
    }
  }
  if (operation_of(node).kind == Kind::random || takes_generator(*schema) || is_tagged(*schema)) {
    return true;
  }
  // rand(), whose generator is an argument of another overload.
  const auto overloads = torch::jit::getAllOperatorsFor(node->kind());
  return std::any_of(overloads.begin(), overloads.end(),
                     [](const auto& one) { return takes_generator(one->schema()); });
}

void find_random(Graph& graph) {
  const std::vector<Node*> nodes = all_nodes(graph.graph->block());
  std::vector<Node*> sources;
  for (Node* node : nodes) {
    if (draws_random(node)) {
      std::set<const torch::jit::Value*> seen;
      graph.draws[node] = has_rows(node->inputs().empty() ? node->output() : node->output(0), seen);
      sources.push_back(node);
    }
  }
  if (sources.empty()) {
    return;
  }
  const torch::jit::AliasDb aliases(graph.graph);
  Spread spread(graph, nodes, aliases);
  std::copy_if(sources.begin(), sources.end(), std::back_inserter(graph.random),
               [&](const Node* node) { return spread.reaches(node); });
}

void find_training(Graph& graph) {
  const std::vector<Node*> nodes = all_nodes(graph.graph->block());
  for (const Node* node : nodes) {
    const auto* schema = node->maybeSchema();
    if (!schema) {
      continue;
    }
    bool kept = number(node, "dropout_p", 0) > 0;
    for (const char* flag : {"train", "training"}) {
      const auto position = schema->argumentIndexWithName(flag);
      kept = kept || (position && is_true(node->input(*position)));
    }
    const auto statistics = schema->argumentIndexWithName("running_mean");
    const bool of_batch =
        statistics && node->input(*statistics)->type()->kind() == c10::TypeKind::NoneType;
    const double share = std::min(number(node, "p", 1), number(node, "dropout", 1));
    if (kept && share > 0 && !of_batch) {
      graph.training.push_back(node);
    }
  }
}

bool draws_alone(const Call& call) {
  const auto dependent = call.dependent();
  const bool first_alone =
      std::all_of(dependent.begin(), dependent.end(), [](int position) { return position == 0; });
  const std::string name = call.node->kind().toUnqualString();
  return first_alone && (call.is(Trait::draws_like) || name.back() == '_');
}

void draw_from_seed(Call& call, uint32_t random_state, int visit, bool batched,
                    const at::Device& device) {
  const uint64_t seed =
      hash_of(call.where() + "/" + std::to_string(visit)) ^ (random_state * 0x9E3779B97F4A7C15ULL);
  call.evaluate = [evaluate = call.evaluate, seed, batched,
                   device](const std::vector<c10::IValue>& stack) {
    const int64_t rows = batched ? rows_of(stack) : 1;
    if (!batched || rows <= 1) {
      return seeded(evaluate, stack, seed, device);
    }
    std::vector<std::vector<at::Tensor>> parts;
    for (int64_t row = 0; row < rows; ++row) {
      const auto own = seeded(evaluate, one_row(stack, row, rows), seed, device);
      parts.resize(own.size());
      for (size_t i = 0; i < own.size(); ++i) {
        parts[i].push_back(own[i].toTensor());
      }
    }
    std::vector<c10::IValue> results;
    for (const auto& part : parts) {
      results.emplace_back(at::cat(part));
    }
    return results;
  };
}

void refuse_random(const Graph& graph) {
  std::string places;
  for (const Node* node : graph.random) {
    const std::string place = place_of(node, graph);
    if (places.find(place) == std::string::npos) {
      places += (places.empty() ? "" : "; ") + place;
    }
  }
  if (!places.empty()) {
    throw Error("random", "The model draws random numbers: it gives other numbers each time. " +
                              places + ".");
  }
}

}  // namespace seqlift
