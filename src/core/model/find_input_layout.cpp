// Which layouts of its input a model's first layers tell.

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/base/error.h"
#include "core/model/graph_passes.h"
#include "core/model/input_layout.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

using torch::jit::Node;
using JitValue = torch::jit::Value;

namespace {

// No model has layers of so many channels at its beginning and these numbers of anything else.
constexpr int64_t probe_sequences = 3;
constexpr int64_t probe_length = 1009;
constexpr int64_t most_channels = 16;
constexpr size_t most_layers = 16;

const std::vector<std::string>& layouts() {
  static const std::vector<std::string> all{"NCL",  "NLC",  "NC1L", "N1CL", "NCL1",
                                            "N1LC", "NLC1", "NL1C", "LNC"};
  return all;
}

// What cannot be told without running more of the model.
struct Unclear {};

// Works out single values of a graph without loops.
class Evaluator {
 public:
  Evaluator(const Graph& graph, at::Tensor X) : graph_(graph) {
    known_[graph.graph->inputs()[0]] = graph.self;
    known_[graph.graph->inputs()[1]] = std::move(X);
  }

  c10::IValue value(const JitValue* wanted) {
    const auto found = known_.find(wanted);
    if (found != known_.end()) {
      return found->second;
    }
    Node* node = const_cast<Node*>(wanted->node());
    if (node->kind() == c10::prim::If) {
      const bool taken = value(node->input()).toBool();
      return known_[wanted] = value(node->blocks()[taken ? 0 : 1]->outputs()[wanted->offset()]);
    }
    if (node->kind() == c10::prim::Param || !node->blocks().empty() || ++steps_ > most_steps) {
      throw Unclear();
    }
    if (const auto constant = torch::jit::toIValue(wanted)) {
      return known_[wanted] = *constant;
    }
    if (node->kind() == c10::prim::GetAttr) {
      const c10::IValue holder = value(node->input());
      return known_[wanted] = holder.toObject()->getAttr(node->s(c10::attr::name));
    }
    torch::jit::Stack stack;
    for (const JitValue* input : node->inputs()) {
      stack.push_back(value(input));
    }
    run(node, stack);
    for (size_t i = 0; i < node->outputs().size(); ++i) {
      known_[node->output(i)] = stack.at(i);
    }
    return known_.at(wanted);
  }

 private:
  // Lists and tuples are instructions of LibTorch's interpreter, and no operations.
  static void run(Node* node, torch::jit::Stack& stack) {
    if (node->kind() == c10::prim::ListConstruct) {
      c10::impl::GenericList list(
          node->output()->type()->expectRef<c10::ListType>().getElementType());
      for (const c10::IValue& element : stack) {
        list.push_back(element);
      }
      stack = {c10::IValue(list)};
    } else if (node->kind() == c10::prim::TupleConstruct) {
      stack = {c10::ivalue::Tuple::create(std::vector<c10::IValue>(stack))};
    } else if (node->kind() == c10::prim::ListUnpack) {
      const c10::IValue list = stack.at(0);
      stack.clear();
      for (const c10::IValue& element : list.toListRef()) {
        stack.push_back(element);
      }
    } else if (node->kind() == c10::prim::TupleUnpack) {
      const c10::IValue tuple = stack.at(0);
      stack.assign(tuple.toTupleRef().elements().begin(), tuple.toTupleRef().elements().end());
    } else if (node->maybeOperator()) {
      node->getOperation()(stack);
    } else {
      throw Unclear();
    }
  }

