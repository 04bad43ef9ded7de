#include "core/methods/model_probe.h"

#include <algorithm>
#include <ctime>
#include <regex>

#include "core/base/error.h"
#include "core/methods/predict.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// Lengths are doubled from here on until the model takes one.
constexpr int64_t first_length = 64;
constexpr int64_t most_channels = 16;
// With one row, a model that takes rows for positions would go unnoticed.
constexpr int64_t rows_of_probe = 2;

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

// Of this thread: what is found does not depend on what else the machine does, nor on LibTorch's
// threads, which spin while they wait.
double cpu_seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

Prober::Prober(const std::shared_ptr<const Model>& model, Constants& constants,
               const DescribeOptions& options)
    : model_(model),
      whole_(build_graph(model, {})),
      graph_(options.wrappers.empty() ? whole_
                                      : build_graph(model, {options.wrappers, {}, {}, {}})),
      constants_(constants),
      options_(options),
      until_(cpu_seconds() + options.seconds) {}

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

}  // namespace seqlift
