// The rules of the DeepLIFT package: answers worked out by hand, sums that must hold for every
// operation, and independence of how a model is written.

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

// x and references of two numbers each, the first two positions of the first channel.
at::Tensor row_of(const ModelPointer& net, const Given& pair, const std::string& rule,
                  const std::string& output) {
  Settings settings;
  settings.output = output;
  return deep_lifted(net, pair, rule, settings).values[0][0][0].squeeze(-1);
}

// Numbers that are no sequences: differences of both signs, and some that are zero.
Given uneven(int64_t n, int64_t r, int64_t length) {
  Given pairs;
  pairs.X = numbers({n, 4, length}, 1);
  pairs.references = numbers({n, r, 4, length}, 2);
  pairs.references.select(3, 1).copy_(pairs.X.unsqueeze(1).select(3, 1).expand({n, r, 4}));
  return pairs;
}

ModelPointer conv_and_dense() {
  return forward(
      "h = torch.relu(torch.conv1d(x, self.a, self.b, padding=1))\n"
      "h = torch.relu(torch.conv1d(h, self.c, self.d))\n"
      "h = torch.relu(torch.linear(h.flatten(1), self.e, self.f))\n"
      "return torch.linear(h, self.g, self.i)",
      {{"a", numbers({5, 4, 3}, 3)},
       {"b", numbers({5}, 4)},
       {"c", numbers({4, 5, 2}, 5)},
       {"d", numbers({4}, 6)},
       {"e", numbers({6, 32}, 7)},
       {"f", numbers({6}, 8)},
       {"g", numbers({2, 6}, 9)},
       {"i", numbers({2}, 10)}});
}

}  // namespace

// Shrikumar 2017, section 3.4 and figure 2: min(x1, x2) = x1 - relu(x1 - x2). Above a reference of
// zero both inputs are needed for the minimum; Rescale credits the smaller one alone.
TEST_CASE("RevealCancel shares a minimum evenly where Rescale does not", "[reveal_cancel]") {
  const auto net = forward("a = x[:, 0, 0:1]\nreturn a - torch.relu(a - x[:, 0, 1:2])");
  for (const double first : {3.0, 0.5}) {
    const Given pair = by_hand({first, 1.0}, {0, 0});
    const double least = std::min(first, 1.0);
    const at::Tensor even = row_of(net, pair, "reveal_cancel", "contributions");
    CHECK(even[0].item<double>() == Approx(least / 2));
    CHECK(even[1].item<double>() == Approx(least / 2));
    const at::Tensor uneven = row_of(net, pair, "rescale", "contributions");
    CHECK(uneven[0].item<double>() == Approx(first > 1 ? 0.0 : 0.5));
    CHECK(uneven[0].item<double>() + uneven[1].item<double>() == Approx(least));
    CHECK(std::abs(uneven[0].item<double>() - uneven[1].item<double>()) > 0.4);
  }
}

// relu(x1 - x2) from (1, 1) to (4, 3): d+ = 3, d- = -2, f(r + d+) = 3, f(r + d-) = 0, f(x) = 1, so
// y+ = (3 + 1) / 2 = 2 and y- = (0 - 2) / 2 = -1. A third input that does not differ gets its
// weight times the mean of 2/3 and 1/2.
TEST_CASE("both parts of a difference have the multiplier of their own effect", "[reveal_cancel]") {
  const auto net = forward("return torch.relu(torch.matmul(x[:, 0], self.w))",
                           {{"w", vector_of({1, -1, 2, 1}).unsqueeze(1)}});
  const Given pair = by_hand({4, 3, 0, 0}, {1, 1, 0, 0});
  const at::Tensor m = row_of(net, pair, "reveal_cancel", "multipliers");
  CHECK(m[0].item<double>() == Approx(2.0 / 3));
  CHECK(m[1].item<double>() == Approx(-1.0 / 2));
  CHECK(m[2].item<double>() == Approx(2 * (2.0 / 3 + 1.0 / 2) / 2));
  const at::Tensor positive = row_of(net, pair, "reveal_cancel", "positive_multipliers");
  const at::Tensor negative = row_of(net, pair, "reveal_cancel", "negative_multipliers");
  // A fall of the first input lowers the unit, a fall of the second raises it.
  CHECK(positive[0].item<double>() == Approx(2.0 / 3));
  CHECK(negative[0].item<double>() == Approx(1.0 / 2));
  CHECK(positive[1].item<double>() == Approx(-1.0 / 2));
  CHECK(negative[1].item<double>() == Approx(-2.0 / 3));
}

