// How tensors lie in memory. We keep activations channels-last and give some operations kernels of
// our own, so a tensor here may have other strides than the same tensor in the model's own run. No
// number depends on that, but some operations do: `view` fails or not, `as_strided` reads memory as
// it lies, `stride()` answers with it, and whether `reshape` and `contiguous` share memory decides
// what a later write in place reaches. These see their inputs as the model lays them out.
//
// Which way that is, no table could say for every operation and version of LibTorch: the model is
// run once by LibTorch's operations alone, on two sequences, and the strides are written down
// (evaluate/layout.cpp).
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/ir/ir.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/model/operation_table.h"

namespace seqlift {

struct Graph;

struct Layout {
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
  int64_t offset = 0;
};

Layout layout_of(const at::Tensor& tensor);
// That of a new tensor: row by row.
Layout row_by_row(const std::vector<int64_t>& sizes);
bool lies_row_by_row(const at::Tensor& tensor);
// The same layout with another number of rows; nothing where it cannot be told.
std::optional<Layout> with_sizes(const Layout& layout, at::IntArrayRef sizes);
// The tensor in this layout: itself if it lies so, else a copy.
at::Tensor laid_out(const at::Tensor& tensor, const Layout& layout);
// A tensor of this layout without memory, for questions about its strides.
at::Tensor without_memory(const Layout& layout, const at::Tensor& like);
// Whether as_strided() with these arguments reads the numbers of a tensor of this layout alone.
bool reads_only(const Layout& layout, at::IntArrayRef sizes, at::IntArrayRef strides,
                int64_t offset);

// The layouts met in one run of the model: by operation and how often it had run before.
struct LayoutRecord {
  using Place = std::pair<const torch::jit::Node*, int64_t>;
  using Tensors = std::vector<std::optional<Layout>>;  // none: not a tensor
  std::map<Place, Tensors> inputs;
  std::map<Place, Tensors> outputs;
};

// What a node needs to know of its inputs' layout.
LayoutUse layout_use(const torch::jit::Node* node);

// What there is in a graph that depends on layouts, and the records of the latest shapes of input.
class Layouts {
 public:
  explicit Layouts(const Graph& graph);

  bool any() const { return last_ != nullptr; }
  LayoutUse use(const torch::jit::Node* node) const;
  // Whether the operation's results have to lie as the model's do: they share memory with
  // something, or do not, by their layout, and are written to.
  bool kept(const torch::jit::Node* node) const { return kept_.count(node) > 0; }
  // The last operation of the graph's own block that concerns layouts.
  const torch::jit::Node* last() const { return last_; }
  // Whether a value stays as it was made: no list is appended to, no tensor resized.
  bool lasting() const { return lasting_; }

  std::shared_ptr<const LayoutRecord> find(const std::string& shapes);
  void remember(const std::string& shapes, const std::shared_ptr<const LayoutRecord>& record);

 private:
  void look_at(const torch::jit::Block* block, const torch::jit::Node* outer);

  std::unordered_map<const torch::jit::Node*, LayoutUse> uses_;
  std::unordered_set<const torch::jit::Node*> kept_;
  const torch::jit::Node* last_ = nullptr;
  bool lasting_ = true;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const LayoutRecord>> records_;
};

}  // namespace seqlift
