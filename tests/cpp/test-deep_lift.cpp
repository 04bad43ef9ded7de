// Scores of inner layers by the rules of the DeepLIFT package.

#include "catch.h"
#include "core/methods/deep_lift.h"
#include "core/numeric/tensor_functions.h"
#include "inputs.h"
#include "nets.h"

using namespace nets;

namespace {

Part module(const std::string& name, const std::string& body, const Tensors& parameters = {}) {
  Part part;
  part.class_name = name;
  part.source = "def forward(self, x: Tensor):\n" + indented(body);
  part.parameters = parameters;
  return part;
}

// x [n, 4, 4] -> first: two units -> act: relu -> last: two units -> relu: targets.
ModelPointer two_units() {
  Part net;
  net.source =
      "def forward(self, x: Tensor):\n"
      "    return torch.relu(self.last.forward(self.act.forward(self.first.forward(x[:, 0]))))\n";
  net.parameters = {{"dtype_", numbers({1}, 0)}};
  net.parts = {
      {"first", module("First", "return torch.linear(x, self.w, self.b)",
                       {{"w", at::tensor({1, -1, 2, 0, 0, 1, 1, 0}, at::kDouble).view({2, 4})},
                        {"b", vector_of({-1, 0.5})}})},
      {"act", module("Act", "return torch.relu(x)")},
      {"last", module("Last", "return torch.linear(x, self.w)",
                      {{"w", at::tensor({2, -1, 1, 1}, at::kDouble).view({2, 2})}})}};
  return model(net);
}

// A convolution (first), an activation (act), a dense layer (dense), an activation (bend), a dense
// layer on top. All of the signal goes through each of them.
ModelPointer chain(const std::string& act = "torch.relu(x)") {
  Part net;
  net.source =
      "def forward(self, x: Tensor):\n"
      "    h = self.act.forward(self.first.forward(x))\n"
      "    h = self.bend.forward(self.dense.forward(h))\n"
      "    return torch.linear(h, self.g, self.i)\n";
  net.parameters = {{"g", numbers({3, 6}, 9)}, {"i", numbers({3}, 10)}};
  net.parts = {{"first", module("First", "return torch.conv1d(x, self.w, self.b, padding=1)",
                                {{"w", numbers({5, 4, 3}, 3)}, {"b", numbers({5}, 4)}})},
               {"act", module("Act", "return " + act)},
               {"dense", module("Dense", "return torch.linear(x.flatten(1), self.w, self.b)",
                                {{"w", numbers({6, 45}, 5)}, {"b", numbers({6}, 6)}})},
               {"bend", module("Smoothness", "return torch.sigmoid(x)")}};
  return model(net);
}

struct Scores {
  seqlift::DeepLiftOptions::Output output = seqlift::DeepLiftOptions::Output::contributions;
  std::vector<std::string> layers;
  std::vector<int64_t> targets{1, 0};
  int64_t batch_size = 32;
  int threads = 1;
};

using Output = seqlift::DeepLiftOptions::Output;
using seqlift::NonlinearRule;

seqlift::DeepLiftShapResult scored(const ModelPointer& net, const Given& pairs, NonlinearRule rule,
                                   const Scores& scores) {
  seqlift::DeepLiftOptions options;
  options.output = scores.output;
  options.rule = rule;
  options.targets = scores.targets;
  options.batch_size = scores.batch_size;
  options.work.threads = scores.threads;
  seqlift::Constants constants = in_double();
  return seqlift::deep_lift(*graph_of(net, scores.layers), constants, sequences_of(pairs.X),
                            references_of(pairs.references), options);
}

double worst(const at::Tensor& deltas) { return deltas.abs().max().item<double>(); }

// Two parts of a difference, or the multipliers of both.
struct Parts {
  at::Tensor positive;
  at::Tensor negative;
};

// What the DeepLIFT package (0.6.13) calculates, written out. A part that is zero counts as 1e-7
// (hf.pseudocount_near_zero), which moves its results by as much.
at::Tensor not_zero(const at::Tensor& part) { return at::where(part == 0, part + 1e-7, part); }

// Dense._build_pos_and_neg_contribs: the terms of W d by their sign.
Parts dense_parts(const at::Tensor& W, const at::Tensor& d) {
  return {(W * d).clamp_min(0).sum(1), (W * d).clamp_max(0).sum(1)};
}

// Dense._get_mxts_increments_for_inputs: both parts of an input get what its sign chooses.
at::Tensor dense_multipliers(const at::Tensor& W, const at::Tensor& d, const Parts& m) {
  const at::Tensor up = at::mv(W.clamp_min(0).t(), m.positive);
  const at::Tensor across = at::mv(W.clamp_max(0).t(), m.negative);
  const at::Tensor down = at::mv(W.clamp_max(0).t(), m.positive);
  const at::Tensor back = at::mv(W.clamp_min(0).t(), m.negative);
  const at::Tensor still = at::mv(W.t(), (m.positive + m.negative) / 2);
  return at::where(d > 0, up + across, at::where(d < 0, down + back, still));
}

// Activation._build_pos_and_neg_contribs, RevealCancel.
Parts relu_parts(const at::Tensor& r, const Parts& d) {
  const auto f = [](const at::Tensor& x) { return at::relu(x); };
  const at::Tensor p = not_zero(d.positive);
  const at::Tensor q = not_zero(d.negative);
  return {(f(r + p) - f(r) + f(r + q + p) - f(r + q)) / 2,
          (f(r + q) - f(r) + f(r + p + q) - f(r + p)) / 2};
}

// Activation._get_mxts_increments_for_inputs, RevealCancel.
Parts relu_multipliers(const Parts& y, const Parts& d, const Parts& m) {
  return {y.positive / not_zero(d.positive) * m.positive,
          y.negative / not_zero(d.negative) * m.negative};
}

}  // namespace

