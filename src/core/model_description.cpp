#include "model_description.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
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
// With one row, a model that takes rows for positions would go unnoticed.
constexpr int64_t rows_of_probe = 2;

// An input that could be found for the model: [k, L] or [k] for each sequence.
struct ArgShape {
  int64_t channels = 1;
  bool positions = false;

  Shape at(int64_t length) const {
    return positions ? Shape{channels, length} : Shape{channels};
  }
};

struct Setting {
  int64_t channels = 4;           // of X
  std::vector<ArgShape> unknown;  // for each undefined input
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
  static const std::regex view("shape '\\[(-?\\d+), (\\d+)\\]' is invalid for input of size (\\d+)");
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

class Prober {
 public:
  Prober(const Graph& graph, Constants& constants, const DescribeOptions& options)
      : graph_(graph),
        constants_(constants),
        options_(options),
        until_(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                  std::chrono::duration<double>(options.seconds))) {}

  ModelDescription describe();

 private:
  using Clock = std::chrono::steady_clock;

  std::vector<Value> inputs(int64_t length, int64_t rows, const Setting& setting) const;
  const Probe& probe(int64_t length, const Setting& setting);
  // Whether the time is enough for sequences of this length, as far as shorter ones tell.
  bool affords(int64_t length) const;
  bool works(int64_t length, const Setting& setting) {
    return affords(length) && probe(length, setting).works;
  }

  // A length that the model takes with such inputs, or 0.
  int64_t find_length(Setting& setting);
  int64_t solve(int64_t length, const Setting& setting);
  // The last length from `from` on, in steps of one sign, that the model takes.
  int64_t last_working(int64_t from, int64_t direction, const Setting& setting);
  bool find_setting(Setting& setting, int64_t& length);
  std::vector<bool> unique_shapes(const Setting& setting, int64_t length);

  // The positions of X that one position of output `index` sees.
  std::optional<Range> field(size_t index, int64_t length, const Setting& setting,
                             bool* positional);
  std::string receptive_field(size_t index, int64_t length, const Setting& setting, bool open);

