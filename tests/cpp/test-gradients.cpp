// Ordinary gradients and their averages. Answers by hand, and finite differences in float64.

#include <cmath>

#include "catch.h"
#include "core/methods/gradients.h"
#include "core/methods/path_gradients.h"
#include "core/numeric/tensor_functions.h"
#include "inputs.h"
#include "nets.h"

using namespace nets;
using seqlift::GradientOptions;
using seqlift::GradientResult;
using seqlift::PathOptions;
using seqlift::PathResult;
using seqlift::QuadratureRule;

namespace {

GradientResult gradients_of(const std::shared_ptr<const seqlift::Graph>& graph, const at::Tensor& X,
                            const GradientOptions& options = {},
                            const std::vector<at::Tensor>& args = {}) {
  seqlift::Constants constants = in_double();
  return seqlift::gradients(*graph, constants, sequences_of(X, args), options);
}

PathResult path_of(const std::shared_ptr<const seqlift::Graph>& graph, const Given& given,
                   const PathOptions& options) {
  seqlift::Constants constants = in_double();
  return seqlift::path_gradients(*graph, constants, sequences_of(given.X, given.args),
                                 references_of(given.references), options);
}

// Two targets, two activations, pooling.
ModelPointer smooth_net() {
  return forward(
      "h = torch.tanh(torch.conv1d(x, self.a, self.b, padding=1))\n"
      "h = torch.avg_pool1d(h * torch.sigmoid(h), [2])\n"
      "return torch.matmul(h.flatten(1), self.c)",
      {{"a", numbers({3, 4, 3}, 1)}, {"b", numbers({3}, 2)}, {"c", numbers({12, 2}, 3)}});
}

// A convolution (layer `first`), a relu (`act`), a dense layer (`last`) and a sigmoid.
ModelPointer layered(const std::string& relu = "torch.relu(x)") {
  const auto module = [](const std::string& name, const std::string& body,
                         const Tensors& parameters) {
    Part part;
    part.class_name = name;
    part.source = "def forward(self, x: Tensor):\n" + indented(body);
    part.parameters = parameters;
    return part;
  };
  Part net;
  net.source =
      "def forward(self, x: Tensor):\n"
      "    h = self.act.forward(self.first.forward(x))\n"
      "    return torch.sigmoid(self.last.forward(h))\n";
  net.parameters = {{"dtype_", numbers({1}, 0)}};
  net.parts = {{"first", module("First", "return torch.conv1d(x, self.w, self.b, padding=1)",
                                {{"w", numbers({3, 4, 3}, 5)}, {"b", numbers({3}, 6)}})},
               {"act", module("Act", "return " + relu, {})},
               {"last", module("Last", "return torch.matmul(x.flatten(1), self.w)",
                               {{"w", numbers({24, 3}, 7)}})}};
  return model(net);
}

// d f[:, t] / dX by central differences, [n, C, L, T].
at::Tensor by_differences(const ModelPointer& net, const at::Tensor& X) {
  constexpr double step = 1e-5;
  std::vector<at::Tensor> columns;
  for (int64_t k = 0; k < X[0].numel(); ++k) {
    at::Tensor move = at::zeros_like(X[0]).flatten();
    move[k] = step;
    move = move.view_as(X[0]);
    columns.push_back((predicted(net, X + move)[0] - predicted(net, X - move)[0]) / (2 * step));
  }
  return at::stack(columns, 1).view({X.size(0), X.size(1), X.size(2), -1});
}

}  // namespace

TEST_CASE("gradients are the slopes of the predictions", "[gradients]") {
  const auto net = smooth_net();
  const at::Tensor X = one_hot(5, 8, 3);
  GradientOptions options;
  options.targets = {};
  const at::Tensor slopes = by_differences(net, X);
  for (const int64_t batch_size : {1, 2, 5, 100}) {
    options.batch_size = batch_size;
    const GradientResult result = gradients_of(graph_of(net), X, options);
    REQUIRE(result.values.size() == 1);
    CHECK(distance(result.values[0], slopes) < 1e-8);
    CHECK(distance(result.predictions, predicted(net, X)[0]) < 1e-12);
  }
  options.targets = {1};
  options.times_input = true;
  const GradientResult one = gradients_of(graph_of(net), X, options);
  CHECK(distance(one.values[0], (slopes * X.unsqueeze(-1)).narrow(3, 1, 1)) < 1e-8);
}

