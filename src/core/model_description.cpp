#include "model_description.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <ctime>
#include <map>
#include <optional>
#include <regex>

#include "change.h"
#include "error.h"
#include "evaluate.h"
#include "predict.h"

namespace seqlift {

namespace {

using Shape = std::vector<int64_t>;  // of one sequence

// Lengths are doubled from here on until the model takes one, or until one has been reached that no
// model is made for.
constexpr int64_t first_length = 64;
constexpr int64_t last_length = 1 << 20;
constexpr int64_t most_channels = 16;
// Where a model takes any length, its sizes are told from such: a crop to a fixed number of
// positions has all of them here.
constexpr int64_t usual_length = 2048;
// With one row, a model that takes rows for positions would go unnoticed.
constexpr int64_t rows_of_probe = 2;

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

// Two sizes that an operation found to differ and that must be the same.
using Mismatch = std::pair<int64_t, int64_t>;

// LibTorch's words for it, and predict's for a model that has mixed up rows and positions.
std::optional<Mismatch> mismatch_of(const std::string& message) {
  static const std::vector<std::regex> words{
      std::regex("shapes cannot be multiplied \\(\\d+x(\\d+) and (\\d+)x\\d+\\)"),
      std::regex("size of tensor a \\((\\d+)\\) must match the size of tensor b \\((\\d+)\\)"),
      std::regex("size mismatch, got input \\(\\d+\\), mat \\(\\d+x(\\d+)\\), vec \\((\\d+)\\)"),
      std::regex("batch2 tensor to be: \\[\\d+, (\\d+)\\] but got: \\[\\d+, (\\d+)\\]"),
      std::regex("normalized_shape=\\[(\\d+)\\].*got input of size\\[(?:\\d+, )*(\\d+)\\]"),
      std::regex("for (\\d+) sequences it returns (\\d+)")};
  std::smatch found;
  // x.view(-1, 640), x.view(x.size(0), 640).
  static const std::regex view(
      "shape '\\[(-?\\d+), (\\d+)\\]' is invalid for input of size (\\d+)");
  if (std::regex_search(message, found, view)) {
    return Mismatch{rows_of_probe * std::stoll(found[2]), std::stoll(found[3])};
  }
  for (const std::regex& one : words) {
    if (std::regex_search(message, found, one)) {
      return Mismatch{std::stoll(found[1]), std::stoll(found[2])};
    }
  }
  return std::nullopt;
}

std::vector<ArgShape> all_shapes() {
  std::vector<ArgShape> shapes;
  for (const int64_t k : {2, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}) {
    shapes.push_back({k, true});
    shapes.push_back({k, false});
  }
  return shapes;
}

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

// Of this thread: what is found does not depend on what else the machine does, nor on LibTorch's
// threads, which spin while they wait.
double cpu_seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

class Prober {
 public:
  Prober(const std::shared_ptr<const Model>& model, Constants& constants,
         const DescribeOptions& options)
      : model_(model),
        whole_(build_graph(model, {})),
        graph_(options.wrappers.empty() ? whole_
                                        : build_graph(model, {options.wrappers, {}, {}, {}})),
        constants_(constants),
        options_(options),
        until_(cpu_seconds() + options.seconds) {}

