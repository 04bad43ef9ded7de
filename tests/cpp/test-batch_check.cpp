// Models whose sequences do not keep apart.
#include "catch.h"
#include "core/base/memory.h"
#include "core/evaluate/recompute.h"
#include "core/methods/batch_check.h"
#include "core/numeric/tensor_functions.h"
#include "inputs.h"

using namespace nets;

TEST_CASE("predictions of models that mix sequences are refused, with the operation",
          "[batch_check]") {
  struct Mixing {
    const char* lines;
    const char* operation;
  };
  for (const Mixing& one : std::vector<Mixing>{
           {"y = h - h.mean(0, keepdim=True)", "aten::mean"},
           {"y = h / h.abs().max()", "aten::max"},
           {"y = h * torch.softmax(h, 0)", "aten::softmax"},
           {"y = h.cumsum(0)", "aten::cumsum"},
           {"y = h.flip(0).cumsum(0).flip(0)", "aten::"},
           {"y = h - h[-1:]", "aten::"},
           {"y = h / float(h.size(0))", ""},
           {"y = h.sort(0)[0]", ""},
           {"y = h + 1e-6 * h.mean()", "aten::mean"},
           {"y = torch.batch_norm(h, None, None, None, None, True, 0.1, 1e-5, False)",
            "aten::batch_norm"}}) {
    INFO(one.lines);
    const std::string error = error_of([&]() { predicted(around(one.lines), one_hot(3, 9, 1)); });
    INFO(error);
    CHECK(error.find("batch: The model mixes the sequences of a batch") == 0);
    CHECK(error.find(one.operation) != std::string::npos);
    // By one sequence, too.
    CHECK(error_of([&]() { predicted(around(one.lines), one_hot(1, 9, 1)); }).find("batch: ") == 0);
  }
}

TEST_CASE("without room for two sequences a piece of one tells", "[batch_check]") {
  const std::string mixes =
      "h = torch.relu(torch.conv1d(x, self.w, padding=1))\n"
      "h = h - h.mean(0, keepdim=True)\n";
  const Tensors weights{{"w", numbers({8, 4, 3}, 1)}, {"v", numbers({2, 8 * 4096}, 2)}};
  for (const bool any_length : {true, false}) {
    const std::string end =
        any_length ? "return h.mean(2)\n" : "return torch.linear(h.flatten(1), self.v, None)\n";
    const ModelPointer net = forward(mixes + end, weights);
    const auto graph = graph_of(net);
    seqlift::Constants constants = in_double();
    seqlift::Value X;
    X.x = one_hot(1, 4096, 1).to(at::kDouble);
    const seqlift::Footprint footprint = seqlift::footprint_of(*graph, constants, {X});
    const auto rows = [&](int64_t count) { return seqlift::plain_bytes(footprint, count); };
    seqlift::set_memory_budget(static_cast<int64_t>((rows(1) + rows(2)) / 2));
    const seqlift::Sequences sequences = sequences_of(one_hot(1, 4096, 1).to(at::kDouble));
    const std::string error =
        error_of([&]() { seqlift::check_batch(*graph, constants, sequences, 1); });
    seqlift::set_memory_budget({});
    INFO(error);
    CHECK(error.find("batch: The model mixes the sequences of a batch") == 0);
  }
}

TEST_CASE("of a long sequence a piece tells, but not where the length decides what is done",
          "[batch_check]") {
  constexpr int64_t length = 1 << 13;
  struct Long {
    const char* lines;
    bool mixes;
  };
  for (const Long& one : std::vector<Long>{
           {"y = h", false},
           {"y = h - h.mean(0, keepdim=True)", true},
           {"if h.size(2) > 2000:\n    h = h - h.mean(0, keepdim=True)\ny = h", true},
           {"i = h.size(2)\nwhile i > 4096:\n    i = i - 4096\n    h = h.cumsum(0)\ny = h", true},
           {"if h.size(2) > 2000:\n    h = h.cumsum(2)\ny = h", false}}) {
    INFO(one.lines);
    const auto graph = graph_of(around(one.lines));
    seqlift::Constants constants = in_double();
    const seqlift::Sequences sequences = sequences_of(one_hot(1, length, 1).to(at::kDouble));
    const std::string error =
        error_of([&]() { seqlift::check_batch(*graph, constants, sequences, 3); });
    INFO(error);
    CHECK(error.empty() != one.mixes);
  }
}

TEST_CASE("models that keep sequences apart are not refused for rounding", "[batch_check]") {
  for (const char* lines :
       {"y = h", "y = h - h.mean(2, keepdim=True)", "t = h.transpose(0, 1)\ny = t.transpose(0, 1)",
        "y = (1e6 * h - 1e6) + 1e6", "y = torch.nan_to_num(h)", "y = torch.log(h)",
        "y = h.flip(2).cumsum(2)"}) {
    INFO(lines);
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      Settings settings;
      settings.dtype = type;
      CHECK(error_of([&]() { predicted(around(lines), one_hot(3, 9, 1), {}, settings); }).empty());
    }
  }
}

TEST_CASE("a number of sequences that is written into the code is told", "[batch_check]") {
  const auto net = forward("return torch.relu(x).view(1, 36).sum(1, keepdim=True)");
  CHECK(error_of([&]() {
          predicted(net, one_hot(3, 9, 1));
        }).find("batch: The model takes 1 sequence at a time alone") == 0);
}
