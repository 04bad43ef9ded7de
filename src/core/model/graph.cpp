#include "core/model/graph.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/lower_tuples.h>
#include <torch/csrc/jit/passes/peephole_dict_idioms.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/files/effects.h"
#include "core/model/fused_attention.h"
#include "core/model/graph_outputs.h"
#include "core/model/graph_passes.h"
#include "core/model/input_layout.h"
#include "core/model/layout.h"
#include "core/model/profile_score.h"
#include "core/model/random_operations.h"
#include "core/model/source_place.h"
#include "core/model/unit_state.h"

namespace seqlift {

using torch::jit::Block;
using torch::jit::Node;

namespace {

// torch.autocast, torch.cuda.amp.autocast, torch.cpu.amp.autocast.
bool is_autocast(const c10::ClassType& type) {
  return type.name() && short_class_name(type.name()->qualifiedName()) == "autocast";
}

// Opens calls of modules and functions one by one. The path of a module follows from the chain of
// attribute accesses that leads to it, so it must be known for every value of a class type.
class Inliner {
 public:
  Inliner(Graph& result, const GraphOptions& options) : result_(result), options_(options) {}

  void run(const std::string& path) {
    Block* top = result_.graph->block();
    torch::jit::Value* self = top->inputs()[0];
    paths_[self] = path;
    const auto type = self->type()->cast<c10::ClassType>();
    const Provenance root{path, plain_class_name(type->name()->qualifiedName()), ""};
    note(top, root, false);
    open_all();
  }

  // The same for what was put around the model: all behind `before`. Paths start at `holder`.
  void run_after(Node* before, torch::jit::Value* holder, const Provenance& place) {
    if (holder) {
      paths_[holder] = "";
    }
    for (Node* node = before->next(); node != before->owningBlock()->return_node();
         node = node->next()) {
      note(node, place, false);
    }
    open_all();
  }

  // Calls of `target_layer`, in the order of the code.
  const std::vector<torch::jit::Value*>& targets() const { return targets_; }

 private:
  void open_all() {
    while (true) {
      open_contexts();
      std::vector<Node*> calls;
      collect_nodes(result_.graph->block(), {c10::prim::CallMethod, c10::prim::CallFunction},
                    calls);
      bool opened = false;
      for (Node* call : calls) {
        if (units_.count(call) == 0) {
          opened = open(call) || opened;
        }
      }
      if (!opened) {
        return;
      }
    }
  }

  // `with a as b:` calls `__enter__` and `__exit__` of a; b may be whatever the first one returns.
  // LibTorch leaves the ends of a mixed-precision block to a pass of its own: these stay.
  void open_contexts() {
    std::vector<Node*> ends;
    collect_nodes(result_.graph->block(), {c10::prim::Enter, c10::prim::Exit}, ends);
    for (Node* end : ends) {
      const auto type = end->input()->type()->cast<c10::ClassType>();
      if (!type || is_autocast(*type)) {
        continue;
      }
      const bool enters = end->kind() == c10::prim::Enter;
      const std::string method = enters ? "__enter__" : "__exit__";
      const c10::FunctionSchema& schema = type->getMethod(method).getSchema();
      torch::jit::WithInsertPoint guard(end);
      std::vector<torch::jit::Value*> inputs{end->input()};
      while (inputs.size() < schema.arguments().size()) {
        inputs.push_back(result_.graph->insertConstant(c10::IValue()));
        result_.provenance[inputs.back()->node()] = result_.provenance[end];
      }
      Node* call = result_.graph->insertNode(
          result_.graph->create(c10::prim::CallMethod, inputs, 1)->s_(c10::attr::name, method));
      call->output()->setType(schema.returns().at(0).type());
      call->copyMetadata(end);
      result_.provenance[call] = result_.provenance[end];
      end->output()->replaceAllUsesWith(call->output());
      result_.provenance.erase(end);
      end->destroy();
    }
  }

  void note(Block* block, const Provenance& provenance, bool called_by_torch) {
    for (Node* node : block->nodes()) {
      note(node, provenance, called_by_torch);
    }
  }

  // `provenance` is that of the call that the node was found in, `called_by_torch` whether that
  // call stands in PyTorch's own code.
  void note(Node* node, const Provenance& provenance, bool called_by_torch) {
    Provenance own = provenance;
    const SourcePlace place = source_place(node);
    const bool says_more = !place.of_torch || provenance.source.empty() || called_by_torch;
    if (!place.text.empty() && says_more) {
      own.source = place.text;
    }
    if (own.source == place.text ? place.of_torch : called_by_torch) {
      of_torch_.insert(node);
    } else {
      of_torch_.erase(node);  // another node may have been at this address
    }
    result_.provenance[node] = own;
    if (node->kind() == c10::prim::GetAttr && paths_.count(node->input()) > 0) {
      const std::string& parent = paths_[node->input()];
      const std::string name = node->s(c10::attr::name);
      paths_[node->output()] = parent.empty() ? name : parent + "." + name;
    }
    for (Block* inner : node->blocks()) {
      note(inner, provenance, called_by_torch);
    }
  }