// From (1, 1, 0, 0), where the units of `first` are -1 and 1.5, to a sequence that moves the first
// unit to 0 by d+ = 3 and d- = -2, so that `act` does not change but its parts do (1 and -1); one
// that raises both units; one that lowers the second below zero.
TEST_CASE("multipliers of a layer's parts are those that the package calculates",
          "[deep_lift][layers]") {
  const auto net = two_units();
  const at::Tensor W = at::tensor({1, -1, 2, 0, 0, 1, 1, 0}, at::kDouble).view({2, 4});
  const at::Tensor V = at::tensor({2, -1, 1, 1}, at::kDouble).view({2, 2});
  const at::Tensor b = vector_of({-1, 0.5});
  const std::vector<double> reference{1, 1, 0, 0};
  for (const std::vector<double>& sequence :
       std::vector<std::vector<double>>{{4, 3, 0, 0}, {4, 3, 1, 0}, {3, -2, 0.25, 3}}) {
    const Given pair = by_hand(sequence, reference);
    const at::Tensor x = vector_of(sequence);
    const at::Tensor r = vector_of(reference);
    const at::Tensor z = at::mv(W, r) + b;
    const at::Tensor h = at::relu(z);
    const at::Tensor d = at::relu(at::mv(W, x) + b) - h;
    const Parts first = dense_parts(W, x - r);
    const Parts act = relu_parts(z, first);
    const Parts last = dense_parts(V, d);
    const Parts top = relu_parts(at::mv(V, h), last);
    for (int64_t target = 0; target < 2; ++target) {
      INFO("to " << sequence[0] << ", " << sequence[1] << ", target " << target);
      at::Tensor one = at::zeros({2}, at::kDouble);
      one[target] = 1;
      const Parts of_last = relu_multipliers(top, last, {one, one});
      const at::Tensor of_act = dense_multipliers(V, d, of_last);
      const std::vector<Parts> expected{
          relu_multipliers(act, first, {of_act, of_act}), {of_act, of_act}, of_last};
      const std::vector<Parts> differences{first, act, last};
      const auto run = [&](Output output) {
        return scored(net, pair, NonlinearRule::reveal_cancel,
                      {output, {"first", "act", "last"}, {target}});
      };
      const auto positive = run(Output::positive_multipliers);
      const auto negative = run(Output::negative_multipliers);
      const auto contributions = run(Output::contributions);
      for (size_t i = 0; i < 3; ++i) {
        const auto unit_values = [&](const seqlift::DeepLiftShapResult& result) {
          return result.layers[i][0][0].squeeze(-1);
        };
        INFO("layer " << i);
        CHECK(distance(unit_values(positive), expected[i].positive) < 1e-6);
        CHECK(distance(unit_values(negative), expected[i].negative) < 1e-6);
        CHECK(distance(unit_values(contributions),
                       expected[i].positive * differences[i].positive +
                           expected[i].negative * differences[i].negative) < 1e-6);
        CHECK(worst(contributions.layer_deltas[i]) < 1e-12);
      }
    }
  }
}

