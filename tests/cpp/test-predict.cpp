// Predictions equal LibTorch's own interpreter, and the model is as it was afterwards.

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

Part branching() {
  Part whole;
  whole.parameters = {{"w", numbers({4, 4, 3}, 1)}, {"v", numbers({2, 4, 1}, 2)}};
  whole.buffers = {{"scale", vector_of({0.5, 1.0, 1.5, 2.0}).view({1, 4, 1})}};
  whole.source =
      "def tail(self, h: Tensor, times: int):\n"
      "    for i in range(times):\n"
      "        if i % 2 == 0:\n"
      "            h = torch.relu(h) + h * 0.1\n"
      "        else:\n"
      "            h = h * self.scale\n"
      "    return h\n"
      "def forward(self, x: Tensor, control: Tensor, times: int = 3):\n"
      "    h = torch.conv1d(x, self.w, padding=1)\n"
      "    if control.dim() == 3:\n"
      "        h = h + control\n"
      "    h = self.tail(h, times)\n"
      "    named = {'profile': torch.conv1d(h, self.v)}\n"
      "    return named['profile'], h.mean([1, 2]).unsqueeze(1), h.amax([2])\n";
  return whole;
}

}  // namespace

TEST_CASE("predictions equal those of LibTorch's interpreter", "[predict]") {
  const auto net = model(branching());
  const at::Tensor X = one_hot(7, 9, 1);
  const std::vector<at::Tensor> args{numbers({7, 1, 9}, 3)};
  const auto expected = interpreted(net, X, args);
  for (const int64_t batch_size : {1, 2, 3, 7, 32}) {
    for (const int threads : {1, 2}) {
      Settings settings;
      settings.batch_size = batch_size;
      settings.threads = threads;
      const auto outputs = predicted(net, X, args, settings);
      REQUIRE(outputs.size() == 3);
      for (size_t i = 0; i < 3; ++i) {
        INFO("batch size " << batch_size << ", output " << i);
        CHECK(distance(outputs[i], expected[i]) < 1e-14);
      }
    }
  }
}

TEST_CASE("predictions in float32 are close to those in float64", "[predict]") {
  const auto net = model(branching());
  const at::Tensor X = one_hot(3, 9, 1);
  const std::vector<at::Tensor> args{numbers({3, 1, 9}, 3)};
  Settings settings;
  settings.dtype = at::kFloat;
  const auto exact = predicted(net, X, args);
  const auto fast = predicted(net, X, args, settings);
  for (size_t i = 0; i < exact.size(); ++i) {
    CHECK(fast[i].scalar_type() == at::kFloat);
    CHECK(distance(fast[i], exact[i]) < 1e-5);
  }
  settings.dtype = at::kBFloat16;
  const auto reduced = predicted(net, X, args, settings);
  for (size_t i = 0; i < exact.size(); ++i) {
    CHECK(distance(reduced[i], exact[i]) < 0.1);
    CHECK(distance(reduced[i], exact[i]) > 0);
  }
}

// In float32 the convolution leaves its channels next to each other in memory.
TEST_CASE("lines are normalised and pooled as they lie in memory", "[predict]") {
  const Tensors parameters{{"k", numbers({6, 4, 3}, 1)},
                           {"w", numbers({6}, 2)},
                           {"b", numbers({6}, 3)},
                           {"m", numbers({6}, 4)},
                           {"v", numbers({6}, 5, 0.5, 2)}};
  const at::Tensor X = one_hot(3, 23, 6);
  Settings settings;
  settings.dtype = at::kFloat;
  for (const char* last :
       {"h", "torch.max_pool1d(h, 3)", "torch.max_pool1d(h, [4], [3], [2])",
        "torch.max_pool1d(h, [3], [2], [1], [2], True)", "torch.max_pool1d(h, 4, ceil_mode=True)",
        "torch.max_pool1d(h[:, 0:1], 3)", "torch.max_pool1d(h[:, :, 1:], 3)"}) {
    INFO(last);
    const auto net = forward(
        "h = torch.conv1d(x, self.k)\n"
        "h = torch.batch_norm(h, self.w, self.b, self.m, self.v, False, 0.1, 1e-5, False)\n"
        "return " +
            std::string(last),
        parameters);
    CHECK(distance(predicted(net, X, {}, settings)[0], interpreted(net, X)[0]) < 1e-5);
  }
}

