// Numbers of a trace that follow the number of sequences. A trace for n sequences is a net whose
// source says the number where the code of a module would have read it.

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>

#include <cmath>
#include <functional>

#include "catch.h"
#include "core/import/traced/traced_batch.h"
#include "core/model/modules.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;
using seqlift::BatchTrace;
using seqlift::find_batch_number;

namespace {

using Source = std::function<std::string(int64_t)>;

std::string text(int64_t number) { return std::to_string(number); }

std::string text(double number) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.17g", number);
  const std::string digits = buffer;
  return digits.find_first_of(".e") == std::string::npos ? digits + ".0" : digits;
}

struct Traced {
  std::vector<torch::jit::Module> modules;
  std::vector<BatchTrace> traces;
};

Traced trace(const Source& body, const std::vector<int64_t>& sequences = {2, 3, 5}) {
  Traced traced;
  for (const int64_t n : sequences) {
    Part part;
    part.parameters = {{"w", numbers({12, 4, 3}, 1)}, {"dense", numbers({3, 12 * 8}, 2)}};
    part.source = "def forward(self, x: Tensor):\n    h = torch.conv1d(x, self.w)\n" +
                  indented(body(n)) + "\n    return y\n";
    traced.modules.push_back(seqlift::build_module(part));
    const auto& method = traced.modules.back().get_method("forward").function();
    traced.traces.push_back({n, torch::jit::toGraphFunction(method).graph()});
  }
  return traced;
}

at::Tensor run(torch::jit::Module& module, int64_t n) {
  return module.forward({one_hot(n, 10, 7).to(at::kDouble)}).toTensor();
}

struct TracedRow {
  std::string what;
  Source body;
};

// `h` is [n, 12, 8].
const std::vector<TracedRow>& traced_rows() {
  static const std::vector<TracedRow> all = {
      {"view that flattens",
       [](int64_t n) { return "y = h.view([" + text(n) + ", -1]).matmul(self.dense.t())"; }},
      {"sizes that are multiples, both ways",
       [](int64_t n) {
         return "y = h.reshape([" + text(n * 3) + ", 4, 8]).softmax(2)\ny = y.view([" + text(n) +
                ", 12, 8])";
       }},
      {"zeros to begin with",
       [](int64_t n) { return "y = h + torch.zeros([" + text(n) + ", 12, 1]) + 1"; }},
      {"a quotient by the number", [](int64_t n) { return "y = h / " + text(n); }},
      {"a product with one over the number",
       [](int64_t n) { return "y = h * " + text(1.0 / static_cast<double>(n)); }},
      {"a root of the number",
       [](int64_t n) { return "y = h * " + text(0.5 * std::sqrt(static_cast<double>(n))); }},
      {"one over a root",
       [](int64_t n) { return "y = h / " + text(3 / std::sqrt(static_cast<double>(n)) + 1); }},
      {"a slice that ends with the last but one",
       [](int64_t n) {
         return "y = torch.cat([h[0:" + text(n - 1) + "], h[" + text(n - 1) + ":]], 0)";
       }},
      {"a square of the number",
       [](int64_t n) {
         return "y = h + torch.zeros([" + text(n * n) + "]).sum() + " + text(n * n);
       }},
      {"both strands in one batch, halves by slices",
       [](int64_t n) {
         return "b = torch.cat([h, h.flip([1, 2])], 0).softmax(1)\ny = (b[0:" + text(n) + "] + b[" +
                text(n) + ":" + text(2 * n) + "]) / 2.0";
       }},
      {"both strands, the second turned back",
       [](int64_t n) {
         return "b = torch.cat([h, h.flip([1, 2])], 0).tanh()\ny = torch.maximum(b.narrow(0, 0, " +
                text(n) + "), b.narrow(0, " + text(n) + ", " + text(n) + ").flip([1, 2]))";
       }},
      {"both strands by chunks and sizes",
       [](int64_t n) {
         return "b = torch.cat([h, h.flip([2])], 0)\nf, r = torch.split(b, [" + text(n) + ", " +
                text(n) +
                "], 0)\ny = torch.cat([f, r], 1) + torch.chunk(b, 2, 0)[1].sum(1, "
                "keepdim=True)";
       }},
      {"both strands as a dimension of their own",
       [](int64_t n) {
         return "b = torch.stack([h, h.flip([1, 2])], 0).reshape([" + text(2 * n) +
                ", 12, 8]).relu()\ny = b.view([2, " + text(n) + ", 12, 8]).mean(0)";
       }},
      {"the number beside equal ones that do not follow it",
       [](int64_t n) {
         return "y = h.view([" + text(n) + ", 2, 6, 8]).permute([0, 2, 1, 3]).reshape([" + text(n) +
                ", -1, 3, 2, 5 - 3 + 3 - 1]) * 2 * 3 * 5";
       }},
  };
  return all;
}

}  // namespace

TEST_CASE("numbers of a trace that follow the number of sequences are read from the input",
          "[traced_batch]") {
  for (const TracedRow& row : traced_rows()) {
    INFO(row.what);
    Traced traced = trace(row.body);
    CHECK(seqlift::free_traced_batch(traced.traces) > 0);
    for (const int64_t n : {1, 2, 4, 7}) {
      INFO(n << " sequences");
      // What the code would have done with that number.
      Traced meant = trace(row.body, {n});
      CHECK(distance(run(traced.modules[0], n), run(meant.modules[0], n)) < 1e-12);
    }
  }
}

TEST_CASE("a trace that holds no such number stays as it is", "[traced_batch]") {
  const auto body = [](int64_t) { return "y = h.view([-1, 3, 4, 8]).sum(2) / 5"; };
  Traced traced = trace(body);
  const std::string before = traced.traces[0].graph->toString(false);
  CHECK(seqlift::free_traced_batch(traced.traces) == 0);
  CHECK(traced.traces[0].graph->toString(false) == before);
}