TEST_CASE("a column less the mean of all columns has the gradients of that difference",
          "[gradients]") {
  const at::Tensor X = one_hot(3, 8, 4);
  GradientOptions options;
  options.targets = {0, 1};
  const auto plain = gradients_of(graph_of(smooth_net()), X, options);
  options.mean_normalise = true;
  const auto normalised = gradients_of(graph_of(smooth_net()), X, options);
  CHECK(distance(normalised.values[0], plain.values[0] - plain.values[0].mean(-1, true)) < 1e-12);
  CHECK(distance(normalised.predictions, plain.predictions - plain.predictions.mean(-1, true)) <
        1e-12);
}

TEST_CASE("a relu passes back what its rule says, however it is written", "[gradients]") {
  // y = w . relu(v x) at x = (1, 1, 1): the relu's inputs are v, what comes back to it is w.
  const at::Tensor X = by_hand({1, 1, 1, 1}, {0, 0, 0, 0}).X;
  for (const char* lines : {"h = torch.relu(x[:, 0] * self.v)", "h = (x[:, 0] * self.v).relu()",
                            "h = x[:, 0] * self.v\nh.relu_()"}) {
    INFO(lines);
    const auto net =
        forward(std::string(lines) + "\nreturn torch.matmul(h, self.w)",
                {{"v", vector_of({2, 2, -3, -3})}, {"w", vector_of({5, -5, 5, -5}).unsqueeze(1)}});
    const auto row = [&](GradientOptions::Relu relu) {
      GradientOptions options;
      options.relu = relu;
      return gradients_of(graph_of(net), X, options).values[0][0].select(0, 0).select(1, 0);
    };
    using Relu = GradientOptions::Relu;
    CHECK(distance(row(Relu::ordinary), vector_of({10, -10, 0, 0})) == 0);
    CHECK(distance(row(Relu::guided), vector_of({10, 0, 0, 0})) == 0);
    CHECK(distance(row(Relu::deconvolution), vector_of({10, 0, -15, 0})) == 0);
  }
}

TEST_CASE("the model's other inputs are explained too", "[gradients]") {
  Part part;
  part.parameters = {{"dtype_", numbers({1}, 0)}};
  part.source =
      "def forward(self, x: Tensor, track: Tensor):\n"
      "    return (x[:, 0] * track[:, 0]).sum(1, keepdim=True) + (track[:, 1] ** 2).sum(1, True)\n";
  const at::Tensor X = one_hot(3, 6, 8);
  const at::Tensor track = numbers({3, 2, 6}, 9);
  GradientOptions options;
  options.args = true;
  const auto result = gradients_of(graph_of(model(part)), X, options, {track});
  REQUIRE(result.values.size() == 2);
  CHECK(distance(result.values[0].select(1, 0).squeeze(-1), track.select(1, 0)) < 1e-12);
  CHECK(distance(result.values[1].select(1, 0).squeeze(-1), X.select(1, 0)) < 1e-12);
  CHECK(distance(result.values[1].select(1, 1).squeeze(-1), 2 * track.select(1, 1)) < 1e-12);
}

TEST_CASE("a sequence alone in its batch survives a model that squeezes", "[gradients]") {
  const auto net = forward("return torch.matmul(torch.tanh(x).flatten(1), self.w).squeeze()",
                           {{"w", numbers({24, 1}, 2)}});
  const at::Tensor X = one_hot(3, 6, 1);
  const auto together = gradients_of(graph_of(net), X);
  GradientOptions options;
  options.batch_size = 1;
  CHECK(distance(gradients_of(graph_of(net), X, options).values[0], together.values[0]) < 1e-14);
  CHECK(distance(gradients_of(graph_of(net), X.narrow(0, 0, 1)).values[0],
                 together.values[0].narrow(0, 0, 1)) < 1e-14);
}

