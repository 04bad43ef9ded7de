// predict() equals LibTorch's own run of the module for every net that the tests hold, at 1, 3 and
// 33 sequences, in float32 and float64. (The random nets do it in test-random_nets.cpp, what
// depends on layouts in test-layout.cpp.)

#include "catch.h"
#include "core/model/model.h"
#include "core/numeric/tensor_functions.h"
#include "own_run.h"

using namespace nets;

namespace {

struct Held {
  std::string file;
  int64_t channels = 4;
  int64_t length = 12;
  std::vector<std::vector<int64_t>> args = {};  // sizes behind the rows
};

// Those of tests/testthat/models whose output has a row for each sequence that depends on no other.
const std::vector<Held>& held_models() {
  static const std::vector<Held> all{{"branching"},
                                     {"constructs", 4, 16},
                                     {"extra_channels", 6},
                                     {"functional"},
                                     {"heads"},
                                     {"heads_traced"},
                                     {"inverse"},
                                     {"named_heads"},
                                     {"recurrent"},
                                     {"recurrent_traced"},
                                     {"scaled"},
                                     {"slow"},
                                     {"tiny"},
                                     {"tiny_float64"},
                                     {"tiny_traced"},
                                     {"training"},
                                     {"transformer"},
                                     {"transformer_traced"},
                                     {"two_heads", 4, 12, {{2, 12}}},
                                     {"two_inputs", 4, 12, {{1, 12}, {3}}},
                                     {"flat_view"},
                                     {"rows_view", 4, 12},
                                     {"strided"},
                                     {"strided_traced"},
                                     {"unsupported"},
                                     {"export/heads", 4, 16},
                                     {"export/net", 4, 16},
                                     {"export/recurrent", 4, 16}};
  return all;
}

std::vector<at::Tensor> args_of(const Held& held, int64_t rows) {
  std::vector<at::Tensor> args;
  int64_t seed = 7;
  for (std::vector<int64_t> sizes : held.args) {
    sizes.insert(sizes.begin(), rows);
    args.push_back(numbers(sizes, seed++, 0, 2));
  }
  return args;
}

}  // namespace

TEST_CASE("the models of the tests predict what their own run gives", "[own_forward]") {
  const std::string folder = SEQLIFT_SOURCE "/tests/testthat/models/";
  for (const Held& held : held_models()) {
    const auto net = seqlift::load_model(folder + held.file + ".pt");
    at::Tensor X = one_hot(33, held.length, 3);
    if (held.channels > 4) {
      X = at::cat({X, numbers({33, held.channels - 4, held.length}, 4)}, 1);
    }
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
      const OwnRun run = own_run(net, X, dtype, args_of(held, 33));
      INFO(held.file << ", " << c10::toString(dtype) << ": " << run.error);
      if (!run.runs && dtype == at::kDouble) {
        continue;  // float32 is written into the code of a trace
      }
      CHECK(run.runs);
      CHECK(run.apart < (dtype == at::kDouble ? 1e-12 : 1e-5));
    }
  }
}

TEST_CASE("the nets of the rules' tests predict what their own run gives", "[own_forward]") {
  int compared = 0;
  for (const auto& some :
       {linear_cases(), convolution_cases(), elementwise_cases(), product_cases(), max_cases(),
        softmax_cases(), normalisation_cases(), norm_cases(), reduce_cases(), several_cases(),
        loss_cases(), complex_cases(), condition_cases(), order_cases(), recurrent_cases(),
        attention_cases()}) {
    for (const Case& one : some) {
      const ModelPointer net = around(one.lines, one.parameters);
      const at::Tensor X = one_hot(33, 9, 3);
      for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
        const OwnRun run = own_run(net, X, dtype);
        INFO(one.op << ": " << one.lines << "\n" << c10::toString(dtype) << ": " << run.error);
        // float64 written into a net's code does not go with a module turned into float32.
        if (run.runs || dtype == at::kDouble) {
          CHECK(run.apart < (dtype == at::kDouble ? 1e-12 : 2e-5));
          ++compared;
        }
      }
    }
  }
  CHECK(compared > 600);
}