TEST_CASE("tensors that hold the number, or a row for each sequence, follow it", "[traced_batch]") {
  // As constants of the graph, which R code makes of its numbers.
  const auto make = [](int64_t n, bool rows_of_numbers) {
    Traced traced = trace([](int64_t) { return "y = h"; }, {n});
    torch::jit::Graph& graph = *traced.traces[0].graph;
    torch::jit::WithInsertPoint guard(graph.block()->return_node());
    const at::Tensor constant =
        rows_of_numbers ? numbers({1, 12, 1}, 5).repeat({n, 1, 1})
                        : at::full({1}, static_cast<double>(n), at::TensorOptions(at::kDouble));
    torch::jit::Value* value = graph.insertConstant(constant);
    graph.block()->replaceOutput(0, graph.insert(c10::aten::div, {graph.outputs()[0], value}));
    return traced;
  };
  for (const bool rows_of_numbers : {false, true}) {
    INFO(rows_of_numbers);
    std::vector<Traced> all = {make(2, rows_of_numbers), make(3, rows_of_numbers),
                               make(5, rows_of_numbers)};
    std::vector<BatchTrace> traces;
    for (const Traced& one : all) {
      traces.push_back(one.traces[0]);
    }
    CHECK(seqlift::free_traced_batch(traces) == 1);
    for (const int64_t n : {1, 4, 7}) {
      Traced meant = make(n, rows_of_numbers);
      CHECK(distance(run(all[0].modules[0], n), run(meant.modules[0], n)) < 1e-12);
    }
  }
}

TEST_CASE("the places of sequences follow their number", "[traced_batch]") {
  // What `y[seq_len(n), ]` is in a trace, and the other strand's places behind it.
  const auto make = [](int64_t n, bool second) {
    Traced traced = trace([](int64_t) { return "y = torch.cat([h, h.flip([1, 2])], 0)"; }, {n});
    torch::jit::Graph& graph = *traced.traces[0].graph;
    torch::jit::WithInsertPoint guard(graph.block()->return_node());
    const at::TensorOptions whole(at::kLong);
    const at::Tensor places = second ? at::arange(n, 2 * n, whole) : at::arange(n, whole);
    torch::jit::Value* index = graph.insertConstant(places);
    graph.block()->replaceOutput(
        0, graph.insert(c10::aten::index_select, {graph.outputs()[0], 0, index}));
    return traced;
  };
  for (const bool second : {false, true}) {
    INFO(second);
    std::vector<Traced> all = {make(2, second), make(3, second), make(5, second)};
    std::vector<BatchTrace> traces;
    for (const Traced& one : all) {
      traces.push_back(one.traces[0]);
    }
    CHECK(seqlift::free_traced_batch(traces) == 1);
    for (const int64_t n : {1, 4, 7}) {
      Traced meant = make(n, second);
      CHECK(distance(run(all[0].modules[0], n), run(meant.modules[0], n)) < 1e-12);
    }
  }
}

TEST_CASE("traces that differ otherwise are refused by the operation", "[traced_batch]") {
  const auto error = [](const Source& body) {
    Traced traced = trace(body);
    return error_of([&] { seqlift::free_traced_batch(traced.traces); });
  };
  CHECK_THAT(
      error([](int64_t n) {
        std::string lines = "y = h";
        for (int64_t i = 0; i < n; ++i) {
          lines += "\ny = torch.relu(y)";
        }
        return lines;
      }),
      Catch::Contains("trace: The module runs other operations for 3 sequences than for 2") &&
          Catch::Contains("counts the sequences"));
  CHECK_THAT(error([](int64_t n) { return std::string(n == 2 ? "y = h.relu()" : "y = h.tanh()"); }),
             Catch::Contains("from `relu`"));
  const std::string odd = error([](int64_t n) { return "y = h[:, :, " + text(n / 2) + ":]"; });
  CHECK_THAT(odd, Catch::Contains("The operation `slice`"));
  CHECK_THAT(odd, Catch::Contains("1 for 2, 1 for 3 and 2 for 5 sequences"));
  // Draws of random numbers are other constants each time.
  CHECK_THAT(error([](int64_t n) { return "y = h * " + text(std::sin(static_cast<double>(n))); }),
             Catch::Contains("The operation `mul`"));
}

TEST_CASE("a function of the number of sequences is told from three of its values",
          "[traced_batch]") {
  using Form = seqlift::BatchNumber::Form;
  const std::vector<int64_t> n{2, 3, 5};
  CHECK(find_batch_number(n, {8, 12, 20}, true)->a == 4);
  CHECK(find_batch_number(n, {1, 2, 4}, true)->b == -1);
  CHECK(find_batch_number(n, {4, 9, 25}, true)->form == Form::square);
  CHECK(find_batch_number(n, {0.5, 1.0 / 3, 0.2}, false)->form == Form::inverse);
  CHECK_FALSE(find_batch_number(n, {1, 1, 2}, true));
  CHECK_FALSE(find_batch_number(n, {1, 3, 10}, true));
  CHECK_FALSE(find_batch_number(n, {0.1, 0.7, 0.3}, false));
  // Rounded to float32, still one over n.
  const auto found = find_batch_number(n, {0.5, static_cast<double>(1.0F / 3), 0.2F}, false, 1e-6);
  REQUIRE(found);
  CHECK(found->form == Form::inverse);
  CHECK(found->a == 1);
  for (const int64_t other : {1, 4, 100}) {
    CHECK(found->at(other) == Approx(1.0 / static_cast<double>(other)));
  }
}