TEST_CASE("a difference of two inputs is shared out the same however it is written",
          "[reveal_cancel]") {
  const Tensors constants{{"column", vector_of({1, -1, 0.5, -2}).unsqueeze(1)},
                          {"kernel", vector_of({1, -1, 0.5, -2}).view({1, 1, 4})},
                          {"back", vector_of({-2, 0.5, -1, 1}).view({1, 1, 4})},
                          {"scale", vector_of({1, -1, 0.5, -2})},
                          {"over", vector_of({1, -1, 2, -0.5})},
                          {"bias", vector_of({0.2})},
                          {"zero", vector_of({0, 0, 0, 0})},
                          {"one", vector_of({1, 1, 1, 1})}};
  const std::string parts =
      "a = h[:, 0:1]\nb = h[:, 1:2]\nc = h[:, 2:3] * 0.5\nd = h[:, 3:4] * 2.0\n";
  const std::vector<std::string> ways{
      parts + "z = a - b + c - d + 0.2",
      parts + "z = torch.add(a, b, alpha=-1) + torch.sub(c, d) + 0.2",
      parts + "z = torch.rsub(b, a) + torch.neg(d - c) + 0.2",
      parts + "z = torch.sub(a + 0.2, torch.add(b, d)) - (-2.0) * torch.sub(0.25 * c, -0.25 * c)",
      "z = torch.addmm(self.bias, h, self.column)",
      "z = torch.linear(h, self.column.t(), self.bias)",
      "z = torch.einsum('ij,jk->ik', [h, self.column]) + self.bias",
      "z = torch.matmul(h, self.column) + self.bias",
      "z = torch.conv1d(h.unsqueeze(1), self.kernel, self.bias).squeeze(1)",
      "z = torch.conv_transpose1d(h.unsqueeze(1), self.back, self.bias, 1, [3]).squeeze(1)[:, 0:1]",
      "z = (h * self.scale).sum(1, keepdim=True) + self.bias",
      "z = self.bias + (h / self.over).cumsum(1)[:, 3:4]",
      "z = torch.batch_norm(h, self.scale, self.zero, self.zero, self.one, False, 0.1, 0.0, False)"
      ".mean(1, keepdim=True) * 4.0 + 0.2",
      "v = torch.zeros_like(h)\nv[:, :] = h\nv.mul_(self.scale)\nz = v.sum(1, keepdim=True) + 0.2",
  };
  Given pairs = uneven(3, 2, 4);
  for (const std::string rule : {"rescale", "reveal_cancel"}) {
    for (const std::string output : {"multipliers", "positive_multipliers"}) {
      Settings settings;
      settings.output = output;
      at::Tensor first;
      for (const std::string& way : ways) {
        INFO(rule << " " << output << ": " << way);
        const auto net =
            forward("h = x[:, 0]\n" + way + "\nreturn torch.relu(z) - torch.sigmoid(z)", constants);
        const at::Tensor m = deep_lifted(net, pairs, rule, settings).values;
        if (!first.defined()) {
          first = m;
        }
        CHECK(distance(m, first) < 1e-7);
      }
    }
  }
}

