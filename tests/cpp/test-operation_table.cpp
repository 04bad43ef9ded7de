// What the operation table says of an operation, proved on the operations of the nets of all
// rules: each is caught with its arguments as it is evaluated, and evaluated again on others.
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "catch.h"
#include "core/base/error.h"
#include "core/evaluate/evaluation.h"
#include "core/evaluate/operation_properties.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"
#include "edited.h"
#include "inputs.h"

using namespace nets;
using seqlift::Call;
using seqlift::Kind;
using seqlift::Operation;
using seqlift::Reveal;
using seqlift::Trait;

namespace {

using IValues = std::vector<c10::IValue>;
using Operands = std::vector<at::Tensor>;

// Sequences of a number that no other dimension of the nets has.
constexpr int64_t sequence_count = 14;
constexpr int64_t net_length = 9;

// An operation with its arguments, those of the sequences.
struct Caught {
  Call call;
  size_t net;
  IValues stack;
  std::vector<size_t> numbers;  // the inputs that are real numbers of X

  std::string text() const { return call.name + " in net " + std::to_string(net); }
  Operands operands() const {
    Operands all;
    for (const size_t i : numbers) {
      all.push_back(stack[i].toTensor());
    }
    return all;
  }
  // The results that are tensors, of other numbers in the place of those of X; nothing where the
  // operation does not take them.
  Operands results(const Operands& operands) const {
    IValues given = stack;
    for (size_t i = 0; i < numbers.size(); ++i) {
      given[numbers[i]] = operands[i];
    }
    const at::NoGradGuard guard;
    Operands found;
    try {
      for (const c10::IValue& value : call.evaluate(given)) {
        seqlift::visit_tensors(value, [&](const at::Tensor& tensor) {
          if (tensor.defined()) {
            found.push_back(tensor.clone());
          }
        });
      }
    } catch (const std::exception&) {
      return {};
    }
    return found;
  }
};

struct Everything {
  std::vector<Case> cases = all_cases();
  std::map<std::string, std::vector<Caught>> caught;  // by name
  // What the calls refer to.
  std::vector<std::shared_ptr<const seqlift::Graph>> graphs;
  seqlift::Constants constants = in_double();
};

void catch_all(Everything& all, size_t net) {
  const Given pairs = given(sequence_count, 1, net_length);
  const auto graph = graph_of(around(all.cases[net].lines, all.cases[net].parameters));
  all.graphs.push_back(graph);
  seqlift::EvaluateOptions options;
  options.mode = seqlift::EvaluateOptions::Pairs{{sequence_count, 1, nullptr}};
  options.after = [&](const Call& call, const std::vector<seqlift::Value>&) {
    Caught one{call, net, {}, {}};
    for (size_t i = 0; i < call.inputs.size(); ++i) {
      const seqlift::Value& input = call.inputs[i];
      one.stack.push_back(seqlift::concrete(input).x);
      const bool number = input.depends && !input.typed() && input.x.isTensor() &&
                          input.x.toTensor().is_floating_point();
      if (number) {
        one.stack.back() = input.x.toTensor().detach().clone();
        one.numbers.push_back(i);
      }
    }
    all.caught[call.row->name].push_back(std::move(one));
  };
  const at::Tensor leaf = pairs.references.flatten(0, 1).clone().requires_grad_();
  seqlift::evaluate(*graph, all.constants, {seqlift::to_value({pairs.X, leaf})}, options);
}

const Everything& everything() {
  static const std::shared_ptr<Everything> known = [] {
    const auto all = std::make_shared<Everything>();
    for (size_t net = 0; net < all->cases.size(); ++net) {
      try {
        catch_all(*all, net);
      } catch (const std::exception&) {
        // What has no rule for its arguments: the operations before it were caught.
      } catch (const seqlift::BatchMoved&) {
      }
    }
    return all;
  }();
  return *known;
}

// Every operation that was caught and takes numbers of X, with what it gives of them.
void for_each(const std::function<void(const Caught&, const Operands&, const Operands&)>& look) {
  for (const auto& entry : everything().caught) {
    if (entry.first.empty()) {
      continue;
    }
    for (const Caught& one : entry.second) {
      const Operands operands = one.operands();
      const Operands results = operands.empty() ? Operands() : one.results(operands);
      if (!results.empty()) {
        INFO(one.text());
        look(one, operands, results);
      }
    }
  }
}

bool alike(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && at::allclose(a, b, 1e-12, 1e-12, true);
}

bool alike(const Operands& a, const Operands& b) {
  bool all = a.size() == b.size();
  for (size_t i = 0; all && i < a.size(); ++i) {
    all = a[i].scalar_type() == b[i].scalar_type() && alike(a[i], b[i]);
  }
  return all;
}

at::Tensor flat_numbers(const Operands& tensors) {
  Operands flat;
  for (const at::Tensor& tensor : tensors) {
    flat.push_back(tensor.to(at::kDouble).flatten());
  }
  return at::cat(flat);
}

// Other numbers between the smallest and the largest; what is no number stays.
Operands other_numbers(const Operands& operands, int64_t seed) {
  Operands changed;
  for (const at::Tensor& tensor : operands) {
    const at::Tensor finite = tensor.masked_select(tensor.isfinite());
    const double low = finite.numel() > 0 ? finite.min().item<double>() : 0;
    const double high = finite.numel() > 0 ? finite.max().item<double>() : 1;
    const at::Tensor drawn =
        numbers(tensor.sizes().vec(), seed++, low, high).to(tensor.scalar_type());
    changed.push_back(at::where(tensor.isfinite(), drawn, tensor));
  }
  return changed;
}

bool equal_numbers(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// Whether every number of the results is one of the operands', or the same for all of them: from
// the same place whatever the numbers are.
bool only_moves(const Caught& one, const Operands& operands, const Operands& results) {
  const Operands changed = other_numbers(operands, 91);
  const Operands then = one.results(changed);
  if (then.size() != results.size()) {
    return false;
  }
  for (const at::Tensor& result : results) {
    if (!result.is_floating_point()) {
      return false;
    }
  }
  const at::Tensor from = flat_numbers(operands);
  const at::Tensor to = flat_numbers(changed);
  const at::Tensor result = flat_numbers(results);
  const at::Tensor result_then = flat_numbers(then);
  if (result.sizes() != result_then.sizes()) {
    return false;
  }
  std::multimap<double, int64_t> place;
  for (int64_t i = 0; i < from.numel(); ++i) {
    place.emplace(from[i].item<double>(), i);
  }
  for (int64_t i = 0; i < result.numel(); ++i) {
    const double now = result[i].item<double>();
    const double later = result_then[i].item<double>();
    const auto range = place.equal_range(now);
    bool found = equal_numbers(now, later);
    for (auto at = range.first; at != range.second; ++at) {
      found = found || to[at->second].item<double>() == later;
    }
    if (!found) {
      return false;
    }
  }
  return true;
}

// The operation with the dimension of the sequences for its `dim`, or nothing.
std::optional<Caught> over_sequences(const Caught& one) {
  const int position = one.call.find("dim");
  if (position < 0 || one.numbers.empty()) {
    return std::nullopt;
  }
  for (const at::Tensor& operand : one.operands()) {
    if (operand.dim() == 0 || operand.size(0) != sequence_count) {
      return std::nullopt;
    }
  }
  Caught other = one;
  c10::IValue& dim = other.stack[position];
  const auto* schema = one.call.node->maybeSchema();
  const bool list = schema->arguments()[position].type()->str().find("[]") != std::string::npos;
  dim = list ? c10::IValue(std::vector<int64_t>{0}) : c10::IValue(int64_t{0});
  other.call.inputs[position].x = dim;
  return other;
}

// Whether what comes of one sequence depends on the others.
bool mixes_rows(const Caught& one) {
  constexpr int64_t middle = sequence_count / 2;
  const Operands operands = one.operands();
  const Operands results = one.results(operands);
  Operands changed = other_numbers(operands, 57);
  for (size_t i = 0; i < operands.size(); ++i) {
    changed[i].narrow(0, middle, 1).copy_(operands[i].narrow(0, middle, 1));
  }
  const Operands then = one.results(changed);
  for (size_t i = 0; i < results.size() && i < then.size(); ++i) {
    if (results[i].dim() == 0 || results[i].size(0) != sequence_count || then[i].dim() == 0 ||
        then[i].size(0) != sequence_count || !alike(results[i][middle], then[i][middle])) {
      return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("a property of an operation that the table does not have is an internal error",
          "[operation_table]") {
  std::vector<Operation> table(2);
  table[0].name = "one";
  table[1].name = "two";
  const seqlift::RowsByName named(table);
  CHECK(&named.at("two") == &table[1]);
  CHECK(error_of([&] { named.at("three"); }).find("internal: ") == 0);
  CHECK(error_of([&] { named.at("three"); }).find("`three`") != std::string::npos);
  table[1].name = "one";
  CHECK(error_of([&] { seqlift::RowsByName twice(table); }).find("internal: ") == 0);
}

TEST_CASE("what the table does not know has no property", "[operation_table]") {
  const Operation& unknown = seqlift::operation_of("no_such_operation");
  CHECK(unknown.kind == Kind::other);
  CHECK(unknown.rule == nullptr);
  CHECK(unknown.traits.none());
  CHECK(&unknown == &seqlift::operation_of("another"));
  for (const Operation& row : seqlift::operations()) {
    CHECK(&seqlift::operation_of(row.name) == &row);
  }
}

TEST_CASE("the nets hold most rows that have a rule", "[operation_table]") {
  size_t found = 0;
  size_t all = 0;
  for (const Operation& row : seqlift::operations()) {
    if (row.rule) {
      all += 1;
      found += everything().caught.count(row.name);
    }
  }
  // The others are aliases that TorchScript replaces, and those of test-rules.cpp's list.
  INFO(found << " of " << all);
  CHECK(found > all * 2 / 3);
}

TEST_CASE("an operation that mixes the sequences along the dimension it is told says so",
          "[operation_table]") {
  // Whether they do is for other arguments to say.
  const std::set<std::string> excused{
      "index_add", "scatter_add",  // add where an index says
      "cross",                     // takes a dimension of size three where it is told none
      "renorm"};                   // its `dim` is the one that it keeps
  std::set<std::string> mixing;
  std::set<std::string> told;
  for_each([&](const Caught& one, const Operands&, const Operands&) {
    const auto other = over_sequences(one);
    if (!other) {
      return;
    }
    const Operands operands = other->operands();
    const Operands results = other->results(operands);
    if (results.empty()) {
      return;
    }
    told.insert(one.call.row->name);
    if (!mixes_rows(*other)) {
      return;
    }
    const bool combines = one.call.is(Trait::combines);
    CHECK((combines || excused.count(one.call.row->name) > 0 ||
           only_moves(*other, operands, results)));
    if (combines) {
      mixing.insert(one.call.row->name);
      CHECK(seqlift::mixes_sequences(other->call));
    }
  });
  for (const Operation& row : seqlift::operations()) {
    INFO(row.name);
    const bool known = told.count(row.name) > 0;
    CHECK((!row.is(Trait::combines) || !known || mixing.count(row.name) > 0));
  }
  for (const char* name : {"nanmean", "cummax", "cummin", "kthvalue", "sum", "softmax", "median",
                           "diff", "gradient", "fft_fft", "glu"}) {
    INFO(name);
    CHECK(mixing.count(name) > 0);
  }
}

TEST_CASE("what RevealCancel hands on part by part has no factors of both signs",
          "[operation_table]") {
  std::set<std::string> negative;
  size_t proved = 0;
  for_each([&](const Caught& one, const Operands& operands, const Operands& results) {
    const Reveal reveal = one.call.row->reveal;
    const bool parts = reveal == Reveal::parts || reveal == Reveal::negates;
    const bool both = one.call.row->kind == Kind::linear && reveal == Reveal::shared;
    if (!parts && !both) {
      return;
    }
    const double sign = reveal == Reveal::negates ? -1 : 1;
    for (const at::Tensor& result : results) {
      if (!result.is_floating_point()) {
        return;
      }
    }
    double least = 0;
    for (size_t i = 0; i < operands.size(); ++i) {
      const int64_t count = operands[i].numel();
      for (int64_t place = 0; place < count; place += std::max<int64_t>(count / 23, 1)) {
        Operands changed = operands;
        changed[i] = operands[i].clone().contiguous();
        changed[i].view({-1})[place] += 1;
        const Operands then = one.results(changed);
        if (then.size() == results.size()) {
          least = std::min(
              least, ((flat_numbers(then) - flat_numbers(results)) * sign).min().item<double>());
        }
      }
    }
    if (both && least < -1e-3) {
      negative.insert(one.call.row->name);
    }
    if (parts) {
      proved += 1;
      CHECK(least > -1e-9);
    }
  });
  CHECK(proved > 150);
  for (const char* name :
       {"diff", "gradient", "upsample_bicubic2d", "_upsample_bicubic2d_aa", "affine_grid_generator",
        "linalg_solve", "linalg_solve_triangular", "triangular_solve", "cholesky_solve"}) {
    INFO(name);
    CHECK((negative.count(name) > 0 || everything().caught.count(name) == 0));
  }
  CHECK(negative.size() > 6);
}

TEST_CASE("an elementwise function of one value changes that value alone", "[operation_table]") {
  size_t proved = 0;
  for_each([&](const Caught& one, const Operands& operands, const Operands& results) {
    const bool elementwise = one.call.row->reveal == Reveal::elementwise;
    if (!elementwise || operands.size() != 1 || results[0].sizes() != operands[0].sizes()) {
      CHECK((!elementwise || operands.size() != 1 || one.call.name == "poisson_nll_loss" ||
             results[0].sizes() == operands[0].sizes()));
      return;
    }
    const at::Tensor changed = operands[0].clone().contiguous();
    const int64_t place = changed.numel() / 2;
    changed.view({-1})[place] += 0.01;
    const Operands then = one.results({changed});
    const at::Tensor here = at::arange(changed.numel()) == place;
    const at::Tensor now = flat_numbers(results);
    const at::Tensor later = flat_numbers(then);
    const at::Tensor unequal =
        (now != later).logical_and(now.isnan().logical_and(later.isnan()).logical_not());
    CHECK(!unequal.logical_and(here.logical_not()).any().item<bool>());
    proved += 1;
  });
  CHECK(proved > 100);
}

TEST_CASE("the other traits of an operation are what it does", "[operation_table]") {
  std::map<Trait, std::set<std::string>> proved;
  for_each([&](const Caught& one, const Operands& operands, const Operands& results) {
    const Operation& row = *one.call.row;
    const auto claims = [&](Trait trait) {
      if (row.is(trait)) {
        proved[trait].insert(row.name);
      }
      return row.is(trait);
    };
    if (claims(Trait::drops) || claims(Trait::detaches)) {
      CHECK(alike(results[0], operands[0]));
    }
    if (claims(Trait::rectifies)) {
      CHECK(alike(results[0], operands[0].clamp_min(0)));
    }
    if (claims(Trait::views)) {
      CHECK(only_moves(one, operands, results));
    }
    if (claims(Trait::rounds)) {
      Operands changed = operands;
      changed[0] = operands[0] + 1e-9;
      CHECK(alike(one.results(changed), results));
    }
    if (claims(Trait::finds_places)) {
      CHECK(results.size() == 1);
      CHECK(results[0].scalar_type() == at::kLong);
    }
    if (claims(Trait::looks_for_nan)) {
      Operands changed = operands;
      changed[0] = operands[0].clone();
      changed[0].select(-1, 0).fill_(std::numeric_limits<double>::quiet_NaN());
      CHECK(!flat_numbers(one.results(changed)).isnan().any().item<bool>());
    }
    if (claims(Trait::keeps_order)) {
      Caught in_order = one;
      bool lists = false;
      for (c10::IValue& value : in_order.stack) {
        lists = lists || value.isTensorList();
        value = value.isTensor() && value.toTensor().defined()
                    ? c10::IValue(value.toTensor().contiguous())
                    : value;
      }
      for (const at::Tensor& result : in_order.results(in_order.operands())) {
        CHECK((lists || result.is_contiguous()));
      }
    }
    if (claims(Trait::permutes)) {
      CHECK(one.stack[1].toIntVector().size() == static_cast<size_t>(operands[0].dim()));
    }
    if (claims(Trait::adds_dimension)) {
      CHECK(results[0].dim() == operands[0].dim() + 1);
    }
    if (row.kind == Kind::shape) {
      CHECK((alike(one.results(other_numbers(operands, 13)), results) ||
             row.name == std::string("fill") || row.name == std::string("empty_like") ||
             row.name == std::string("new_empty")));
    }
  });
  for (const Trait trait : {Trait::drops, Trait::detaches, Trait::rectifies, Trait::views,
                            Trait::rounds, Trait::finds_places, Trait::keeps_order, Trait::permutes,
                            Trait::adds_dimension, Trait::looks_for_nan}) {
    INFO(static_cast<int>(trait));
    CHECK(!proved[trait].empty());
  }
}

TEST_CASE("traits that go together are in the same rows", "[operation_table]") {
  for (const Operation& row : seqlift::operations()) {
    INFO(row.name);
    CHECK((!row.is(Trait::transposed) || row.is(Trait::convolves)));
    CHECK((!row.is(Trait::convolves) || row.rule != nullptr));
    CHECK((!row.is(Trait::convolves) || row.reveal == Reveal::weighs));
    CHECK((!row.is(Trait::draws_like) || row.kind == Kind::random));
    CHECK((!row.is(Trait::divides) || row.kind == Kind::product));
    CHECK((!row.is(Trait::chooses_by_x) || row.kind == Kind::linear));
    CHECK((row.reveal != Reveal::parts || row.kind == Kind::linear));
    CHECK((row.reveal != Reveal::weighs || row.kind == Kind::linear || row.kind == Kind::product));
    CHECK((row.change == nullptr || row.rule != nullptr));
    CHECK((row.linear_in == nullptr || row.kind == Kind::linear));
  }
}

TEST_CASE("a row that says how a change spreads gives what the whole evaluation gives",
          "[operation_table]") {
  const at::Tensor X = given(1, 1, net_length).X;
  std::set<std::string> proved;
  std::set<size_t> done;
  for (const auto& entry : everything().caught) {
    if (!seqlift::operation_of(entry.first).change) {
      continue;
    }
    // A few nets for each.
    size_t tried = 0;
    for (const Caught& one : entry.second) {
      if (one.numbers.empty() && !one.stack[0].isTensorList()) {
        continue;
      }
      proved.insert(entry.first);
      if (tried++ < 3 && done.insert(one.net).second) {
        const Case& net = everything().cases[one.net];
        INFO(one.text() << ": " << net.lines);
        CHECK(edited(around(net.lines, net.parameters), X, all_substitutions(X)).apart < 1e-9);
      }
    }
  }
  CHECK(proved.size() > 80);
}