  static constexpr int most_steps = 1000;
  const Graph& graph_;
  std::unordered_map<const JitValue*, c10::IValue> known_;
  int steps_ = 0;
};

struct FirstLayer {
  LayerKind kind;
  const Node* node;
};

LayerKind layer_kind(const Node* node) { return operation_of(node).layer; }

size_t data_of(LayerKind kind, const Node* node) {
  return kind == LayerKind::lookup && node->kind() == c10::aten::embedding ? 1 : 0;
}

// What holds numbers of X: a tensor, or several. Sizes of X are the same whatever its numbers.
bool holds_numbers(const JitValue* value) {
  const auto list = value->type()->cast<c10::ListType>();
  return value->type()->isSubtypeOf(*c10::TensorType::get()) ||
         (list && list->getElementType()->isSubtypeOf(*c10::TensorType::get()));
}

// Loops, and branches with layers in them.
bool hides_layers(const Node* node) {
  if (node->kind() == c10::prim::Loop) {
    return true;
  }
  for (const torch::jit::Block* block : node->blocks()) {
    for (const Node* inner : block->nodes()) {
      if (layer_kind(inner) != LayerKind::none || hides_layers(inner)) {
        return true;
      }
    }
  }
  return false;
}

// The layers that X reaches before any other, those in branches and loops left out. Of look-ups
// those alone that X's own numbers are the places of.
std::vector<FirstLayer> first_layers(const Graph& graph) {
  std::unordered_set<const JitValue*> of_X{graph.graph->inputs()[1]};
  std::unordered_set<const JitValue*> own{graph.graph->inputs()[1]};
  std::unordered_set<const JitValue*> behind;
  std::vector<FirstLayer> layers;
  for (const Node* node : graph.graph->nodes()) {
    const auto any = [&](const std::unordered_set<const JitValue*>& values) {
      return std::any_of(node->inputs().begin(), node->inputs().end(),
                         [&](const JitValue* value) { return values.count(value) > 0; });
    };
    const bool branches = !node->blocks().empty();
    if (!any(of_X) && !branches) {
      continue;
    }
    const LayerKind kind = layer_kind(node);
    const bool known = kind != LayerKind::none;
    const JitValue* data = known ? node->input(data_of(kind, node)) : nullptr;
    const bool layer = known && of_X.count(data) > 0;
    const bool first = !any(behind);
    const bool told = kind != LayerKind::lookup || own.count(data) > 0;
    if (layer && first && told && layers.size() < most_layers) {
      layers.push_back({kind, node});
    }
    for (const JitValue* output : node->outputs()) {
      if (!holds_numbers(output)) {
        continue;
      }
      of_X.insert(output);
      if (operation_of(node).is(Trait::keeps_numbers) && own.count(node->input(0)) > 0) {
        own.insert(output);
      }
      if (layer || !first || hides_layers(node)) {
        behind.insert(output);
      }
    }
  }
  return layers;
}

// Whether a convolution slides along positions alone: over a dimension of one entry its window is
// one wide, over the bases it is as wide as there are, or one. Loosely, with padding, it may be
// wider anywhere.
bool window_fits(const at::Tensor& x, const at::Tensor& weight, int64_t channels, bool loosely) {
  for (int64_t d = 2; d < weight.dim(); ++d) {
    const int64_t width = weight.size(d);
    const bool good =
        x.size(d) == probe_length || width == 1 || (x.size(d) == channels && width == channels);
    if (!good && (!loosely || width > 2 * x.size(d) + 1)) {
      return false;
    }
  }
  return true;
}

class Fit {
 public:
  Fit(const Graph& graph, const std::vector<FirstLayer>& layers, const std::string& layout,
      int64_t channels, bool loosely)
      : layers_(layers),
        evaluator_(graph, sequences(layout, channels)),
        channels_(channels),
        loosely_(loosely),
        batch_(layout.find('N')) {}

  // `wanted`: the channels that convolutions ask for are added to it.
  bool check(std::set<int64_t>& wanted) {
    return std::all_of(layers_.begin(), layers_.end(),
                       [&](const FirstLayer& layer) { return check(layer, wanted); });
  }

 private:
  static at::Tensor sequences(const std::string& layout, int64_t channels) {
    std::vector<int64_t> sizes;
    for (const char letter : layout) {
      sizes.push_back(letter == 'N'   ? probe_sequences
                      : letter == 'C' ? channels
                      : letter == 'L' ? probe_length
                                      : 1);
    }
    return at::zeros(sizes);
  }

  at::Tensor tensor(const Node* node, size_t i) {
    const c10::IValue value = evaluator_.value(node->input(i));
    if (!value.isTensor() || !value.toTensor().defined()) {
      throw Unclear();
    }
    return value.toTensor();
  }

  int64_t integer(const Node* node, const std::string& name, int64_t otherwise) {
    const auto& arguments = node->schema().arguments();
    for (size_t i = 0; i < arguments.size(); ++i) {
      if (arguments[i].name() == name) {
        const c10::IValue value = evaluator_.value(node->input(i));
        return value.isBool() ? value.toBool() : value.toInt();
      }
    }
    return otherwise;
  }