// b - a = 7 with b = 4, a = -3 against zero: what raises it is one part, whichever way its two
// terms went, and relu(b - a - 5) = 2 is shared out by the terms.
TEST_CASE("linear operations with factors of both signs split their result by its sign",
          "[reveal_cancel]") {
  const Tensors constants{{"m", at::tensor({1, 0, 1, 1}, at::kDouble).view({2, 2})}};
  const Given pair = by_hand({-3, 4}, {0, 0});
  for (const std::string way :
       {"z = p[:, 1:2] - p[:, 0:1]", "z = torch.diff(p, 1, 1)",
        "z = torch.gradient(p, dim=[1])[0][:, 0:1]",
        "z = torch.linalg_solve(self.m, p.unsqueeze(2))[:, 1]",
        "z = torch.linalg_solve_triangular(self.m, p.unsqueeze(2), upper=False)[:, 1]",
        "z = torch.triangular_solve(p.unsqueeze(2), self.m, False)[0][:, 1]",
        "z = torch.index_add(p[:, 1:2], 1, torch.arange(1), p[:, 0:1], alpha=-1)"}) {
    INFO(way);
    const auto net =
        forward("p = x[:, 0, 0:2]\n" + way + "\nreturn torch.relu(z - 5.0)", constants);
    const at::Tensor shares = row_of(net, pair, "reveal_cancel", "contributions");
    CHECK(shares[0].item<double>() == Approx(6.0 / 7));
    CHECK(shares[1].item<double>() == Approx(8.0 / 7));
  }
}

// A difference that is not split by the signs of factors has one multiplier for both of its parts.
TEST_CASE("cubic interpolation has factors of both signs, linear interpolation has none",
          "[reveal_cancel]") {
  const Given pairs = given(2, 2, 9);
  const Tensors constants{{"g", numbers({1, 1, 5, 2}, 3)}};
  const std::string grid = "self.g.expand([h.size(0), 1, 5, 2])";
  const auto apart = [&](const std::string& lines) {
    const auto net = around_x(lines + "\ny = torch.tanh(y)", constants);
    Settings settings;
    settings.output = "positive_multipliers";
    const Explained positive = deep_lifted(net, pairs, "reveal_cancel", settings);
    CHECK(worst_delta(deep_lifted(net, pairs, "reveal_cancel")) < 1e-10);
    settings.output = "negative_multipliers";
    return distance(positive.values, deep_lifted(net, pairs, "reveal_cancel", settings).values);
  };
  const std::string image = "h.unsqueeze(2)";
  for (const std::string& cubic :
       {"y = torch.upsample_bicubic2d(" + image + ", [2, 18], False)",
        "y = torch._upsample_bicubic2d_aa(" + image + ", [2, 18], False, None)",
        "y = torch.grid_sampler(" + image + ", " + grid + ", 2, 0, False)",
        std::string(
            "y = torch.affine_grid_generator(h[:, 0:2, 0:3], [h.size(0), 1, 2, 2], False)")}) {
    INFO(cubic);
    CHECK(apart(cubic) < 1e-12);
  }
  for (const std::string& linear :
       {"y = torch.upsample_bilinear2d(" + image + ", [2, 18], False)",
        "y = torch.grid_sampler(" + image + ", " + grid + ", 0, 0, False)"}) {
    INFO(linear);
    CHECK(apart(linear) > 1e-6);
  }
}