  const Graph& graph_;
  Constants& constants_;
  const DescribeOptions& options_;
  Clock::time_point until_;
  std::map<std::string, Probe> probes_;
  double seconds_ = 0;  // that a sequence of the length seconds_for_ took
  int64_t seconds_for_ = 1;
  std::atomic<bool> cancelled_{false};
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
  size_t unknown = 0;
  for (const at::Tensor& given : options_.args) {
    at::Tensor arg = given;
    if (!arg.defined()) {
      Shape shape = setting.unknown.at(unknown++).at(length);
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

const Probe& Prober::probe(int64_t length, const Setting& setting) {
  std::string key = std::to_string(length) + "/" + std::to_string(setting.channels);
  for (const ArgShape& shape : setting.unknown) {
    key += "/" + std::to_string(shape.channels) + (shape.positions ? "L" : "");
  }
  const auto known = probes_.find(key);
  if (known != probes_.end()) {
    return known->second;
  }
  Probe result;
  const auto begin = Clock::now();
  try {
    const std::vector<Value> all = inputs(length, rows_of_probe, setting);
    const std::vector<Value> args(all.begin() + 1, all.end());
    for (const at::Tensor& output :
         predict_rows(graph_, constants_, all[0].x.toTensor(), args, cancelled_)) {
      result.outputs.push_back(output.sizes().slice(1).vec());
    }
    result.works = true;
  } catch (const Error& error) {
    result.kind = error.kind();
    result.message = error.what();
  } catch (const std::exception& error) {
    result.kind = "evaluation";
    result.message = error.what();
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (length >= seconds_for_ || result.works) {
    seconds_ = seconds;
    seconds_for_ = length;
  }
  return probes_[key] = result;
}

bool Prober::affords(int64_t length) const {
  const double left = std::chrono::duration<double>(until_ - Clock::now()).count();
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
    const double guess = y1 == y0 ? 0 : x1 + (static_cast<double>(wanted) - y1) * (x1 - x0) / (y1 - y0);
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
  for (const at::Tensor& arg : options_.args) {
    if (arg.defined() && arg.dim() == 3) {
      lengths.push_back(arg.size(2));
    }
  }
  for (int64_t length = first_length; length <= last_length; length *= 2) {
    lengths.push_back(length);
  }
  static const std::regex channels("to have (\\d+) channels, but got (\\d+) channels");
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
      if (solved > 0) {
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

// All inputs of unknown shape are taken to have the same, as single numbers for them are.
bool Prober::find_setting(Setting& setting, int64_t& length) {
  size_t unknown = 0;
  for (const at::Tensor& arg : options_.args) {
    unknown += arg.defined() ? 0 : 1;
  }
  if (unknown == 0) {
    length = find_length(setting);
    return length > 0;
  }
  for (const int64_t k : {2, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}) {
    for (const bool positions : {true, false}) {
      setting.unknown.assign(unknown, ArgShape{k, positions});
      length = find_length(setting);
      if (length > 0) {
        return true;
      }
    }
  }
  return false;
}

// Which of the unknown inputs take no other shape.
std::vector<bool> Prober::unique_shapes(const Setting& setting, int64_t length) {
  std::vector<bool> unique(setting.unknown.size(), true);
  for (size_t i = 0; i < unique.size(); ++i) {
    for (int64_t k = 1; k <= most_channels && unique[i]; ++k) {
      for (const bool positions : {true, false}) {
        Setting other = setting;
        other.unknown[i] = {k, positions};
        const bool same =
            k == setting.unknown[i].channels && positions == setting.unknown[i].positions;
        unique[i] = unique[i] && (same || (affords(length) && !probe(length, other).works));
      }
    }
  }
  return unique;
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
    change->delta = i > 0 ? at::zeros(sizes, original.options())
                          : at::ones(sizes, original.options());
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
    const Value output = evaluate(graph_, constants_, all, options).at(index);
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
  result.outputs.resize(static_cast<size_t>(graph_.outputs), {{}, "?"});
  Setting setting;
  int64_t length = 0;
  result.known = find_setting(setting, length);
  result.X = {"n", std::to_string(setting.channels), "L"};
  result.args.resize(options_.args.size());
  if (!result.known) {
    return result;
  }
  const std::vector<Shape> here = probe(length, setting).outputs;
  const bool open = works(2 * length, setting) || works(4 * length, setting);
  int64_t other = works(2 * length, setting) ? 2 * length : 4 * length;
  if (!open) {
    result.shortest = last_working(length, -1, setting);
    result.longest = last_working(length, 1, setting);
    other = length;
    if (result.shortest == result.longest) {
      result.X[2] = std::to_string(length);
    }
  }
  const std::vector<bool> unique = unique_shapes(setting, length);
  size_t unknown = 0;
  for (size_t i = 0; i < options_.args.size(); ++i) {
    if (options_.args[i].defined()) {
      result.args[i] = {"n"};
      for (const int64_t size : options_.args[i].sizes().slice(1)) {
        result.args[i].push_back(std::to_string(size));
      }
    } else {
      const ArgShape& shape = setting.unknown[unknown];
      if (unique[unknown++]) {
        result.args[i] = {"n", std::to_string(shape.channels)};
        if (shape.positions) {
          result.args[i].push_back(result.X[2]);
        }
      }
    }
  }
  const std::vector<Shape> there = probe(other, setting).outputs;
  for (size_t i = 0; i < result.outputs.size() && i < here.size(); ++i) {
    Sizes& sizes = result.outputs[i].sizes;
    sizes = {"n"};
    for (size_t d = 0; d < here[i].size(); ++d) {
      const bool same = i < there.size() && d < there[i].size();
      sizes.push_back(same ? size_text(here[i][d], length, there[i][d], other) : "?");
    }
    result.outputs[i].receptive_field = receptive_field(i, length, setting, open);
  }
  return result;
}

}  // namespace

ModelDescription describe_model(const Graph& graph, Constants& constants,
                                const DescribeOptions& options) {
  const at::NoGradGuard guard;
  return Prober(graph, constants, options).describe();
}

}  // namespace seqlift
