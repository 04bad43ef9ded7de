// What must not change a result: batches, chunks, threads, the order of sequences, the other
// references, the number type; and what ends a call early.

#include <atomic>

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

// Convolutions, an overlapping max pool, attention over positions, two targets.
ModelPointer mixed() {
  return forward(
      "h = torch.conv1d(x, self.a, self.b, padding=2)\n"
      "h = torch.relu(h) + torch.sigmoid(h) * h\n"
      "h = torch.max_pool1d(h, [3], [2], [1])\n"
      "s = torch.softmax(torch.matmul(h.transpose(1, 2), h) * 0.2, 2)\n"
      "h = torch.matmul(h, s.transpose(1, 2))\n"
      "h = torch.layer_norm(h, [6], None, None, 1e-5) if h.size(2) == 6 else h\n"
      "h = h.flatten(1)\n"
      "return torch.matmul(torch.tanh(h[:, 0:20]), self.c)",
      {{"a", numbers({6, 4, 5}, 1)}, {"b", numbers({6}, 2)}, {"c", numbers({20, 2}, 3)}});
}

}  // namespace

TEST_CASE("multipliers, deltas and predictions do not depend on batch size or threads",
          "[deep_lift_shap]") {
  const auto net = mixed();
  const Given pairs = given(5, 7, 12);
  Settings settings;
  settings.batch_size = 1000;
  settings.targets = {0, 1};
  const Explained whole = explain(net, pairs, settings);
  CHECK(worst_delta(whole) < 1e-10);
  for (const int64_t batch_size : {1, 2, 3, 7, 8, 14, 20, 35}) {
    for (const int threads : {1, 2}) {
      INFO("batch size " << batch_size << ", " << threads << " threads");
      settings.batch_size = batch_size;
      settings.threads = threads;
      const Explained part = explain(net, pairs, settings);
      CHECK(distance(part.values, whole.values) < 1e-12);
      CHECK(distance(part.deltas, whole.deltas) < 1e-10);
      CHECK(distance(part.predictions, whole.predictions) < 1e-12);
      CHECK(distance(part.reference_predictions, whole.reference_predictions) < 1e-12);
    }
  }
}

TEST_CASE("a model that writes in place does not disturb the next block of references",
          "[deep_lift_shap]") {
  const Given pairs = given(2, 6, 9);
  for (const char* lines :
       {"h.relu_()\ny = h * h", "y = h * h\ny[:, 0] = h[:, 1]\ny = y.exp()",
        "x[:, :, 2] = 0.25\ny = torch.tanh(h) * x",
        "y = torch.zeros_like(h)\nfor i in range(3):\n    y += torch.sigmoid(h * float(i))\n"
        "    y.mul_(0.5)",
        "a = torch.max_pool1d(h, [3], [1], [1])\nb = a * 1.0\nb.add_(a)\ny = a * b",
        "p = [h, h.exp()]\np.append(p[0] * p[1])\ny = torch.cat(p, 1).softmax(1)"}) {
    INFO(lines);
    const auto net = around(lines);
    const Explained whole = explain(net, pairs);
    CHECK(worst_delta(whole) < 1e-10);
    for (const int64_t batch_size : {1, 2, 4, 5}) {
      Settings settings;
      settings.batch_size = batch_size;
      const Explained parts = explain(net, pairs, settings);
      CHECK(distance(parts.values, whole.values) < 1e-12);
      CHECK(distance(parts.predictions, whole.predictions) < 1e-12);
    }
  }
}