// tests/layers/test_dense.py, test_conv1d.py, test_pool1d.py and test_concat.py of deeplift 0.6.13.
TEST_CASE("multipliers are the numbers in the DeepLIFT package's own tests", "[reveal_cancel]") {
  const auto rows = [](const std::vector<std::vector<double>>& channels) {
    at::Tensor x = at::zeros({1, 4, 4}, at::kDouble);
    for (size_t c = 0; c < channels.size(); ++c) {
      x[0][static_cast<int64_t>(c)].copy_(vector_of(channels[c]));
    }
    return x;
  };
  const at::Tensor zero = at::zeros({1, 1, 4, 4}, at::kDouble);
  const auto check = [&](const ModelPointer& net, const at::Tensor& x, const std::string& rule,
                         const at::Tensor& expected) {
    const at::Tensor m = deep_lifted(net, {x, zero, {}}, rule).values[0].squeeze(-1);
    CHECK(distance(m.narrow(1, 0, 2), expected.narrow(1, 0, 2)) < 1e-7);
  };
  for (const std::string rule : {"rescale", "genomics_default", "reveal_cancel"}) {
    INFO(rule);
    const Tensors kernel{
        {"w", at::tensor({-2, -1, 0, 1, 2, 1, 0, -1}, at::kDouble).view({2, 2, 2})},
        {"b", vector_of({-1, 1})}};
    const at::Tensor first = rows({{-8, -7, -6, -5}, {-4, -3, -2, -1}});
    const at::Tensor second = rows({{0, 1, 2, 3}, {4, 5, 6, 7}});
    for (const at::Tensor& x : {first, second}) {
      const std::string end = ")\nreturn 1.0 + (h[:, 0] - h[:, 1]).sum(1, keepdim=True)";
      const auto conv = "h = torch.conv1d(x[:, 0:2], self.w, self.b";
      check(forward(conv + end, kernel), x, rule, rows({{-4, -6, -6, -2}, {0, 2, 2, 2}}));
      check(forward(conv + (", [2]" + end), kernel), x, rule,
            rows({{-4, -2, -4, -2}, {0, 2, 0, 2}}));
    }
    const std::string end = "\nreturn 1.0 + (2.0 * h[:, 0] + 3.0 * h[:, 1]).sum(1, keepdim=True)";
    const at::Tensor x = rows({{0, 1, 4, 3}, {3, 2, 1, 0}});
    check(forward("h = torch.max_pool1d(x, [2], [1])" + end), x, rule,
          rows({{0, 2, 4, 0}, {3, 3, 3, 0}}));
    check(forward("h = torch.avg_pool1d(x, [2], [1])" + end), x, rule,
          rows({{1, 2, 2, 1}, {1.5, 3, 3, 1.5}}));
    check(
        forward("h = torch.cat([x[:, 0], 2.0 * x[:, 1]], 1)\nreturn 1.0 + h.sum(1, keepdim=True)"),
        x, rule, rows({{1, 1, 1, 1}, {2, 2, 2, 2}}));
  }
  const Tensors dense{{"w", at::tensor({1, 2, 3, 4, -1, -2, -3, -4}, at::kDouble).view({2, 4})},
                      {"b", vector_of({-1, 1})}};
  const auto net = forward("return torch.relu(torch.linear(x[:, 0], self.w, self.b))", dense);
  Settings settings;
  settings.targets = {0, 1};
  for (const double level : {1.0, 2.0}) {
    const Given pair{rows({{level, level, level, level}}), zero, {}};
    const at::Tensor m = deep_lifted(net, pair, "rescale", settings).values[0][0][0];
    const at::Tensor expected = vector_of({1, 2, 3, 4});
    const double up = level == 1.0 ? 0.9 : 0.95;
    CHECK(distance(m.select(1, 0), up * expected) < 1e-12);
    CHECK(distance(m.select(1, 1), (up - 1) * expected) < 1e-12);
  }
}

TEST_CASE("the rules of the DeepLIFT package keep summation to delta", "[reveal_cancel]") {
  const auto net = conv_and_dense();
  Settings settings;
  settings.targets = {1, 0};
  for (const Given& pairs : {given(3, 4, 9), uneven(3, 4, 9)}) {
    for (const std::string rule : {"rescale", "reveal_cancel", "genomics_default"}) {
      INFO(rule);
      const Explained result = deep_lifted(net, pairs, rule, settings);
      CHECK(worst_delta(result) < 1e-10);
      CHECK(largest_change(result) > 0.1);
      CHECK(distance(result.predictions, interpreted(net, pairs.X)[0].flip({1})) < 1e-12);
    }
  }
}

