// Memory by recomputation (Chen 2016, "Training deep nets with sublinear memory cost"): the graph
// is cut where few bytes are alive. Only what crosses a cut is kept, on both halves, and the
// backward pass evaluates the parts between the cuts once more, the last one first.
//
// Results are those without cuts to the last bit: each part does the same operations in the same
// order, and autograd adds the gradients of a value up in the order in which its users ran, last
// first. A value that crosses a cut is a result of every part that it passes, so that what the
// later parts add to its gradient is there before a part adds its own.
//
// Where cuts alone do not keep within the budget, the first part is evaluated in strips: pieces of
// X with as many neighbours as are looked at, one after the other, each way. What crosses the cut
// behind it is put together of them. Numbers are those of the whole up to rounding: a piece has
// other sizes, by which LibTorch divides its sums.
#pragma once

#include <c10/core/StorageImpl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/evaluate/evaluate.h"
#include "core/evaluate/positions.h"

namespace seqlift {

// Behind which nodes of the graph's block it may be cut: not where something that is alive is
// written to later.
std::vector<bool> cut_places(const Graph& graph);

struct Footprint;
// Behind which nodes of the graph's block nothing crosses but tensors that follow X and what is
// the same for all X: what stands there for the whole can be put together of pieces.
std::vector<bool> strip_ends(const Graph& graph, const Footprint& footprint);

// What the nodes of the graph's block take of memory, in bytes for a row of the batch.
struct Footprint {
  struct Storage {
    int64_t number = 0;  // the same memory has the same number wherever it is met
    double bytes = 0;
  };
  // Of a half, or of a batch with gradients.
  struct Need {
    double kept = 0;      // what a backward pass needs of it, beside its results
    double forward = 0;   // what it takes while it runs, beside its inputs and results
    double backward = 0;  // ... while its gradient is formed, beside all gradients
    double once = 0;      // while it runs, however many rows there are
  };
  struct Node {
    std::vector<Storage> alive;  // behind it: what a later node needs
    double made = 0;             // its results
    Need halves;                 // by the rules
    Need gradients;              // by LibTorch's own gradients
    PositionLog::Steps steps;    // how positions of X were followed through it

    double alive_bytes() const {
      double bytes = 0;
      for (const Storage& storage : alive) {
        bytes += storage.bytes;
      }
      return bytes;
    }
  };
  std::vector<Node> nodes;
  Node now;  // of the node that is running
  // Of the tensors that follow X, by the numbers of their names.
  std::map<size_t, Positions> positions;
  // While it is taken: the numbers of the storages that were met, and how many there are.
  std::map<const void*, std::pair<c10::weak_intrusive_ptr<c10::StorageImpl>, int64_t>> met;
  int64_t count = 0;
  int64_t rows = 1;    // that were evaluated
  int64_t length = 0;  // of X
  // Of the model's weights, in the layouts and as the transforms that rules keep of them.
  double prepared = 0;
  std::set<const void*> weights;  // those that were counted
};

// Of a graph on inputs of these shapes: measured by one forward pass on `inputs`, a row each, and
// remembered with the graph.
Footprint footprint_of(const Graph& graph, Constants& constants, const std::vector<Value>& inputs);
// What an evaluation on such inputs wrote to EvaluateOptions::footprint; returns it completed.
Footprint remember_footprint(const Graph& graph, const Constants& constants,
                             const std::vector<Value>& inputs, Footprint footprint);

// How a batch is evaluated.
struct BatchRows {
  int64_t plain = 0;     // rows evaluated without gradients (the sequences' half)
  int64_t recorded = 0;  // rows of which gradients are taken
  bool strips = false;   // whether it may be evaluated in strips
  bool halves() const { return plain > 0; }
};

// What rows take that are evaluated without gradients, in bytes at the peak.
double plain_bytes(const Footprint& footprint, int64_t rows);

// What a Memo of all that is evaluated plainly takes.
double memo_bytes(const Footprint& footprint, const BatchRows& rows);

// The first part of a graph in strips of positions of X.
struct Strips {
  int64_t width = 0;   // positions of a strip
  int64_t before = 0;  // further ones that it looks at
  int64_t behind = 0;
  int64_t length = 0;                     // of X
  size_t end = 0;                         // the cut behind it
  std::vector<std::string> steps;         // of the whole, by nodes
  std::map<size_t, Positions> positions;  // of the whole, by the numbers of names
};

// The positions of X whose values a strip gives, and those of the piece of X that it is evaluated
// on.
struct Strip {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t from = 0;
  int64_t to = 0;
};
std::vector<Strip> strips_of(const Strips& strips);

struct CutPlan {
  std::vector<size_t> cuts;  // EvaluateOptions::cuts
  double bytes = 0;          // at the peak, beside the model
  std::shared_ptr<const Strips> strips;
};

// As few cuts as keep the batch within `budget` bytes; where none do, those that need least.
CutPlan plan_cuts(const Footprint& footprint, const std::vector<bool>& places,
                  const BatchRows& rows, double budget);

// The same with the first part in strips, as wide as the budget lets them be. Without strips where
// there is no such part.
CutPlan plan_strips(const Graph& graph, const Footprint& footprint, const std::vector<bool>& places,
                    const BatchRows& rows, double budget);

// How a batch is evaluated within what the thread may use (memory.h).
struct BatchMemory {
  std::vector<size_t> cuts;
  std::shared_ptr<const Strips> strips;
  bool remembers = true;  // whether there is room for a Memo of all that is evaluated plainly
};

// `row`: the inputs of a row of the batch. Without cuts where there is no need, and of a graph that
// hands out layers. Errors: kind "memory" (OutOfMemory) where cuts do not help either, with what
// the batch needs.
BatchMemory within_memory(const Graph& graph, Constants& constants, const std::vector<Value>& row,
                          const BatchRows& rows);

// For tests, in place of what within_memory() chooses; called with the places that may be cut.
using ForcedCuts = std::function<std::vector<size_t>(const std::vector<bool>& places)>;
void force_cuts(ForcedCuts cuts);

}  // namespace seqlift
