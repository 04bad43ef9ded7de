#include "core/methods/model_description.h"

#include "core/base/error.h"
#include "core/methods/model_probe.h"
#include "core/model/graph_outputs.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// Where a model takes any length, its sizes are told from such: a crop to a fixed number of
// positions has all of them here.
constexpr int64_t usual_length = 2048;

// How a number depends on the length, told from two lengths.
std::string size_text(int64_t a, int64_t at, int64_t b, int64_t bt) {
  if (a == b) {
    return std::to_string(a);
  }
  if (b - a == bt - at) {
    const int64_t offset = a - at;
    return offset == 0  ? "L"
           : offset < 0 ? "L - " + std::to_string(-offset)
                        : "L + " + std::to_string(offset);
  }
  if (a > 0 && at % a == 0 && bt % b == 0 && at / a == bt / b) {
    return "L / " + std::to_string(at / a);
  }
  return "?";
}

}  // namespace

// Follows one substitution to the output as saturation mutagenesis does (change.h): on the way each
// operation says which of its input's positions it looks at, and these lead back from the output.
std::optional<Range> Prober::field(size_t index, int64_t length, const Setting& setting,
                                   bool* positional) {
  constexpr int64_t rows = 2;
  const std::vector<Value> one = inputs(length, 1, setting);
  std::vector<Value> all = one;
  for (size_t i = 0; i < all.size(); ++i) {
    const at::Tensor original = one[i].x.toTensor();
    if (original.dim() < 2) {
      all[i].set_ref(original.repeat({rows}));
      continue;
    }
    auto change = std::make_shared<Change>();
    change->axis = original.dim() - 1;
    change->sizes = original.sizes().vec();
    change->known = {0, change->length()};
    change->key = {nullptr, 0, static_cast<int>(i)};
    change->never = i > 0;
    Shape sizes{rows, i > 0 ? 0 : 1};
    for (int64_t d = 1; d < change->axis; ++d) {
      sizes.push_back(original.size(d));
    }
    change->delta =
        i > 0 ? at::zeros(sizes, original.options()) : at::ones(sizes, original.options());
    change->start.assign(rows, i > 0 ? 0 : length / 2);
    all[i].set_change(std::move(change));
  }
  const ChangeKey X = all[0].change()->key;
  ChangeLog log;
  Memo memo;
  EvaluateOptions options;
  options.cancelled = &cancelled_;
  options.mode = EvaluateOptions::Edits{rows, &log, &memo};
  memo.start();
  log.start(false);
  try {
    // Of this output alone: what the others look at does not count.
    GraphOptions alone;
    alone.wrappers = options_.wrappers;
    if (graph_->outputs != 1) {
      alone.wrappers.push_back({Wrapper::Kind::select_output, static_cast<int64_t>(index)});
    }
    const auto graph = build_graph(model_, alone);
    const Value output = evaluate(*graph, constants_, all, options).at(0);
    *positional = false;
    if (output.change()) {
      const Change& change = *output.change();
      const bool merged = change.is_merged(output.x.toTensor());
      *positional = !merged && change.axis > 0;
      if (*positional) {
        // A node of its own that looks at the position in the middle.
        Change middle;
        middle.axis = 0;
        middle.sizes = {1};
        middle.key = {nullptr, 1, 0};
        log.demand(middle);
        const int64_t at = change.length() / 2;
        log.link(middle.key, {0, 1}, change, [at](const Range&) { return Range{at, at + 1}; });
      } else {
        log.demand(change);
      }
    }
    log.find_ranges();
    log.start(true);
    return log.needed(X, length);
  } catch (const std::exception&) {
    return std::nullopt;
  } catch (const NotLocal&) {
    return std::nullopt;
  }
}

std::string Prober::receptive_field(size_t index, int64_t length, const Setting& setting,
                                    bool open) {
  bool positional = false;
  auto range = field(index, length, setting, &positional);
  if (!range || range->empty()) {
    return "?";
  }
  const auto width = [&]() { return range->end - range->begin; };
  if (!open) {
    return width() == length ? "L" : std::to_string(width());
  }
  if (!positional) {
    const int64_t before = width();
    bool again = false;
    range = affords(2 * length) ? field(index, 2 * length, setting, &again) : std::nullopt;
    return range ? size_text(before, length, width(), 2 * length) : "?";
  }
  // An end of the sequence cuts it off: longer sequences tell.
  const auto cut = [&]() { return range->begin == 0 || range->end == length; };
  while (cut() && affords(4 * length) && length < last_length) {
    length *= 2;
    range = field(index, length, setting, &positional);
    if (!range) {
      return "?";
    }
  }
  return cut() ? (width() == length ? "L" : "?") : std::to_string(width());
}

