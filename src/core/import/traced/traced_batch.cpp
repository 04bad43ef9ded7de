#include "core/import/traced/traced_batch.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <unordered_map>

#include "core/base/error.h"
#include "core/import/traced/trace_names.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

using torch::jit::Block;
using torch::jit::Node;
using JitValue = torch::jit::Value;

namespace {

class TracedBatch {
 public:
  explicit TracedBatch(const std::vector<BatchTrace>& traces)
      : graph_(*traces[0].graph), traces_(traces), values_(traces.size()) {
    for (const BatchTrace& trace : traces) {
      sequences_.push_back(trace.sequences);
    }
  }

  int64_t run() {
    std::vector<Block*> blocks;
    for (const BatchTrace& trace : traces_) {
      blocks.push_back(trace.graph->block());
    }
    compare(blocks);
    for (const Use& use : uses_) {
      use.node->replaceInput(use.input, mended(use));
    }
    graph_.lint();
    return static_cast<int64_t>(uses_.size());
  }

 private:
  struct Use {
    Node* node;
    size_t input;
    std::vector<c10::IValue> values;  // in each of the traces
  };

  [[noreturn]] void refuse_structure(const Node* node, size_t trace) const {
    throw Error("trace", "The module runs other operations for " +
                             std::to_string(sequences_[trace]) + " sequences than for " +
                             std::to_string(sequences_[0]) + ", from " + name_of_operation(node) +
                             " on: its code counts the sequences, or does something else for one "
                             "number of them than for another.");
  }

  [[noreturn]] void refuse_number(const Use& use) const {
    std::string text;
    for (size_t i = 0; i < use.values.size(); ++i) {
      const bool last = i + 1 == use.values.size();
      text += (i == 0 ? ""
               : last ? " and "
                      : ", ") +
              value_text(use.values[i]) + " for " + std::to_string(sequences_[i]);
    }
    throw Error("trace", "The operation " + name_of_operation(use.node) +
                             " is given a number that changes with the number of sequences in a "
                             "way that is not understood: " +
                             text + " sequences.");
  }

  // Constants are compared where they are used: TorchScript keeps one of each value.
  static std::vector<Node*> operations(Block* block) {
    std::vector<Node*> nodes;
    for (Node* node : block->nodes()) {
      if (node->kind() != c10::prim::Constant) {
        nodes.push_back(node);
      }
    }
    nodes.push_back(block->return_node());
    return nodes;
  }

  void pair(const std::vector<at::ArrayRef<JitValue*>>& all, const Node* where) {
    for (size_t i = 1; i < all.size(); ++i) {
      if (all[i].size() != all[0].size()) {
        refuse_structure(where, i);
      }
      for (size_t j = 0; j < all[0].size(); ++j) {
        values_[i][all[0][j]] = all[i][j];
      }
    }
  }

  void compare(const std::vector<Block*>& blocks) {
    std::vector<at::ArrayRef<JitValue*>> inputs;
    std::vector<std::vector<Node*>> nodes;
    for (Block* block : blocks) {
      inputs.emplace_back(block->inputs());
      nodes.push_back(operations(block));
    }
    pair(inputs, blocks[0]->return_node());
    for (size_t at = 0; at < nodes[0].size(); ++at) {
      std::vector<Node*> alike;
      for (size_t i = 0; i < nodes.size(); ++i) {
        if (at >= nodes[i].size()) {
          refuse_structure(nodes[0][at], i);
        }
        alike.push_back(nodes[i][at]);
      }
      compare(alike);
    }
  }

  void compare(const std::vector<Node*>& nodes) {
    Node* first = nodes[0];
    std::vector<at::ArrayRef<JitValue*>> outputs;
    for (size_t i = 0; i < nodes.size(); ++i) {
      Node* node = nodes[i];
      const bool alike =
          node->kind() == first->kind() && node->inputs().size() == first->inputs().size() &&
          node->blocks().size() == first->blocks().size() && same_attributes(node, first);
      if (!alike) {
        refuse_structure(first, i);
      }
      outputs.emplace_back(node->outputs());
    }
    for (size_t j = 0; j < first->inputs().size(); ++j) {
      compare_input(nodes, j);
    }
    pair(outputs, first);
    for (size_t k = 0; k < first->blocks().size(); ++k) {
      std::vector<Block*> blocks;
      for (Node* node : nodes) {
        blocks.push_back(node->blocks()[k]);
      }
      compare(blocks);
    }
  }

  static bool same_attributes(const Node* one, const Node* other) {
    if (one->attributeNames() != other->attributeNames()) {
      return false;
    }
    for (const c10::Symbol name : one->attributeNames()) {
      const auto kind = one->kindOf(name);
      if (kind != other->kindOf(name) ||
          (kind == torch::jit::AttributeKind::s && one->s(name) != other->s(name)) ||
          (kind == torch::jit::AttributeKind::i && one->i(name) != other->i(name))) {
        return false;
      }
    }
    return true;
  }