TEST_CASE("layers have the gradients of what follows them", "[gradients][layers]") {
  for (const char* relu : {"torch.relu(x)", "x.relu_()"}) {
    INFO(relu);
    const auto net = layered(relu);
    const at::Tensor X = one_hot(4, 8, 2);
    GradientOptions options;
    options.targets = {2};
    const auto result = gradients_of(graph_of(net, {"act", "first"}), X, options);
    REQUIRE(result.values.size() == 2);
    // d sigmoid(z) / dh = s (1 - s) w, and behind the relu where its input is positive.
    const at::Tensor s = predicted(net, X)[0].select(1, 2).view({4, 1, 1});
    const at::Tensor w = numbers({24, 3}, 7).select(1, 2).view({1, 3, 8});
    const at::Tensor first = at::conv1d(X, numbers({3, 4, 3}, 5), numbers({3}, 6), 1, 1);
    const at::Tensor at_act = s * (1 - s) * w;
    CHECK(distance(result.values[0].squeeze(-1), at_act) < 1e-12);
    CHECK(distance(result.values[1].squeeze(-1), at_act * first.gt(0)) < 1e-12);
    options.times_input = true;
    const auto times = gradients_of(graph_of(net, {"first"}), X, options);
    CHECK(distance(times.values[0].squeeze(-1), at_act * at::relu(first)) < 1e-12);
  }
}

TEST_CASE("a layer can be what is explained", "[gradients][layers]") {
  const auto net = layered();
  const at::Tensor X = one_hot(4, 8, 2);
  GradientOptions options;
  options.targets = {};
  const auto result = gradients_of(graph_of(net, {}, "last"), X, options);
  const at::Tensor logits = at::logit(predicted(net, X)[0]);
  CHECK(distance(result.predictions, logits) < 1e-10);
  const at::Tensor s = predicted(net, X)[0].view({4, 1, 1, 3});
  const auto outside = gradients_of(graph_of(net), X, options);
  CHECK(distance(outside.values[0], result.values[0] * s * (1 - s)) < 1e-12);
}

TEST_CASE("a layer that is not one value a sequence is refused", "[gradients][layers]") {
  const at::Tensor X = one_hot(2, 8, 2);
  Part inner;
  inner.class_name = "Inner";
  inner.source = "def forward(self, x: Tensor):\n    return torch.tanh(x)\n";
  const auto net = [&](const std::string& body) {
    Part part;
    part.parameters = {{"dtype_", numbers({1}, 0)}};
    part.parts = {{"inner", inner}};
    part.source = "def forward(self, x: Tensor):\n" + indented(body);
    return model(part);
  };
  const auto failure = [&](const std::string& body, bool as_target) {
    return error_of([&]() {
      const std::string none;
      gradients_of(as_target ? graph_of(net(body), {}, "inner") : graph_of(net(body), {"inner"}),
                   X);
    });
  };
  const std::string twice = "return self.inner.forward(self.inner.forward(x)).flatten(1)";
  CHECK(failure(twice, false).find("layer: The module `inner` is called more than once") == 0);
  CHECK(failure(twice, true).find("layer: The module `inner` is called 2 times") == 0);
  const std::string never = "return x.flatten(1)";
  CHECK(failure(never, false).find("layer: The module `inner` does not contribute") == 0);
  CHECK(failure(never, true).find("layer: The module `inner` is not called") == 0);
  const std::string constant =
      "return x.flatten(1) + self.inner.forward(torch.ones_like(x)).flatten(1)";
  CHECK(failure(constant, false).find("layer: The module `inner` has an output that does not") ==
        0);
  const std::string rows = "return self.inner.forward(x.flatten(0, 1)).view(x.size(0), -1)";
  CHECK(failure(rows, false).find("layer: A layer's output is not one row per sequence") == 0);
}