int64_t Prober::count() {
  Setting setting;
  int64_t length = 0;
  return find_setting(setting, length) ? static_cast<int64_t>(probe(length, setting).outputs.size())
                                       : 0;
}

ModelDescription Prober::describe() {
  ModelDescription result;
  result.outputs.resize(std::max<size_t>(1, static_cast<size_t>(graph_->outputs)), {{}, "?"});
  Setting setting;
  int64_t length = 0;
  result.known = find_setting(setting, length);
  if (!result.known && graph_ != whole_) {
    asked_ = graph_;
    setting = Setting();
    result.known = find_setting(setting, length);
  }
  result.X = {"n", std::to_string(setting.channels), "L"};
  result.args.resize(options_.args.size());
  asked_ = graph_;
  if (!result.known || !works(length, setting)) {
    result.known = false;
    return result;
  }
  std::vector<bool> unique;
  for (size_t i = 0; i < options_.args.size(); ++i) {
    unique.push_back(options_.args[i].channels > 0 || options_.args[i].values.defined() ||
                     is_unique(i, setting, length));
  }
  const bool open = works(2 * length, setting) || works(4 * length, setting);
  int64_t other = works(2 * length, setting) ? 2 * length : 4 * length;
  while (open && other <= usual_length && affords(16 * other) && works(2 * other, setting)) {
    length = other;
    other *= 2;
  }
  if (!open) {
    result.shortest = last_working(length, -1, setting);
    result.longest = last_working(length, 1, setting);
    other = length;
    if (gave_up_) {
      result.shortest = result.longest = 0;
    } else if (result.shortest == result.longest) {
      result.X[2] = std::to_string(length);
    }
  }
  for (size_t i = 0; i < options_.args.size(); ++i) {
    const at::Tensor& values = options_.args[i].values;
    const Shape shape = values.defined() ? values.sizes().slice(1).vec() : setting.shapes[i].at(-1);
    if (unique[i]) {
      result.args[i] = {"n"};
      for (const int64_t size : shape) {
        result.args[i].push_back(size < 0 ? result.X[2] : std::to_string(size));
      }
    }
  }
  // One length alone, for lack of time, does not tell which sizes follow from it.
  const bool guessed = gave_up_ && other == length;
  const std::vector<Shape> here = probe(length, setting).outputs;
  const std::vector<Shape> there = probe(other, setting).outputs;
  if (graph_->outputs == 0) {
    result.outputs.resize(here.size(), {{}, "?"});
  }
  for (size_t i = 0; i < result.outputs.size() && i < here.size(); ++i) {
    Sizes& sizes = result.outputs[i].sizes;
    sizes = {"n"};
    for (size_t d = 0; d < here[i].size(); ++d) {
      const bool same = !guessed && i < there.size() && d < there[i].size();
      sizes.push_back(same ? size_text(here[i][d], length, there[i][d], other) : "?");
    }
    if (!guessed) {
      result.outputs[i].receptive_field = receptive_field(i, length, setting, open);
    }
  }
  return result;
}

ModelDescription describe_model(const std::shared_ptr<const Model>& model, Constants& constants,
                                const DescribeOptions& options) {
  const at::NoGradGuard guard;
  return Prober(model, constants, options).describe();
}

int64_t count_outputs(const std::shared_ptr<const Model>& model, Constants& constants,
                      const Graph& graph) {
  if (graph.outputs > 0) {
    return graph.outputs;
  }
  const at::NoGradGuard guard;
  DescribeOptions options;
  size_t needed = 0;
  for (size_t i = 1; i < model->argument_names.size(); ++i) {
    needed = model->argument_has_default[i] ? needed : i;
  }
  options.args.resize(needed);
  return Prober(model, constants, options).count();
}

}  // namespace seqlift
