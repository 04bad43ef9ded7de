// BPNet, ChromBPNet and ProCapNet: a wide convolution, residual layers whose dilation doubles, a
// profile head and a counts head.
//
//   h = relu(iconv(X));  h = h + relu(rconvs.i(h)), i = 0, 1, ...
//   profile = fconv(h, control)[trimming .. L - trimming)
//   counts  = linear(mean of h, log(1 + sum of control)) over what the profile's window can see

#include "architectures.h"
#include "error.h"
#include "tensor_functions.h"

namespace seqlift {

namespace {

// A dilation of 2^30 is more than any chromosome.
constexpr int64_t most_layers = 30;

struct Body {
  int64_t filters = -1;
  int64_t layers = 0;
  int64_t margin = 0;    // half the width of fconv
  int64_t trimming = 0;  // bases cut from each end
};

Body measure(Weights& weights, const std::string& prefix, const BpnetOptions& options) {
  Body body;
  body.filters = weights.size(prefix + "iconv.weight", 0);
  body.layers = weights.count(prefix + "rconvs");
  if (body.layers > most_layers) {
    weights.complain("`" + prefix + "rconvs` has more than " + std::to_string(most_layers) +
                     " layers, each dilated twice as far as the one before.");
    body.layers = most_layers;
  }
  const int64_t width = weights.size(prefix + "fconv.weight", 2);
  body.margin = width > 0 ? width / 2 : 0;
  // 10 of iconv and 37 of fconv beside the dilations: bpnet-lite's own default.
  body.trimming = options.trimming;
  if (body.trimming < 0) {
    body.trimming = 47;
    for (int64_t i = 1; i <= body.layers; ++i) {
      body.trimming += int64_t{1} << i;
    }
  }
  if (body.trimming < body.margin) {
    throw Error("argument", "`trimming` must be at least " + std::to_string(body.margin) +
                                ", half the width of `fconv`, not " +
                                std::to_string(body.trimming) + ".");
  }
  return body;
}

// iconv and rconvs.0 ... as parts, and their calls as source. `activations`: the names of the ReLUs
// that follow them, as expressions.
std::string add_body(Weights& weights, const std::string& prefix, const Body& body,
                     const std::vector<std::string>& activations, ModulePart& part) {
  part.parts.emplace_back("iconv", weights.same_convolution(prefix + "iconv", body.filters, 4));
  std::vector<ModulePart> convolutions;
  std::string source = "    X = " + activations[0] + ".forward(self.iconv.forward(X))\n";
  for (int64_t i = 0; i < body.layers; ++i) {
    const std::string number = std::to_string(i);
    convolutions.push_back(weights.same_convolution(prefix + "rconvs." + number, body.filters,
                                                    body.filters, int64_t{1} << (i + 1)));
    source += "    X = X + " + activations[i + 1] + ".forward(getattr(self.rconvs, \"" + number +
              "\").forward(X))\n";
  }
  part.parts.emplace_back("rconvs", module_list(std::move(convolutions)));
  return source;
}

std::vector<ModulePart> relus(int64_t count) {
  return std::vector<ModulePart>(static_cast<size_t>(count), relu_layer());
}

// `controls`: whether control tracks are allowed.
ModulePart bpnet_part(Weights& weights, const std::string& prefix, const Body& body,
                      bool controls) {
  ModulePart part;
  part.class_name = "BPNet";
  std::vector<std::string> activations{"self.irelu"};
  for (int64_t i = 0; i < body.layers; ++i) {
    activations.push_back("getattr(self.rrelus, \"" + std::to_string(i) + "\")");
  }
  const std::string layers = add_body(weights, prefix, body, activations, part);
  part.parts.emplace_back("irelu", relu_layer());
  part.parts.emplace_back("rrelus", module_list(relus(body.layers)));

  const std::string fconv = prefix + "fconv";
  const int64_t inputs = weights.size(fconv + ".weight", 1);
  const bool known = inputs > 0 && body.filters > 0;
  const int64_t tracks = known ? inputs - body.filters : 0;
  const bool has_tracks = controls && tracks > 0;
  part.parts.emplace_back(
      "fconv",
      weights.same_convolution(fconv, weights.size(fconv + ".weight", 0),
                               has_tracks ? inputs : body.filters, 1, Weights::Bias::optional));
  part.parts.emplace_back(
      "linear", weights.linear(prefix + "linear", 1, known ? body.filters + has_tracks : -1,
                               Weights::Bias::optional));

  const std::string trim = std::to_string(body.trimming);
  const std::string window = "[:, :, " + std::to_string(body.trimming - body.margin) + ":end + " +
                             std::to_string(body.margin) + "]";
  part.source = std::string("def forward(self, X: Tensor") +
                (has_tracks ? ", control_track: Tensor" : "") + "):\n" + "    end = X.size(2) - " +
                trim + "\n" + layers;
  part.source += "    profile = self.fconv.forward(" +
                 std::string(has_tracks ? "torch.cat([X, control_track], 1)" : "X") + ")[:, :, " +
                 trim + ":end]\n" + "    pooled = torch.mean(X" + window + ", [2])\n";
  if (has_tracks) {
    part.source += "    control = torch.sum(control_track" + window + ", [1, 2]).unsqueeze(1)\n" +
                   "    pooled = torch.cat([pooled, torch.log(control + 1.0)], 1)\n";
  }
  part.source += "    return profile, self.linear.forward(pooled)\n";
  return part;
}

}  // namespace

ModulePart bpnet(const NamedTensors& state_dict, const BpnetOptions& options) {
  Weights weights(state_dict);
  ModulePart part = bpnet_part(weights, "", measure(weights, "", options), true);
  weights.check("BPNet");
  return part;
}

ModulePart chrombpnet(const NamedTensors& state_dict, const BpnetOptions& options) {
  Weights weights(state_dict);
  const Body accessibility = measure(weights, "accessibility.", options);
  // Both profiles cover the same bases.
  BpnetOptions same;
  same.trimming = accessibility.trimming;
  ModulePart part;
  part.class_name = "ChromBPNet";
  part.parts.emplace_back("bias",
                          bpnet_part(weights, "bias.", measure(weights, "bias.", same), false));
  part.parts.emplace_back("accessibility",
                          bpnet_part(weights, "accessibility.", accessibility, false));
  // Modules of their own, as in bpnet-lite, so that module rules can register them.
  part.parts.emplace_back("_exp1", plain_layer("_Exp", "torch.exp(input)"));
  part.parts.emplace_back("_exp2", plain_layer("_Exp", "torch.exp(input)"));
  part.parts.emplace_back("_log", plain_layer("_Log", "torch.log(input)"));
  part.source =
      "def forward(self, X: Tensor):\n"
      "    profile, counts = self.accessibility.forward(X)\n"
      "    bias_profile, bias_counts = self.bias.forward(X)\n"
      "    both = self._exp1.forward(counts) + self._exp2.forward(bias_counts)\n"
      "    return profile + bias_profile, self._log.forward(both)\n";
  weights.check("ChromBPNet");
  return part;
}

ModulePart procapnet(const NamedTensors& state_dict, const BpnetOptions& options) {
  Weights weights(state_dict);
  const Body body = measure(weights, "", options);
  ModulePart part;
  part.class_name = "ProCapNet";
  std::vector<std::string> activations;
  for (int64_t i = 0; i <= body.layers; ++i) {
    activations.push_back("getattr(self.relus, \"" + std::to_string(i) + "\")");
  }
  const std::string layers = add_body(weights, "", body, activations, part);
  // The window is cut before the profile head, which needs no padding.
  const int64_t strands = weights.size("fconv.weight", 0);
  const int64_t width = weights.odd_width("fconv");
  part.parts.emplace_back("fconv", weights.convolution("fconv", {strands, body.filters, width}));
  part.parts.emplace_back("relus", module_list(relus(body.layers + 1)));
  part.parts.emplace_back("linear", weights.linear("linear", 1, body.filters));
  part.source = "def forward(self, X: Tensor):\n    end = X.size(2) - " +
                std::to_string(body.trimming) + "\n" + layers + "    X = X[:, :, " +
                std::to_string(body.trimming - body.margin) + ":end + " +
                std::to_string(body.margin) + "]\n" +
                "    return self.fconv.forward(X), self.linear.forward(torch.mean(X, [2]))\n";
  weights.check("ProCapNet");
  return part;
}

}  // namespace seqlift
