#include "core/model/layout.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/alias_analysis.h>

#include <algorithm>
#include <numeric>

#include "core/model/graph.h"
#include "core/model/graph_passes.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

using torch::jit::Block;
using torch::jit::Node;

Layout layout_of(const at::Tensor& tensor) {
  return {tensor.sizes().vec(), tensor.strides().vec(), tensor.storage_offset()};
}

Layout row_by_row(const std::vector<int64_t>& sizes) {
  Layout layout{sizes, std::vector<int64_t>(sizes.size(), 1), 0};
  for (size_t d = sizes.size(); d-- > 1;) {
    layout.strides[d - 1] = layout.strides[d] * std::max<int64_t>(sizes[d], 1);
  }
  return layout;
}

// Strides of dimensions of size one, too: by them LibTorch tells an image in channels-last memory.
bool lies_row_by_row(const at::Tensor& tensor) {
  return !tensor.is_sparse() && tensor.storage_offset() == 0 &&
         tensor.strides() == at::IntArrayRef(row_by_row(tensor.sizes().vec()).strides);
}

// One dimension counts the rows (or the rows times something). What lies inside a row keeps its
// strides, what the rows lie inside of grows with their number.
std::optional<Layout> with_sizes(const Layout& layout, at::IntArrayRef sizes) {
  if (sizes == at::IntArrayRef(layout.sizes)) {
    return layout;
  }
  if (sizes.size() != layout.sizes.size()) {
    return std::nullopt;
  }
  std::vector<size_t> differ;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] != layout.sizes[d]) {
      differ.push_back(d);
    }
  }
  const size_t rows = differ[0];
  const int64_t before = layout.sizes[rows];
  if (differ.size() != 1 || before == 0) {
    return std::nullopt;
  }
  Layout result = layout;
  result.sizes = sizes.vec();
  const int64_t stride = layout.strides[rows];
  for (size_t d = 0; d < sizes.size(); ++d) {
    const int64_t own = layout.strides[d];
    if (d == rows || stride == 0 || own <= stride) {
      continue;
    }
    const bool outside = own >= stride * before && own * sizes[rows] % before == 0;
    if (!outside || layout.offset != 0) {
      return std::nullopt;
    }
    result.strides[d] = own * sizes[rows] / before;
  }
  return result;
}

namespace {

int64_t span_of(const Layout& layout) {
  int64_t span = 1;
  for (size_t d = 0; d < layout.sizes.size(); ++d) {
    if (layout.sizes[d] == 0) {
      return 0;
    }
    span += (layout.sizes[d] - 1) * layout.strides[d];
  }
  return span;
}

int64_t numbers_of(const Layout& layout) {
  return std::accumulate(layout.sizes.begin(), layout.sizes.end(), int64_t{1},
                         [](int64_t a, int64_t b) { return a * b; });
}

// Where in memory the numbers of a layout are.
at::Tensor positions_of(at::IntArrayRef sizes, at::IntArrayRef strides, int64_t offset) {
  const at::TensorOptions whole = at::TensorOptions(at::kLong);
  at::Tensor positions = at::full({}, offset, whole);
  for (size_t d = 0; d < sizes.size(); ++d) {
    positions = positions.unsqueeze(-1) + at::arange(sizes[d], whole) * strides[d];
  }
  return positions.flatten();
}

}  // namespace

at::Tensor laid_out(const at::Tensor& tensor, const Layout& layout) {
  if (tensor.strides() == at::IntArrayRef(layout.strides) &&
      tensor.storage_offset() == layout.offset) {
    return tensor;
  }
  // Dimensions that were expanded stand in memory once.
  at::Tensor once = tensor;
  Layout core = layout;
  bool expanded = false;
  for (size_t d = 0; d < layout.sizes.size(); ++d) {
    if (layout.sizes[d] > 1 && layout.strides[d] == 0) {
      once = once.narrow(static_cast<int64_t>(d), 0, 1);
      core.sizes[d] = 1;
      expanded = true;
    }
  }
  at::Tensor result;
  if (core.offset == 0) {
    result = at::empty_strided(core.sizes, core.strides, tensor.options());
  } else {
    const at::Tensor memory = at::empty({core.offset + span_of(core)}, tensor.options());
    // Not as a view: the gradient flows through the copy alone.
    result = memory.as_strided(core.sizes, core.strides, core.offset).detach();
  }
  result.copy_(once);
  return expanded ? result.expand(layout.sizes) : result;
}

at::Tensor without_memory(const Layout& layout, const at::Tensor& like) {
  const at::Tensor memory = at::empty({layout.offset + span_of(layout)},
                                      at::TensorOptions(like.scalar_type()).device(at::kMeta));
  return memory.as_strided(layout.sizes, layout.strides, layout.offset);
}

bool reads_only(const Layout& layout, at::IntArrayRef sizes, at::IntArrayRef strides,
                int64_t offset) {
  const Layout read{sizes.vec(), strides.vec(), offset};
  if (numbers_of(read) == 0) {
    return true;
  }
  const int64_t end = offset + span_of(read);
  const int64_t own_end = layout.offset + span_of(layout);
  if (offset < layout.offset || end > own_end) {
    return false;
  }
  if (span_of(layout) == numbers_of(layout)) {
    return true;
  }
  const at::Tensor own = at::zeros({own_end}, at::TensorOptions(at::kBool));
  own.index_fill_(0, positions_of(layout.sizes, layout.strides, layout.offset), true);
  return own.index_select(0, positions_of(sizes, strides, offset)).all().item<bool>();
}

