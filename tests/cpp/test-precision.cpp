// Attributions in float32 beside those in float64, at lengths where rounding adds up: a convolution
// as long as its sequence by the Fourier transform, and convolutions and pools down to a few bins.
// Random weights; what is said in deep_lift_shap()'s help is held here.
#include <cmath>

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

// Largest difference, by the largest attribution.
double lost_in_float(const ModelPointer& net, int64_t length) {
  const Given pairs = given(1, 1, length);
  Settings settings;
  const at::Tensor exact = explain(net, pairs, settings).values;
  settings.dtype = at::kFloat;
  const at::Tensor found = explain(net, pairs, settings).values.to(at::kDouble);
  return distance(found, exact) / exact.abs().max().item<double>();
}

// Two layers of gated convolutions over all positions. `kernel` gives self.k or computes k [8, L].
ModelPointer long_convolution(int64_t length, const std::string& kernel, const Tensors& more) {
  const std::string n = std::to_string(2 * length);
  const std::string layer =
      "u = torch.layer_norm(h.transpose(1, 2), [8]).transpose(1, 2)\n"
      "v, a, b = torch.split(torch.conv1d(u, self.in_), 8, 1)\nv = v * a\n"
      "y = torch.fft_irfft(torch.fft_rfft(v, " +
      n + ") * torch.fft_rfft(k, " + n + ") / " + n + ".0, " + n +
      ", -1, 'forward')[:, :, 0:" + std::to_string(length) +
      "]\n"
      "h = h + torch.conv1d((y + v) * b, self.out)\n";
  Tensors all{{"c", numbers({8, 4, 1}, 1)},
              {"in_", numbers({24, 8, 1}, 2, -0.6, 0.6)},
              {"out", numbers({8, 8, 1}, 3, -0.6, 0.6)},
              {"last", numbers({8, 1}, 4)}};
  all.insert(all.end(), more.begin(), more.end());
  return forward("h = torch.conv1d(x, self.c)\n" + kernel + layer + layer +
                     "return torch.matmul(torch.gelu(h).mean(2), self.last)",
                 all);
}

}  // namespace

TEST_CASE("a Fourier convolution over 8192 positions loses little in float32", "[precision]") {
  const at::Tensor decay = at::exp(-at::arange(8192, at::kDouble) / 1500);
  const auto net = long_convolution(8192, "k = self.k\n", {{"k", numbers({8, 8192}, 5) * decay}});
  CHECK(lost_in_float(net, 8192) < 2e-5);
}

// HyenaDNA computes its kernels from positions: sines of sines, ten times as fast in each layer,
// make each rounding of a position some hundred times as large.
TEST_CASE("kernels that are computed from positions lose more", "[precision]") {
  const std::string kernel =
      "t = torch.linspace(0, 1, 8192, dtype=self.c.dtype).unsqueeze(1)\n"
      "w = t * torch.linspace(0.0001, 15, 16, dtype=self.c.dtype) * 6.283185307179586\n"
      "z = torch.cat([t, torch.cos(w), torch.sin(w)], 1)\n"
      "z = torch.sin(10.0 * torch.matmul(z, self.a))\n"
      "z = torch.sin(10.0 * torch.matmul(z, self.b))\n"
      "k = (torch.matmul(z, self.d) * torch.exp(-4.0 * t)).transpose(0, 1)\n";
  const auto net = long_convolution(8192, kernel,
                                    {{"a", numbers({33, 32}, 6, -0.18, 0.18)},
                                     {"b", numbers({32, 32}, 7, -0.18, 0.18)},
                                     {"d", numbers({32, 8}, 8, -0.18, 0.18)}});
  CHECK(lost_in_float(net, 8192) < 2e-4);
}

TEST_CASE("convolutions and pools down to a few bins lose little in float32", "[precision]") {
  std::string body = "h = torch.conv1d(x, self.c, None, [1], [4])\n";
  Tensors all{{"c", numbers({8, 4, 9}, 1, -0.5, 0.5)}, {"last", numbers({8, 1}, 2)}};
  for (int64_t i = 0; i < 5; ++i) {
    const std::string name = std::to_string(i);
    all.emplace_back("a" + name, numbers({8, 8, 9}, 10 + i, -0.25, 0.25));
    all.emplace_back("b" + name, numbers({8, 8, 9}, 20 + i, -0.25, 0.25));
    body +=
        "h = torch.max_pool1d(h, [4], [4])\n"
        "h = torch.conv1d(h, self.a" +
        name +
        ", None, [1], [4])\n"
        "h = h + torch.relu(torch.conv1d(h, self.b" +
        name + ", None, [1], [4]))\n";
  }
  const auto net = forward(body + "return torch.matmul(h.mean(2), self.last)", all);
  CHECK(lost_in_float(net, 32768) < 1e-4);
}