TEST_CASE("Rescale on parts is DeepLIFT/SHAP", "[reveal_cancel]") {
  const auto net = conv_and_dense();
  const Given pairs = given(3, 4, 9);
  const at::Tensor expected = explain(net, pairs).values;
  CHECK(distance(deep_lifted(net, pairs, "rescale").values, expected) < 1e-10);
  CHECK(distance(deep_lifted(net, pairs, "reveal_cancel").values, expected) > 1e-2);
}

TEST_CASE(
    "the genomics default takes Rescale behind convolutions, RevealCancel behind dense layers",
    "[reveal_cancel]") {
  const Tensors weights{{"a", numbers({5, 4, 3}, 3)},     {"b", numbers({6, 36}, 4)},
                        {"v", numbers({5}, 5, 0.5, 1.5)}, {"m", numbers({5}, 6)},
                        {"u", numbers({6}, 7, 0.5, 1.5)}, {"k", numbers({6}, 8)},
                        {"c", numbers({36}, 9)}};
  const std::string end = "\nreturn (h * torch.arange(1, 7)).sum(1, keepdim=True)";
  const std::string end_conv = "\nreturn (h.flatten(1) * torch.arange(1, 46)).sum(1, keepdim=True)";
  const std::string dense = "h = torch.linear(x.flatten(1), self.b)\n";
  const std::string conv = "h = torch.conv1d(x, self.a, padding=1)\n";
  const std::vector<std::string> like_reveal_cancel{
      dense + "h = torch.relu(h)" + end,
      dense +
          "h = torch.batch_norm(h, self.k, None, self.u, self.u, False, 0.1, 1e-3, False)\n"
          "h = torch.relu(torch.dropout(h.clone(), 0.5, False))" +
          end,
      "h = torch.relu(torch.linear(x.flatten(1), self.b).unsqueeze(1).squeeze(1) + self.k)" + end,
      "p = torch.linear(x.flatten(1), self.b).chunk(2, 1)\nh = torch.cat([p[1], p[0]], "
      "1).sigmoid()" +
          end};
  const std::vector<std::string> like_rescale{
      conv + "h = torch.relu(h)" + end_conv,
      conv +
          "h = torch.tanh(torch.batch_norm(h, self.m, None, self.v, self.v, False, 0.1, 1e-3, "
          "False) + 0.5)" +
          end_conv,
      conv + "h = torch.relu(h.flatten(1) * 2.0)" + end_conv};
  const Given pairs = given(2, 3, 9);
  const auto compare = [&](const std::string& lines, const std::string& same,
                           const std::string& other) {
    INFO(lines);
    const auto net = forward(lines, weights);
    const at::Tensor m = deep_lifted(net, pairs, "genomics_default").values;
    CHECK(distance(m, deep_lifted(net, pairs, same).values) == 0);
    CHECK(distance(m, deep_lifted(net, pairs, other).values) > 1e-3);
  };
  for (const std::string& lines : like_reveal_cancel) {
    compare(lines, "reveal_cancel", "rescale");
  }
  for (const std::string& lines : like_rescale) {
    compare(lines, "rescale", "reveal_cancel");
  }
  const auto bare = forward("return torch.tanh(x).sum(2)");
  CHECK(error_of([&] {
          deep_lifted(bare, pairs, "genomics_default");
        }).find("unsupported_operation: The operation aten::tanh") == 0);
}

