// Nets that nobody thought of (random_net.h). Each must predict what LibTorch's own
// interpreter predicts, of edited sequences too, keep summation to delta in float64, and have the
// same multipliers when the same net is written another way (a module for a function, an operation
// taken apart, a loop unrolled).

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "edited.h"
#include "own_run.h"
#include "random_net.h"

using namespace nets;

TEST_CASE("random nets predict as LibTorch does, keep summation to delta and ignore batches",
          "[random_nets]") {
  const Given pairs = given(2, 3, 12);
  Settings settings;
  settings.targets = {0, 1};
  double most = 0;
  for (uint32_t seed = 1; seed <= 400; ++seed) {
    RandomNet generator(seed);
    generator.grow(4 + static_cast<int>(seed % 14));
    std::string error;
    double delta = 0;
    double apart = 0;
    double between = 0;
    double ways = 0;
    double windows = 0;
    OwnRun own;
    OwnRun single;
    try {
      const auto net = generator.make(0);
      const Explained result = explain(net, pairs, settings);
      delta = worst_delta(result);
      apart = distance(result.predictions, interpreted(net, pairs.X)[0]);
      const at::Tensor many = one_hot(33, 12, seed);
      own = own_run(net, many, at::kDouble);
      single = own_run(net, many, at::kFloat);
      // A sequence's references in several blocks, which share what is known of the sequence.
      Settings blocks = settings;
      blocks.batch_size = 1 + seed % 5;
      const Explained parts = explain(net, pairs, blocks);
      between = std::max(distance(parts.values, result.values),
                         distance(parts.predictions, result.predictions));
      most = std::max(most, largest_change(result));
      windows = edited(net, pairs.X, all_substitutions(pairs.X)).apart;
      const Explained other = explain(generator.make(1), pairs, settings);
      const double size = std::max(1.0, result.values.abs().max().item<double>());
      ways = distance(other.values, result.values) / size;
    } catch (const std::exception& caught) {
      error = std::string(caught.what()).substr(0, 400);
    }
    INFO("seed " << seed << "\n" << generator.text(0) << "\n" << generator.text(1));
    CHECK(error == "");
    CHECK(delta < 1e-9);
    CHECK(apart < 1e-10);
    CHECK(between < 1e-9);
    CHECK(ways < 1e-9);
    CHECK(windows < 1e-10);
    CHECK(own.runs);
    CHECK(own.apart < 1e-12);
    // float64 written into a net's code does not go with a module turned into float32.
    CHECK((!single.runs || single.apart < 1e-4));
  }
  CHECK(most > 0.1);
}