  ModelDescription describe();

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
  bool is_unique(size_t arg, const Setting& setting, int64_t length);

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

// X first, one-hot without a pattern of its own.
std::vector<Value> Prober::inputs(int64_t length, int64_t rows, const Setting& setting) const {
  std::vector<Value> values(1);
  at::Tensor X = at::zeros({1, setting.channels, length});
  auto* numbers = X.data_ptr<float>();
  for (int64_t i = 0; i < length; ++i) {
    numbers[((7 * i + i / 3 + i / 11) % std::min<int64_t>(4, setting.channels)) * length + i] = 1;
  }
  values[0].x = to_compute(X, constants_).repeat({rows, 1, 1});
  for (size_t i = 0; i < options_.args.size(); ++i) {
    at::Tensor arg = options_.args[i].values;
    if (!arg.defined()) {
      Shape shape = setting.shapes.at(i).at(length);
      shape.insert(shape.begin(), 1);
      arg = at::zeros(shape);
    }
    Shape repeats(static_cast<size_t>(arg.dim()), 1);
    repeats[0] = rows;
    Value value;
    value.x = to_compute(arg, constants_).repeat(repeats);
    values.push_back(value);
  }
  return values;
}

const Probe& Prober::probe(int64_t length, const Setting& setting,
                           const std::shared_ptr<const Graph>& graph) {
  std::string key = (graph == whole_ ? "whole/" : "") + std::to_string(length) + "/" +
                    std::to_string(setting.channels);
  for (const ArgShape& shape : setting.shapes) {
    key += "/" + std::to_string(shape.channels) + (shape.positions ? "L" : "");
  }
  const auto known = probes_.find(key);
  if (known != probes_.end()) {
    return known->second;
  }
  Probe result;
  const double begin = cpu_seconds();
  try {
    const std::vector<Value> all = inputs(length, rows_of_probe, setting);
    const std::vector<Value> args(all.begin() + 1, all.end());
    for (const at::Tensor& output :
         predict_rows(*graph, constants_, all[0].x.toTensor(), args, cancelled_)) {
      result.outputs.push_back(output.sizes().slice(1).vec());
    }
    const auto is_empty = [](const Shape& shape) {
      return std::find(shape.begin(), shape.end(), 0) != shape.end();
    };
    result.works = std::none_of(result.outputs.begin(), result.outputs.end(), is_empty);
    // Too short for one of its outputs.
    result.kind = result.works ? "" : "length";
  } catch (const Error& error) {
    result.kind = error.kind();
    result.message = error.what();
  } catch (const std::exception& error) {
    result.kind = "evaluation";
    result.message = error.what();
  }
  const double seconds = cpu_seconds() - begin;
  if (length >= seconds_for_ || result.works) {
    seconds_ = seconds;
    seconds_for_ = length;
  }
  return probes_[key] = result;
}

bool Prober::affords(int64_t length) const {
  const double left = until_ - cpu_seconds();
  const double ratio = static_cast<double>(length) / static_cast<double>(seconds_for_);
  return left > 0 && seconds_ * ratio < left;
}

// Where two sizes must be the same and one of them grows with the length: the length at which it is
// the other. Between a length that is too short and one that is too long.
int64_t Prober::solve(int64_t length, const Setting& setting) {
  const int64_t other = 2 * length;
  const auto here = mismatch_of(probe(length, setting).message);
  const auto there = affords(other) ? mismatch_of(probe(other, setting).message) : std::nullopt;
  if (!here || !there || (here->first == there->first) == (here->second == there->second)) {
    return 0;
  }
  const bool second = here->first == there->first;
  const int64_t wanted = second ? here->first : here->second;
  const auto got = [second](const Mismatch& one) { return second ? one.second : one.first; };
  int64_t low = 0;
  int64_t high = last_length;
  (got(*here) < wanted ? low : high) = length;
  if (got(*there) > wanted) {
    high = std::min(high, other);
  } else {
    low = std::max(low, other);
  }
  double x0 = static_cast<double>(length);
  double y0 = static_cast<double>(got(*here));
  double x1 = static_cast<double>(other);
  double y1 = static_cast<double>(got(*there));
  for (int i = 0; i < 24 && high - low > 1; ++i) {
    const double guess =
        y1 == y0 ? 0 : x1 + (static_cast<double>(wanted) - y1) * (x1 - x0) / (y1 - y0);
    int64_t next = static_cast<int64_t>(std::llround(guess));
    if (next <= low || next >= high) {
      next = low + (high - low) / 2;
    }
    if (!affords(next)) {
      return 0;
    }
    const Probe& result = probe(next, setting);
    if (result.works) {
      return next;
    }
    const auto found = mismatch_of(result.message);
    if (!found || (second ? found->first : found->second) != wanted) {
      // Too short for what comes before that operation.
      low = std::max(low, next);
      continue;
    }
    (got(*found) < wanted ? low : high) = next;
    x0 = x1;
    y0 = y1;
    x1 = static_cast<double>(next);
    y1 = static_cast<double>(got(*found));
  }
  return 0;
}

int64_t Prober::find_length(Setting& setting) {
  std::vector<int64_t> lengths;
  for (const DescribedArg& arg : options_.args) {
    if (arg.values.defined() && arg.values.dim() == 3) {
      lengths.push_back(arg.values.size(2));
    }
  }
  for (int64_t length = first_length; length <= last_length; length *= 2) {
    lengths.push_back(length);
  }
  static const std::regex channels("to have (\\d+) channels, but got (\\d+) channels");
  int mismatches = 0;
  for (const int64_t length : lengths) {
    if (!affords(length)) {
      return 0;
    }
    Probe result = probe(length, setting);
    std::smatch found;
    if (std::regex_search(result.message, found, channels) &&
        std::stoll(found[2]) == setting.channels && std::stoll(found[1]) > setting.channels &&
        std::stoll(found[1]) <= most_channels) {
      setting.channels = std::stoll(found[1]);
      result = probe(length, setting);
    }
    if (result.works) {
      return length;
    }
    if (mismatch_of(result.message)) {
      const int64_t solved = solve(length, setting);
      if (solved > 0 || ++mismatches > 2) {
        return solved;
      }
    } else if (result.kind != "length") {
      return 0;
    }
  }
  return 0;
}

int64_t Prober::last_working(int64_t from, int64_t direction, const Setting& setting) {
  int64_t step = 1;
  int64_t good = from;
  while (good + direction * step > 0 && works(good + direction * step, setting)) {
    good += direction * step;
    step *= 2;
  }
  for (; step > 1; step /= 2) {
    const int64_t next = good + direction * step / 2;
    good = next > 0 && works(next, setting) ? next : good;
  }
  return good;
}

// All inputs of unknown shape are first taken to have the same, as single numbers for them are.
bool Prober::find_setting(Setting& setting, int64_t& length) {
  std::vector<size_t> unknown;
  for (size_t i = 0; i < options_.args.size(); ++i) {
    const DescribedArg& arg = options_.args[i];
    setting.shapes.push_back({arg.channels, arg.positions});
    if (!arg.values.defined() && arg.channels == 0) {
      unknown.push_back(i);
    }
  }
  const auto found = [&]() {
    length = find_length(setting);
    return length > 0;
  };
  if (unknown.empty()) {
    return found();
  }
  for (const ArgShape& shape : all_shapes()) {
    for (const size_t i : unknown) {
      setting.shapes[i] = shape;
    }
    if (found()) {
      return true;
    }
  }
  if (unknown.size() == 2) {
    for (const ArgShape& first : all_shapes()) {
      for (const ArgShape& second : all_shapes()) {
        setting.shapes[unknown[0]] = first;
        setting.shapes[unknown[1]] = second;
        if (found()) {
          return true;
        }
      }
    }
  }
  return false;
}

// Whether the model takes no other shape for an input.
bool Prober::is_unique(size_t arg, const Setting& setting, int64_t length) {
  for (const ArgShape& shape : all_shapes()) {
    Setting other = setting;
    other.shapes[arg] = shape;
    const bool same = shape.channels == setting.shapes[arg].channels &&
                      shape.positions == setting.shapes[arg].positions;
    if (!same && (!affords(length) || probe(length, other, whole_).works)) {
      return false;
    }
  }
  return true;
}

// Follows one substitution to the output as saturation mutagenesis does (change.h): on the way each
// operation says which of its input's positions it looks at, and these lead back from the output.
std::optional<Range> Prober::field(size_t index, int64_t length, const Setting& setting,
                                   bool* positional) {
  constexpr int64_t rows = 2;
  const std::vector<Value> one = inputs(length, 1, setting);
  std::vector<Value> all = one;
  for (size_t i = 0; i < all.size(); ++i) {
    const at::Tensor original = one[i].x.toTensor();
    all[i].paired = true;
    if (original.dim() < 2) {
      all[i].ref = original.repeat({rows});
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
    all[i].change = std::move(change);
  }
  const ChangeKey X = all[0].change->key;
  ChangeLog log;
  Memo memo;
  EvaluateOptions options;
  options.cancelled = &cancelled_;
  options.pairs = true;
  options.batch.sequences = 1;
  options.batch.references = rows;
  options.batch.memo = &memo;
  options.changes = &log;
  memo.start();
  log.start(false);
  try {
    // Of this output alone: what the others look at does not count.
    GraphOptions alone;
    alone.wrappers = options_.wrappers;
    if (graph_->outputs > 1) {
      alone.wrappers.push_back({Wrapper::Kind::select_output, static_cast<int64_t>(index)});
    }
    const auto graph = build_graph(model_, alone);
    const Value output = evaluate(*graph, constants_, all, options).at(0);
    *positional = false;
    if (output.change) {
      const Change& change = *output.change;
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

ModelDescription Prober::describe() {
  ModelDescription result;
  result.outputs.resize(static_cast<size_t>(graph_->outputs), {{}, "?"});
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

}  // namespace

ModelDescription describe_model(const std::shared_ptr<const Model>& model, Constants& constants,
                                const DescribeOptions& options) {
  const at::NoGradGuard guard;
  return Prober(model, constants, options).describe();
}

}  // namespace seqlift
