// Every operation of the cases, given inputs and incoming gradients that lie in memory in other
// ways than one after the other: its gradients in float against those in double, and those against
// finite differences. (LibTorch's float gradient of GELU takes any gradient for one that lies as
// the input does.)
#include <cstdlib>
#include <exception>
#include <set>

#include "catch.h"
#include "core/methods/gradients.h"
#include "core/numeric/tensor_functions.h"
#include "inputs.h"
#include "nets.h"

using namespace nets;
using seqlift::GradientOptions;

namespace {

struct Layout {
  std::string name;
  std::string lines;
};

// h as it is, transposed, every second number of memory, one number for a whole row. (The names of
// the cases are short ones.)
std::vector<Layout> inputs() {
  return {{"contiguous", "h = base.clone()\n"},
          {"transposed", "h = base.transpose(1, 2).contiguous().transpose(1, 2)\n"},
          {"strided", "h = torch.stack([base, base], 3).select(3, 0)\n"},
          {"expanded", "h = base[:, :, :1].expand([base.size(0), 4, 9])\n"}};
}

// Sums of y with weights, whose gradients reach y contiguous, transposed, strided, expanded.
std::vector<Layout> gradients() {
  return {{"contiguous", "flat = y.flatten(1)\n"},
          {"transposed",
           "flat = y.flatten(1)\n"
           "if y.dim() > 2:\n"
           "    flat = y.transpose(1, 2).contiguous().flatten(1)\n"},
          {"strided", "flat = torch.stack([y, torch.zeros_like(y)], -1).flatten(1)\n"},
          {"expanded", "flat = y.sum(-1, keepdim=True).flatten(1)\n"}};
}

// All gradients of one layout of the input side by side as the model's targets.
ModelPointer in_layout(const Case& one, const Layout& input) {
  std::string body =
      "base = torch.conv1d(x, self.w_in, self.b_in, padding=1)\nresults = [x.sum([1, 2])]\n";
  for (const Layout& gradient : gradients()) {
    body += input.lines + one.lines + "\n" + gradient.lines +
            "sizes = (torch.arange(flat.size(1)) * 37 % 101).to(torch.float64) / 101 - 0.47\n"
            "results.append((flat * sizes).sum(1))\n";
  }
  Tensors all = one.parameters;
  all.emplace_back("w_in", numbers({4, 4, 3}, 101));
  all.emplace_back("b_in", numbers({4}, 102, -0.3, 0.3));
  return forward(body + "return torch.stack(results, 1)", all);
}

at::Tensor gradients_of(const ModelPointer& net, const at::Tensor& X, at::ScalarType type) {
  seqlift::Constants constants(net->dtype, type, at::Device(at::kCPU));
  GradientOptions options;
  options.targets = {};
  return seqlift::gradients(*graph_of(net), constants, sequences_of(X), options).values[0];
}

// d f[:, t] / dX of the first sequence by central differences, [C, L, T].
at::Tensor slopes_by_differences(const ModelPointer& net, const at::Tensor& X) {
  constexpr double step = 1e-6;
  const at::Tensor first = X.narrow(0, 0, 1);
  const at::Tensor moves = at::eye(first.numel(), X.options()).view({-1, X.size(1), X.size(2)});
  const at::Tensor f =
      predicted(net, first + step * moves)[0] - predicted(net, first - step * moves)[0];
  return (f / (2 * step)).view({X.size(1), X.size(2), -1});
}

double relative(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor scale = b.abs().flatten(0, -2).amax(0).clamp_min(1.0);
  const at::Tensor apart = ((a - b).abs() / scale).amax();
  return apart.isfinite().all().item<bool>() ? apart.item<double>() : 1e9;
}

// Whose gradient is not that of what they compute: they stop it, or count as steps.
const std::set<std::string> without_slope{"detach", "data"};

std::vector<Case> differentiable_cases() {
  std::vector<Case> all;
  for (const auto& some :
       {linear_cases(), convolution_cases(), elementwise_cases(), product_cases(), max_cases(),
        softmax_cases(), normalisation_cases(), norm_cases(), reduce_cases(), several_cases(),
        loss_cases(), complex_cases(), recurrent_cases(), attention_cases()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

// All four of them take a quarter of an hour: SEQLIFT_ALL_LAYOUTS asks for that. Else each case has
// one, in turn, and those that LibTorch was found wrong in have all.
std::vector<Layout> layouts_for(const Case& one, size_t number) {
  static const std::set<std::string> found_wrong{"gelu", "masked_select", "affine_grid_generator",
                                                 "conv_tbc"};
  const std::vector<Layout> all = inputs();
  if (std::getenv("SEQLIFT_ALL_LAYOUTS") != nullptr || found_wrong.count(one.op) > 0) {
    return all;
  }
  return {all[number % all.size()]};
}

bool runs(const ModelPointer& net, const at::Tensor& X) {
  try {
    interpreted(net, X);
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

}  // namespace

TEST_CASE("gradients are right however inputs and incoming gradients lie in memory",
          "[gradient_layouts]") {
  const at::Tensor X = numbers({2, 4, 9}, 3);
  int compared = 0;
  size_t next = 0;
  for (const Case& one : differentiable_cases()) {
    for (const Layout& input : layouts_for(one, next++)) {
      INFO(one.op << ", " << input.name << ": " << one.lines);
      const ModelPointer net = in_layout(one, input);
      if (!runs(net, X)) {
        continue;  // LibTorch itself does not: it writes into an input that was expanded
      }
      at::Tensor exact;
      const std::string error = error_of([&]() { exact = gradients_of(net, X, at::kDouble); });
      // Steps have no slope, LibTorch has none for the targets of some losses; what mixes the
      // sequences is no matter of layouts.
      if (error.find("has no gradient in LibTorch") != std::string::npos ||
          error.find("discrete: ") == 0 || error.find("batch: ") == 0 ||
          error.find("is not differentiable with respect to argument") != std::string::npos) {
        continue;
      }
      CHECK(error == "");
      if (!exact.defined()) {
        continue;
      }
      ++compared;
      CHECK(relative(gradients_of(net, X, at::kFloat), exact) < 1e-3);
      if (without_slope.count(one.op) == 0 && input.name == "transposed") {
        CHECK(relative(slopes_by_differences(net, X), exact[0]) < 1e-4);
      }
    }
  }
  CHECK(compared > 250);
}
