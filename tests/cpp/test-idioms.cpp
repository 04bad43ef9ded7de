// The idioms of public architectures, each as a net of its own: how they flatten, go through 2-d
// layers, treat the other strand, attend, scan, gate and name their heads. Every net predicts what
// its own run gives (1, 3 and 33 sequences, float32 and float64), keeps summation to delta, has
// the same mutagenesis in windows as whole, and LibTorch's own gradient.

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/api/module.h>

#include <cmath>

#include "catch.h"
#include "core/evaluate/evaluation.h"
#include "core/methods/gradients.h"
#include "core/model/model.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"
#include "edited.h"
#include "inputs.h"
#include "own_run.h"

using namespace nets;

namespace {

struct Idiom {
  const char* name;
  std::string body;  // of forward(x), x [n, 4, 16]
  Tensors parameters = {};
};

constexpr int64_t idiom_length = 16;

Tensors convolution_of(const std::string& name, int64_t out, int64_t in, int64_t width) {
  const double size = 1 / std::sqrt(static_cast<double>(in * width));
  return {{name, numbers({out, in, width}, out * 100 + width, -size, size)},
          {name + "_b", numbers({out}, out + 7, -0.2, 0.2)}};
}

Tensors joined(const std::vector<Tensors>& all) {
  Tensors result;
  for (const Tensors& some : all) {
    result.insert(result.end(), some.begin(), some.end());
  }
  return result;
}

const char* const stem = "h = torch.relu(torch.conv1d(x, self.c, self.c_b, padding=1))\n";

// A convolution of eight channels, then `lines`, and what they need besides.
Idiom after_stem(const char* name, const std::string& lines, const Tensors& more = {}) {
  return {name, stem + lines, joined({convolution_of("c", 8, 4, 3), more})};
}

// h [n, 8, 16] through an attention of two heads that `lines` make of q, k, v [n, 2, 16, 4].
Idiom attending(const char* name, const std::string& lines, const Tensors& more = {}) {
  const std::string heads = ".view(n, 16, 2, 4).transpose(1, 2)\n";
  return after_stem(name,
                    "n = h.size(0)\nt = h.transpose(1, 2)\nq = torch.matmul(t, self.q)" + heads +
                        "k = torch.matmul(t, self.k)" + heads + "v = torch.matmul(t, self.v)" +
                        heads + lines +
                        "o = o.transpose(1, 2).reshape(n, 16, 8) + t\n"
                        "return torch.matmul(o.mean(1), self.last)",
                    joined({{{"q", numbers({8, 8}, 1, -0.5, 0.5)},
                             {"k", numbers({8, 8}, 2, -0.5, 0.5)},
                             {"v", numbers({8, 8}, 3, -0.5, 0.5)},
                             {"last", numbers({8, 2}, 4)}},
                            more}));
}

std::vector<Idiom> flattened() {
  const std::string pool = "p = torch.max_pool1d(h, [4], [4])\n";
  const Tensors last{{"last", numbers({32, 2}, 5)}};
  return {
      after_stem("view", pool + "return torch.matmul(p.view(p.size(0), -1), self.last)", last),
      after_stem("view of -1 rows", pool + "return torch.matmul(p.view(-1, 32), self.last)", last),
      after_stem("reshape", pool + "return torch.matmul(p.reshape(p.size(0), 32), self.last)",
                 last),
      after_stem("flatten", pool + "return torch.matmul(torch.flatten(p, 1), self.last)", last),
      after_stem("flatten, channels last",
                 pool + "return torch.matmul(p.transpose(1, 2).contiguous().view(-1, 32), "
                        "self.last)",
                 last),
      after_stem(
          "squeeze and excitation",
          "b = h.size(0)\ns = h.view(b, 8, -1).mean(dim=2)\n"
          "s = torch.sigmoid(torch.matmul(torch.silu(torch.matmul(s, self.u)), self.d))\n"
          "return torch.matmul((h * s.view(b, 8, 1)).mean(2), self.last)",
          {{"u", numbers({8, 2}, 1)}, {"d", numbers({2, 8}, 2)}, {"last", numbers({8, 2}, 3)}}),
  };
}

std::vector<Idiom> two_dimensional() {
  return {
      {"a row of height one",
       "h = x.unsqueeze(2)\nh = torch.relu(torch.conv2d(h, self.a.unsqueeze(2), self.a_b))\n"
       "h = torch.max_pool2d(h, [1, 2], [1, 2]).squeeze(2)\n"
       "return torch.matmul(h.view(h.size(0), -1), self.last)",
       joined({convolution_of("a", 6, 4, 3), {{"last", numbers({42, 2}, 6)}}})},
      {"a column of width one",
       "h = x.unsqueeze(3)\n"
       "h = torch.relu(torch.conv2d(h, self.a.unsqueeze(3), self.a_b, padding=[1, 0]))\n"
       "h = torch.avg_pool2d(h, [4, 1], [4, 1])\nh = torch.squeeze(h, 3)\n"
       "return torch.matmul(h.reshape(h.size(0), -1), self.last)",
       joined({convolution_of("a", 6, 4, 3), {{"last", numbers({24, 2}, 7)}}})},
      {"letters as height",
       "h = torch.conv2d(x.unsqueeze(1), self.a.unsqueeze(1), self.a_b)\n"
       "h = torch.relu(h).squeeze(2)\nreturn torch.matmul(torch.amax(h, [2]), self.last)",
       joined({convolution_of("a", 6, 4, 5), {{"last", numbers({6, 2}, 8)}}})},
      after_stem(
          "contacts: outer sum, symmetric, upper triangle",
          "m = h.unsqueeze(3) + h.unsqueeze(2)\n"
          "m = torch.relu(torch.conv2d(m, self.a, None, padding=[1, 1]))\n"
          "m = (m + m.transpose(2, 3)) / 2.0\n"
          "i = torch.triu_indices(16, 16, 2)\nm = m[:, 0, i[0], i[1]]\n"
          "return torch.matmul(m, self.last)",
          {{"a", numbers({2, 8, 3, 3}, 9, -0.2, 0.2)}, {"last", numbers({105, 2}, 10, -0.1, 0.1)}}),
  };
}

std::vector<Idiom> strands() {
  const std::string tower = "torch.relu(torch.conv1d(#, self.c, self.c_b)).mean(2)";
  const auto of = [&](const std::string& input) {
    std::string text = tower;
    return text.replace(text.find('#'), 1, input);
  };
  const Tensors weights = joined({convolution_of("c", 8, 4, 3),
                                  {{"last", numbers({8, 2}, 11)}, {"both", numbers({16, 2}, 12)}}});
  return {
      {"mean over the strands",
       "a = torch.matmul(" + of("x") + ", self.last)\nb = torch.matmul(" +
           of("torch.flip(x, [1, 2])") + ", self.last)\nreturn (a + b) / 2.0",
       weights},
      {"maximum over the strands",
       "a = " + of("x") + "\nb = " + of("x.flip([-1, -2])") +
           "\nreturn torch.matmul(torch.maximum(a, b), self.last)",
       weights},
      {"strands side by side",
       "a = torch.conv1d(x, self.c, self.c_b, padding=1)\n"
       "b = torch.conv1d(x.flip([1, 2]), self.c, self.c_b, padding=1).flip([2])\n"
       "y = torch.softplus(torch.cat([a, b], 1))\nreturn torch.matmul(y.mean(2), self.both)",
       weights},
      {"shifted copies",
       "y = torch.matmul(" + of("x") +
           ", self.last)\nfor s in [-1, 1, 2]:\n    z = torch.roll(x, s, 2)\n    y = y + "
           "torch.matmul(" +
           of("z") + " * torch.abs(" + of("z") + "), self.last)\nreturn y / 4.0",
       weights},
      {"shifted by padding",
       "z = torch.cat([torch.zeros_like(x[:, :, 0:2]), x[:, :, :-2]], 2)\n"
       "return torch.matmul(torch.cat([" +
           of("x") + ", " + of("z") + "], 1), self.both)",
       weights},
      {"strands as rows of one batch, averaged",
       "n = x.size(0)\nz = torch.cat([x, x.flip([1, 2])], 0)\np = torch.matmul(" + of("z") +
           ", self.last)\np = torch.sigmoid(p)\nreturn (p[:n] + p[n:]) / 2.0",
       weights},
      {"strands stacked, maximum",
       "z = torch.stack([x, x.flip([1, 2])], 1).flatten(0, 1)\np = torch.matmul(" + of("z") +
           ", self.last)\nreturn p.view(-1, 2, 2).amax([1])",
       weights},
      {"equivariant channels",
       "w = torch.cat([self.c, self.c.flip([0, 1, 2])], 0)\nh = torch.conv1d(x, w, padding=1)\n"
       "k = torch.chunk(torch.relu(h), 2, 1)\nf = k[0] + torch.flip(k[1], [1])\n"
       "return torch.matmul(f.amax([2]), self.last)",
       weights},
  };
}

std::vector<Idiom> attention() {
  const std::string shift =
      "c = torch.matmul(q + self.u.unsqueeze(1), k.transpose(-2, -1))\n"
      "r = torch.matmul(q + self.u2.unsqueeze(1), self.p.transpose(-2, -1))\n"
      "z = torch.zeros_like(r[:, :, :, 0:1])\nr = torch.cat([z, r], 3)\n"
      "r = r.reshape(n, 2, 32, 16)[:, :, 1:, :].reshape(n, 2, 16, 31)[:, :, :, 0:16]\n"
      "o = torch.matmul(torch.softmax((c + r) * 0.5, -1), v)\n";
  const std::string turned =
      "a = torch.cat([-q[:, :, :, 2:], q[:, :, :, 0:2]], 3)\n"
      "b = torch.cat([-k[:, :, :, 2:], k[:, :, :, 0:2]], 3)\n"
      "i = torch.outer(torch.arange(16).to(q.dtype), self.f)\nw = torch.cat([i, i], 1)\n"
      "q = q * w.cos() + a * w.sin()\nk = k * w.cos() + b * w.sin()\n"
      "o = torch.matmul(torch.softmax(torch.matmul(q, k.transpose(2, 3)) * 0.5, 3), v)\n";
  std::vector<Idiom> all{
      attending("attention by hand",
                "o = torch.matmul(torch.softmax(torch.matmul(q, k.transpose(-1, -2)) / 2.0, -1), "
                "v)\n"),
      attending("attention by einsum",
                "s = torch.einsum('bhid,bhjd->bhij', [q, k]) * 0.5\n"
                "o = torch.einsum('bhij,bhjd->bhid', [torch.softmax(s, 3), v])\n"),
      attending("attention with a mask",
                "m = torch.ones([16, 16]).triu(1) > 0.5\n"
                "s = torch.matmul(q, k.transpose(2, 3)).masked_fill(m, -1e9)\n"
                "o = torch.matmul(torch.softmax(s, 3), v)\n"),
      attending("relative positions by a shift", shift,
                {{"u", numbers({2, 4}, 13)},
                 {"u2", numbers({2, 4}, 14)},
                 {"p", numbers({2, 31, 4}, 15)}}),
      attending("relative positions seen along the diagonal",
                "r = torch.einsum('bhid,hjd->bhij', [q, self.rel]).contiguous()\n"
                "r = r.as_strided([n, 2, 16, 16], [2 * 16 * 31, 16 * 31, 30, 1], 15)\n"
                "a = torch.softmax(torch.matmul(q, k.transpose(-1, -2)) / 2.0 + r, -1)\n"
                "o = torch.matmul(a, v)\n",
                {{"rel", numbers({2, 31, 4}, 89)}}),
      attending("rotary positions", turned, {{"f", numbers({2}, 16, 0.1, 1)}}),
      after_stem("pooling by attention",
                 "n = h.size(0)\nt = h.view(n, 8, 8, 2)\n"
                 "s = torch.softmax(torch.conv2d(t, self.a), -1)\n"
                 "return torch.matmul((t * s).sum(-1).flatten(1), self.last)",
                 {{"a", numbers({8, 8, 1, 1}, 17)}, {"last", numbers({64, 2}, 18, -0.3, 0.3)}}),
  };
  if (has_operation("scaled_dot_product_attention")) {
    all.push_back(
        attending("fused attention", "o = torch.scaled_dot_product_attention(q, k, v)\n"));
  } else {
    all.push_back(
        attending("fused attention", "o = torch._scaled_dot_product_attention(q, k, v)[0]\n"));
  }
  return all;
}

std::vector<Idiom> blocks() {
  return {
      after_stem("dilated residual blocks, cropped",
                 "for i in range(3):\n    d = 1 << i\n"
                 "    h = h + torch.relu(torch.conv1d(h, self.r, None, [1], [d], [d]))\n"
                 "return torch.matmul(h[:, :, 3:-3].mean(2), self.last)",
                 {{"r", numbers({8, 8, 3}, 19, -0.2, 0.2)}, {"last", numbers({8, 2}, 20)}}),
      after_stem("dilated without padding, the skip is cropped",
                 "for d in [1, 2]:\n"
                 "    z = torch.relu(torch.conv1d(h, self.r, None, [1], [0], [d]))\n"
                 "    h = h[:, :, d:-d] + z\nreturn torch.matmul(h.mean(2), self.last)",
                 {{"r", numbers({8, 8, 3}, 19, -0.2, 0.2)}, {"last", numbers({8, 2}, 20)}}),
      after_stem("gates",
                 "z = torch.conv1d(h, self.r, None, [1], [1])\nk = torch.chunk(z, 2, 1)\n"
                 "h = h + torch.tanh(k[0]) * torch.sigmoid(k[1])\n"
                 "return torch.matmul(torch.glu(h, 1).mean(2), self.last)",
                 {{"r", numbers({16, 8, 3}, 21, -0.3, 0.3)}, {"last", numbers({4, 2}, 22)}}),
      after_stem("down and up, with skips",
                 "p = torch.max_pool1d(h, [2], [2])\n"
                 "p = torch.relu(torch.conv1d(p, self.r, None, [1], [1]))\n"
                 "u = torch.upsample_nearest1d(p, [16]) + h\n"
                 "return torch.matmul((u * torch.sigmoid(1.702 * u)).mean(2), self.last)",
                 {{"r", numbers({8, 8, 3}, 23, -0.3, 0.3)}, {"last", numbers({8, 2}, 24)}}),
      after_stem("normalised, channels last",
                 "t = h.transpose(1, 2)\nt = t + torch.gelu(torch.matmul(torch.layer_norm(t, [8], "
                 "self.g, self.s), self.m))\nreturn torch.matmul(t.mean(1), self.last)",
                 {{"g", numbers({8}, 25, 0.5, 1.5)},
                  {"s", numbers({8}, 26)},
                  {"m", numbers({8, 8}, 27)},
                  {"last", numbers({8, 2}, 28)}}),
      after_stem("transposed convolutions",
                 "d = torch.conv_transpose1d(h, self.r, None, [1], [2])\n"
                 "return torch.softplus(d).mean(2)",
                 {{"r", numbers({8, 2, 5}, 29, -0.3, 0.3)}}),
      {"towers per unit",
       "h = x.repeat([1, 3, 1])\n"
       "h = torch.exp(torch.conv1d(h, self.a, self.a_b, [1], [0], [1], 3))\n"
       "h = torch.max_pool1d(h, [7], [7])\n"
       "h = torch.flatten(h, 1).unsqueeze(2)\n"
       "h = torch.relu(torch.conv1d(h, self.d, None, [1], [0], [1], 3)).view(h.size(0), -1)\n"
       "return torch.matmul(h, self.last)",
       joined({convolution_of("a", 3, 4, 3),
               {{"d", numbers({12, 2, 1}, 30)}, {"last", numbers({12, 2}, 31)}}})},
      after_stem("bins of expression",
                 "s = torch.softmax(torch.matmul(h.mean(2), self.last), 1)\n"
                 "return (s * torch.arange(5).to(s.dtype)).sum(1, keepdim=True)",
                 {{"last", numbers({8, 5}, 32)}}),
      after_stem("tokens of windows",
                 "t = x.unfold(2, 4, 2).permute([0, 2, 1, 3]).reshape(x.size(0), 7, 16)\n"
                 "t = torch.relu(torch.matmul(t, self.e))\n"
                 "return torch.matmul(t.mean(1) + h.mean(2), self.last)",
                 {{"e", numbers({16, 8}, 33, -0.4, 0.4)}, {"last", numbers({8, 2}, 34)}}),
      after_stem(
          "splines along the sequence",
          "s = torch.matmul(h, self.basis)\n"
          "return torch.sigmoid(torch.matmul(s.view(s.size(0), 8 * 5), self.last))",
          {{"basis", numbers({16, 5}, 70, 0, 0.4)}, {"last", numbers({40, 2}, 71, -0.3, 0.3)}}),
      after_stem("pairs of channels by a tensor of weights",
                 "s = h.view(h.size(0), 8, -1).mean(dim=2).unsqueeze(-1)\n"
                 "p = torch.matmul(s, s.transpose(-1, -2))\n"
                 "p = torch.tensordot(p, self.pairs, [1, 2], [0, 1])\n"
                 "p = torch.cat([s.squeeze(-1), p + self.pairs_b], -1)\n"
                 "return torch.matmul(torch.silu(p), self.last)",
                 {{"pairs", numbers({8, 8, 3}, 72, -0.3, 0.3)},
                  {"pairs_b", numbers({3}, 73)},
                  {"last", numbers({11, 2}, 74)}}),
      after_stem("inverted residual, depthwise, joined to its input",
                 "e = torch.silu(torch.conv1d(h, self.e))\n"
                 "e = torch.silu(torch.conv1d(e, self.w, None, [1], [2], [1], 16))\n"
                 "e = torch.cat([torch.silu(torch.conv1d(e, self.d)), h], 1)\n"
                 "return torch.matmul(torch.adaptive_avg_pool1d(e, [1]).squeeze(-1), self.last)",
                 {{"e", numbers({16, 8, 1}, 75, -0.4, 0.4)},
                  {"w", numbers({16, 1, 5}, 76, -0.4, 0.4)},
                  {"d", numbers({8, 16, 1}, 77, -0.3, 0.3)},
                  {"last", numbers({16, 2}, 78)}}),
  };
}

std::vector<Idiom> recurrences() {
  const std::string lstm =
      "z = torch.zeros([2, #, 3], dtype=h.dtype)\n"
      "o = torch.lstm(t, [z, z], [self.wi, self.wh, self.bi, self.bh, self.wr, self.wq, self.br, "
      "self.bq], True, 1, 0.0, False, True, %)[0]\n";
  const auto over = [&](const std::string& rows, const std::string& batch_first) {
    std::string text = lstm;
    text.replace(text.find('#'), 1, rows);
    return text.replace(text.find('%'), 1, batch_first);
  };
  const Tensors weights{{"wi", numbers({12, 8}, 35, -0.5, 0.5)},
                        {"wh", numbers({12, 3}, 36, -0.5, 0.5)},
                        {"bi", numbers({12}, 37)},
                        {"bh", numbers({12}, 38)},
                        {"wr", numbers({12, 8}, 39, -0.5, 0.5)},
                        {"wq", numbers({12, 3}, 40, -0.5, 0.5)},
                        {"br", numbers({12}, 41)},
                        {"bq", numbers({12}, 42)},
                        {"last", numbers({6, 2}, 43)}};
  return {
      after_stem("both directions, sequences first",
                 "t = h.transpose(1, 2)\n" + over("h.size(0)", "True") +
                     "return torch.matmul(o[:, -1], self.last)",
                 weights),
      after_stem("both directions, positions first",
                 "t = h.permute([2, 0, 1])\n" + over("h.size(0)", "False") +
                     "return torch.matmul(o.transpose(0, 1).mean(1), self.last)",
                 weights),
      after_stem("a state-space scan",
                 "a = torch.exp(-torch.exp(self.a))\ns = torch.zeros_like(h[:, :, 0])\n"
                 "y = [s]\nfor i in range(16):\n    s = a * s + self.b * h[:, :, i]\n"
                 "    y.append(s * torch.silu(h[:, :, i]))\n"
                 "return torch.matmul(torch.stack(y, 2).mean(2), self.last)",
                 {{"a", numbers({8}, 44)}, {"b", numbers({8}, 45)}, {"last", numbers({8, 2}, 46)}}),
      after_stem("a scan with steps of the input",
                 "d = torch.softplus(h)\ns = torch.zeros_like(h[:, :, 0])\n"
                 "y = torch.zeros_like(s)\nfor i in range(16):\n"
                 "    s = torch.exp(-d[:, :, i]) * s + d[:, :, i] * h[:, :, i]\n    y = y + s\n"
                 "return torch.matmul(y / 16.0, self.last)",
                 {{"last", numbers({8, 2}, 46)}}),
      // All positions of all sequences are the columns of one matrix in between.
      after_stem("a scan behind weights from the left",
                 "n = h.size(0)\nt = h.transpose(1, 2)\n"
                 "p = torch.matmul(self.in_, t.reshape(n * 16, 8).t())\n"
                 "p = p.view(12, n, 16).permute(1, 0, 2)\n"
                 "u, z = torch.chunk(p, 2, 1)\n"
                 "u = torch.silu(torch.conv1d(u, self.short, None, [1], [3], [1], 6)[:, :, :16])\n"
                 "q = torch.matmul(u.transpose(1, 2).reshape(n * 16, 6), self.x_)\n"
                 "d, b, c = torch.split(q, [2, 3, 3], -1)\n"
                 "d = torch.matmul(self.dt, d.t()).view(6, n, 16).permute(1, 0, 2)\n"
                 "d = torch.softplus(d)\n"
                 "b = b.view(n, 16, 3).transpose(1, 2).contiguous()\n"
                 "c = c.view(n, 16, 3).transpose(1, 2).contiguous()\n"
                 "a = torch.exp(torch.einsum('bdl,dn->bdln', [d, -torch.exp(self.a)]))\n"
                 "i = torch.einsum('bdl,bnl,bdl->bdln', [d, b, u])\n"
                 "s = self.a.new_zeros([n, 6, 3])\ny: List[Tensor] = []\n"
                 "for k in range(16):\n"
                 "    s = a[:, :, k] * s + i[:, :, k]\n"
                 "    y.append(torch.einsum('bdn,bn->bd', [s, c[:, :, k]]))\n"
                 "o = (torch.stack(y, 2) + u * self.skip.unsqueeze(1)) * torch.silu(z)\n"
                 "return torch.matmul(o.mean(2), self.last)",
                 {{"in_", numbers({12, 8}, 80, -0.4, 0.4)},
                  {"short", numbers({6, 1, 4}, 81)},
                  {"x_", numbers({6, 8}, 82, -0.5, 0.5)},
                  {"dt", numbers({6, 2}, 83)},
                  {"a", numbers({6, 3}, 84)},
                  {"skip", numbers({6}, 85)},
                  {"last", numbers({6, 2}, 86)}}),
      after_stem("both strands convolved by the Fourier transform",
                 "b = torch.cat([h, torch.conv1d(x.flip([1, 2]), self.c, self.c_b, [1], "
                 "[1]).flip([2]).relu()], 1)\n"
                 "b = torch.constant_pad_nd(b, [4, 4])\n"
                 "k = torch.conj(torch.fft_rfft(torch.constant_pad_nd(self.long, [0, 15])))\n"
                 "f = torch.einsum('bcf,ocf->bof', [torch.fft_rfft(b), k])\n"
                 "y = torch.fft_irfft(f, 24)[:, :, 0:16].contiguous()\n"
                 "y = torch.softplus(y + torch.conv_transpose1d(h, self.r, None, [1], [2]))\n"
                 "return y.mean(2)",
                 {{"long", numbers({2, 16, 9}, 87, -0.2, 0.2)}, {"r", numbers({8, 2, 5}, 88)}}),
      after_stem("a long convolution by the Fourier transform",
                 "k = torch.fft_rfft(self.k, 32)\n"
                 "y = torch.fft_irfft(torch.fft_rfft(h, 32) * k, 32)[:, :, 0:16]\n"
                 "y = y * torch.sigmoid(h)\nreturn torch.matmul(y.mean(2), self.last)",
                 {{"k", numbers({8, 16}, 47)}, {"last", numbers({8, 2}, 48)}}),
  };
}

std::vector<Idiom> heads() {
  const Tensors weights{{"last", numbers({8, 2}, 49)}, {"p", numbers({1, 8, 3}, 50)}};
  const std::string both =
      "p = torch.conv1d(h, self.p, None, [1], [1]).squeeze(1)\n"
      "c = torch.matmul(h.mean(2), self.last)\n";
  return {
      after_stem("a dictionary", both + "return {'counts': c, 'profile': p}", weights),
      after_stem("a tuple", both + "return (c, p)", weights),
      after_stem("a list that grows",
                 both + "o = [c]\nfor i in range(2):\n    o.append(c * float(i + 2))\nreturn o",
                 weights),
      after_stem("profile and counts in one",
                 both + "return torch.softmax(p, 1) * torch.exp(c[:, 0:1])", weights),
  };
}

std::vector<Idiom> idioms() {
  std::vector<Idiom> all;
  for (const auto& some :
       {flattened(), two_dimensional(), strands(), attention(), blocks(), recurrences(), heads()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

// d f / dX of the first number of the (first) output, by LibTorch's own run.
at::Tensor own_gradient(const ModelPointer& net, const at::Tensor& X) {
  torch::jit::Module module = net->module.deepcopy();
  const at::Tensor input = X.clone().set_requires_grad(true);
  std::vector<at::Tensor> outputs;
  seqlift::visit_tensors(module.forward({input}),
                         [&](const at::Tensor& tensor) { outputs.push_back(tensor); });
  return torch::autograd::grad({outputs[0].select(1, 0).sum()}, {input})[0];
}

// The same by gradients().
at::Tensor gradient_of_first(const ModelPointer& net, const at::Tensor& X, bool several = false) {
  seqlift::GraphOptions graph_options;
  if (several) {
    graph_options.wrappers.push_back({seqlift::Wrapper::Kind::select_output, 0});
  }
  seqlift::Constants constants = in_double();
  seqlift::GradientOptions options;
  options.targets = {0};
  return seqlift::gradients(*seqlift::build_graph(net, graph_options), constants, sequences_of(X),
                            options)
      .values[0];
}

}  // namespace

TEST_CASE("the idioms of public architectures predict, explain, mutate and differentiate",
          "[idioms]") {
  Given pairs = given(2, 2, idiom_length);
  Settings settings;
  for (const Idiom& idiom : idioms()) {
    const auto net = forward(idiom.body, idiom.parameters);
    const at::Tensor X = one_hot(33, idiom_length, 3);
    std::string error;
    OwnRun own;
    OwnRun single;
    double delta = 1e9;
    double change = 0;
    double windows = 1e9;
    double gradient = 1e9;
    try {
      own = own_run(net, X, at::kDouble);
      single = own_run(net, X, at::kFloat);
      const size_t outputs = predicted(net, pairs.X).size();
      settings.select_output = outputs > 1 ? 0 : -1;
      const Explained result = explain(net, pairs, settings);
      delta = worst_delta(result);
      change = largest_change(result);
      windows = edited(net, pairs.X, all_substitutions(pairs.X)).apart;
      const at::Tensor found = gradient_of_first(net, pairs.X, outputs > 1);
      gradient = distance(found.reshape(pairs.X.sizes()), own_gradient(net, pairs.X));
    } catch (const std::exception& caught) {
      error = std::string(caught.what()).substr(0, 500);
    }
    INFO(idiom.name << ": " << error << own.error << single.error);
    CHECK(error == "");
    CHECK(own.runs);
    CHECK(single.runs);
    CHECK(own.apart < 1e-12);
    CHECK(single.apart < 2e-5);
    CHECK(delta < 1e-9);
    CHECK(change > 1e-4);
    CHECK(windows < 1e-10);
    CHECK(gradient < 1e-10);
  }
}

TEST_CASE("idioms that let the sequences of a batch see each other are refused by that reason",
          "[idioms]") {
  const at::Tensor X = one_hot(3, idiom_length, 3);
  const Tensors last{{"last", numbers({8, 2}, 49)}};
  for (const Idiom& idiom : {
           after_stem("row 0 stands for all",
                      "return torch.matmul((h * 0.1 + h[0:1]).mean(2), "
                      "self.last)",
                      last),
           after_stem("a gate from row 0",
                      "return torch.matmul(h.mean(2) * "
                      "torch.sigmoid(h[0].mean()), self.last)",
                      last),
           after_stem(
               "a recurrent layer over the sequences",
               "z = torch.zeros([1, 16, 3], dtype=h.dtype)\n"
               "o = torch.gru(h.transpose(1, 2), z, [self.wi, self.wh], False, 1, 0.0, "
               "False, False, False)[0]\nreturn o.mean(1)",
               {{"wi", numbers({9, 8}, 35, -0.5, 0.5)}, {"wh", numbers({9, 3}, 36, -0.5, 0.5)}}),
           after_stem("attention over the sequences",
                      "t = h.mean(2)\ns = torch.softmax(torch.matmul(t, t.t()), 1)\n"
                      "return torch.matmul(torch.matmul(s, t), self.last)",
                      last),
           after_stem("normalised over the sequences",
                      "t = h.mean(2)\nreturn torch.matmul(t - t.mean(0, keepdim=True), self.last)",
                      last),
       }) {
    const auto net = forward(idiom.body, idiom.parameters);
    INFO(idiom.name);
    const auto refusal = [](const std::string& error) { return error.substr(0, 6); };
    CHECK(refusal(error_of([&] { predicted(net, X); })) == "batch:");
    CHECK(refusal(error_of([&] { gradient_of_first(net, X); })) == "batch:");
    CHECK(refusal(error_of([&] { edited(net, X, all_substitutions(X)); })) == "batch:");
  }
}
