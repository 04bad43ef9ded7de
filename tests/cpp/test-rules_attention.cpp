// Fused attention, and nets with attention as genomic models write them.
#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>

#include "catch.h"
#include "core/methods/gradients.h"
#include "inputs.h"
#include "nets.h"

namespace nets {

namespace {

// Embeddings of six numbers at nine positions, in two heads.
const char* const embedded = "t = torch.matmul(h.transpose(1, 2), self.e)\n";

Tensors layer_weights() {
  return {
      {"e", numbers({4, 6}, 1)},     {"qkv_w", numbers({18, 6}, 2)}, {"qkv_b", numbers({18}, 3)},
      {"out_w", numbers({6, 6}, 4)}, {"out_b", numbers({6}, 5)},     {"g1", numbers({6}, 6)},
      {"s1", numbers({6}, 7)},       {"g2", numbers({6}, 8)},        {"s2", numbers({6}, 9)},
      {"w1", numbers({8, 6}, 10)},   {"b1", numbers({8}, 11)},       {"w2", numbers({6, 8}, 12)},
      {"b2", numbers({6}, 13)},      {"m", numbers({9, 9}, 14)},     {"p", numbers({5, 6}, 15)}};
}

// Masks of the native operations, true where something is left out. (LibTorch 1.13 itself cannot
// run the first on a processor; the rule can.)
const std::string later = "k = torch.ones([9, 9]).triu(1) > 0.0\n";
const std::string padding = "k = (torch.arange(9) > 5).unsqueeze(0).expand([h.size(0), 9])\n";
std::string encoder_layer(bool gelu, bool norm_first, const std::string& mask) {
  const auto truth = [](bool value) { return value ? std::string("True") : std::string("False"); };
  return "torch._transformer_encoder_layer_fwd(t, 6, 2, self.qkv_w, self.qkv_b, self.out_w, "
         "self.out_b, " +
         truth(gelu) + ", " + truth(norm_first) +
         ", 1e-5, self.g1, self.s1, self.g2, self.s2, self.w1, self.b1, self.w2, self.b2" + mask +
         ")\n";
}

// The same layer in single operations.
std::string layer_written_out(bool gelu, bool norm_first, const std::string& mask) {
  const std::string attend =
      "q, k, v = torch.linear(a, self.qkv_w, self.qkv_b).chunk(3, 2)\n"
      "q = q.view(q.size(0), 9, 2, 3).transpose(1, 2) / 1.7320508075688772\n"
      "k = k.view(k.size(0), 9, 2, 3).transpose(1, 2)\n"
      "v = v.view(v.size(0), 9, 2, 3).transpose(1, 2)\n"
      "s = torch.matmul(q, k.transpose(-2, -1))\n" +
      mask +
      "o = torch.matmul(torch.softmax(s, -1), v).transpose(1, 2).flatten(2)\n"
      "o = torch.linear(o, self.out_w, self.out_b)\n";
  const std::string forward = std::string("f = torch.") + (gelu ? "gelu" : "relu") +
                              "(torch.linear(a, self.w1, self.b1))\n"
                              "f = torch.linear(f, self.w2, self.b2)\n";
  const std::string norm1 = "torch.layer_norm(t, [6], self.g1, self.s1, 1e-5)\n";
  const std::string norm2 = "torch.layer_norm(t, [6], self.g2, self.s2, 1e-5)\n";
  return norm_first ? "a = " + norm1 + attend + "t = t + o\na = " + norm2 + forward + "y = t + f"
                    : "a = t\n" + attend + "t = t + o\nt = " + norm1 + "a = t\n" + forward +
                          "t = t + f\ny = " + norm2;
}

std::vector<Case> native_cases() {
  std::vector<Case> all;
  const auto attention = [&](const std::string& before, const std::string& inputs,
                             const std::string& options, const std::string& result) {
    all.push_back({"_native_multi_head_attention",
                   before + "a, b = torch._native_multi_head_attention(" + inputs +
                       ", 6, 2, self.qkv_w, self.qkv_b, self.out_w, self.out_b" + options + ")\n" +
                       result,
                   layer_weights()});
  };
  const std::string both = "y = torch.cat([a, b], 2)";
  attention(embedded, "t, t, t", "", both);
  attention(embedded, "t, t, t", ", None, False", "y = a");
  attention(embedded, "t, t, t", ", None, True, False", "y = torch.cat([b[:, 0], a, b[:, 1]], 2)");
  attention(embedded + padding, "t, t, t", ", k, True, True, 1", both);
  attention(embedded + std::string("u = torch.tanh(t)\n"), "t, u, u", "", both);
  for (const bool gelu : {false, true}) {
    for (const bool norm_first : {false, true}) {
      for (const auto& mask :
           std::vector<std::pair<std::string, std::string>>{{"", ""}, {padding, ", k, 1"}}) {
        all.push_back(
            {"_transformer_encoder_layer_fwd",
             embedded + mask.first + "y = " + encoder_layer(gelu, norm_first, mask.second),
             layer_weights()});
      }
    }
  }
  return all;
}

// Whether scaled_dot_product_attention has an argument: LibTorch 2 added them one by one.
bool takes(const std::string& argument) {
  const auto found =
      c10::Dispatcher::singleton().findSchema({"aten::scaled_dot_product_attention", ""});
  return found && found->schema().argumentIndexWithName(argument).has_value();
}

// Scaled dot products under the name and with the arguments of the LibTorch in use.
std::vector<Case> product_cases_of(const std::string& name, const std::string& weights,
                                   const std::string& result) {
  std::vector<Case> all;
  const std::string heads =
      "q, k, v = torch.linear(t, self.qkv_w, self.qkv_b).view(h.size(0), 9, 3, 2, 3)"
      ".permute([2, 0, 3, 1, 4]).unbind(0)\n";
  const auto add = [&](const std::string& before, const std::string& inputs,
                       const std::string& options) {
    all.push_back(
        {name,
         embedded + heads + before + result + " = torch." + name + "(" + inputs + options + ")",
         layer_weights()});
  };
  const std::string none = ", None, 0.0" + weights;
  const std::string masked = ", m, 0.0" + weights;
  const std::string kept = "m = self.m > -0.5\nm[:, 0] = True\n";
  const std::string constant =
      "c = self.qkv_w.view(1, 2, 9, 6)[:, :, :, :3].expand([h.size(0), 2, 9, 3])\n";
  add("", "q, k, v", none + ", False");
  add("", "q, k, v", none + ", True");
  add(kept, "q, k, v", masked + ", False");
  add("m = self.m\n", "q, k, v", masked + ", False");
  add("m = self.m.masked_fill(self.m.tril() == 0.0, float('-inf'))\n", "q, k, v",
      masked + ", False");
  add("m = q[:, :, :, :1] * torch.tanh(self.m)\n", "q, k, v", masked + ", False");
  add(constant, "c, k, v", none + ", False");
  add(constant, "q, c, v", none + ", False");
  add(constant, "q, k, c", none + ", False");
  if (result == "y" || result == "y, u") {
    // The weights do not depend on X.
    add(constant, "c, c, v", none + ", False");
  }
  add("", "q[:, :, :4], k, v", none + ", False");
  add("q, k, v = q[:, 0], k[:, 0], v[:, 1]\n", "q, k, v", none + ", False");
  return all;
}

}  // namespace

std::vector<Case> attention_cases() {
  std::vector<Case> all = native_cases();
  const auto add = [&](const std::vector<Case>& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  if (has_operation("_scaled_dot_product_attention")) {
    add(product_cases_of("_scaled_dot_product_attention", ", False", "y, u"));
    add(product_cases_of("_scaled_dot_product_attention", ", True", "u, y"));
  }
  if (has_operation("scaled_dot_product_attention")) {
    add(product_cases_of("scaled_dot_product_attention", "", "y"));
    const std::string projected = std::string(embedded) + "q = torch.linear(t, self.qkv_w)\n";
    const std::string call = "y = torch.scaled_dot_product_attention(";
    if (takes("scale")) {
      add({{"scaled_dot_product_attention", projected + call + "q, q.exp(), t, scale=0.3)",
            layer_weights()}});
    }
    if (takes("enable_gqa")) {
      add({{"scaled_dot_product_attention",
            projected +
                "q = q.view(h.size(0), 9, 6, 3).transpose(1, 2)\n"
                "k = torch.tanh(t).view(h.size(0), 9, 2, 3).transpose(1, 2)\n" +
                call + "q, k, k.exp(), enable_gqa=True)",
            layer_weights()}});
    }
  }
  return all;
}

}  // namespace nets

using namespace nets;

TEST_CASE("every fused attention keeps summation to delta and predicts as LibTorch",
          "[rules][attention]") {
  check_cases(attention_cases());
}

TEST_CASE("a fused encoder layer has the multipliers of the same layer written out",
          "[rules][attention]") {
  const Given pairs = given(3, 4, 9);
  const std::vector<std::vector<std::string>> masks{
      {"", "", ""},
      {later, ", k, 0", "s = s.masked_fill(torch.ones([9, 9]).triu(1) > 0.0, float('-inf'))\n"},
      {padding, ", k, 1", "s = s.masked_fill(torch.arange(9) > 5, float('-inf'))\n"}};
  for (const bool gelu : {false, true}) {
    for (const bool norm_first : {false, true}) {
      for (const auto& mask : masks) {
        const auto fused =
            explain(around(embedded + mask[0] + "y = " + encoder_layer(gelu, norm_first, mask[1]),
                           layer_weights()),
                    pairs);
        const auto steps = explain(
            around(embedded + layer_written_out(gelu, norm_first, mask[2]), layer_weights()),
            pairs);
        INFO(gelu << norm_first << mask[1]);
        CHECK(distance(fused.predictions, steps.predictions) < 1e-12);
        CHECK(distance(fused.values, steps.values) < 1e-10);
      }
    }
  }
}

// Two positions, one head of one number; query 0 at both, so both weights are 1/2 whatever the
// keys: the output is the mean of the values. With value = 2 x and x = (3, 1), reference (1, 2):
// multipliers 1 and 1. A key that is masked is left out: multipliers 0 and 2.
TEST_CASE("attention of one head gives the multipliers worked out by hand", "[rules][attention]") {
  const auto net = [](const std::string& mask) {
    return forward(
        "t = x[:, :1].transpose(1, 2)\n"
        "w = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)\n"
        "o = torch.ones([1, 1], dtype=torch.float64)\n" +
        mask +
        "a, b = torch._native_multi_head_attention(t, t, t, 1, 1, w, torch.zeros([3], "
        "dtype=torch.float64), o, torch.zeros([1], dtype=torch.float64), k, False, True, 0)\n"
        "return a[:, 0]");
  };
  const auto m = multipliers_by_hand(net("k = torch.zeros([2, 2]) > 0.0\n"), {3, 1}, {1, 2});
  CHECK(m[0] == Approx(1).epsilon(1e-12));
  CHECK(m[1] == Approx(1).epsilon(1e-12));
  const auto masked = multipliers_by_hand(net("k = torch.tensor([[1.0, 0.0], [1.0, 0.0]]) > 0.0\n"),
                                          {3, 1}, {1, 2});
  CHECK(masked[0] == Approx(0).margin(1e-12));
  CHECK(masked[1] == Approx(2).epsilon(1e-12));
}

TEST_CASE("attention over sequences keeps both halves", "[rules][attention]") {
  const Given pairs = given(3, 4, 9);
  CHECK(keeps_halves(
      around(embedded + std::string("y = ") + encoder_layer(true, true, ""), layer_weights()),
      pairs));
}

// The last net is fused, the others are what it stands for: the same in every method.
void check_same(const std::string& fused, const std::string& steps, const Given& pairs) {
  const ModelPointer nets[2] = {around(embedded + fused, layer_weights()),
                                around(embedded + steps, layer_weights())};
  INFO(fused);
  CHECK(distance(predicted(nets[0], pairs.X)[0], interpreted(nets[0], pairs.X)[0]) < 1e-12);
  const auto compare = [&](const std::function<at::Tensor(const ModelPointer&)>& method) {
    const at::Tensor expected = method(nets[1]);
    CHECK(expected.abs().max().item<double>() > 1e-3);
    CHECK(distance(method(nets[0]), expected) < 1e-10);
  };
  Settings peers;
  peers.module_mode = true;
  compare([&](const ModelPointer& net) { return explain(net, pairs).values; });
  compare([&](const ModelPointer& net) { return explain(net, pairs, peers).values; });
  for (const char* rule : {"rescale", "reveal_cancel", "genomics_default"}) {
    compare([&](const ModelPointer& net) { return deep_lifted(net, pairs, rule).values; });
  }
  using Relu = seqlift::GradientOptions::Relu;
  for (const Relu relu : {Relu::ordinary, Relu::guided, Relu::deconvolution}) {
    compare([&](const ModelPointer& net) {
      seqlift::Constants constants = in_double();
      seqlift::GradientOptions options;
      options.relu = relu;
      return seqlift::gradients(*graph_of(net), constants, sequences_of(pairs.X), options)
          .values[0];
    });
  }
  CHECK(audited(nets[0], pairs).size() > 5);
}

TEST_CASE("fused attention is what it stands for in every method", "[rules][attention]") {
  const Given pairs = given(2, 3, 9);
  for (const bool gelu : {false, true}) {
    for (const bool norm_first : {false, true}) {
      check_same("y = " + encoder_layer(gelu, norm_first, ""),
                 layer_written_out(gelu, norm_first, ""), pairs);
    }
  }
  check_same(
      padding + "y = " + encoder_layer(false, false, ", k, 1"),
      layer_written_out(false, false, "s = s.masked_fill(torch.arange(9) > 5, float('-inf'))\n"),
      pairs);
}

TEST_CASE("a mask that depends on X is refused as one written out is", "[rules][attention]") {
  const Given pairs = given(2, 3, 9);
  const std::string mask = "m = (h[:, 0] > 0.4).logical_and(torch.arange(9) > 0)\n";
  const auto error = [&](const std::string& lines) {
    const auto net = around(embedded + mask + lines, layer_weights());
    return error_of([&]() { explain(net, pairs); });
  };
  const std::string why = "chooses an infinite value for a sequence and a finite one";
  CHECK(error("y = " + encoder_layer(true, false, ", m, 1")).find(why) != std::string::npos);
  CHECK(error(layer_written_out(true, false,
                                "s = s.masked_fill(m.unsqueeze(1).unsqueeze(1), float('-inf'))\n"))
            .find(why) != std::string::npos);
}

// What nn.TransformerEncoder does with a mask of padding: the layers see nested tensors, and the
// result is as long as the longest sequence without its padding.
TEST_CASE("nested tensors between encoder layers are padded ones with a mask",
          "[rules][attention]") {
  const std::string layer = encoder_layer(false, true, "");
  const std::string blocked = "s = s.masked_fill(torch.arange(9) > 5, float('-inf'))\n";
  const auto twice = [](const std::string& written) { return written + "\nt = y\n" + written; };
  std::string second = layer;
  second.replace(second.find("fwd(t"), 5, "fwd(n");
  check_same(
      "k = (torch.arange(9) < 6).unsqueeze(0).expand([h.size(0), 9])\n"
      "n = torch._nested_tensor_from_mask(t, k)\nn = " +
          second + "n = " + second + "y = n.to_padded_tensor(0.0)",
      twice(layer_written_out(false, true, blocked)) + "\ny = y[:, :6]", given(2, 3, 9));
}

TEST_CASE("attention with weights that depend on X is refused", "[rules][attention]") {
  const Given pairs = given(2, 3, 9);
  std::string lines = embedded + padding + "d = self.w1 * h[0, 0, 0]\n" +
                      "y = " + encoder_layer(true, false, ", k, 1");
  lines.replace(lines.rfind("self.w1"), 7, "d");
  // Those of one sequence would be the weights of all.
  const auto net = around(lines, layer_weights());
  CHECK(error_of([&]() { predicted(net, pairs.X); }).find("batch: ") == 0);
}

// The fast path of nn.MultiheadAttention asks whether gradients are recorded.
TEST_CASE("code that asks about the run is explained by the branch that predicts",
          "[graph][attention]") {
  const Given pairs = given(2, 3, 9);
  for (const char* question :
       {"torch.is_grad_enabled()", "h.requires_grad", "not h.is_leaf", "h.retains_grad",
        "torch.is_grad_enabled() and h.requires_grad", "torch.is_autocast_enabled()"}) {
    INFO(question);
    const auto net =
        around(std::string("if ") + question + ":\n    y = h * 2.0\nelse:\n    y = torch.tanh(h)");
    const at::Tensor expected = interpreted(net, pairs.X)[0];
    CHECK(distance(predicted(net, pairs.X)[0], expected) < 1e-12);
    const Explained result = explain(net, pairs);
    CHECK(distance(result.predictions.view({-1}), expected.view({-1})) < 1e-12);
    CHECK(worst_delta(result) < 1e-9);
    const auto steps = audited(net, pairs);
    CHECK(std::any_of(steps.begin(), steps.end(),
                      [](const auto& step) { return step.operation == "tanh"; }));
    seqlift::Constants constants = in_double();
    const auto gradients = seqlift::gradients(*graph_of(net), constants, sequences_of(pairs.X), {});
    CHECK(distance(gradients.predictions.view({-1}), expected.view({-1})) < 1e-12);
  }
}

// Nets in the style of published models, in single operations: what their authors wrote.

namespace {

Tensors genomic_weights() {
  return {{"e", numbers({4, 6}, 1)},
          {"wq", numbers({6, 6}, 2)},
          {"wk", numbers({6, 6}, 3)},
          {"wv", numbers({6, 6}, 4)},
          {"wo", numbers({6, 6}, 5)},
          {"r", numbers({17, 6}, 6)},
          {"u", numbers({2, 1, 3}, 7)},
          {"w", numbers({2, 1, 3}, 8)},
          {"g", numbers({6}, 9)},
          {"s", numbers({6}, 10)},
          {"w1", numbers({12, 6}, 11)},
          {"w2", numbers({6, 12}, 12)},
          {"pool", numbers({4, 4, 1}, 13)},
          {"c1", numbers({6, 4, 5}, 14)},
          {"c2", numbers({6, 6, 3}, 15)},
          {"mean", numbers({6}, 16)},
          {"var", numbers({6}, 17, 0.5, 1.5)},
          {"d1", numbers({3, 6}, 18)},
          {"d2", numbers({6, 3}, 19)},
          {"gate", numbers({8, 6}, 20)},
          {"up", numbers({8, 6}, 21)},
          {"down", numbers({6, 8}, 22)}};
}

// Enformer (Avsec 2021): keys of relative positions with a bias of content and one of position, the
// shift of Transformer-XL, residuals, layer norms before each part.
const char* const relative_attention =
    "t = torch.matmul(h.transpose(1, 2), self.e)\n"
    "a = torch.layer_norm(t, [6], self.g, self.s)\n"
    "q = (torch.matmul(a, self.wq) / 1.73).view(-1, 9, 2, 3).transpose(1, 2)\n"
    "k = torch.matmul(a, self.wk).view(-1, 9, 2, 3).transpose(1, 2)\n"
    "v = torch.matmul(a, self.wv).view(-1, 9, 2, 3).transpose(1, 2)\n"
    "p = self.r.view(17, 2, 3).transpose(0, 1)\n"
    "content = torch.einsum('bhid,bhjd->bhij', [q + self.u, k])\n"
    "place = torch.einsum('bhid,hjd->bhij', [q + self.w, p])\n"
    "place = torch.cat([torch.zeros_like(place[:, :, :, :1]), place], 3)\n"
    "place = place.reshape(-1, 2, 18, 9)[:, :, 1:, :].reshape(-1, 2, 9, 17)[:, :, :, :9]\n"
    "o = torch.einsum('bhij,bhjd->bhid', [torch.softmax(content + place, -1), v])\n"
    "t = t + torch.matmul(o.transpose(1, 2).reshape(-1, 9, 6), self.wo)\n"
    "f = torch.linear(torch.layer_norm(t, [6], self.g, self.s), self.w1)\n"
    "y = t + torch.linear(torch.relu(f), self.w2)";

// Enformer's pooling: a softmax over each window of two weighs its positions.
const char* const attention_pooling =
    "x2 = torch.constant_pad_nd(h, [0, 1], 0.0).reshape(-1, 4, 5, 2)\n"
    "l = torch.conv1d(h, self.pool)\n"
    "l = torch.constant_pad_nd(l, [0, 1], 0.0).reshape(-1, 4, 5, 2)\n"
    "m = (torch.arange(10) > 8).view(5, 2)\n"
    "l = l.masked_fill(m, -1.7976931348623157e308)\n"
    "y = (x2 * torch.softmax(l, -1)).sum(-1)";

const char* const sigmoid_gelu =
    "a = torch.conv1d(h, self.c1, None, 1, 2)\na = torch.sigmoid(1.702 * a) * a\n"
    "y = a + torch.conv1d(a * torch.sigmoid(1.702 * a), self.c2, None, 1, 1)";

// Borzoi (Linder 2025): batch norm, GELU, convolution, max-pooling; then up again with skips.
const char* const tower_with_skips =
    "a = torch.conv1d(h, self.c1, None, 1, 2)\n"
    "b = torch.gelu(torch.batch_norm(a, self.g, self.s, self.mean, self.var, False, 0.1, 1e-3, "
    "False), approximate='tanh')\n"
    "b = torch.max_pool1d(torch.conv1d(b, self.c2, None, 1, 1), 2)\n"
    "z = torch.repeat_interleave(b, 2, 2)\n"
    "y = torch.gelu(a[:, :, :8]) + torch.conv1d(z, self.c2, None, 1, 1)";

const char* const squeeze_and_excite =
    "a = torch.conv1d(h, self.c1, None, 1, 2)\n"
    "z = torch.silu(torch.linear(a.mean(2), self.d1))\n"
    "y = a * torch.sigmoid(torch.linear(z, self.d2)).unsqueeze(2)";

const char* const swiglu =
    "t = torch.matmul(h.transpose(1, 2), self.e)\n"
    "n = t * torch.rsqrt((t * t).mean(-1, keepdim=True) + 1e-6) * self.g\n"
    "y = t + torch.linear(torch.silu(torch.linear(n, self.gate)) * torch.linear(n, self.up), "
    "self.down)";

const char* const rotary_attention =
    "t = torch.matmul(h.transpose(1, 2), self.e)\n"
    "q = torch.matmul(t, self.wq)\nk = torch.matmul(t, self.wk)\n"
    "p = torch.arange(9).double().unsqueeze(1) * torch.tensor([[1.0, 0.1, 0.01]])\n"
    "cs = torch.cat([p, p], 1).cos()\nsn = torch.cat([p, p], 1).sin()\n"
    "q = q * cs + torch.cat([-q[:, :, 3:], q[:, :, :3]], 2) * sn\n"
    "k = k * cs + torch.cat([-k[:, :, 3:], k[:, :, :3]], 2) * sn\n"
    "y = torch.matmul(torch.softmax(torch.matmul(q, k.transpose(1, 2)) / 2.4, -1), "
    "torch.matmul(t, self.wv))";

}  // namespace

TEST_CASE("nets in the style of genomic models keep summation to delta", "[rules][attention]") {
  const Given pairs = given(3, 4, 9);
  for (const char* lines : {relative_attention, attention_pooling, sigmoid_gelu, tower_with_skips,
                            squeeze_and_excite, swiglu, rotary_attention}) {
    const Case made{"net", lines, genomic_weights()};
    CHECK(check_case(made, pairs) > 1e-3);
    INFO(lines);
    CHECK(keeps_halves(around(lines, genomic_weights()), pairs));
  }
}