TEST_CASE("contributions of a layer add up in DeepLIFT", "[layers][deep_lift_shap]") {
  const auto net = layered("torch.relu(x) * x.sigmoid()");
  const Given pairs = given(3, 4, 8);
  seqlift::Constants constants = in_double();
  seqlift::DeepLiftShapOptions options;
  options.targets = {0, 2};
  const auto run = [&](const std::vector<std::string>& layers, const std::string& target) {
    return seqlift::deep_lift_shap(*graph_of(net, layers, target), constants, sequences_of(pairs.X),
                                   references_of(pairs.references), options);
  };
  for (const int64_t batch_size : {1, 3, 100}) {
    options.batch_size = batch_size;
    options.output = seqlift::DeepLiftShapOptions::Output::attributions;
    const auto result = run({"first", "act"}, "");
    REQUIRE(result.layers.size() == 2);
    CHECK(result.layers[0].sizes() == at::IntArrayRef({3, 3, 8, 2}));
    for (size_t layer = 0; layer < 2; ++layer) {
      CHECK(result.layer_deltas[layer].abs().max().item<double>() < 1e-12);
      const at::Tensor change = result.predictions - result.reference_predictions.mean(1);
      CHECK(distance(result.layers[layer].flatten(1, 2).sum(1), change) < 1e-12);
    }
    // Behind `last` everything is linear: the logits' contributions are weight times difference.
    const auto logits = run({"act"}, "last");
    const auto activation = [](const at::Tensor& X) {
      const at::Tensor h = at::conv1d(X, numbers({3, 4, 3}, 5), numbers({3}, 6), 1, 1);
      return at::relu(h) * h.sigmoid();
    };
    const at::Tensor difference =
        activation(pairs.X) -
        activation(pairs.references.flatten(0, 1)).unflatten(0, {3, 4}).mean(1);
    const at::Tensor w = numbers({24, 3}, 7).select(1, 2).view({1, 3, 8});
    CHECK(distance(logits.layers[0].select(-1, 1), difference * w) < 1e-12);
    options.output = seqlift::DeepLiftShapOptions::Output::multipliers;
    const auto raw = run({"act"}, "last");
    CHECK(distance(raw.layers[0].select(-1, 1), w.unsqueeze(1).expand({3, 4, 3, 8})) < 1e-12);
  }
  options.output = seqlift::DeepLiftShapOptions::Output::multipliers;
  options.mean_normalise = true;
  const auto normalised = run({}, "last");
  options.mean_normalise = false;
  options.targets = {0, 1, 2};
  const auto plain = run({}, "last");
  const at::Tensor expected = plain.values - plain.values.mean(-1, true);
  CHECK(distance(normalised.values.select(-1, 1), expected.select(-1, 2)) < 1e-12);
  CHECK(normalised.deltas.abs().max().item<double>() < 1e-12);
}

TEST_CASE("Gauss-Legendre integrates polynomials up to degree 2 n - 1", "[gradients]") {
  for (const int64_t n : {1, 2, 3, 8, 50, 301}) {
    const auto rule = seqlift::quadrature(QuadratureRule::gauss_legendre, n);
    REQUIRE(static_cast<int64_t>(rule.nodes.size()) == n);
    for (const int64_t degree : {int64_t{0}, n - 1, 2 * n - 1}) {
      double integral = 0;
      for (int64_t k = 0; k < n; ++k) {
        integral += rule.weights[k] * std::pow(rule.nodes[k], static_cast<double>(degree));
      }
      CHECK(std::abs(integral * static_cast<double>(degree + 1) - 1) < 1e-13);
    }
    double beyond = 0;
    for (int64_t k = 0; k < n; ++k) {
      beyond += rule.weights[k] * std::pow(rule.nodes[k], 2.0 * static_cast<double>(n));
    }
    CHECK((n > 8 || std::abs(beyond * (2.0 * static_cast<double>(n) + 1) - 1) > 1e-9));
  }
}

TEST_CASE("the other quadratures have the points and weights that their names say", "[gradients]") {
  const auto check = [](QuadratureRule name, const std::vector<double>& nodes,
                        const std::vector<double>& weights) {
    const auto rule = seqlift::quadrature(name, 4);
    CHECK(distance(vector_of(rule.nodes), vector_of(nodes)) < 1e-15);
    CHECK(distance(vector_of(rule.weights), vector_of(weights)) < 1e-15);
  };
  const std::vector<double> even{0.25, 0.25, 0.25, 0.25};
  check(QuadratureRule::left, {0, 0.25, 0.5, 0.75}, even);
  check(QuadratureRule::right, {0.25, 0.5, 0.75, 1}, even);
  check(QuadratureRule::middle, {0.125, 0.375, 0.625, 0.875}, even);
  check(QuadratureRule::trapezoid, {0, 1 / 3.0, 2 / 3.0, 1}, {1 / 6.0, 1 / 3.0, 1 / 3.0, 1 / 6.0});
  check(QuadratureRule::captum_trapezoid, {0, 1 / 3.0, 2 / 3.0, 1}, {0.125, 0.25, 0.25, 0.125});
}

