// The model's graph, ready to be evaluated operation by operation: calls inlined one by one so that
// every operation knows the module it came from, wrappers appended, work that the chosen output
// does not need removed.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/model/bin_score.h"
#include "core/model/model.h"

namespace seqlift {

class Layouts;

// Where an operation stands in the user's model.
struct Provenance {
  std::string module;      // path of the innermost module, "body.3.act"; "" for the model itself
  std::string class_name;  // that module's class, "torch.nn.modules.activation.ReLU"
  std::string source;      // "model.py:34" where the file knows it
};

// A step put around the model; they apply in order, each to what the ones before it return.
struct Wrapper {
  enum class Kind { select_output, profile_score, select_bins };
  Kind kind = Kind::select_output;
  int64_t index = 0;          // which of several outputs, from 0
  BinScoreOptions bins = {};  // of select_bins
};

struct GraphOptions {
  std::vector<Wrapper> wrappers;  // around the model; none
  // Whether a module is kept as one operation instead of being opened: asked with its path and its
  // plain class name. Empty: every module is opened.
  std::function<bool(const std::string& path, const std::string& class_name)> is_unit;
  // Paths of modules whose outputs the evaluation hands out (EvaluateOptions::layer).
  std::vector<std::string> layers;
  // Path of a module whose output takes the place of the model's; the wrappers are then left out.
  std::string target_layer;
};

// What has been found out about how a graph treats a batch (batch_check.h), for all who use it.
struct BatchFindings {
  std::mutex mutex;
  // Shapes of the inputs that were looked at, and why they are refused; "" where they are not.
  std::map<std::string, std::string> refusals;
  // A single sequence gets other numbers than it does among others, or none: it is evaluated twice.
  std::atomic<bool> alone_differs{false};
};

struct Graph {
  std::shared_ptr<const Model> model;
  std::shared_ptr<torch::jit::Graph> graph;
  std::unordered_map<const torch::jit::Node*, Provenance> provenance;
  // Attributes that some operation writes to in place: evaluation hands out copies of these.
  std::unordered_set<const torch::jit::Value*> written_attributes;
  // Results without tensor inputs (torch.zeros) that some operation writes to in place.
  std::unordered_set<const torch::jit::Node*> written_results;
  // Inputs of an operation that something else writes to in place. A gradient remembers its inputs,
  // so such an operation gets copies.
  std::unordered_map<const torch::jit::Node*, std::vector<int>> written_inputs;
  // Slices that nothing writes through: their gradient may be formed without autograd's views.
  std::unordered_set<const torch::jit::Node*> plain_slices;
  // What depends on how tensors lie in memory, and how they lie in the model's own run (layout.h).
  std::shared_ptr<Layouts> layouts;
  // Values that no later node of their block needs: freed once the node has run.
  std::unordered_map<const torch::jit::Node*, std::vector<const torch::jit::Value*>> last_uses;
  // Where a layer's output passes, and which of `layer_paths` it is. A node for each of its calls.
  std::unordered_map<const torch::jit::Node*, int64_t> layers;
  std::vector<std::string> layer_paths;
  int64_t outputs = 1;  // tensors that the graph returns
  // Of the outputs; empty where they have none.
  std::vector<std::string> output_names;
  c10::IValue self;  // the module whose method this is
  // Operations that draw random numbers, and whether they draw some for each sequence.
  std::unordered_map<const torch::jit::Node*, bool> draws;
  // Those of them whose numbers reach the outputs, otherwise than by their shapes.
  std::vector<const torch::jit::Node*> random;
  // Operations that the model's code keeps in training mode: they are evaluated without it.
  std::vector<const torch::jit::Node*> training;
  std::shared_ptr<BatchFindings> findings = std::make_shared<BatchFindings>();
};

// Errors: kind "model" (an output that does not exist, a method that cannot be opened), "layer" (a
// module that is not called, returns no tensor, or as target is called more than once).
std::shared_ptr<const Graph> build_graph(const std::shared_ptr<const Model>& model,
                                         const GraphOptions& options);

// The graph of one method of a module kept as a unit, everything inside it opened.
std::shared_ptr<const Graph> build_unit_graph(const c10::IValue& self, const std::string& method,
                                              const Provenance& place);

// "aten::relu in body.3.act (ReLU), model.py:34", for messages.
std::string place_of(const torch::jit::Node* node, const Provenance& provenance);
std::string place_of(const torch::jit::Node* node, const Graph& graph);

// "model.py:34", or "" where the file does not say.
std::string source_of(const torch::jit::Node* node);

}  // namespace seqlift
