// What is kept of the pairs is the same in whatever pieces and order they come.

#include <cmath>

#include "catch.h"
#include "core/methods/collector.h"
#include "core/numeric/tensor_functions.h"
#include "inputs.h"
#include "nets.h"

using namespace nets;
using seqlift::Collector;
using seqlift::DeepLiftShapOptions;
using seqlift::DeepLiftShapResult;
using seqlift::Piece;
using CollectedOutput = seqlift::DeepLiftShapOptions::Output;

namespace {

constexpr int64_t n_sequences = 3;
constexpr int64_t many = 53;
constexpr int64_t n_references = 4;
constexpr int64_t piece_length = 5;

// Multipliers [n_sequences, n_references, 4, L] of each of two targets, made up.
at::Tensor made_multipliers(size_t target) {
  return numbers({n_sequences, n_references, 4, piece_length}, 11 + static_cast<int64_t>(target));
}
at::Tensor made_prediction() { return numbers({n_sequences, 2}, 5); }
at::Tensor made_reference_prediction() { return numbers({n_sequences, n_references, 2}, 6); }

DeepLiftShapResult collected(const Given& given, const DeepLiftShapOptions& options,
                             const std::vector<std::pair<Piece, Piece>>& pieces) {
  const seqlift::Sequences sequences = sequences_of(given.X);
  Collector collector(sequences, n_references, options, false);
  for (const auto& [whole, piece] : pieces) {
    const auto part = [&piece = piece](const at::Tensor& all) {
      return all.narrow(0, piece.i_begin, piece.sequences())
          .narrow(1, piece.j_begin, piece.references())
          .flatten(0, 1);
    };
    seqlift::PairResult result;
    result.multipliers = [&](size_t t) { return part(made_multipliers(t)); };
    result.f_x = part(made_prediction().unsqueeze(1).expand({n_sequences, n_references, 2}));
    result.f_ref = part(made_reference_prediction());
    collector.add(whole, piece,
                  part(given.X.unsqueeze(1).expand({n_sequences, n_references, 4, piece_length})),
                  part(given.references), result);
  }
  return collector.finish();
}

}  // namespace

TEST_CASE("pieces in any order give what one piece gives", "[collector]") {
  const Given given = nets::given(n_sequences, n_references, piece_length);
  const Piece all{0, n_sequences, 0, n_references};
  const std::vector<std::pair<Piece, Piece>> at_once{{all, all}};
  // Whole sequences; one whose references come in blocks; shares of references.
  const Piece first{0, 2, 0, n_references};
  const Piece last{2, 3, 0, n_references};
  const std::vector<std::pair<Piece, Piece>> in_blocks{
      {last, {2, 3, 0, 1}}, {first, first}, {last, {2, 3, 1, 4}}};
  std::vector<std::pair<Piece, Piece>> in_shares;
  for (const int64_t i : {1, 0, 2}) {
    for (const int64_t j : {2, 0}) {
      const Piece share{i, i + 1, j, j + 2};
      in_shares.emplace_back(share, share);
    }
  }
  for (const CollectedOutput output :
       {CollectedOutput::attributions, CollectedOutput::hypothetical, CollectedOutput::multipliers,
        CollectedOutput::contributions}) {
    DeepLiftShapOptions options;
    options.targets = {0, 1};
    options.output = output;
    options.standard_errors =
        output == CollectedOutput::attributions || output == CollectedOutput::hypothetical;
    const DeepLiftShapResult expected = collected(given, options, at_once);
    for (const auto& pieces : {in_blocks, in_shares}) {
      const DeepLiftShapResult found = collected(given, options, pieces);
      INFO("output " << static_cast<int>(output));
      CHECK(distance(found.values, expected.values) < 1e-14);
      CHECK(at::equal(found.deltas, expected.deltas));
      CHECK(at::equal(found.predictions, made_prediction()));
      CHECK(at::equal(found.reference_predictions, made_reference_prediction()));
      if (options.standard_errors) {
        CHECK(distance(found.standard_errors, expected.standard_errors) < 1e-14);
      }
    }
  }
}