TEST_CASE("a model that squeezes predicts one sequence as it predicts many", "[predict]") {
  const auto net = forward("return torch.relu(torch.conv1d(x, self.w)).sum([1, 2]).squeeze()",
                           {{"w", numbers({3, 4, 3}, 1)}});
  const at::Tensor X = one_hot(3, 9, 1);
  const at::Tensor many = predicted(net, X)[0];
  REQUIRE(many.sizes() == std::vector<int64_t>{3});
  Settings settings;
  settings.batch_size = 1;
  CHECK(distance(predicted(net, X, {}, settings)[0], many) < 1e-14);
}

TEST_CASE("an output without a row for each sequence is an error", "[predict]") {
  const auto net = forward("return torch.relu(x).sum([0, 1])");
  CHECK(error_of([&]() { predicted(net, one_hot(3, 9, 1)); }) ==
        "output: The model's output is not one row per sequence: for 3 sequences it returns 9.");
  CHECK(error_of([&]() { predicted(net, one_hot(1, 9, 1)); }).find("output: ") == 0);
}

TEST_CASE("a model that writes into its input or its buffers leaves both alone", "[predict]") {
  Part whole;
  whole.parameters = {{"w", numbers({4, 4, 3}, 1)}};
  whole.buffers = {{"seen", at::zeros({1}, at::kDouble)}};
  whole.source =
      "def forward(self, x: Tensor):\n"
      "    x[:, :, 0] = 0.5\n"
      "    self.seen += float(x.size(0))\n"
      "    self.w.mul_(1.0)\n"
      "    return torch.relu_(torch.conv1d(x, self.w)).sum([2])\n";
  const auto net = model(whole, true);
  const at::Tensor X = one_hot(3, 9, 1);
  const at::Tensor before = X.clone();
  const at::Tensor first = predicted(net, X)[0];
  CHECK(at::equal(predicted(net, X)[0], first));
  CHECK(at::equal(X, before));
  CHECK(distance(first, interpreted(net, X)[0]) < 1e-14);
  const Given pairs = given(3, 2, 9);
  const at::Tensor references = pairs.references.clone();
  explain(net, pairs);
  CHECK(at::equal(pairs.references, references));
}

TEST_CASE("no sequences give no predictions", "[predict]") {
  const auto net = forward("return x.sum(2)");
  CHECK_NOTHROW(predicted(net, one_hot(1, 9, 1).narrow(0, 0, 0)));
}

TEST_CASE("a trace in training mode is predicted in evaluation mode", "[predict]") {
  const Tensors running{{"m", numbers({4}, 1)}, {"v", numbers({4}, 2, 0.5, 1.5)}};
  const at::Tensor X = one_hot(4, 9, 3);
  const std::vector<std::pair<std::string, std::string>> twins{
      {"y = torch.dropout(h, 0.5, True)", "y = h"},
      {"y = torch.feature_dropout(h, 0.5, True)", "y = h"},
      {"y = torch.rrelu(h, 0.1, 0.3, True)", "y = torch.leaky_relu(h, 0.2)"},
      {"y = torch.batch_norm(h, None, None, self.m, self.v, True, 0.1, 1e-5, False)",
       "y = torch.batch_norm(h, None, None, self.m, self.v, False, 0.1, 1e-5, False)"}};
  for (const auto& twin : twins) {
    INFO(twin.first);
    CHECK(distance(predicted(around(twin.first, running), X)[0],
                   predicted(around(twin.second, running), X)[0]) < 1e-12);
  }
}

TEST_CASE("convolutions of any form are one value in a prediction", "[predict]") {
  // A list that is written to holds what was put into it, once.
  const Tensors parameters{{"k", numbers({4, 2, 2}, 1)}, {"b", numbers({4}, 2)}};
  const at::Tensor X = one_hot(3, 9, 6);
  for (const char* padding : {"'same'", "'valid'", "[1]"}) {
    INFO(padding);
    const auto net =
        forward(std::string("results = [x.sum([1, 2])]\n") +
                    "y = torch.conv1d(x, self.k, self.b, [1], " + padding +
                    ", [1], 2)\nresults.append(y.sum([1, 2]))\n" + "return torch.stack(results, 1)",
                parameters);
    CHECK(distance(predicted(net, X)[0], interpreted(net, X)[0]) < 1e-12);
    CHECK(worst_delta(explain(net, given(2, 3, 9))) < 1e-10);
  }
}