TEST_CASE("every operation keeps the sum with RevealCancel or is refused by name",
          "[reveal_cancel]") {
  const Given pairs = given(2, 2, 9);
  int kept = 0;
  int refused = 0;
  for (const auto& some : {linear_cases(), convolution_cases(), elementwise_cases(),
                           product_cases(), max_cases(), softmax_cases(), normalisation_cases()}) {
    for (const Case& one : some) {
      INFO(one.op << ": " << one.lines);
      // A unit that can cancel on top, so that both parts of the operation's result count.
      const auto net = around(one.lines + "\ny = torch.tanh(y)", one.parameters);
      try {
        const Explained result = deep_lifted(net, pairs, "reveal_cancel");
        const double worst = worst_delta(result);
        CHECK(worst < 1e-10);
        kept += 1;
      } catch (const std::exception& error) {
        const std::string message = error.what();
        CHECK(message.find("RevealCancel") != std::string::npos);
        refused += 1;
      }
    }
  }
  CHECK(kept > 300);
  CHECK(refused < 40);
}

TEST_CASE("what has no meaning with RevealCancel is refused by name", "[reveal_cancel]") {
  const Given pairs = given(2, 2, 9);
  const std::vector<std::pair<std::string, std::string>> refused{
      {"y = torch.where(h > 0, h, h * 0.1)", "aten::gt"},
      {"y = torch.mode(h, 2)[0]", "aten::mode"},
      {"y = h.permute(2, 0, 1)\ny = torch.tanh(y).permute(1, 2, 0)", "aten::tanh"},
      {"y = h.to(torch.long) * h", "aten::to"}};
  for (const auto& one : refused) {
    INFO(one.first);
    const std::string error =
        error_of([&] { deep_lifted(around(one.first), pairs, "reveal_cancel"); });
    CHECK(error.find("unsupported_operation: The operation " + one.second) == 0);
  }
  // What mixes the sequences is refused before any rule is asked.
  const std::string mixes = error_of(
      [&] { deep_lifted(around("y = h - h.mean(0, keepdim=True)"), pairs, "reveal_cancel"); });
  CHECK(mixes.find("batch: ") == 0);
}

TEST_CASE("RevealCancel's results do not depend on batch size, threads or number type",
          "[reveal_cancel]") {
  const auto net = conv_and_dense();
  const Given pairs = given(3, 5, 9);
  Settings settings;
  settings.targets = {0, 1};
  const Explained whole = deep_lifted(net, pairs, "genomics_default", settings);
  for (const int64_t batch_size : {1, 2, 7}) {
    for (const int threads : {1, 2}) {
      settings.batch_size = batch_size;
      settings.threads = threads;
      const Explained part = deep_lifted(net, pairs, "genomics_default", settings);
      CHECK(distance(part.values, whole.values) < 1e-12);
      CHECK(distance(part.deltas, whole.deltas) < 1e-12);
    }
  }
  settings.dtype = at::kFloat;
  const Explained single = deep_lifted(net, pairs, "genomics_default", settings);
  CHECK(distance(single.predictions, whole.predictions) < 1e-4);
  CHECK(worst_delta(single) < 1e-4);
}

TEST_CASE("further inputs and further channels are the same for a sequence and its references",
          "[reveal_cancel]") {
  Part part;
  part.source =
      "def forward(self, x: Tensor, control: Tensor):\n"
      "    h = torch.relu(torch.conv1d(x, self.a, self.b) * control.unsqueeze(2) - 0.1)\n"
      "    h = torch.tanh(torch.linear(h.flatten(1), self.c) + control)\n"
      "    return h.sum(1, keepdim=True)\n";
  part.parameters = {
      {"a", numbers({3, 4, 3}, 3)}, {"b", numbers({3}, 4)}, {"c", numbers({3, 21}, 5)}};
  Given pairs = given(2, 3, 9);
  pairs.args = {numbers({2, 3}, 6)};
  for (const std::string rule : {"reveal_cancel", "genomics_default"}) {
    const Explained result = deep_lifted(model(part), pairs, rule);
    CHECK(worst_delta(result) < 1e-10);
    CHECK(largest_change(result) > 1e-2);
  }
}