TEST_CASE("integrated gradients add up, whatever the batches", "[gradients]") {
  const Given pairs = given(3, 2, 8);
  PathOptions options;
  options.quadrature = seqlift::quadrature(QuadratureRule::gauss_legendre, 40);
  options.gradients.targets = {1, 0};
  const auto graph = graph_of(smooth_net());
  const PathResult whole = path_of(graph, pairs, options);
  CHECK(whole.deltas[0].abs().max().item<double>() < 1e-12);
  const at::Tensor change = whole.predictions - whole.reference_predictions.mean(1);
  CHECK(change.abs().max().item<double>() > 0.1);
  CHECK(distance(whole.values[0].flatten(1, 2).sum(1), change) < 1e-12);
  for (const int64_t batch_size : {1, 7, 80, 1000}) {
    options.gradients.batch_size = batch_size;
    const PathResult part = path_of(graph, pairs, options);
    CHECK(distance(part.values[0], whole.values[0]) < 1e-13);
    CHECK(distance(part.deltas[0], whole.deltas[0]) < 1e-13);
  }
}

TEST_CASE("integrated gradients of a square are the change itself", "[gradients]") {
  // f = sum x^2 from a to b: each position gets b^2 - a^2, with two points exactly.
  const Given pair = by_hand({1, -2, 0.5}, {0, 1, 0.5});
  PathOptions options;
  options.quadrature = seqlift::quadrature(QuadratureRule::gauss_legendre, 2);
  const auto graph = graph_of(forward("return (x * x).flatten(1).sum(1, keepdim=True)"));
  const PathResult result = path_of(graph, pair, options);
  CHECK(distance(result.values[0][0].select(0, 0).select(1, 0), vector_of({1, 3, 0})) < 1e-14);
}

TEST_CASE("integrated gradients share the change with the other inputs", "[gradients]") {
  Part part;
  part.parameters = {{"dtype_", numbers({1}, 0)}};
  part.source =
      "def forward(self, x: Tensor, a: Tensor):\n"
      "    return (x[:, 0] * a).sum(1, keepdim=True)\n";
  Given pair = by_hand({2, 3}, {0, 1});
  pair.args = {vector_of({5, 7}).unsqueeze(0)};
  PathOptions options;
  options.quadrature = seqlift::quadrature(QuadratureRule::gauss_legendre, 2);
  options.reference_args = {vector_of({1, 1}).unsqueeze(0)};
  options.gradients.args = true;
  const PathResult result = path_of(graph_of(model(part)), pair, options);
  // A product's change in equal parts: dx (a0 + a1) / 2 and da (x0 + x1) / 2.
  CHECK(distance(result.values[0][0].select(0, 0).select(1, 0), vector_of({6, 8})) < 1e-13);
  CHECK(distance(result.values[1][0].select(1, 0), vector_of({4, 12})) < 1e-13);
  CHECK(result.deltas[0].abs().max().item<double>() < 1e-13);
  options.gradients.args = false;
  const PathResult held = path_of(graph_of(model(part)), pair, options);
  CHECK(distance(held.values[0][0].select(0, 0).select(1, 0), vector_of({10, 14})) < 1e-13);
  CHECK(held.deltas[0].abs().max().item<double>() < 1e-13);
}