  // The path of the module that `value` is, followed back through attribute accesses.
  std::string path_of(torch::jit::Value* value) {
    const auto known = paths_.find(value);
    return known == paths_.end() ? value->debugName() : known->second;
  }

  bool open(Node* call) {
    torch::jit::Function* function = nullptr;
    Provenance inside = result_.provenance[call];
    std::vector<torch::jit::Value*> inputs;
    if (call->kind() == c10::prim::CallMethod) {
      const auto type = call->input(0)->type()->cast<c10::ClassType>();
      if (!type) {
        throw Error("model", "The method `" + call->s(c10::attr::name) +
                                 "` of an interface cannot be opened (" + inside.source + ").");
      }
      inside.module = path_of(call->input(0));
      inside.class_name = type->name() ? plain_class_name(type->name()->qualifiedName()) : "";
      const std::string method = call->s(c10::attr::name);
      const bool forward = method.rfind("forward", 0) == 0;
      if (forward && options_.is_unit && options_.is_unit(inside.module, inside.class_name)) {
        Provenance own = inside;
        own.source = result_.provenance[call].source;
        result_.provenance[call] = own;
        units_.insert(call);
        torch::jit::WithInsertPoint guard(call->next());
        torch::jit::Value* output = call->output();
        torch::jit::Value* passed = returned(output, inside, method);
        if (passed != output) {
          output->replaceAllUsesAfterNodeWith(passed->node(), passed);
        }
        return false;
      }
      function = &type->getMethod(method);
      inputs = call->inputs().vec();
    } else {
      const auto type = call->input(0)->type()->cast<c10::FunctionType>();
      function = type->function();
      inputs = call->inputs().slice(1).vec();
    }
    const auto* body = torch::jit::tryToGraphFunction(*function);
    if (!body) {
      throw Error("model",
                  "`" + function->name() + "` has no graph to evaluate (" + inside.source + ").");
    }
    replace(call, *const_cast<torch::jit::GraphFunction*>(body)->graph(), inputs, inside);
    return true;
  }

  void replace(Node* call, torch::jit::Graph& body, std::vector<torch::jit::Value*>& inputs,
               const Provenance& inside) {
    Node* before = call->prev();
    const bool of_torch = of_torch_.count(call) > 0;
    std::vector<torch::jit::Value*> outputs;
    {
      torch::jit::WithInsertPoint guard(call);
      std::unordered_map<torch::jit::Value*, torch::jit::Value*> values;
      outputs = torch::jit::insertGraph(*result_.graph, body, inputs, values);
      if (call->kind() == c10::prim::CallMethod) {
        outputs[0] = returned(outputs[0], inside, call->s(c10::attr::name));
      }
    }
    for (Node* node = before->next(); node != call; node = node->next()) {
      note(node, inside, of_torch);
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      call->output(i)->replaceAllUsesWith(outputs[i]);
    }
    result_.provenance.erase(call);
    of_torch_.erase(call);
    call->destroy();
  }

  // What a module returns, which passes through a node of its own where the module is a layer that
  // was asked for: the value itself may be another module's output too, or the module's input.
  torch::jit::Value* returned(torch::jit::Value* output, const Provenance& inside,
                              const std::string& method) {
    // Tracing calls the second use of a module "forward1".
    const bool forward = method.rfind("forward", 0) == 0 &&
                         method.find_first_not_of("0123456789", 7) == std::string::npos;
    const auto layer = std::find(options_.layers.begin(), options_.layers.end(), inside.module);
    const bool target = !options_.target_layer.empty() && inside.module == options_.target_layer;
    if (!forward || (layer == options_.layers.end() && !target)) {
      return output;
    }
    if (!output->type()->isSubtypeOf(*c10::TensorType::get())) {
      throw Error("layer", "The module `" + inside.module + "` does not return one tensor.");
    }
    Node* node = result_.graph->insert(c10::aten::alias, {output})->node();
    if (layer != options_.layers.end()) {
      result_.layers[node] = layer - options_.layers.begin();
    }
    if (target) {
      targets_.push_back(node->output());
    }
    result_.provenance[node] = inside;
    return node->output();
  }

