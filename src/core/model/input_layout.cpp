#include "core/model/input_layout.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/base/error.h"
#include "core/model/graph_passes.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

using torch::jit::Node;
using JitValue = torch::jit::Value;

namespace {

// The buffer of the numbers that stand for the bases; by it the operations are known again in a
// file that was saved with them.
const char* const token_buffer = "seqlift_tokens";
const std::string as_tokens = "tokens";

torch::jit::GraphFunction& forward_of(const torch::jit::Module& module) {
  const char* name = module.find_method("forward") ? "forward" : "evalforward";
  return torch::jit::toGraphFunction(module.get_method(name).function());
}

JitValue* insert(torch::jit::Graph& graph, const char* operation,
                 const std::vector<torch::jit::NamedValue>& inputs) {
  return graph.insert(c10::Symbol::fromQualString(std::string("aten::") + operation), inputs);
}

JitValue* permuted(torch::jit::Graph& graph, JitValue* X, const std::string& dimensions) {
  const std::string own = "NCL";
  std::vector<int64_t> order;
  for (const char letter : dimensions) {
    if (letter != '1') {
      order.push_back(static_cast<int64_t>(own.find(letter)));
    }
  }
  JitValue* result = dimensions == own ? X : insert(graph, "permute", {X, order});
  for (size_t i = 0; i < dimensions.size(); ++i) {
    if (dimensions[i] == '1') {
      result = insert(graph, "unsqueeze", {result, static_cast<int64_t>(i)});
    }
  }
  return result;
}

// The product of the channels, [n, L, 4], and the numbers that stand for them, as whole numbers.
// With a token for N, a fifth channel is what the bases leave of one.
JitValue* tokens_of(torch::jit::Graph& graph, JitValue* X, bool with_n) {
  JitValue* channels = insert(graph, "slice", {X, 1, 0, 4, 1});
  if (with_n) {
    JitValue* sum = insert(graph, "sum", {channels, std::vector<int64_t>{1}, true});
    JitValue* rest = insert(graph, "rsub", {sum, 1.0});
    JitValue* list =
        graph.insertNode(graph.createList(c10::TensorType::get(), {channels, rest}))->output();
    channels = insert(graph, "cat", {list, 1});
  }
  JitValue* numbers = graph.insertGetAttr(graph.inputs()[0], token_buffer);
  JitValue* row = insert(graph, "to", {numbers, X, false, false});
  JitValue* turned = insert(graph, "transpose", {channels, 1, 2});
  JitValue* rounded = insert(graph, "round", {insert(graph, "matmul", {turned, row})});
  return insert(graph, "to", {rounded, static_cast<int64_t>(at::kLong)});
}

bool is(const Node* node, const char* operation) {
  return node->kind() == c10::Symbol::fromQualString(std::string("aten::") + operation);
}

// What leaves a tensor's numbers as they are, whatever their type.
bool only_casts(const Node* node) { return operation_of(node).is(Trait::casts); }

}  // namespace

bool is_input_layout(const std::string& dimensions) {
  const auto times = [&](char letter) {
    return std::count(dimensions.begin(), dimensions.end(), letter);
  };
  return dimensions == as_tokens ||
         (dimensions.size() <= 4 && times('N') == 1 && times('C') == 1 && times('L') == 1 &&
          times('1') == static_cast<std::ptrdiff_t>(dimensions.size()) - 3);
}

void set_input_layout(const Model& model, const InputLayout& layout) {
  if (!is_input_layout(layout.dimensions)) {
    throw Error("layout", "There is no layout \"" + layout.dimensions + "\".");
  }
  if (layout.dimensions == "NCL") {
    return;
  }
  torch::jit::Module module = model.module;
  torch::jit::Graph& graph = *forward_of(module).graph();
  JitValue* X = graph.inputs()[1];
  if (!X->type()->isSubtypeOf(*c10::TensorType::get())) {
    throw Error("model",
                "The model's first input is no tensor, but " + X->type()->repr_str() + ".");
  }
  const bool with_n = layout.tokens[4] >= 0;
  if (layout.dimensions == as_tokens) {
    const at::Tensor numbers = at::empty({with_n ? 5 : 4}, at::kLong);
    for (int64_t i = 0; i < numbers.size(0); ++i) {
      numbers[i] = layout.tokens[static_cast<size_t>(i)];
    }
    module.register_buffer(token_buffer, numbers);
  }
  Node* first = *graph.nodes().begin();
  Node* mark = graph.create(c10::prim::Uninitialized, 1)->insertBefore(first);
  JitValue* given = nullptr;
  {
    torch::jit::WithInsertPoint guard(mark);
    given = layout.dimensions == as_tokens ? tokens_of(graph, X, with_n)
                                           : permuted(graph, X, layout.dimensions);
  }
  X->replaceAllUsesAfterNodeWith(mark, given);
  mark->destroy();
}

// Tokens ------------------------------------------------------------------------------------------

namespace {

void open_use(Graph& result, Node* use, JitValue* channels, JitValue* numbers) {
  torch::jit::Graph& graph = *result.graph;
  Node* before = use->prev();
  {
    torch::jit::WithInsertPoint guard(use);
    JitValue* table = nullptr;
    if (is(use, "embedding")) {
      table = insert(graph, "index_select", {use->input(0), 0, numbers});
    } else {
      JitValue* rows = insert(graph, "one_hot", {numbers, use->input(1)});
      table = insert(graph, "to", {rows, channels, false, false});
    }
    use->output()->replaceAllUsesWith(insert(graph, "matmul", {channels, table}));
  }
  const Provenance place = result.provenance[use];
  for (Node* node = before->next(); node != use; node = node->next()) {
    result.provenance[node] = place;
  }
  result.provenance.erase(use);
  use->destroy();
}

void collect_lookups(JitValue* tokens, std::vector<Node*>& found) {
  for (const torch::jit::Use& use : tokens->uses()) {
    Node* user = use.user;
    if ((is(user, "embedding") && use.offset == 1) || (is(user, "one_hot") && use.offset == 0)) {
      found.push_back(user);
    } else if (only_casts(user) && use.offset == 0) {
      collect_lookups(user->output(), found);
    }
  }
}

}  // namespace

void open_tokens(Graph& result) {
  std::vector<Node*> products;
  collect_nodes(result.graph->block(), {c10::aten::matmul}, products);
  for (Node* product : products) {
    const Node* row = product->input(1)->node();
    const Node* source = is(row, "to") ? row->input(0)->node() : nullptr;
    if (!source || source->kind() != c10::prim::GetAttr ||
        source->s(c10::attr::name) != token_buffer) {
      continue;
    }
    std::vector<Node*> lookups;
    collect_lookups(product->output(), lookups);
    for (Node* use : lookups) {
      open_use(result, use, product->input(0), row->input(0));
    }
  }
}

}  // namespace seqlift
