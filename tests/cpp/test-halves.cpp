// Values on both halves, and the ways in which rules combine them.

#include <memory>

#include "catch.h"
#include "core/changes/change.h"
#include "core/evaluate/evaluate.h"
#include "core/halves/halves.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;
using seqlift::BatchShape;
using seqlift::Halves;
using seqlift::Value;

namespace {

Halves halves_of(const BatchShape& batch, int64_t seed) {
  return {numbers({batch.sequences, 3, 5}, seed),
          numbers({batch.sequences * batch.references, 3, 5}, seed + 1).requires_grad_()};
}

// sum(m (x - ref)) of each row, m being the gradients of the sum of the output's other half.
at::Tensor shared_out(const Halves& output, const std::vector<Halves>& inputs,
                      const BatchShape& batch) {
  at::Tensor sum;
  for (const Halves& input : inputs) {
    const at::Tensor leaf = input.ref;
    leaf.mutable_grad() = at::Tensor();
    output.ref.sum().backward({}, true);
    const at::Tensor change = seqlift::repeat_x(input.x, leaf.detach(), batch) - leaf.detach();
    const at::Tensor own = (leaf.grad() * change).flatten(1).sum(1);
    sum = sum.defined() ? sum + own : own;
  }
  return sum;
}

at::Tensor change_of(const Halves& output, const BatchShape& batch) {
  const at::Tensor ref = output.ref.detach();
  return (seqlift::repeat_x(output.x, ref, batch) - ref).flatten(1).sum(1);
}

}  // namespace

TEST_CASE("the other half of a value is none, numbers, windows or elements, and one of them",
          "[halves]") {
  const at::Tensor x = numbers({1, 2}, 1);
  const at::Tensor ref = numbers({3, 2}, 2);
  Value value;
  value.x = x;
  const auto check = [&](bool paired, bool numbers_there, bool windows, bool elements) {
    CHECK(value.paired() == paired);
    CHECK(value.ref().isTensor() == numbers_there);
    CHECK((value.change() != nullptr) == windows);
    CHECK((value.parts() != nullptr) == elements);
    CHECK(value.half(false).is(value.x));
    CHECK(value.half(true).isTensor() == (numbers_there || !paired));
    int halves = 0;
    value.each_half([&](c10::IValue&) { ++halves; });
    CHECK(halves == (numbers_there ? 2 : 1));
  };
  check(false, false, false, false);
  CHECK(value.half(true).toTensor().is_same(x));
  value.set_ref(ref);
  check(true, true, false, false);
  CHECK(value.half(true).toTensor().is_same(ref));
  value.set_change(std::make_shared<seqlift::Change>());
  check(true, false, true, false);
  value.set_parts(std::make_shared<std::vector<Value>>(2));
  check(true, false, false, true);
  CHECK(value.parts()->size() == 2);
  Value other;
  other.x = x;
  value.pair_like(other);
  check(false, false, false, false);
  other.set_ref(ref);
  value.pair_like(other);
  check(true, true, false, false);
  value.each_half([](c10::IValue& half) { half = half.toTensor() * 2; });
  CHECK(at::equal(value.x.toTensor(), 2 * x));
  CHECK(at::equal(value.ref().toTensor(), 2 * ref));
}

TEST_CASE("what an evaluation is of says which halves there are and what is recorded", "[halves]") {
  using Options = seqlift::EvaluateOptions;
  Options options;
  const auto check = [&](bool halves, bool records, int64_t sequences, int64_t references) {
    CHECK(options.two_halves() == halves);
    CHECK(options.records_gradients() == records);
    CHECK(options.batch().sequences == sequences);
    CHECK(options.batch().references == references);
  };
  check(false, false, 1, 1);
  options.mode = Options::Gradients();
  check(false, true, 1, 1);
  options.mode = Options::Gradients{{20, 1, nullptr}};
  check(false, true, 20, 1);
  options.mode = Options::Pairs{{4, 7, nullptr}};
  check(true, true, 4, 7);
  CHECK(options.changes() == nullptr);
  seqlift::ChangeLog log;
  options.mode = Options::Edits{9, &log, nullptr};
  check(true, false, 1, 9);
  CHECK(options.changes() == &log);
}