  void compare_input(const std::vector<Node*>& nodes, size_t j) {
    Use use{nodes[0], j, {}};
    bool changes = false;
    for (size_t i = 0; i < nodes.size(); ++i) {
      JitValue* value = nodes[i]->input(j);
      JitValue* first = nodes[0]->input(j);
      const bool constant = value->node()->kind() == c10::prim::Constant;
      if (constant != (first->node()->kind() == c10::prim::Constant) ||
          (!constant && i > 0 && values_[i][first] != value)) {
        refuse_structure(nodes[0], i);
      }
      if (!constant) {
        continue;
      }
      const auto number = torch::jit::toIValue(value);
      if (!number) {
        refuse_structure(nodes[0], i);
      }
      use.values.push_back(*number);
      changes = changes || !same(use.values[0], *number);
    }
    if (changes) {
      uses_.push_back(std::move(use));
    }
  }

  static bool same(const c10::IValue& one, const c10::IValue& other) {
    if (one.isTensor() && other.isTensor()) {
      const at::Tensor& a = one.toTensor();
      const at::Tensor& b = other.toTensor();
      return a.defined() == b.defined() &&
             (!a.defined() || (a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
                               at::allclose(a.to(at::kDouble), b.to(at::kDouble), 0, 0, true)));
    }
    if (one.isDouble() && other.isDouble() && std::isnan(one.toDouble())) {
      return std::isnan(other.toDouble());
    }
    return one.tagKind() == other.tagKind() && one == other;
  }

  // The value that takes the place of a constant ----------------------------------------------

  JitValue* mended(const Use& use) {
    const auto all = [&](bool (c10::IValue::*is)() const) {
      return std::all_of(use.values.begin(), use.values.end(),
                         [&](const c10::IValue& value) { return (value.*is)(); });
    };
    if (all(&c10::IValue::isInt)) {
      return number(
          use,
          numbers_of(use, [](const c10::IValue& one) { return static_cast<double>(one.toInt()); }),
          true);
    }
    if (all(&c10::IValue::isDouble)) {
      return number(use, numbers_of(use, [](const c10::IValue& one) { return one.toDouble(); }),
                    false);
    }
    if (all(&c10::IValue::isIntList)) {
      return list(use);
    }
    if (all(&c10::IValue::isTensor)) {
      return tensor(use);
    }
    refuse_number(use);
  }

  template <typename Read>
  static std::vector<double> numbers_of(const Use& use, const Read& read) {
    std::vector<double> numbers;
    for (const c10::IValue& value : use.values) {
      numbers.push_back(read(value));
    }
    return numbers;
  }

  JitValue* number(const Use& use, const std::vector<double>& values, bool whole,
                   double tolerance = 1e-12) {
    if (std::all_of(values.begin(), values.end(), [&](double one) { return one == values[0]; })) {
      torch::jit::WithInsertPoint guard(after_size());
      return whole ? graph_.insertConstant(static_cast<int64_t>(values[0]))
                   : graph_.insertConstant(values[0]);
    }
    const auto found = find_batch_number(sequences_, values, whole, tolerance);
    if (!found) {
      refuse_number(use);
    }
    return written(*found, whole);
  }

  JitValue* list(const Use& use) {
    std::vector<JitValue*> items;
    const size_t count = use.values[0].toIntVector().size();
    for (size_t i = 0; i < count; ++i) {
      items.push_back(number(use,
                             numbers_of(use,
                                        [&](const c10::IValue& one) {
                                          const std::vector<int64_t> all = one.toIntVector();
                                          if (all.size() != count) {
                                            refuse_number(use);
                                          }
                                          return static_cast<double>(all[i]);
                                        }),
                             true));
    }
    torch::jit::WithInsertPoint guard(use.node);
    return graph_.insertNode(graph_.createList(c10::IntType::get(), items))->output();
  }

  // A tensor of one number, or one that holds the same for each sequence.
  JitValue* tensor(const Use& use) {
    const at::Tensor& first = use.values[0].toTensor();
    bool one = true;
    for (const c10::IValue& value : use.values) {
      const at::Tensor& other = value.toTensor();
      if (!other.defined() || other.scalar_type() != first.scalar_type() ||
          other.dim() != first.dim() || other.is_complex() || other.scalar_type() == at::kBool) {
        refuse_number(use);
      }
      one = one && other.numel() == 1;
    }
    return one ? scalar(use, first) : are_places(use) ? places(use) : rows(use, first);
  }

  // Whole numbers one after the other, more for more sequences: what R makes of `seq_len(n)`.
  static bool are_places(const Use& use) {
    return std::all_of(use.values.begin(), use.values.end(), [&](const c10::IValue& value) {
      const at::Tensor& own = value.toTensor();
      if (own.scalar_type() != at::kLong || own.dim() != 1 || own.numel() == 0 ||
          (&value != &use.values[0] && own.numel() == use.values[0].toTensor().numel())) {
        return false;
      }
      const auto first = own[0].item<int64_t>();
      return at::equal(own, at::arange(first, first + own.numel(), own.options()));
    });
  }