namespace {

bool block_uses_layouts(const Block* block);

bool function_uses_layouts(torch::jit::Function* function) {
  auto* body = function ? torch::jit::tryToGraphFunction(*function) : nullptr;
  return body && block_uses_layouts(body->graph()->block());
}

bool block_uses_layouts(const Block* block) {
  for (const Node* node : block->nodes()) {
    bool uses = layout_use(node) != LayoutUse::none;
    if (node->kind() == c10::prim::CallFunction) {
      const auto function = node->input(0)->type()->cast<c10::FunctionType>();
      uses = function && function_uses_layouts(function->function());
    }
    for (const Block* inner : node->blocks()) {
      uses = uses || block_uses_layouts(inner);
    }
    if (uses) {
      return true;
    }
  }
  return false;
}

}  // namespace

LayoutUse layout_use(const Node* node) {
  if (node->kind() == c10::prim::CallMethod) {
    const auto type = node->input(0)->type()->cast<c10::ClassType>();
    const bool uses = type && function_uses_layouts(type->findMethod(node->s(c10::attr::name)));
    return uses ? LayoutUse::numbers : LayoutUse::none;
  }
  if (!node->kind().is_aten() && !node->kind().is_prim()) {
    return LayoutUse::none;
  }
  return operation_of(node).layout;
}

namespace {

void collect_all(Block* block, std::vector<Node*>& nodes) {
  for (Node* node : block->nodes()) {
    nodes.push_back(node);
    for (Block* inner : node->blocks()) {
      collect_all(inner, nodes);
    }
  }
}

bool in_loop(const Node* node) {
  for (const Block* block = node->owningBlock(); block->owningNode();
       block = block->owningNode()->owningBlock()) {
    if (block->owningNode()->kind() == c10::prim::Loop) {
      return true;
    }
  }
  return false;
}

bool writes(const Node* node) {
  const auto* schema = node->maybeSchema();
  if (!schema) {
    return false;
  }
  for (const auto& argument : schema->arguments()) {
    if (argument.alias_info() && argument.alias_info()->isWrite()) {
      return true;
    }
  }
  return false;
}

// Results that later share memory with something, or not, and are then written to.
void find_kept(const Graph& graph, std::unordered_set<const Node*>& kept) {
  std::vector<Node*> nodes;
  collect_all(graph.graph->block(), nodes);
  std::vector<Node*> writers;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(writers), writes);
  if (writers.empty()) {
    return;
  }
  torch::jit::AliasDb aliases(graph.graph);
  for (Node* node : nodes) {
    if (!operation_of(node).is(Trait::shares_by_layout) || node->outputs().size() != 1 ||
        !is_tensor(node->input(0))) {
      continue;
    }
    const torch::jit::ValueSet both{node->input(0), node->output()};
    const bool written = std::any_of(writers.begin(), writers.end(), [&](Node* writer) {
      const bool later = in_loop(node) || in_loop(writer) || writer->isAfter(node);
      return writer != node && later && aliases.writesToAlias(writer, both);
    });
    if (!written) {
      continue;
    }
    for (Node* maker : nodes) {
      for (torch::jit::Value* made : maker->outputs()) {
        if (maker->maybeSchema() && is_tensor(made) && !writes(maker) &&
            (made == node->input(0) || aliases.mayContainAlias(made, node->input(0)))) {
          kept.insert(maker);
        }
      }
    }
  }
}

}  // namespace

Layouts::Layouts(const Graph& graph) {
  find_kept(graph, kept_);
  look_at(graph.graph->block(), nullptr);
}

void Layouts::look_at(const Block* block, const Node* outer) {
  for (const Node* node : block->nodes()) {
    const Node* top = outer ? outer : node;
    const LayoutUse use = layout_use(node);
    if (use != LayoutUse::none) {
      uses_[node] = use;
    }
    if (use != LayoutUse::none || kept(node)) {
      last_ = top;
    }
    if (writes(node)) {
      const bool list = !is_tensor(node->input(0));
      lasting_ = lasting_ && !list && operation_of(node).view == View::none;
    }
    for (const Block* inner : node->blocks()) {
      look_at(inner, top);
    }
  }
}

LayoutUse Layouts::use(const Node* node) const {
  const auto found = uses_.find(node);
  return found == uses_.end() ? LayoutUse::none : found->second;
}

std::shared_ptr<const LayoutRecord> Layouts::find(const std::string& shapes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = records_.find(shapes);
  return found == records_.end() ? nullptr : found->second;
}

void Layouts::remember(const std::string& shapes,
                       const std::shared_ptr<const LayoutRecord>& record) {
  // A study of many lengths should not fill the memory.
  constexpr size_t most = 16;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (records_.size() >= most) {
    records_.clear();
  }
  records_[shapes] = record;
}

}  // namespace seqlift
