#include "core/import/exported/batch.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "core/base/error.h"
#include "core/import/exported/operations.h"

namespace seqlift {

void refuse_fixed_batch(const ExportedProgram& program, const std::string& why) {
  throw Error("model", "The model was exported with a fixed number of sequences, and " + why +
                           ". Export it with a dynamic batch dimension: " + program.batch_advice +
                           ".");
}

int64_t product_of_sizes(const std::vector<int64_t>& sizes, size_t begin, size_t end) {
  int64_t result = 1;
  for (size_t i = begin; i < end && i < sizes.size(); ++i) {
    // Sizes of a damaged file must not overflow.
    const bool fits = sizes[i] == 0 || std::abs(result) < std::numeric_limits<int64_t>::max() /
                                                              (std::abs(sizes[i]) + 1);
    result = fits ? result * sizes[i] : -1;
  }
  return result;
}

namespace {

using Sizes = std::vector<int64_t>;

const char* const batch_value = "number of sequences";

class BatchTracker {
 public:
  explicit BatchTracker(ExportedProgram& program) : program_(program) {}

  bool run() {
    const auto x = std::find_if(
        program_.inputs.begin(), program_.inputs.end(),
        [](const ExportedInput& input) { return input.kind == ExportedInput::Kind::user; });
    if (x == program_.inputs.end()) {
      return false;
    }
    const auto known = program_.sizes.find(x->value);
    if (known == program_.sizes.end() || known->second.empty() || known->second[0] < 1) {
      return false;
    }
    n_ = known->second[0];
    for (const ExportedInput& input : program_.inputs) {
      const Sizes* sizes = sizes_of(input.value);
      if (input.kind == ExportedInput::Kind::user && sizes && !sizes->empty() &&
          (*sizes)[0] == n_) {
        place_[input.value] = 0;
      }
    }
    find_wanted_places();
    ExportedNode count;
    count.target = "torch.ops.aten.sym_size.int";
    ExportedArgument argument;
    argument.kind = ArgumentKind::value;
    argument.text = x->value;
    count.inputs.emplace_back("self", argument);
    count.inputs.emplace_back("dim", whole(0));
    count.outputs = {batch_value};
    program_.numbers[batch_value] = "int";
    made_.push_back(std::move(count));
    for (ExportedNode& node : program_.nodes) {
      trace_batch(node);
      made_.push_back(std::move(node));
    }
    program_.nodes = std::move(made_);
    return true;
  }

 private:
  static ExportedArgument whole(int64_t number) {
    ExportedArgument argument;
    argument.kind = ArgumentKind::integer;
    argument.integer = number;
    return argument;
  }

  const Sizes* sizes_of(const std::string& value) const {
    const auto found = program_.sizes.find(value);
    return found == program_.sizes.end() ? nullptr : &found->second;
  }

  // The batch times `factor`, as a value of the graph.
  ExportedArgument batch_times(int64_t factor) {
    ExportedArgument argument;
    argument.kind = ArgumentKind::value;
    argument.text = batch_value;
    if (factor == 1) {
      return argument;
    }
    const std::string name = std::string(batch_value) + " times " + std::to_string(factor);
    if (program_.numbers.emplace(name, "int").second) {
      ExportedNode node;
      node.target = "_operator.mul";
      node.inputs.emplace_back("a", argument);
      node.inputs.emplace_back("b", whole(factor));
      node.outputs = {name};
      // Beside the count itself, so that it is there for every operation.
      made_.insert(made_.begin() + 1, std::move(node));
    }
    argument.text = name;
    return argument;
  }

  // The tensor that carries the batch into an operation: of several the one of most dimensions.
  const std::string* carrier(const std::vector<std::string>& read) const {
    const std::string* found = nullptr;
    size_t most = 0;
    for (const std::string& name : read) {
      const Sizes* sizes = sizes_of(name);
      if (place_.count(name) > 0 && sizes && sizes->size() > most) {
        most = sizes->size();
        found = &name;
      }
    }
    return found;
  }

  static ExportedArgument* find(ExportedNode& node, const char* name) {
    for (auto& [key, argument] : node.inputs) {
      if (key == name) {
        return &argument;
      }
    }
    return nullptr;
  }

  // Argument `name` as whole numbers counted from the front of `dimensions`.
  static std::vector<int64_t> dims(ExportedNode& node, const char* name, int64_t dimensions) {
    std::vector<int64_t> result;
    const ExportedArgument* argument = find(node, name);
    if (argument) {
      const auto items = argument->kind == ArgumentKind::list
                             ? argument->items
                             : std::vector<ExportedArgument>{*argument};
      for (const ExportedArgument& item : items) {
        if (item.kind == ArgumentKind::integer) {
          result.push_back(item.integer < 0 ? item.integer + dimensions : item.integer);
        }
      }
    }
    return result;
  }