TEST_CASE("many sequences come to lie where they are wanted, in any order", "[collector]") {
  const Given given = nets::given(many, n_references, piece_length);
  const at::Tensor m = numbers({many, n_references, 4, piece_length}, 4);
  const at::Tensor f = numbers({many, n_references, 1}, 5);
  const seqlift::Sequences sequences = sequences_of(given.X);
  for (const CollectedOutput output :
       {CollectedOutput::attributions, CollectedOutput::hypothetical, CollectedOutput::multipliers,
        CollectedOutput::contributions}) {
    DeepLiftShapOptions options;
    options.output = output;
    const bool raw =
        output == CollectedOutput::multipliers || output == CollectedOutput::contributions;
    options.standard_errors = !raw;
    // As R's arrays lie: the sequences of one position together.
    std::vector<at::Tensor> spaces;
    options.space = [&](const std::vector<int64_t>& sizes) {
      const std::vector<int64_t> reversed(sizes.rbegin(), sizes.rend());
      at::Tensor all = at::full(reversed, std::nan(""), at::kDouble);
      std::vector<int64_t> order;
      for (int64_t d = all.dim() - 1; d >= 0; --d) {
        order.push_back(d);
      }
      spaces.push_back(all.permute(order));
      return spaces.back();
    };
    Collector collector(sequences, n_references, options, false);
    const auto add = [&](int64_t i, int64_t rows, int64_t j, int64_t references) {
      const auto part = [&](const at::Tensor& all) {
        return all.narrow(0, i, rows).narrow(1, j, references).flatten(0, 1);
      };
      seqlift::PairResult result;
      result.multipliers = [&](size_t) { return part(m); };
      result.f_x = part(at::zeros_like(f));
      result.f_ref = part(f);
      const Piece piece{i, i + rows, j, j + references};
      collector.add(piece, piece,
                    part(given.X.unsqueeze(1).expand({many, n_references, 4, piece_length})),
                    part(given.references), result);
    };
    // Shares of references, the last ones first; two sequences at once; from the end on.
    for (int64_t i = many - 1; i >= 0; --i) {
      if (i % 3 == 0) {
        add(i, 1, 2, 2);
        add(i, 1, 0, 2);
      } else if (i % 3 == 1) {
        add(i, std::min<int64_t>(2, many - i), 0, n_references);
      }
      collector.write_complete();
    }
    const DeepLiftShapResult found = collector.finish();
    REQUIRE(spaces.size() == (raw ? 1 : 2));
    CHECK(found.values.data_ptr() == spaces[0].data_ptr());
    const at::Tensor X = given.X.to(at::kDouble);
    const at::Tensor hypothetical = m - (given.references * m).sum(2, true);
    const at::Tensor expected =
        output == CollectedOutput::multipliers     ? m
        : output == CollectedOutput::contributions ? m * (X.unsqueeze(1) - given.references)
        : output == CollectedOutput::hypothetical  ? hypothetical.mean(1)
                                                   : hypothetical.mean(1) * X;
    CHECK(distance(found.values.select(-1, 0), expected) < 1e-14);
    if (!raw) {
      CHECK(found.standard_errors.data_ptr() == spaces[1].data_ptr());
      CHECK(found.standard_errors.isfinite().all().item<bool>());
    }
    CHECK(at::equal(found.reference_predictions, f));
  }
}

TEST_CASE("what is kept is what its definition says", "[collector]") {
  const Given given = nets::given(n_sequences, n_references, piece_length);
  const Piece all{0, n_sequences, 0, n_references};
  DeepLiftShapOptions options;
  options.targets = {0, 1};
  options.standard_errors = true;
  const at::Tensor X = given.X.unsqueeze(1).to(at::kDouble);
  for (size_t t = 0; t < 2; ++t) {
    const auto target = static_cast<int64_t>(t);
    const at::Tensor m = made_multipliers(t);
    const at::Tensor contributions = m * (X - given.references);
    const at::Tensor hypothetical = m - (given.references * m).sum(2, true);
    options.output = CollectedOutput::hypothetical;
    const DeepLiftShapResult found = collected(given, options, {{all, all}});
    CHECK(distance(found.values.select(-1, target), hypothetical.mean(1)) < 1e-14);
    const at::Tensor error =
        hypothetical.std(1, true) / std::sqrt(static_cast<double>(n_references));
    CHECK(distance(found.standard_errors.select(-1, target), error) < 1e-14);
    const at::Tensor change = made_prediction().select(1, target).unsqueeze(1) -
                              made_reference_prediction().select(2, target);
    CHECK(distance(found.deltas.select(-1, target), contributions.sum({2, 3}) - change) < 1e-14);
    options.output = CollectedOutput::attributions;
    CHECK(distance(collected(given, options, {{all, all}}).values.select(-1, target),
                   hypothetical.mean(1) * X.squeeze(1)) < 1e-14);
  }
}

TEST_CASE("sums of squared deviations of groups are those of all", "[collector]") {
  const at::Tensor values = numbers({7, 3}, 3) + 1000;
  const auto sum_of = [&](int64_t begin, int64_t end) {
    const at::Tensor own = values.narrow(0, begin, end - begin);
    return seqlift::Sum{own.sum(0), (own - own.mean(0)).square().sum(0)};
  };
  for (const int64_t cut : {1, 3, 6}) {
    seqlift::Sum sum = sum_of(0, cut);
    sum.add(cut, sum_of(cut, 7), 7 - cut);
    CHECK(distance(sum.values, values.sum(0)) < 1e-11);
    CHECK(distance(sum.squares, sum_of(0, 7).squares) < 1e-9);
  }
}
