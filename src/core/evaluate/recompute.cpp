#include "core/evaluate/recompute.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/ir/alias_analysis.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "core/base/error.h"
#include "core/evaluate/evaluation.h"
#include "core/halves/joined.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

using torch::jit::Block;
using torch::jit::Node;

namespace {

using Name = const torch::jit::Value*;

// Where the values of a block are made (that of an input is -1) and needed for the last time, by
// the places of its nodes; what the block returns is needed behind the last of them.
struct Spans {
  std::map<Name, int64_t> made;
  std::map<Name, int64_t> needed;

  bool crosses(Name name, int64_t cut) const {
    const auto first = made.find(name);
    const auto last = needed.find(name);
    return first != made.end() && last != needed.end() && first->second <= cut &&
           last->second > cut;
  }
};

void add_uses(const Node* node, int64_t place, Spans& spans) {
  for (const Name input : node->inputs()) {
    spans.needed[input] = place;
  }
  for (const Block* inner : node->blocks()) {
    for (const Node* deeper : inner->nodes()) {
      add_uses(deeper, place, spans);
    }
    add_uses(inner->return_node(), place, spans);
  }
}

Spans spans_of(const Block* block) {
  Spans spans;
  int64_t place = 0;
  for (const Name input : block->inputs()) {
    spans.made[input] = -1;
  }
  for (const Node* node : block->nodes()) {
    for (const Name output : node->outputs()) {
      spans.made[output] = place;
    }
    add_uses(node, place++, spans);
  }
  add_uses(block->return_node(), place, spans);
  return spans;
}

bool writes_memory(const Node* node) {
  const auto* schema = node->maybeSchema();
  return schema && std::any_of(schema->arguments().begin(), schema->arguments().end(),
                               [](const c10::Argument& argument) {
                                 return argument.alias_info() && argument.alias_info()->isWrite();
                               });
}

void collect_writers(Node* node, std::vector<Node*>& writers) {
  if (writes_memory(node)) {
    writers.push_back(node);
  }
  for (Block* inner : node->blocks()) {
    for (Node* deeper : inner->nodes()) {
      collect_writers(deeper, writers);
    }
  }
}

bool reads_written(const Node* node, const Graph& graph) {
  for (const Name output : node->outputs()) {
    if (graph.written_attributes.count(output) > 0) {
      return true;
    }
  }
  return std::any_of(node->blocks().begin(), node->blocks().end(), [&](const Block* inner) {
    return std::any_of(inner->nodes().begin(), inner->nodes().end(),
                       [&](const Node* deeper) { return reads_written(deeper, graph); });
  });
}

bool names_tensor(Name name) { return name->type()->isSubtypeOf(*c10::TensorType::get()); }

bool may_hold_tensors(Name name) {
  const auto kind = name->type()->kind();
  return kind == c10::TypeKind::ListType || kind == c10::TypeKind::DictType ||
         kind == c10::TypeKind::TupleType || kind == c10::TypeKind::OptionalType ||
         kind == c10::TypeKind::AnyType;
}

}  // namespace

std::vector<bool> cut_places(const Graph& graph) {
  Block* block = graph.graph->block();
  const Spans spans = spans_of(block);
  const auto count = std::distance(block->nodes().begin(), block->nodes().end());
  std::vector<bool> allowed(count, true);
  const auto forbid = [&](int64_t first, int64_t last) {
    for (int64_t place = std::max<int64_t>(first, 0); place <= std::min<int64_t>(last, count - 1);
         ++place) {
      allowed[place] = false;
    }
  };
  // Behind the last node there is nothing to evaluate.
  forbid(count - 1, count - 1);
  std::vector<std::pair<Node*, int64_t>> writers;
  int64_t first_written = count;
  int64_t place = 0;
  for (Node* node : block->nodes()) {
    std::vector<Node*> own;
    collect_writers(node, own);
    for (Node* writer : own) {
      writers.emplace_back(writer, place);
    }
    if (reads_written(node, graph)) {
      first_written = std::min(first_written, place);
    }
    ++place;
  }
  if (writers.empty()) {
    return allowed;
  }
  torch::jit::AliasDb aliases(graph.graph);
  for (const auto& writer : writers) {
    // What stands in attributes is read by their names.
    forbid(first_written, writer.second - 1);
    for (const auto& made : spans.made) {
      auto* name = const_cast<torch::jit::Value*>(made.first);  // AliasDb asks for it
      const bool reached = may_hold_tensors(name) ||
                           (names_tensor(name) && aliases.writesToAlias(writer.first, {name}));
      const auto needed = spans.needed.find(name);
      if (reached && needed != spans.needed.end()) {
        forbid(made.second, std::min(writer.second, needed->second) - 1);
      }
    }
  }
  return allowed;
}

