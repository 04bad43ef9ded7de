// What is explained of a model's output, and how pairs are put together.

#include <algorithm>

#include "catch.h"
#include "core/methods/chunks.h"
#include "core/methods/pairs.h"
#include "core/numeric/tensor_functions.h"
#include "inputs.h"
#include "nets.h"

using namespace nets;

TEST_CASE("columns are the targets of an output that has a row for each sequence", "[pairs]") {
  const at::Tensor flat = numbers({3}, 1);
  CHECK(at::equal(seqlift::columns_of(flat, 3), flat.unsqueeze(1)));
  const at::Tensor table = numbers({3, 2}, 1);
  CHECK(at::equal(seqlift::columns_of(table, 3), table));
  const at::Tensor profile = numbers({3, 2, 4}, 1);
  CHECK(at::equal(seqlift::columns_of(profile, 3, true), profile.flatten(1)));
  for (const at::Tensor& wrong : {profile, at::zeros({}), numbers({4, 2}, 1)}) {
    CHECK(error_of([&] { seqlift::columns_of(wrong, 3); }).rfind("output: ", 0) == 0);
  }
  CHECK(error_of([&] {
          seqlift::columns_of(numbers({4, 2, 4}, 1), 3, true);
        }).rfind("output", 0) == 0);
  CHECK(error_of([] { seqlift::check_targets({0, 1}, 2); }).empty());
  CHECK(error_of([] {
          seqlift::check_targets({0, 2}, 2);
        }) == "target: The model has 2 targets, there is no target 3.");
}

TEST_CASE("of the columns the mean is taken off where that is asked for", "[pairs]") {
  const at::Tensor x = numbers({2, 3}, 1);
  const at::Tensor ref = numbers({4, 3}, 2).requires_grad_();
  seqlift::Value output = seqlift::to_value(c10::IValue(x), c10::IValue(ref));
  seqlift::PairOptions options;
  CHECK(at::equal(seqlift::explained_columns({output}, false, 2, options), x));
  CHECK(at::equal(seqlift::explained_columns({output}, true, 4, options), ref));
  options.mean_normalise = true;
  CHECK(at::equal(seqlift::explained_columns({output}, false, 2, options), x - x.mean(1, true)));
  output.depends = false;
  CHECK(error_of([&] {
          seqlift::explained_columns({output}, true, 4, options);
        }).find("does not depend on the sequences") != std::string::npos);
  CHECK(error_of([&] {
          seqlift::explained_columns({output, output}, true, 4, options);
        }).find("2 outputs") != std::string::npos);
}

TEST_CASE("pairs are each sequence beside its references, wherever they are cut", "[pairs]") {
  Given given = nets::given(3, 4, 6);
  given.args = {numbers({3, 2}, 7), at::arange(3, at::kLong)};
  seqlift::Constants constants = in_double();
  const auto gathered = [&](int64_t begin, int64_t end) {
    return seqlift::gather_pairs(sequences_of(given.X, given.args), references_of(given.references),
                                 constants, begin, end);
  };
  for (int64_t begin = 0; begin < 12; begin += 5) {
    const int64_t end = std::min<int64_t>(begin + 5, 12);
    const seqlift::PairRows rows = gathered(begin, end);
    REQUIRE(rows.X.size(0) == end - begin);
    REQUIRE(rows.args.size() == 2);
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t i = pair / 4;
      CHECK(at::equal(rows.X[pair - begin], given.X[i]));
      CHECK(at::equal(rows.references[pair - begin], given.references[i][pair % 4]));
      for (size_t k = 0; k < 2; ++k) {
        CHECK(at::equal(rows.args[k].x.toTensor()[pair - begin], given.args[k][i]));
      }
    }
  }
  given.args.clear();
  CHECK(gathered(2, 9).args.empty());
}

TEST_CASE("rows of chunks come one below the other, those that are not there left out", "[pairs]") {
  struct Part {
    at::Tensor one;
    std::vector<at::Tensor> several;
  };
  const at::Tensor a = numbers({2, 3}, 1);
  const at::Tensor b = numbers({1, 3}, 2);
  const std::vector<Part> parts{{a, {a, at::Tensor()}}, {b, {b, at::Tensor()}}};
  CHECK(at::equal(seqlift::join_rows(parts, &Part::one), at::cat({a, b})));
  const std::vector<at::Tensor> joined = seqlift::join_rows(parts, &Part::several);
  REQUIRE(joined.size() == 2);
  CHECK(at::equal(joined[0], at::cat({a, b})));
  CHECK(!joined[1].defined());
  CHECK(at::equal(seqlift::join_rows(std::vector<at::Tensor>{at::Tensor(), b}), b));
}
