// What windows and whole copies are estimated to take, and the choice that is made by it. Nothing
// here is timed.

#include <string>

#include "catch.h"
#include "core/changes/window_costs.h"
#include "core/methods/predict_windows.h"
#include "core/numeric/tensor_functions.h"
#include "edited.h"

using namespace nets;
using seqlift::CountedOperation;
using seqlift::PredictWindowsOptions;
using seqlift::PredictWindowsResult;

namespace {

PredictWindowsResult predicted(const ModelPointer& model, const at::Tensor& X, const Edits& edits,
                               PredictWindowsOptions::Method method) {
  seqlift::Constants constants(model->dtype, at::kFloat, at::Device(at::kCPU));
  seqlift::Sequences sequences;
  sequences.count = X.size(0);
  sequences.X = [X](int64_t begin, int64_t end) { return X.narrow(0, begin, end - begin); };
  PredictWindowsOptions options;
  options.method = method;
  const auto graph = seqlift::build_graph(model, {});
  return seqlift::predict_windows(*graph, constants, sequences,
                                  {edits.row, edits.start, edits.content, {}}, options);
}

PredictWindowsResult chosen(const ModelPointer& model, const at::Tensor& X, const Edits& edits) {
  return predicted(model, X, edits, PredictWindowsOptions::Method::automatic);
}

// conv1d(4 to 16, k = 7), two more with a residual; then the end that is given.
ModelPointer convolutions(const std::string& end, const Tensors& more = {}) {
  Tensors parameters{{"a", numbers({16, 4, 7}, 1, -0.3, 0.3)},
                     {"b", numbers({16, 16, 5}, 2, -0.1, 0.1)},
                     {"c", numbers({16, 16, 5}, 3, -0.1, 0.1)}};
  parameters.insert(parameters.end(), more.begin(), more.end());
  return forward(
      "h = torch.relu(torch.conv1d(x, self.a, None, [1], [3]))\n"
      "h = h + torch.relu(torch.conv1d(h, self.b, None, [1], [2]))\n"
      "h = h + torch.relu(torch.conv1d(h, self.c, None, [1], [4], [2]))\n" +
          end,
      parameters);
}

// Every position looks at every other.
ModelPointer attention(int64_t pool) {
  return convolutions("h = torch.max_pool1d(h, [" + std::to_string(pool) +
                          "]).transpose(1, 2)\n"
                          "q = torch.matmul(h, self.q)\n"
                          "w = torch.softmax(torch.matmul(q, h.transpose(1, 2)) / 4.0, 2)\n"
                          "h = h + torch.matmul(w, h)\n"
                          "return h.mean(1)",
                      {{"q", numbers({16, 16}, 5)}});
}

}  // namespace

TEST_CASE("numbers cost more the farther away they are, products in proportion", "[window_costs]") {
  const seqlift::OperationWork products{1e6, 0, 0};
  const seqlift::OperationWork numbers{0, 1e6, 0};
  CHECK(seqlift::operation_cost(products, 8) == Approx(8 * seqlift::operation_cost(products, 1)));
  // A number that is read or written outweighs many multiplications.
  CHECK(seqlift::operation_cost(numbers, 1) > 10 * seqlift::operation_cost(products, 1));
  double each = 0;
  for (const double rows : {1.0, 4.0, 16.0}) {
    const double now = seqlift::operation_cost(numbers, rows) / rows;
    CHECK(now > each);
    each = now;
  }
}

TEST_CASE("calls are shared by the rows of a batch", "[window_costs]") {
  const std::vector<CountedOperation> operations{{{1e5, 1e4, 0}, {1e3, 1e2, 0}, true},
                                                 {{1e5, 1e4, 0}, {1e5, 1e4, 0}, false}};
  const seqlift::WindowCosts alone = seqlift::window_costs(operations, 1, 1);
  const seqlift::WindowCosts together = seqlift::window_costs(operations, 16, 16);
  CHECK(together.window < alone.window);
  CHECK(together.whole < alone.whole);
  CHECK(together.original == alone.original);
}

TEST_CASE("a single sequence reads as many weights as a batch", "[window_costs]") {
  const std::vector<CountedOperation> dense{{{1e6, 1e3, 1e6}, {1e6, 1e3, 1e6}, false}};
  const seqlift::WindowCosts costs = seqlift::window_costs(dense, 1, 20);
  CHECK(costs.original > 5 * costs.whole);
  CHECK(costs.window > 5 * costs.whole);
}

TEST_CASE("windows are chosen where a change reaches little", "[window_costs]") {
  for (const int64_t length : {1000, 4000}) {
    const at::Tensor X = one_hot(1, length, 4);
    const Edits edits = random_windows(X, 1, 40, 5);
    const PredictWindowsResult result = chosen(convolutions("return h.mean(2)"), X, edits);
    INFO(length << " bp, window " << result.costs.window << " whole " << result.costs.whole);
    CHECK(result.evaluated_whole == 0);
    CHECK(result.costs.window < 0.5 * result.costs.whole);
  }
}

TEST_CASE("whole copies are chosen where attention over a long context is nearly all of the work",
          "[window_costs]") {
  const at::Tensor X = one_hot(1, 3000, 4);
  const Edits edits = random_windows(X, 1, 6, 5);
  const PredictWindowsResult result = chosen(attention(1), X, edits);
  INFO("window " << result.costs.window << " whole " << result.costs.whole);
  CHECK(result.evaluated_whole == 6);
  // Of a few tokens attention is little work beside the convolutions.
  const PredictWindowsResult pooled = chosen(attention(50), X, edits);
  INFO("pooled: window " << pooled.costs.window << " whole " << pooled.costs.whole);
  CHECK(pooled.evaluated_whole == 0);
}

TEST_CASE("the share of what cannot be done in windows grows with the context", "[window_costs]") {
  using Method = PredictWindowsOptions::Method;
  double share = 0;
  for (const int64_t length : {200, 400, 800, 1600}) {
    const at::Tensor X = one_hot(1, length, 4);
    const PredictWindowsResult result =
        predicted(attention(4), X, random_windows(X, 1, 5, 5), Method::incremental);
    const double now = result.done_work / result.whole_work;
    INFO(length << " bp: " << now << " after " << share);
    CHECK((length == 200 || now > share));
    share = now;
  }
}

TEST_CASE("wider windows cost more, up to whole copies", "[window_costs]") {
  const at::Tensor X = one_hot(1, 2000, 4);
  const ModelPointer net = convolutions("return h.mean(2)");
  double cost = 0;
  for (const int64_t width : {1, 5, 25, 125, 625}) {
    const PredictWindowsResult result = chosen(net, X, random_windows(X, width, 8, 5));
    INFO(width << " bp: " << result.costs.window);
    CHECK(result.costs.window > cost);
    cost = result.costs.window;
  }
  const PredictWindowsResult all = chosen(net, X, random_windows(X, 1990, 8, 5));
  CHECK(all.evaluated_whole == 8);
}

TEST_CASE("the choice changes no number beyond rounding", "[window_costs]") {
  using Method = PredictWindowsOptions::Method;
  const at::Tensor X = one_hot(2, 700, 4);
  for (const auto& net : {attention(1), attention(20), convolutions("return h.mean(2)")}) {
    const Edits edits = random_windows(X, 3, 9, 5);
    const at::Tensor full = predicted(net, X, edits, Method::full).outputs[0];
    for (const Method method : {Method::automatic, Method::incremental}) {
      const at::Tensor here = predicted(net, X, edits, method).outputs[0];
      CHECK((here - full).abs().max().item<double>() < 1e-5);
    }
  }
}