  void trace_batch(ExportedNode& node) {
    const auto read = values_read(node);
    const std::string* from = carrier(read);
    const std::string prefix = "torch.ops.aten.";
    const std::string name =
        node.target.rfind(prefix, 0) == 0
            ? node.target.substr(prefix.size(),
                                 node.target.find('.', prefix.size()) - prefix.size())
            : "";
    ExportedArgument* sizes = find(node, "size");
    sizes = sizes ? sizes : find(node, name == "unflatten" ? "sizes" : "shape");
    if (!from) {
      if (sizes && sizes->kind == ArgumentKind::list && node.outputs.size() == 1) {
        make(node, *sizes, name);
      }
      return;
    }
    const Sizes in = *sizes_of(*from);
    const int64_t d = place_[*from];
    const int64_t outer = outer_of(*from);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const Sizes* out = sizes_of(node.outputs[i]);
      if (!out || out->empty()) {
        continue;
      }
      const Place found = through(node, name, in, {d, outer}, *out, i);
      const int64_t place = found.dimension;
      if (place >= 0) {
        place_[node.outputs[i]] = place;
        outer_[node.outputs[i]] = found.outer;
        if (sizes && sizes->kind == ArgumentKind::list) {
          replace(node, *sizes, name, *out, place);
        }
      }
    }
  }

  // The batch makes up a dimension with `outer` before it in memory, and what is left behind it:
  // one that has been joined with the dimensions before.
  struct Place {
    int64_t dimension = -1;
    int64_t outer = 1;
  };

  int64_t outer_of(const std::string& value) const {
    const auto found = outer_.find(value);
    return found == outer_.end() ? 1 : found->second;
  }

  Place through(ExportedNode& node, const std::string& name, const Sizes& in, Place at,
                const Sizes& out, size_t index) const {
    static const std::unordered_set<std::string> views = {
        "view", "reshape", "_unsafe_view", "_reshape_alias", "flatten", "unflatten", "view_copy"};
    if (views.count(name) > 0) {
      return through_view(node, in, at, out);
    }
    return {through_others(node, name, in, at.dimension, out, index), at.outer};
  }

  // Where the batch is in output `index`, given that it is in dimension `d` of the input; -1 where
  // it is not in it.
  int64_t through_others(ExportedNode& node, const std::string& name, const Sizes& in, int64_t d,
                         const Sizes& out, size_t index) const {
    const auto dimensions = static_cast<int64_t>(in.size());
    const auto count_below = [&](const std::vector<int64_t>& places) {
      return std::count_if(places.begin(), places.end(), [&](int64_t place) { return place < d; });
    };
    if (name == "expand" || name == "broadcast_to" || name == "repeat") {
      return d + static_cast<int64_t>(out.size()) - dimensions;
    }
    if (name == "permute" || name == "permute_copy") {
      const auto order = dims(node, "dims", dimensions);
      const auto found = std::find(order.begin(), order.end(), d);
      return found == order.end() ? -1 : found - order.begin();
    }
    if (name == "transpose" || name == "transpose_copy") {
      const auto one = dims(node, "dim0", dimensions);
      const auto two = dims(node, "dim1", dimensions);
      if (one.empty() || two.empty()) {
        return -1;
      }
      return d == one[0] ? two[0] : d == two[0] ? one[0] : d;
    }
    if (name == "t") {
      return 1 - d;
    }
    if (name == "unsqueeze" || name == "stack") {
      const auto where = dims(node, "dim", dimensions + 1);
      return d + (!where.empty() && where[0] <= d ? 1 : name == "stack" && where.empty() ? 1 : 0);
    }
    if (name == "squeeze" || name == "select" || name == "unbind") {
      auto gone = dims(node, "dim", dimensions);
      if (name == "unbind" && gone.empty()) {
        gone = {0};
      }
      if (name == "squeeze" && gone.empty()) {
        for (int64_t i = 0; i < dimensions; ++i) {
          if (in[static_cast<size_t>(i)] == 1) {
            gone.push_back(i);
          }
        }
      }
      if (std::find(gone.begin(), gone.end(), d) != gone.end()) {
        refuse_fixed_batch(program_,
                           "the operation " + place_of(node) + " takes the batch dimension away");
      }
      return d - count_below(gone);
    }
    if ((name == "lstm" || name == "gru" || name == "rnn_tanh" || name == "rnn_relu") &&
        index > 0) {
      return 1;  // the last states: [layers, batch, units]
    }
    const auto reduced = dims(node, "dim", dimensions);
    const bool fewer = out.size() < in.size();
    if (fewer && !reduced.empty()) {
      const bool batch = std::find(reduced.begin(), reduced.end(), d) != reduced.end();
      return batch ? -1 : d - count_below(reduced);
    }
    // Elementwise operations and products line their dimensions up from the right; others keep
    // the first ones.
    const int64_t more = static_cast<int64_t>(out.size()) - dimensions;
    for (const int64_t place : {more > 0 ? d + more : d, d}) {
      if (place < static_cast<int64_t>(out.size()) &&
          out[static_cast<size_t>(place)] == in[static_cast<size_t>(d)]) {
        return place;
      }
    }
    return -1;
  }

