// Cherimoya (Schreiber), BPNet's successor: github.com/jmschrei/cherimoya, cherimoya.py and
// cheri.py.
//
//   h = gelu(iconv(X)), channels last
//   h = h + residual_scale * linear2(gelu(linear1(norm(conv_i(h))))), i = 0, 1, ...
//   profile = fconv(h, control)[trimming .. L - trimming)
//   counts  = linear(mean of h, log(1 + sum of control)) over the profile's window
//
// conv_i reads the same channel at i - 2^i, i and i + 2^i; norm is over all positions and channels
// of a sequence. Its code for GPUs rounds to half precision in places; here is what it computes
// otherwise, as it was trained.

#include "core/base/error.h"
#include "core/import/architectures/architectures.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

constexpr int64_t most_blocks = 30;

ModulePart tanh_gelu() {
  return activation_layer("GELU", "torch.gelu(input, approximate=\"tanh\")");
}

// 10 of iconv and 37 of fconv, and one less, beside the dilations: Cherimoya's own default.
int64_t default_trimming(int64_t blocks) { return 46 + (int64_t{1} << blocks) - 1; }

ModulePart cheri_block(Weights& weights, const std::string& prefix, int64_t filters,
                       int64_t dilation, double residual_scale) {
  // Newer versions hold the weight in a module of its own, and write it under either name.
  const std::string inner = prefix + "conv.conv_weight";
  const at::Tensor taps =
      weights.take(weights.has(inner) ? inner : prefix + "conv_weight", {3, filters});
  const std::string d = std::to_string(dilation);
  ModulePart conv = plain_layer("FusedDilatedConvNorm", "input");
  conv.source =
      "def forward(self, input: Tensor):\n    mixed = torch.conv1d(input.transpose(1, 2), "
      "self.conv_weight, None, [1], [" +
      d + "], [" + d + "], " + std::to_string(std::max<int64_t>(filters, 1)) +
      ")\n    return torch.group_norm(mixed, 1, None, None, 0.001).transpose(1, 2)\n";
  conv.parameters = {{"conv_weight", taps.t().unsqueeze(1).contiguous()}};
  const int64_t hidden = weights.size(prefix + "linear1.weight", 0);
  ModulePart block;
  block.class_name = "CheriBlock";
  block.parts.emplace_back("conv", std::move(conv));
  block.parts.emplace_back("linear1",
                           weights.linear(prefix + "linear1", hidden, filters, Weights::Bias::no));
  block.parts.emplace_back("linear2",
                           weights.linear(prefix + "linear2", filters, hidden, Weights::Bias::no));
  block.parts.emplace_back("activation", tanh_gelu());
  block.source =
      "def forward(self, input: Tensor):\n"
      "    hidden = self.activation.forward(self.linear1.forward(self.conv.forward(input)))\n"
      "    return input + self.linear2.forward(hidden) * " +
      source_number(residual_scale) + "\n";
  return block;
}

}  // namespace

ModulePart cherimoya(const NamedTensors& state_dict, const CherimoyaOptions& options) {
  Weights weights(state_dict);
  const int64_t filters = weights.size("iconv.weight", 0);
  int64_t blocks = weights.count("blocks");
  if (blocks > most_blocks) {
    weights.complain("`blocks` has more than " + std::to_string(most_blocks) +
                     " blocks, each dilated twice as far as the one before.");
    blocks = most_blocks;
  }
  const int64_t trimming = options.trimming < 0 ? default_trimming(blocks) : options.trimming;
  ModulePart part;
  part.class_name = "Cherimoya";
  part.parts.emplace_back("iconv", weights.same_convolution("iconv", filters, 4));
  part.parts.emplace_back("igelu", tanh_gelu());
  std::vector<ModulePart> stack;
  std::string body;
  for (int64_t i = 0; i < blocks; ++i) {
    const std::string number = std::to_string(i);
    stack.push_back(cheri_block(weights, "blocks." + number + ".", filters, int64_t{1} << i,
                                options.residual_scale));
    body += "    X = getattr(self.blocks, \"" + number + "\").forward(X)\n";
  }
  part.parts.emplace_back("blocks", module_list(std::move(stack)));

  const int64_t inputs = weights.size("fconv.weight", 1);
  const bool known = inputs > 0 && filters > 0;
  const bool controls = known && inputs > filters;
  part.parts.emplace_back("fconv",
                          weights.same_convolution("fconv", weights.size("fconv.weight", 0),
                                                   controls ? inputs : filters));
  part.parts.emplace_back("linear", weights.linear("linear", weights.size("linear.weight", 0),
                                                   known ? filters + controls : -1));
  // The weights of its losses.
  weights.ignore("lw0");
  weights.ignore("lw1");

  const std::string trim = std::to_string(trimming);
  const std::string window = "[:, :, " + trim + ":end]";
  part.source = std::string("def forward(self, X: Tensor") +
                (controls ? ", control_track: Tensor" : "") + "):\n    end = X.size(2) - " + trim +
                "\n    X = self.igelu.forward(self.iconv.forward(X)).transpose(1, 2)\n" + body +
                "    X = X.transpose(1, 2)\n    profile = self.fconv.forward(" +
                (controls ? "torch.cat([X, control_track], 1)" : "X") + ")" + window +
                "\n    pooled = torch.mean(X" + window + ", [2])\n";
  if (controls) {
    part.source += "    control = torch.sum(control_track" + window +
                   ", [1, 2]).unsqueeze(1)\n"
                   "    pooled = torch.cat([pooled, torch.log(control + 1.0)], 1)\n";
  }
  part.source += "    return profile, self.linear.forward(pooled)\n";
  part.output_names = {"profile", "counts"};
  weights.check("Cherimoya");
  return part;
}

}  // namespace seqlift