TEST_CASE("rows of the halves are matched, or it is told that they cannot be", "[halves]") {
  for (const BatchShape batch :
       {BatchShape{1, 1}, BatchShape{3, 1}, BatchShape{1, 4}, BatchShape{3, 4}}) {
    for (const int64_t inner : {1, 2}) {  // rows of a sequence behind the batch
      const at::Tensor x = numbers({batch.sequences * inner, 5}, 1);
      const at::Tensor ref = numbers({batch.sequences * batch.references * inner, 5}, 2);
      INFO(batch.sequences << " sequences, " << batch.references << " references, " << inner);
      const at::Tensor repeated = seqlift::repeat_x(x, ref, batch);
      for (int64_t row = 0; row < ref.size(0); ++row) {
        const int64_t sequence = row / (batch.references * inner);
        CHECK(at::equal(repeated[row], x[sequence * inner + row % inner]));
      }
      const at::Tensor grouped = seqlift::group_x(x, batch) - seqlift::group_ref(ref, batch);
      CHECK(at::equal(grouped.reshape(ref.sizes()), repeated - ref));
    }
  }
  const at::Tensor x = numbers({3, 5}, 1);
  const auto moved = [&](const at::Tensor& ref, const BatchShape& batch) {
    try {
      seqlift::check_rows(x, ref, batch);
    } catch (const seqlift::BatchMoved&) {
      return true;
    }
    return false;
  };
  CHECK(!moved(numbers({6, 5}, 2), {3, 2}));
  CHECK(moved(numbers({6, 4}, 2), {3, 2}));
  CHECK(moved(numbers({5, 5}, 2), {3, 2}));
  CHECK(moved(numbers({6, 5, 1}, 2), {3, 2}));
  CHECK(moved(numbers({6, 5}, 2), {3, 1}));
}

TEST_CASE("the rules that others are made of share out the whole change", "[halves]") {
  for (const BatchShape batch :
       {BatchShape{1, 1}, BatchShape{2, 1}, BatchShape{1, 3}, BatchShape{2, 3}}) {
    const Halves a = halves_of(batch, 1);
    const Halves b = halves_of(batch, 5);
    INFO(batch.sequences << " sequences, " << batch.references << " references");
    const at::AutoGradMode enabled(true);
    const seqlift::Unary tanh = [](const at::Tensor& value) { return value.tanh(); };
    const seqlift::Unary hinge = [](const at::Tensor& value) { return (value - 0.1).relu(); };
    const Halves smooth = seqlift::rescale(tanh, a, seqlift::Smoothness::smooth, batch);
    CHECK(distance(shared_out(smooth, {a}, batch), change_of(smooth, batch)) < 1e-12);
    const Halves bent = seqlift::rescale(hinge, a, seqlift::Smoothness::piecewise, batch);
    CHECK(distance(shared_out(bent, {a}, batch), change_of(bent, batch)) < 1e-12);
    const seqlift::Nary product = [](const seqlift::Operands& all) { return all[0] * all[1]; };
    const Halves both = seqlift::midpoint(product, {a, b}, batch);
    CHECK(distance(shared_out(both, {a, b}, batch), change_of(both, batch)) < 1e-12);
    CHECK(change_of(both, batch).abs().max().item<double>() > 1e-2);
  }
}

TEST_CASE("a gradient flows through a value where it does through any tensor in it", "[halves]") {
  const at::Tensor plain = numbers({2}, 1);
  const at::Tensor leaf = numbers({2}, 2).requires_grad_();
  CHECK(!seqlift::has_gradient(at::Tensor()));
  CHECK(!seqlift::has_gradient(plain));
  CHECK(seqlift::has_gradient(leaf));
  CHECK(!seqlift::has_gradient(c10::IValue()));
  CHECK(!seqlift::has_gradient(c10::IValue(std::vector<at::Tensor>{plain, plain})));
  CHECK(seqlift::has_gradient(c10::IValue(std::vector<at::Tensor>{plain, leaf})));
}