// A product with -1 and a subtraction hand the parts on without joining them: of relu(h1 - h2) with
// h = first(x), h1 from 0 by 3 and -2, h2 from 0 by 1 and -4, d+ = 3 + 4, d- = -2 - 1, f(r) = 0,
// f(r + d+) = 7, f(x) = 4, f(r + d-) = 0: y+ = 5.5, y- = -1.5. h1 gets 3 * 5.5 / 7 - 2 * 1.5 / 3.
TEST_CASE("a layer's two parts contribute by multipliers of their own", "[deep_lift][layers]") {
  Part net;
  net.source =
      "def forward(self, x: Tensor):\n"
      "    h = self.first.forward(x[:, 0])\n"
      "    return torch.relu(h[:, 0:1] - h[:, 1:2])\n";
  net.parameters = {{"dtype_", numbers({1}, 0)}};
  net.parts = {
      {"first", module("First", "return torch.linear(x, self.w)",
                       {{"w", at::tensor({3, -2, 0, 0, 0, 0, 1, -4}, at::kDouble).view({2, 4})}})}};
  const Given pair = by_hand({1, 1, 1, 1}, {0, 0, 0, 0});
  const auto result = scored(model(net), pair, NonlinearRule::reveal_cancel,
                             {Output::contributions, {"first"}, {0}});
  const at::Tensor units = result.layers[0][0][0].squeeze(-1);
  const double up = 5.5 / 7;
  const double down = 1.5 / 3;
  CHECK(units[0].item<double>() == Approx(3 * up - 2 * down));
  CHECK(units[1].item<double>() == Approx(4 * up - 1 * down));
  CHECK(worst(result.layer_deltas[0]) < 1e-12);
}

TEST_CASE("the contributions of every layer on the way add up", "[deep_lift][layers]") {
  const Given pairs = given(3, 4, 9);
  const std::vector<std::string> layers{"bend", "first", "dense", "act"};
  for (const std::string act : {"torch.relu(x)", "x.relu_()", "torch.tanh(x) * x.sigmoid()",
                                "torch.max_pool1d(torch.relu(x), [3], [1], [1])"}) {
    const auto net = chain(act);
    for (const NonlinearRule rule :
         {NonlinearRule::rescale, NonlinearRule::reveal_cancel, NonlinearRule::genomics_default}) {
      INFO(act << ", rule " << static_cast<int>(rule));
      const auto run = [&](Output output, const std::vector<std::string>& of) {
        return scored(net, pairs, rule, {output, of});
      };
      const auto raw = run(Output::contributions, layers);
      const auto mean = run(Output::attributions, layers);
      REQUIRE(raw.layers.size() == 4);
      CHECK(raw.layers[1].sizes() == at::IntArrayRef({3, 4, 5, 9, 2}));
      CHECK(mean.layers[2].sizes() == at::IntArrayRef({3, 6, 2}));
      const at::Tensor change = raw.predictions.unsqueeze(1) - raw.reference_predictions;
      CHECK(worst(change) > 0.1);
      for (size_t i = 0; i < layers.size(); ++i) {
        INFO(layers[i]);
        CHECK(worst(raw.layer_deltas[i]) < 1e-10);
        CHECK(distance(raw.layers[i].flatten(2, -2).sum(2), change) < 1e-10);
        CHECK(distance(raw.layers[i].mean(1), mean.layers[i]) < 1e-12);
        // Asked for alone: the same.
        const auto alone = run(Output::contributions, {layers[i]});
        CHECK(distance(alone.layers[0], raw.layers[i]) < 1e-14);
      }
      const auto positive = run(Output::positive_multipliers, layers);
      const auto negative = run(Output::negative_multipliers, layers);
      const double apart = distance(positive.layers[1], negative.layers[1]);
      if (rule == NonlinearRule::rescale) {
        CHECK(apart < 1e-12);
      } else if (rule == NonlinearRule::reveal_cancel && act.find("pool") == std::string::npos) {
        CHECK(apart > 1e-3);
      }
    }
  }
}

TEST_CASE("layers by Rescale on parts are those of DeepLIFT/SHAP", "[deep_lift][layers]") {
  const auto net = chain();
  const Given pairs = given(3, 4, 9);
  using ShapOutput = seqlift::DeepLiftShapOptions::Output;
  const auto compare = [&](Output output, ShapOutput same, const std::vector<std::string>& layers) {
    seqlift::DeepLiftShapOptions options;
    options.output = same;
    options.targets = {1, 0};
    seqlift::Constants constants = in_double();
    const auto shap =
        seqlift::deep_lift_shap(*graph_of(net, layers), constants, sequences_of(pairs.X),
                                references_of(pairs.references), options);
    const auto parts = scored(net, pairs, NonlinearRule::rescale, {output, layers});
    for (size_t i = 0; i < layers.size(); ++i) {
      CHECK(distance(parts.layers[i], shap.layers[i]) < 1e-12);
      CHECK(distance(parts.layer_deltas[i], shap.layer_deltas[i]) < 1e-12);
    }
    if (layers.empty()) {
      CHECK(distance(parts.values, shap.values) < 1e-12);
    }
  };
  compare(Output::contributions, ShapOutput::contributions, {"first", "dense"});
  compare(Output::attributions, ShapOutput::attributions, {"first", "dense"});
  compare(Output::multipliers, ShapOutput::multipliers, {"first", "dense"});
  compare(Output::contributions, ShapOutput::contributions, {});
}