  bool check(const FirstLayer& layer, std::set<int64_t>& wanted) {
    const Node* node = layer.node;
    const at::Tensor x = tensor(node, data_of(layer.kind, node));
    const auto same = [&](int64_t dimension, int64_t size) {
      return x.dim() > dimension && x.size(dimension) == size;
    };
    switch (layer.kind) {
      case LayerKind::convolution: {
        const at::Tensor weight = tensor(node, 1);
        const int64_t groups = integer(node, "groups", 1);
        const bool transposed = integer(node, "transposed", 0) != 0;
        const int64_t inputs = transposed ? weight.size(0) : weight.size(1) * groups;
        wanted.insert(inputs);
        return same(1, inputs) && x.dim() == weight.dim() &&
               window_fits(x, weight, channels_, loosely_);
      }
      case LayerKind::linear:
        return same(x.dim() - 1, tensor(node, 1).size(-1));
      case LayerKind::matmul: {
        const at::Tensor weight = tensor(node, 1);
        return weight.dim() != 2 || same(x.dim() - 1, weight.size(0));
      }
      case LayerKind::recurrent: {
        // Behind the input and the hidden state.
        const std::vector<at::Tensor> weights = evaluator_.value(node->input(2)).toTensorVector();
        const bool first = integer(node, "batch_first", 0) != 0;
        return same(x.dim() - 1, weights.at(0).size(1)) && (batch_ == 0) == first;
      }
      case LayerKind::norm: {
        const c10::IValue mean = evaluator_.value(node->input(3));
        return !mean.isTensor() || !mean.toTensor().defined() || same(1, mean.toTensor().size(0));
      }
      case LayerKind::layer_norm: {
        const std::vector<int64_t> shape = evaluator_.value(node->input(1)).toIntVector();
        return shape.size() != 1 || same(x.dim() - 1, shape[0]);
      }
      case LayerKind::none:
      case LayerKind::lookup:
        break;
    }
    return false;
  }

  const std::vector<FirstLayer>& layers_;
  Evaluator evaluator_;
  int64_t channels_;
  bool loosely_;
  size_t batch_;
};

int64_t vocabulary_of(const Graph& graph, const Node* node) {
  Evaluator evaluator(graph, at::Tensor());
  if (node->kind() == c10::aten::embedding) {
    return evaluator.value(node->input(0)).toTensor().size(0);
  }
  return evaluator.value(node->input(1)).toInt();
}

}  // namespace

FoundLayout find_input_layout(const Graph& graph) {
  const at::NoGradGuard guard;
  FoundLayout found;
  try {
    const std::vector<FirstLayer> layers = first_layers(graph);
    const auto is_lookup = [](const FirstLayer& layer) { return layer.kind == LayerKind::lookup; };
    if (layers.empty()) {
      return found;
    }
    if (std::all_of(layers.begin(), layers.end(), is_lookup)) {
      found.vocabulary = vocabulary_of(graph, layers[0].node);
      found.fits = {"tokens"};
      return found;
    }
    const auto fitting = [&](int64_t channels, bool loosely, std::set<int64_t>& wanted) {
      std::vector<std::string> fits;
      for (const std::string& layout : layouts()) {
        try {
          if (Fit(graph, layers, layout, channels, loosely).check(wanted)) {
            fits.push_back(layout);
          }
        } catch (const std::exception&) {
          continue;  // the model's code does not take it
        }
        // One more dimension than the model needs changes nothing where it looks at the last alone.
        if (!fits.empty() && fits[0].size() == 3) {
          break;
        }
      }
      return fits;
    };
    std::set<int64_t> wanted{4};
    for (const bool loosely : {false, true}) {
      found.fits = fitting(4, loosely, wanted);
      if (!found.fits.empty()) {
        return found;
      }
    }
    // Channels beyond the four bases.
    const std::set<int64_t> others = wanted;
    for (const int64_t channels : others) {
      if (channels > 4 && channels <= most_channels && found.fits.empty()) {
        found.fits = fitting(channels, false, wanted);
      }
    }
  } catch (const Unclear&) {
    found.fits.clear();
  } catch (const std::exception&) {
    found.fits.clear();
  }
  return found;
}

}  // namespace seqlift
