// What moves windows, by hand and on both of its paths: plain memory, and any other tensor.

#include "catch.h"
#include "core/changes/change.h"
#include "core/numeric/tensor_functions.h"

using seqlift::Change;
using seqlift::ChangeLog;
using seqlift::Range;
using seqlift::Windows1d;

namespace {

// Two rows with windows of two positions, one channel, on six positions.
Change two_rows(at::ScalarType type) {
  Change change;
  change.delta = at::tensor({1.0, 2.0, 3.0, 4.0}).view({2, 2, 1}).to(type);
  change.start = {1, 4};
  change.axis = 2;
  change.sizes = {1, 1, 6};
  change.known = {0, 6};
  return change;
}

std::vector<double> list(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kDouble).contiguous().flatten();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

using List = std::vector<double>;

}  // namespace

TEST_CASE("windows are gathered, moved and added, zero outside", "[change]") {
  // Whole numbers take the path of everything that is not float or double on the CPU.
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kLong}) {
    INFO(c10::toString(type));
    const Change change = two_rows(type);
    const at::Tensor original =
        at::arange(10, 16, at::TensorOptions(at::kDouble)).view({1, 1, 6}).to(type);
    const at::Tensor rows = seqlift::original_rows(original, change.sizes, change.axis);
    CHECK(rows.sizes() == at::IntArrayRef{6, 1});
    // The second window reaches over the end.
    CHECK(list(seqlift::gather_windows(rows, {{0, 4}, 3}, -1)) == List{10, 11, 12, 14, 15, -1});
    CHECK(list(seqlift::move_windows(change, {{0, 5}, 3})) == List{0, 1, 2, 4, 0, 0});
    CHECK(list(seqlift::move_windows(change, {{4, 0}, 2})) == List{0, 0, 0, 0});
    CHECK(seqlift::move_windows(change, {{1, 4}, 2}).is_same(change.delta));
    at::Tensor values = seqlift::gather_windows(rows, {{1, 3}, 2});
    seqlift::add_change(values, {{1, 3}, 2}, change);
    CHECK(list(values) == List{12, 14, 13, 17});
    CHECK(list(seqlift::all_values(original, change)) ==
          List{10, 12, 14, 13, 14, 15, 10, 11, 12, 13, 17, 19});
  }
}

TEST_CASE("a window without a position changes nothing", "[change]") {
  for (const at::ScalarType type : {at::kDouble, at::kLong}) {
    Change change = two_rows(type);
    change.delta = change.delta.slice(1, 0, 0);
    CHECK(list(seqlift::move_windows(change, {{2, 3}, 2})) == List{0, 0, 0, 0});
    const at::Tensor original = at::ones({1, 1, 6}, at::TensorOptions(type));
    CHECK(list(seqlift::all_values(original, change)) == List(12, 1));
  }
}

TEST_CASE("what is looked at is handed back along the links", "[change]") {
  ChangeLog log;
  Change input = two_rows(at::kDouble);
  input.key = {nullptr, 0, 1};
  Change output = two_rows(at::kDouble);
  output.key = {nullptr, 0, 2};
  log.start(false);
  CHECK(log.needed(input.key, 6).end == 6);
  // The output looks one position to either side; of it 2 .. 3 are looked at in the end.
  const auto seen = [](const Range& range) { return Range{range.begin - 1, range.end + 1}; };
  log.link(output.key, {0, 6}, input, seen);
  const seqlift::ChangeKey last{nullptr, 0, 3};
  log.link(last, {0, 2}, output, [](const Range&) { return Range{2, 4}; });
  Change end = two_rows(at::kDouble);
  end.key = last;
  log.demand(end);
  log.find_ranges();
  log.start(true);
  CHECK(log.needed(output.key, 6).begin == 2);
  CHECK(log.needed(output.key, 6).end == 4);
  CHECK(log.needed(input.key, 6).begin == 1);
  CHECK(log.needed(input.key, 6).end == 5);
  CHECK(log.needed({nullptr, 0, 9}, 6).empty());
  // Who looks at more than that is told.
  input.known = {1, 5};
  log.link(output.key, {2, 4}, input, seen);
  CHECK_THROWS_AS(log.link(output.key, {1, 4}, input, seen), seqlift::RangeExceeded);
  CHECK_THROWS_AS(log.demand(input), seqlift::RangeExceeded);
}