std::vector<bool> strip_ends(const Graph& graph, const Footprint& footprint) {
  Block* block = graph.graph->block();
  const Spans spans = spans_of(block);
  const auto count = std::distance(block->nodes().begin(), block->nodes().end());
  std::vector<bool> allowed(count, true);
  for (const auto& made : spans.made) {
    const Name name = made.first;
    const auto needed = spans.needed.find(name);
    if (needed == spans.needed.end()) {
      continue;
    }
    const Node* node = name->node();
    const auto positions = footprint.positions.find(name->unique());
    const bool follows = positions != footprint.positions.end() && positions->second.followed();
    const bool same_for_all = node->kind() == c10::prim::Constant ||
                              node->kind() == c10::prim::GetAttr ||
                              (node->kind() == c10::prim::Param && name != block->inputs()[1]);
    if (!(names_tensor(name) && follows) && !same_for_all) {
      for (int64_t place = std::max<int64_t>(made.second, 0);
           place < std::min<int64_t>(needed->second, count); ++place) {
        allowed[place] = false;
      }
    }
  }
  return allowed;
}

// A stretch of the graph between two cuts.
struct Evaluation::Part {
  std::shared_ptr<const Evaluation> before;  // as it stood in front of it
  Resume resume;
  std::vector<const Node*> nodes;
  size_t begin = 0;  // of the graph's block
  size_t end = 0;
  bool recording = true;
};

std::vector<Value*> Evaluation::values_in_order() {
  std::vector<std::pair<size_t, Value*>> all;
  for (auto& entry : values_) {
    all.emplace_back(entry.first->unique(), &entry.second);
  }
  std::sort(all.begin(), all.end());
  std::vector<Value*> ordered;
  for (const auto& entry : all) {
    ordered.push_back(entry.second);
  }
  return ordered;
}

// The tensors with gradients, each once, in the order of the graph.
std::vector<at::Tensor> Evaluation::crossing() {
  std::vector<at::Tensor> found;
  std::set<const void*> seen;
  for (const Value* value : values_in_order()) {
    const auto add = [&](const at::Tensor& tensor) {
      if (has_gradient(tensor) && seen.insert(tensor.unsafeGetTensorImpl()).second) {
        found.push_back(tensor);
      }
    };
    std::as_const(*value).each_half([&](const c10::IValue& half) { visit_tensors(half, add); });
  }
  return found;
}

namespace {

using StandIns = std::map<const void*, at::Tensor>;

c10::IValue with_stand_ins(const c10::IValue& value, const StandIns& stand_ins) {
  bool any = false;
  visit_tensors(value, [&](const at::Tensor& tensor) {
    any = any || (tensor.defined() && stand_ins.count(tensor.unsafeGetTensorImpl()) > 0);
  });
  if (!any) {
    return value;
  }
  if (value.isTensor()) {
    return stand_ins.at(value.toTensor().unsafeGetTensorImpl());
  }
  if (value.isTuple()) {
    std::vector<c10::IValue> elements;
    for (const c10::IValue& element : value.toTupleRef().elements()) {
      elements.push_back(with_stand_ins(element, stand_ins));
    }
    const auto type = value.toTuple()->type();
    return type->name() ? c10::ivalue::Tuple::createNamed(std::move(elements), type)
                        : c10::ivalue::Tuple::create(std::move(elements));
  }
  c10::impl::GenericList list(value.toList().elementType());
  for (const c10::IValue& element : value.toListRef()) {
    list.push_back(with_stand_ins(element, stand_ins));
  }
  return list;
}

// Whether its tensors can be told and with_stand_ins.
bool can_be_replaced_in(const c10::IValue& value) {
  if (value.isGenericDict()) {
    return !has_gradient(value);
  }
  if (value.isTuple()) {
    const auto& elements = value.toTupleRef().elements();
    return std::all_of(elements.begin(), elements.end(), can_be_replaced_in);
  }
  if (value.isList()) {
    const auto elements = value.toListRef();
    return std::all_of(elements.begin(), elements.end(), can_be_replaced_in);
  }
  return true;
}

}  // namespace

void Evaluation::replace(const std::vector<at::Tensor>& from, const std::vector<at::Tensor>& to) {
  StandIns stand_ins;
  for (size_t i = 0; i < from.size(); ++i) {
    stand_ins[from[i].unsafeGetTensorImpl()] = to.at(i);
  }
  for (auto& entry : values_) {
    entry.second.each_half([&](c10::IValue& half) { half = with_stand_ins(half, stand_ins); });
  }
}