  Graph& result_;
  const GraphOptions& options_;
  std::vector<torch::jit::Value*> targets_;
  std::unordered_map<torch::jit::Value*, std::string> paths_;
  std::unordered_set<const Node*> units_;
  std::unordered_set<const Node*> of_torch_;  // whose source is PyTorch's own
};

void wrap(Graph& result, const std::vector<Wrapper>& wrappers, Inliner& inliner) {
  torch::jit::Graph& graph = *result.graph;
  torch::jit::WithInsertPoint guard(graph.block()->return_node());
  for (const Wrapper& wrapper : wrappers) {
    torch::jit::Value* output = graph.outputs()[0];
    Node* before = graph.block()->return_node()->prev();
    torch::jit::Value* selected = select_output(graph, output, wrapper.index);
    torch::jit::Value* holder = nullptr;
    std::string path = "select_output()";
    if (wrapper.kind != Wrapper::Kind::select_output) {
      const bool profile = wrapper.kind == Wrapper::Kind::profile_score;
      path = profile ? profile_score_path : bin_score_path;
      const ModulePart score = profile ? profile_score_part() : bin_score_part(wrapper.bins);
      selected = call_module(graph, build_module(score), path, selected, holder);
    }
    graph.block()->replaceOutput(0, selected);
    inliner.run_after(before, holder, {path, "", ""});
  }
}

// The output of a module in place of the model's.
void make_output(Graph& result, const std::string& path,
                 const std::vector<torch::jit::Value*>& calls) {
  Block* top = result.graph->block();
  const std::string place = "The module `" + path + "` ";
  if (calls.size() != 1) {
    throw Error("layer", calls.empty() ? place + "is not called by the model."
                                       : place + "is called " + std::to_string(calls.size()) +
                                             " times: which output is meant is not clear.");
  }
  if (calls[0]->node()->owningBlock() != top) {
    throw Error("layer", place + "is called inside a branch or a loop of the model's code.");
  }
  // The node that marked it is needed for a layer alone.
  Node* mark = calls[0]->node();
  top->replaceOutput(0, result.layers.count(mark) > 0 ? calls[0] : mark->input());
}

// A value may be freed by a node of the block that defines it, once nothing after needs it.
void find_last_uses(Graph& result, Block* block) {
  std::unordered_set<const torch::jit::Value*> kept(block->outputs().begin(),
                                                    block->outputs().end());
  const std::function<void(Node*, std::vector<torch::jit::Value*>&)> all_inputs =
      [&](Node* node, std::vector<torch::jit::Value*>& all) {
        all.insert(all.end(), node->inputs().begin(), node->inputs().end());
        for (Block* inner : node->blocks()) {
          all.insert(all.end(), inner->outputs().begin(), inner->outputs().end());
          for (Node* deeper : inner->nodes()) {
            all_inputs(deeper, all);
          }
        }
      };
  for (Node* node : block->nodes().reverse()) {
    std::vector<torch::jit::Value*> inputs;
    all_inputs(node, inputs);
    for (torch::jit::Value* value : inputs) {
      const bool own = value->node()->owningBlock() == block;
      if (own && kept.insert(value).second) {
        result.last_uses[node].push_back(value);
      }
    }
    for (Block* inner : node->blocks()) {
      find_last_uses(result, inner);
    }
  }
}

}  // namespace

namespace {

std::shared_ptr<const Graph> prepare(const std::shared_ptr<Graph>& result,
                                     const std::string& method, const GraphOptions& options,
                                     const std::string& path) {
  const auto& function = result->self.type()->expectRef<c10::ClassType>().getMethod(method);
  result->graph = torch::jit::toGraphFunction(function).graph()->copy();
  result->layer_paths = options.layers;
  Inliner inliner(*result, options);
  inliner.run(path);
  std::vector<std::string> names;
  if (result->model) {
    names = open_outputs(*result->graph);
    names = names.empty() ? result->model->output_names : names;
    check_output(result->graph->outputs()[0]);
  }
  if (options.target_layer.empty()) {
    wrap(*result, options.wrappers, inliner);
  } else {
    make_output(*result, options.target_layer, inliner.targets());
  }
  check_effects(result->graph->block());
  answer_as_predicting(*result);
  open_fused_attention(*result);
  // `a, b = trunk(x)` builds a tuple and takes it apart at once, which would keep both alive.
  torch::jit::LowerSimpleTuples(result->graph);
  // The same of `trunk(x)["human"]`.
  torch::jit::PeepholeOptimizeDictIdioms(result->graph);
  const std::vector<UnitBody> units = find_units(*result);
  take_known_branches(*result, names_set_by(units));
  drop_lifts(*result);
  open_tokens(*result);
  torch::jit::EliminateDeadCode(result->graph);
  result->outputs = count_outputs(result->graph->outputs()[0]);
  if (result->outputs == 0 && !result->model) {
    result->outputs = 1;
  }
  const bool own = options.wrappers.empty() && options.target_layer.empty();
  if (own && static_cast<int64_t>(names.size()) == result->outputs) {
    result->output_names = names;
  }
  find_written(*result);
  check_unit_state(*result, units);
  find_last_uses(*result, result->graph->block());
  result->layouts = std::make_shared<Layouts>(*result);
  find_random(*result);
  find_training(*result);
  result->findings->alone_differs = asks_for_one(*result);
  return result;
}

}  // namespace

std::shared_ptr<const Graph> build_graph(const std::shared_ptr<const Model>& model,
                                         const GraphOptions& options) {
  auto result = std::make_shared<Graph>();
  result->model = model;
  result->self = model->module._ivalue();
  const bool own_forward = model->module.find_method("forward").has_value();
  return prepare(result, own_forward ? "forward" : "evalforward", options, "");
}

std::shared_ptr<const Graph> build_unit_graph(const c10::IValue& self, const std::string& method,
                                              const Provenance& place) {
  auto result = std::make_shared<Graph>();
  result->self = self;
  return prepare(result, method, {}, place.module);
}

}  // namespace seqlift