TEST_CASE("integrated gradients go along the line between a layer's outputs", "[layers]") {
  const auto net = layered("torch.tanh(x)");
  const Given pairs = given(3, 2, 8);
  PathOptions options;
  options.quadrature = seqlift::quadrature(QuadratureRule::gauss_legendre, 30);
  for (const int64_t batch_size : {4, 1000}) {
    options.gradients.batch_size = batch_size;
    const PathResult result = path_of(graph_of(net, {"act"}), pairs, options);
    CHECK(result.deltas[0].abs().max().item<double>() < 1e-12);
    // One reference: along the line the slope is a common factor times the weights.
    const Given one{pairs.X.narrow(0, 0, 1), pairs.references.narrow(0, 0, 1).narrow(1, 0, 1), {}};
    const PathResult first = path_of(graph_of(net, {"act"}), one, options);
    const auto activation = [](const at::Tensor& X) {
      return at::tanh(at::conv1d(X, numbers({3, 4, 3}, 5), numbers({3}, 6), 1, 1));
    };
    const at::Tensor part = (activation(one.X) - activation(one.references[0])) *
                            numbers({24, 3}, 7).select(1, 0).view({1, 3, 8});
    const at::Tensor change = first.predictions[0][0] - first.reference_predictions[0][0][0];
    CHECK(distance(first.values[0].squeeze(-1), part * change / part.sum()) < 1e-12);
  }
}

TEST_CASE("expected gradients take one random point for each reference", "[gradients]") {
  // Quadratic in x: the gradient at ref + u (x - ref) tells u.
  const Given pairs = given(2, 300, 5);
  PathOptions options;
  options.random_points = true;
  options.random_state = 7;
  const auto graph = graph_of(forward("return (x * x).flatten(1).sum(1, keepdim=True)"));
  const PathResult result = path_of(graph, pairs, options);
  const at::Tensor ref = pairs.references;
  const at::Tensor change = pairs.X.unsqueeze(1) - ref;
  // sum of the shares = sum 2 (ref + u d) d = A + u B for each pair, and delta = that less A + B /
  // 2 with B = 2 |d|^2: u = 1 / 2 + delta / B.
  const at::Tensor B = 2 * change.square().flatten(2).sum(2);
  const at::Tensor u = 0.5 + result.deltas[0].squeeze(-1) / B;
  CHECK(u.min().item<double>() >= 0);
  CHECK(u.max().item<double>() < 1);
  CHECK(std::abs(u.mean().item<double>() - 0.5) < 0.05);
  // numpy.random.RandomState(7).uniform(size=2), and of seed 8 for the second sequence.
  CHECK(distance(u[0].narrow(0, 0, 2), vector_of({0.07630828937395717, 0.7799187922401146})) <
        1e-12);
  CHECK(distance(u[1].narrow(0, 0, 2), vector_of({0.8734294027918162, 0.968540662820932})) < 1e-12);
  for (const int64_t batch_size : {1, 64}) {
    options.gradients.batch_size = batch_size;
    CHECK(distance(path_of(graph, pairs, options).values[0], result.values[0]) < 1e-12);
  }
}

TEST_CASE("smoothed gradients average over noise on the bases", "[gradients]") {
  // f = sum x^3: the mean gradient is 3 (x^2 + sd^2) where there is noise.
  const auto graph = graph_of(forward("return (x * x * x).flatten(1).sum(1, keepdim=True)"));
  const at::Tensor X = at::cat({one_hot(3, 6, 1), at::ones({3, 1, 6}, at::kDouble)}, 1);
  seqlift::NoiseOptions noise;
  noise.samples = 4000;
  noise.sd = 0.5;
  seqlift::Constants constants = in_double();
  const auto run = [&](const GradientOptions& options) {
    return seqlift::smooth_gradients(*graph, constants, sequences_of(X), noise, options).values[0];
  };
  const at::Tensor smooth = run({}).squeeze(-1);
  const at::Tensor expected = 3 * (X.square() + 0.25);
  CHECK(distance(smooth.narrow(1, 0, 4), expected.narrow(1, 0, 4)) < 0.3);
  CHECK(distance(smooth.narrow(1, 4, 1), at::full({3, 1, 6}, 3.0, at::kDouble)) < 1e-12);
  noise.samples = 10;
  GradientOptions options;
  const at::Tensor few = run(options);
  for (const int64_t batch_size : {1, 3, 100}) {
    options.batch_size = batch_size;
    options.work.threads = 2;
    CHECK(distance(run(options), few) < 1e-13);
  }
  noise.sd = 0;
  CHECK(distance(run({}), gradients_of(graph, X).values[0]) < 1e-12);
}