// Lets go of what nothing behind the first `end` nodes needs.
void Evaluation::forget(const Block* block, size_t end) {
  const Spans spans = spans_of(block);
  for (auto entry = values_.begin(); entry != values_.end();) {
    const bool needed = spans.crosses(entry->first, static_cast<int64_t>(end) - 1);
    entry = needed ? std::next(entry) : values_.erase(entry);
  }
}

bool Evaluation::can_be_cut() const {
  for (const auto& entry : values_) {
    const Value& value = entry.second;
    if (value.change() || value.parts() || !can_be_replaced_in(value.x) ||
        !can_be_replaced_in(value.ref())) {
      return false;
    }
  }
  return std::none_of(attributes_.begin(), attributes_.end(), [](const auto& entry) {
    return has_gradient(entry.second.x) || has_gradient(entry.second.ref());
  });
}

PartEntry part_entry(const std::vector<at::Tensor>& given) {
  PartEntry entry;
  for (const at::Tensor& tensor : given) {
    entry.leaves.push_back(tensor.detach().requires_grad_());
    entry.stand_ins.push_back(
        attach(tensor.detach(), {entry.leaves.back()},
               [](const at::Tensor& grad) { return std::vector<at::Tensor>{grad}; }));
  }
  return entry;
}

// The backward pass of a part.
std::vector<at::Tensor> Evaluation::run_again(const Part& part,
                                              const std::vector<at::Tensor>& grads) {
  const at::AutoGradMode mode(part.recording);
  const Draft recorded(false);
  PartEntry entry;
  std::vector<at::Tensor> roots;
  std::vector<at::Tensor> gradients;
  {
    Evaluation own(*part.before);
    const std::vector<at::Tensor> given = own.crossing();
    entry = part_entry(given);
    own.replace(given, entry.stand_ins);
    if (part.resume) {
      part.resume(entry.stand_ins, true);
    }
    for (size_t i = part.begin; i < part.end; ++i) {
      own.run_and_free(part.nodes[i]);
    }
    own.forget(own.graph_.graph->block(), part.end);
    const std::vector<at::Tensor> results = own.crossing();
    if (results.size() != grads.size()) {
      throw Error("internal", "A part of the model gave other values when it was evaluated again.");
    }
    for (size_t i = 0; i < results.size(); ++i) {
      if (grads[i].defined()) {
        roots.push_back(results[i]);
        gradients.push_back(grads[i]);
      }
    }
  }
  return torch::autograd::grad(roots, entry.leaves, gradients, {}, false, true);
}

void Evaluation::run_in_parts(const Block* block) {
  const std::vector<const Node*> nodes(block->nodes().begin(), block->nodes().end());
  Resume resume = options_.carry ? options_.carry(crossing()) : Resume();
  std::vector<size_t> cuts = options_.cuts;
  std::sort(cuts.begin(), cuts.end());
  auto next = cuts.begin();
  size_t begin = 0;
  if (options_.strips && !options_.carry && run_in_strips(nodes)) {
    begin = options_.strips->end + 1;
  }
  while (begin < nodes.size()) {
    while (next != cuts.end() && *next < begin) {
      ++next;
    }
    if (next == cuts.end()) {
      // The last part is recorded as it is: its backward pass comes first.
      if (resume) {
        resume(crossing(), false);
      }
      for (size_t i = begin; i < nodes.size(); ++i) {
        run_and_free(nodes[i]);
      }
      return;
    }
    Part part;
    part.before = std::make_shared<const Evaluation>(*this);
    part.resume = resume;
    part.nodes = nodes;
    part.begin = part.end = begin;
    part.recording = at::GradMode::is_enabled();
    const std::vector<at::Tensor> given = crossing();
    const PartEntry entry = part_entry(given);
    replace(given, entry.stand_ins);
    if (resume) {
      resume(entry.stand_ins, false);
    }
    for (bool cut = false; !cut;) {
      // Slopes of this part are formed when it is evaluated again.
      const Draft draft(options_.two_halves());
      const size_t end = next == cuts.end() ? nodes.size() : std::min(*next++ + 1, nodes.size());
      for (; part.end < end; ++part.end) {
        run_and_free(nodes[part.end]);
      }
      forget(block, part.end);
      cut = part.end == nodes.size() || can_be_cut();
    }
    begin = part.end;
    const std::vector<at::Tensor> results = crossing();
    resume = options_.carry ? options_.carry(results) : Resume();
    std::vector<at::Tensor> plain;
    for (const at::Tensor& result : results) {
      plain.push_back(result.detach());
    }
    const auto kept = std::make_shared<const Part>(std::move(part));
    replace(results, attach_together(plain, given, [kept](const std::vector<at::Tensor>& grads) {
              return run_again(*kept, grads);
            }));
  }
}

}  // namespace seqlift