  JitValue* places(const Use& use) {
    const auto end = [&](bool last) {
      return number(use,
                    numbers_of(use,
                               [last](const c10::IValue& one) {
                                 const at::Tensor& own = one.toTensor();
                                 const auto first = own[0].item<double>();
                                 return last ? first + static_cast<double>(own.numel()) : first;
                               }),
                    true);
    };
    JitValue* first = end(false);
    JitValue* last = end(true);
    torch::jit::WithInsertPoint guard(use.node);
    return graph_.insert(c10::aten::arange, {first, last},
                         {torch::jit::NamedValue("dtype", at::kLong)});
  }

  JitValue* scalar(const Use& use, const at::Tensor& first) {
    const bool whole = !at::isFloatingType(first.scalar_type());
    const double tolerance = first.scalar_type() == at::kDouble ? 1e-12 : 1e-6;
    JitValue* value = number(use,
                             numbers_of(use,
                                        [](const c10::IValue& one) {
                                          return one.toTensor().to(at::kDouble).item<double>();
                                        }),
                             whole, tolerance);
    torch::jit::WithInsertPoint guard(use.node);
    return graph_.insert(c10::aten::full, {first.sizes().vec(), value},
                         {torch::jit::NamedValue("dtype", first.scalar_type())});
  }

  JitValue* rows(const Use& use, const at::Tensor& first) {
    at::Tensor base = first;
    std::vector<JitValue*> repeats;
    for (int64_t d = 0; d < first.dim(); ++d) {
      const auto sizes = numbers_of(
          use, [d](const c10::IValue& one) { return static_cast<double>(one.toTensor().size(d)); });
      const bool fixed =
          std::all_of(sizes.begin(), sizes.end(), [&](double size) { return size == sizes[0]; });
      if (!fixed) {
        base = base.narrow(d, 0, 1);
      }
      repeats.push_back(fixed ? nullptr : number(use, sizes, true));
    }
    for (const c10::IValue& value : use.values) {
      const at::Tensor& other = value.toTensor();
      if (!at::allclose(base.expand(other.sizes()).to(at::kDouble), other.to(at::kDouble), 0, 0,
                        true)) {
        refuse_number(use);
      }
    }
    torch::jit::WithInsertPoint guard(use.node);
    JitValue* kept = graph_.insertConstant(base.clone());
    for (JitValue*& repeat : repeats) {
      repeat = repeat ? repeat : graph_.insertConstant(static_cast<int64_t>(1));
    }
    JitValue* counts = graph_.insertNode(graph_.createList(c10::IntType::get(), repeats))->output();
    return graph_.insert(c10::aten::repeat, {kept, counts});
  }

  // The function of n, at the beginning of the graph, once for each.
  JitValue* written(const BatchNumber& number, bool whole) {
    JitValue* n = batch();
    auto& made = made_[std::make_tuple(static_cast<int>(number.form), number.a, number.b, whole)];
    if (made) {
      return made;
    }
    torch::jit::WithInsertPoint guard(after_size());
    const auto constant = [&](double value) {
      return whole ? graph_.insertConstant(static_cast<int64_t>(value))
                   : graph_.insertConstant(value);
    };
    using Form = BatchNumber::Form;
    JitValue* result = n;
    if (!whole) {
      result = graph_.insert(c10::aten::Float, {result});
    }
    if (number.form == Form::square) {
      result = graph_.insert(c10::aten::mul, {result, result});
    } else if (number.form == Form::root || number.form == Form::inverse_root) {
      result = graph_.insert(c10::aten::sqrt, {result});
    }
    if (number.form == Form::inverse || number.form == Form::inverse_root) {
      result = graph_.insert(c10::aten::div, {constant(number.a), result});
    } else if (number.a != 1) {
      result = graph_.insert(c10::aten::mul, {result, constant(number.a)});
    }
    if (number.b != 0) {
      result = graph_.insert(c10::aten::add, {result, constant(number.b)});
    }
    last_ = result->node();
    return made = result;
  }

  JitValue* batch() {
    if (!batch_) {
      torch::jit::WithInsertPoint guard(*graph_.nodes().begin());
      JitValue* x = graph_.inputs().at(1);
      batch_ = graph_.insert(c10::aten::size, {x, static_cast<int64_t>(0)});
      last_ = batch_->node();
    }
    return batch_;
  }

  Node* after_size() {
    batch();
    return last_->next();
  }

  torch::jit::Graph& graph_;
  const std::vector<BatchTrace>& traces_;
  std::vector<int64_t> sequences_;
  std::vector<std::unordered_map<JitValue*, JitValue*>> values_;  // of the first in the others
  std::vector<Use> uses_;
  JitValue* batch_ = nullptr;
  Node* last_ = nullptr;
  std::map<std::tuple<int, double, double, bool>, JitValue*> made_;
};

}  // namespace

int64_t free_traced_batch(const std::vector<BatchTrace>& traces) {
  return traces.size() < 2 ? 0 : TracedBatch(traces).run();
}

}  // namespace seqlift
