// What a model's code may be made of beside operations. The model is written by
// tests/models/make_models.py: functions and classes, a named tuple, optional arguments, lists and
// dictionaries of tensors, loops over modules and while loops, a trunk shared by both strands.
#include "catch.h"
#include "core/model/model.h"
#include "nets.h"

using namespace nets;

TEST_CASE("functions, classes, named tuples, optionals and loops keep summation to delta",
          "[constructs]") {
  const auto net = seqlift::load_model(SEQLIFT_SOURCE "/tests/testthat/models/constructs.pt");
  const Given pairs = given(3, 4, 16);
  const Explained result = explain(net, pairs);
  CHECK(worst_delta(result) < 1e-10);
  CHECK(largest_change(result) > 1e-3);
  const at::Tensor expected = interpreted(net, pairs.X.to(at::kFloat))[0];
  CHECK(distance(result.predictions, expected) < 1e-5);
  // The object that the trunk makes is made anew for each of its calls and blocks.
  Settings blocks;
  blocks.batch_size = 3;
  CHECK(distance(explain(net, pairs, blocks).values, result.values) < 1e-12);
}