TEST_CASE("attributions are the mean of hypothetical scores times the letters",
          "[deep_lift_shap]") {
  const auto net = mixed();
  const Given pairs = given(3, 5, 12);
  Settings settings;
  const at::Tensor m = explain(net, pairs, settings).values.squeeze(-1);
  const at::Tensor hypothetical = (m - (pairs.references * m).sum(2, true)).mean(1);
  for (const int64_t batch_size : {1, 2, 4, 5, 100}) {
    for (const int threads : {1, 2}) {
      settings.batch_size = batch_size;
      settings.threads = threads;
      settings.output = "hypothetical";
      CHECK(distance(explain(net, pairs, settings).values.squeeze(-1), hypothetical) < 1e-12);
      settings.output = "attributions";
      CHECK(distance(explain(net, pairs, settings).values.squeeze(-1), hypothetical * pairs.X) <
            1e-12);
    }
  }
}

TEST_CASE("standard errors are those of the references' own scores, and change no attribution",
          "[deep_lift_shap]") {
  const auto net = mixed();
  // More references than a block and a thread take, fewer, and the fewest.
  for (const int64_t n_refs : {2, 5, 23}) {
    const Given pairs = given(2, n_refs, 12);
    Settings settings;
    const at::Tensor m = explain(net, pairs, settings).values.squeeze(-1);
    const at::Tensor each = m - (pairs.references * m).sum(2, true);
    const at::Tensor expected =
        ((each - each.mean(1, true)).square().sum(1) / static_cast<double>(n_refs * (n_refs - 1)))
            .sqrt();
    for (const int64_t batch_size : {1, 4, 100}) {
      for (const int threads : {1, 3}) {
        settings.batch_size = batch_size;
        settings.threads = threads;
        for (const std::string output : {"hypothetical", "attributions"}) {
          settings.output = output;
          settings.standard_errors = false;
          const Explained without = explain(net, pairs, settings);
          settings.standard_errors = true;
          const Explained with = explain(net, pairs, settings);
          CHECK(!without.standard_errors.defined());
          CHECK(at::equal(with.values, without.values));
          const at::Tensor shown = output == "hypothetical" ? expected : expected * pairs.X;
          CHECK(distance(with.standard_errors.squeeze(-1), shown) < 1e-12);
        }
      }
    }
  }
}

TEST_CASE("attributions of a sequence sum to its mean difference from its references",
          "[deep_lift_shap]") {
  const auto net = mixed();
  const Given pairs = given(3, 5, 12);
  Settings settings;
  settings.output = "attributions";
  const Explained result = explain(net, pairs, settings);
  const at::Tensor change = (result.predictions - result.reference_predictions.mean(1)).squeeze(-1);
  CHECK(distance(result.values.sum({1, 2, 3}), change) < 1e-10);
}

TEST_CASE("the order of sequences and of references follows the input", "[deep_lift_shap]") {
  const auto net = mixed();
  const Given pairs = given(4, 3, 12);
  const Explained straight = explain(net, pairs);
  const Given turned{pairs.X.flip({0}), pairs.references.flip({0, 1}), {}};
  const Explained reversed = explain(net, turned);
  CHECK(distance(reversed.values.flip({0, 1}), straight.values) < 1e-12);
  CHECK(distance(reversed.deltas.flip({0, 1}), straight.deltas) < 1e-10);
}

TEST_CASE("a reference's multipliers do not depend on the others", "[deep_lift_shap]") {
  const auto net = mixed();
  const Given pairs = given(2, 6, 12);
  const Explained all = explain(net, pairs);
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 6; ++j) {
      const Given one{pairs.X.narrow(0, i, 1),
                      pairs.references.narrow(0, i, 1).narrow(1, j, 1).contiguous(),
                      {}};
      const Explained alone = explain(net, one);
      CHECK(distance(alone.values, all.values.narrow(0, i, 1).narrow(1, j, 1)) < 1e-12);
    }
  }
}