TEST_CASE("batches and threads do not change a layer's scores", "[deep_lift][layers]") {
  const auto net = chain();
  const Given pairs = given(3, 5, 9);
  for (const Output output : {Output::attributions, Output::negative_multipliers}) {
    Scores scores{output, {"act", "dense"}};
    const auto whole = scored(net, pairs, NonlinearRule::reveal_cancel, scores);
    for (const int64_t batch_size : {1, 2, 7}) {
      scores.batch_size = batch_size;
      scores.threads = 2;
      const auto part = scored(net, pairs, NonlinearRule::reveal_cancel, scores);
      for (size_t i = 0; i < 2; ++i) {
        CHECK(distance(part.layers[i], whole.layers[i]) < 1e-12);
        CHECK(distance(part.layer_deltas[i], whole.layer_deltas[i]) < 1e-12);
      }
    }
  }
}

// Around the layer: relu(first) + tanh(x) changes by more than the layer carries.
TEST_CASE("a layer that is not all of the way keeps its own share", "[deep_lift][layers]") {
  Part net;
  net.source =
      "def forward(self, x: Tensor):\n"
      "    h = torch.relu(self.first.forward(x)).sum(2)\n"
      "    return h + torch.tanh(x[:, 0].sum(1, keepdim=True))\n";
  net.parameters = {{"dtype_", numbers({1}, 0)}};
  net.parts = {
      {"first", module("First", "return torch.conv1d(x, self.w)", {{"w", numbers({1, 4, 3}, 3)}})}};
  const Given pairs = given(2, 3, 9);
  const auto result = scored(model(net), pairs, NonlinearRule::reveal_cancel,
                             {Output::contributions, {"first"}, {0}});
  const auto beside = [](const at::Tensor& X) { return at::tanh(X.select(-2, 0).sum(-1)); };
  const at::Tensor missing = beside(pairs.X).unsqueeze(1) - beside(pairs.references);
  CHECK(distance(result.layer_deltas[0].squeeze(-1), -missing) < 1e-12);
  CHECK(worst(missing) > 1e-3);
}

TEST_CASE("a layer whose rows are not the sequences is refused", "[deep_lift][layers]") {
  const Given pairs = given(2, 3, 9);
  const auto failure = [&](const std::string& body, const std::string& inner) {
    Part net;
    net.source = "def forward(self, x: Tensor):\n" + indented(body);
    net.parameters = {{"dtype_", numbers({1}, 0)}};
    net.parts = {{"inner", module("Inner", inner)}};
    return error_of([&] {
      scored(model(net), pairs, NonlinearRule::reveal_cancel,
             {Output::contributions, {"inner"}, {0}});
    });
  };
  const std::string same = "return x * 2.0";
  CHECK(failure("return self.inner.forward(x.flatten(0, 1)).view(x.size(0), -1)", same)
            .find("layer: The output of a layer does not have one row for each sequence") == 0);
  CHECK(failure("h = self.inner.forward(x.permute(2, 1, 0))\nreturn h.permute(2, 1, 0).flatten(1)",
                "return x.clone()")
            .find("layer: The output of a layer does not have one row for each sequence") == 0);
  CHECK(
      failure("return x.flatten(1)", same).find("layer: The module `inner` does not contribute") ==
      0);
  CHECK(failure("return self.inner.forward(self.inner.forward(x)).flatten(1)", same)
            .find("layer: The module `inner` is called more than once") == 0);
}

TEST_CASE("sequences that are mixed where no part tells are refused", "[deep_lift]") {
  const auto net =
      around("t = h.transpose(0, 1)\ny = (t + t.mean(1, keepdim=True)).transpose(0, 1)");
  const std::string error = error_of([&] { deep_lifted(net, given(2, 3, 9), "reveal_cancel"); });
  CHECK(error.find("batch: The model mixes the sequences of a batch") == 0);
}