  // A view keeps the order of all numbers: what is before the batch in memory is before it still,
  // so the sizes before it multiply to the same number.
  Place through_view(const ExportedNode& node, const Sizes& in, Place at, const Sizes& out) const {
    const auto d = static_cast<size_t>(at.dimension);
    const int64_t before = product_of_sizes(in, 0, d) * at.outer;
    const auto fits = [&](size_t e, bool alone) {
      return e < out.size() && product_of_sizes(out, 0, e) == before && out[e] > 0 &&
             (alone ? out[e] == n_ : out[e] % n_ == 0);
    };
    // A tensor that loses dimensions, as the operands of a matrix product do, loses them to the
    // first one, [L, n, C] to [L n, C], where the batch has none of its own afterwards.
    if (out.size() < in.size() && before > 1) {
      for (size_t e = 0; e < out.size(); ++e) {
        if (fits(e, true)) {
          return {static_cast<int64_t>(e), 1};
        }
      }
      if (out[0] > 0 && out[0] == before * n_) {
        return {0, before};
      }
    }
    if (fits(d, false)) {
      return {at.dimension, 1};
    }
    for (size_t e = 0; e < out.size(); ++e) {
      if (fits(e, false)) {
        return {static_cast<int64_t>(e), 1};
      }
    }
    refuse_fixed_batch(program_, "the operation " + place_of(node) +
                                     " gives it a shape that cannot be told apart");
  }

  // Puts the batch in the place of the size that it makes up.
  void replace(ExportedNode& node, ExportedArgument& sizes, const std::string& name,
               const Sizes& out, int64_t place) {
    int64_t at = place;
    if (name == "unflatten") {
      const auto first =
          dims(node, "dim",
               static_cast<int64_t>(out.size()) - static_cast<int64_t>(sizes.items.size()) + 1);
      at = first.empty() ? place : place - first[0];
    }
    if (name == "repeat" || at < 0 || at >= static_cast<int64_t>(sizes.items.size())) {
      return;
    }
    ExportedArgument& size = sizes.items[static_cast<size_t>(at)];
    if (size.kind != ArgumentKind::integer || size.integer < 0) {
      return;  // -1: what is left
    }
    if (size.integer % n_ != 0) {
      refuse_fixed_batch(program_, "the operation " + place_of(node) +
                                       " gives it a shape that cannot be told apart");
    }
    size = batch_times(size.integer / n_);
  }

  // A tensor that the batch does not come into: zeros that a recurrent layer starts from, a token
  // shown to every sequence. Its shape holds the batch where it holds the number of sequences.
  void make(ExportedNode& node, ExportedArgument& sizes, const std::string& name) {
    static const std::unordered_set<std::string> makers = {
        "zeros",        "ones",      "full",     "empty",    "expand",
        "broadcast_to", "new_zeros", "new_ones", "new_full", "new_empty"};
    if (makers.count(name) == 0) {
      return;
    }
    const auto wanted = wanted_.find(node.outputs[0]);
    int64_t place = wanted == wanted_.end() ? -1 : wanted->second;
    if (place < 0 && n_ > 1) {
      for (size_t i = 0; i < sizes.items.size() && place < 0; ++i) {
        const ExportedArgument& size = sizes.items[i];
        place =
            size.kind == ArgumentKind::integer && size.integer == n_ ? static_cast<int64_t>(i) : -1;
      }
    }
    if (place < 0 || place >= static_cast<int64_t>(sizes.items.size())) {
      return;
    }
    ExportedArgument& size = sizes.items[static_cast<size_t>(place)];
    if (size.kind == ArgumentKind::integer && size.integer == n_) {
      size = batch_times(1);
      place_[node.outputs[0]] = place;
    }
  }

  // Where tensors must have the batch for what they are used in.
  void find_wanted_places() {
    const std::string prefix = "torch.ops.aten.";
    for (const ExportedNode& node : program_.nodes) {
      const bool joins = node.target == prefix + "cat.default";
      const bool recurs =
          node.target == prefix + "lstm.input" || node.target == prefix + "gru.input" ||
          node.target == prefix + "rnn_tanh.input" || node.target == prefix + "rnn_relu.input";
      if (joins || recurs) {
        for (const std::string& name : values_read(node)) {
          wanted_.emplace(name, joins ? 0 : 1);
        }
      }
    }
  }

  ExportedProgram& program_;
  int64_t n_ = 0;
  std::vector<ExportedNode> made_;
  std::unordered_map<std::string, int64_t> wanted_;
  std::unordered_map<std::string, int64_t> place_;  // of the batch, in each tensor that has it
  std::unordered_map<std::string, int64_t> outer_;  // what is before it in that dimension
};

}  // namespace

bool free_batch(ExportedProgram& program) { return BatchTracker(program).run(); }

}  // namespace seqlift
