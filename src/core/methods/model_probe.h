// Finds out which inputs a model takes, by evaluating it on some.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/changes/change.h"
#include "core/evaluate/evaluate.h"
#include "core/halves/constants.h"
#include "core/methods/model_description.h"
#include "core/model/graph.h"

namespace seqlift {

using Shape = std::vector<int64_t>;  // of one sequence

// An input that could be found for the model: [k, L] or [k] for each sequence.
struct ArgShape {
  int64_t channels = 1;
  bool positions = false;

  Shape at(int64_t length) const { return positions ? Shape{channels, length} : Shape{channels}; }
};

struct Setting {
  int64_t channels = 4;          // of X
  std::vector<ArgShape> shapes;  // of every input, where it is not given by its values
};

// One evaluation: what the model returned, or why it failed.
struct Probe {
  bool works = false;
  std::vector<Shape> outputs;
  std::string kind;
  std::string message;
};

// No model is made for longer sequences.
constexpr int64_t last_length = 1 << 20;

class Prober {
 public:
  Prober(const std::shared_ptr<const Model>& model, Constants& constants,
         const DescribeOptions& options);

  ModelDescription describe();
  // Of the outputs, or 0.
  int64_t count();

 private:
  std::vector<Value> inputs(int64_t length, int64_t rows, const Setting& setting) const;
  const Probe& probe(int64_t length, const Setting& setting) {
    return probe(length, setting, asked_);
  }
  const Probe& probe(int64_t length, const Setting& setting,
                     const std::shared_ptr<const Graph>& graph);
  // Whether the time is enough for sequences of this length, as far as shorter ones tell.
  bool affords(int64_t length) const;
  bool works(int64_t length, const Setting& setting) {
    gave_up_ = gave_up_ || !affords(length);
    return !gave_up_ && probe(length, setting).works;
  }

  // A length that the model takes with such inputs, or 0.
  int64_t find_length(Setting& setting);
  int64_t solve(int64_t length, const Setting& setting);
  // The last length from `from` on, in steps of one sign, that the model takes.
  int64_t last_working(int64_t from, int64_t direction, const Setting& setting);
  bool find_setting(Setting& setting, int64_t& length);
  // Whether no other shape of this input would do.
  bool is_unique(size_t arg, const Setting& setting, int64_t length);

  // What follows is in model_description.cpp.

  // The positions of X that one position of output `index` sees.
  std::optional<Range> field(size_t index, int64_t length, const Setting& setting,
                             bool* positional);
  std::string receptive_field(size_t index, int64_t length, const Setting& setting, bool open);

  std::shared_ptr<const Model> model_;
  std::shared_ptr<const Graph> whole_;  // without what is put around the model
  std::shared_ptr<const Graph> graph_;
  std::shared_ptr<const Graph> asked_ = whole_;
  Constants& constants_;
  const DescribeOptions& options_;
  double until_;  // when to give up, on the clock of cpu_seconds()
  std::map<std::string, Probe> probes_;
  double seconds_ = 0;  // that a sequence of the length seconds_for_ took
  int64_t seconds_for_ = 1;
  std::atomic<bool> cancelled_{false};
  bool gave_up_ = false;  // the time was not enough to tell which lengths work
};

}  // namespace seqlift