TEST_CASE("several targets are those of one target each", "[deep_lift_shap]") {
  const auto net = mixed();
  const Given pairs = given(2, 3, 12);
  Settings settings;
  settings.targets = {1, 0, 1};
  const Explained all = explain(net, pairs, settings);
  REQUIRE(all.values.size(-1) == 3);
  for (int64_t t = 0; t < 3; ++t) {
    Settings one;
    one.targets = {settings.targets[t]};
    const Explained alone = explain(net, pairs, one);
    CHECK(distance(all.values.narrow(-1, t, 1), alone.values) < 1e-13);
    CHECK(distance(all.deltas.narrow(-1, t, 1), alone.deltas) < 1e-13);
    CHECK(distance(all.predictions.narrow(-1, t, 1), alone.predictions) < 1e-13);
  }
}

TEST_CASE("a reference equal to its sequence gives the gradient and no delta", "[deep_lift_shap]") {
  const auto net = mixed();
  const at::Tensor X = one_hot(2, 12, 3);
  const Explained result = explain(net, {X, X.unsqueeze(1).contiguous(), {}});
  CHECK(result.deltas.abs().max().item<double>() == 0);
  CHECK(result.values.isfinite().all().item<bool>());
}

TEST_CASE("float32 is close to float64, bfloat16 near it", "[deep_lift_shap]") {
  const auto net = mixed();
  const Given pairs = given(3, 4, 12);
  Settings settings;
  const Explained exact = explain(net, pairs, settings);
  const double scale = exact.values.abs().max().item<double>();
  settings.dtype = at::kFloat;
  const Explained fast = explain(net, pairs, settings);
  CHECK(at::equal(fast.values, fast.values.to(at::kFloat).to(at::kDouble)));
  CHECK(distance(fast.values, exact.values) < 1e-3 * scale);
  CHECK(worst_delta(fast) < 1e-4);
  settings.dtype = at::kBFloat16;
  const Explained reduced = explain(net, pairs, settings);
  CHECK(distance(reduced.predictions, exact.predictions) < 0.3);
}

TEST_CASE("module mode does not depend on threads", "[deep_lift_shap]") {
  const auto net = mixed();
  const Given pairs = given(3, 4, 12);
  Settings settings;
  settings.module_mode = true;
  settings.batch_size = 5;
  const Explained one = explain(net, pairs, settings);
  settings.threads = 2;
  const Explained two = explain(net, pairs, settings);
  CHECK(distance(one.values, two.values) < 1e-13);
}

TEST_CASE("a call that is stopped ends with an interrupt and the next call works",
          "[deep_lift_shap]") {
  const auto net = mixed();
  const Given pairs = given(40, 10, 12);
  Settings settings;
  settings.batch_size = 1;
  settings.poll = [](double) { return false; };
  for (const int threads : {1, 2}) {
    settings.threads = threads;
    CHECK(error_of([&]() { explain(net, pairs, settings); }).find("interrupt: ") == 0);
    CHECK(error_of([&]() { predicted(net, pairs.X, {}, settings); }).find("interrupt: ") == 0);
  }
  settings.poll = nullptr;
  settings.batch_size = 64;
  CHECK(worst_delta(explain(net, pairs, settings)) < 1e-10);
}

TEST_CASE("an error in a worker thread is the call's error", "[deep_lift_shap]") {
  const auto net = around("y, i = torch.mode(h, 2)");
  Settings settings;
  settings.batch_size = 1;
  settings.threads = 2;
  const std::string error = error_of([&]() { explain(net, given(4, 4, 9), settings); });
  CHECK(error.find("unsupported_operation: The operation aten::mode") == 0);
}

TEST_CASE("the share that is done is told and never falls", "[deep_lift_shap]") {
  const auto net = mixed();
  Settings settings;
  settings.batch_size = 1;
  std::vector<double> told;
  settings.poll = [&](double done) {
    told.push_back(done);
    return true;
  };
  explain(net, given(4, 6, 12), settings);
  REQUIRE(!told.empty());
  for (size_t i = 0; i < told.size(); ++i) {
    CHECK((told[i] >= 0 && told[i] <= 1));
    CHECK((i == 0 || told[i] >= told[i - 1]));
  }
}
