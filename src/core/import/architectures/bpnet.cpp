// BPNet, ChromBPNet and ProCapNet: a wide convolution, residual layers whose dilation doubles, a
// profile head and a counts head.
//
//   h = relu(iconv(X));  h = h + relu(rconvs.i(h)), i = 0, 1, ...
//   or, of basepairmodels,  h = iconv(X);  h = h + rconvs.i(relu(h));  h = relu(h)
//   profile = fconv(h, control)[trimming .. L - trimming)
//   counts  = linear(mean of h, log(1 + sum of control)) over the profile's window and what is on
//             either side of it: 37 bases, whatever the width of fconv; half that width in
//             ProCapNet

#include "core/base/error.h"
#include "core/import/architectures/architectures.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// Of all three.
const std::vector<std::string> head_names{"profile", "counts"};

// A dilation of 2^30 is more than any chromosome.
constexpr int64_t most_layers = 30;

// What bpnet-lite pools beyond the profile at each end: half of its own fconv's width.
constexpr int64_t pooled_beyond = 37;

// ProCapNet's sequences of 2114 bases have profiles of 1000.
constexpr int64_t procapnet_trimming = 557;

struct Body {
  int64_t filters = -1;
  int64_t layers = 0;
  int64_t trimming = 0;  // bases cut from each end
};

Body measure(Weights& weights, const std::string& prefix) {
  Body body;
  body.filters = weights.size(prefix + "iconv.weight", 0);
  body.layers = weights.count(prefix + "rconvs");
  if (body.layers > most_layers) {
    weights.complain("`" + prefix + "rconvs` has more than " + std::to_string(most_layers) +
                     " layers, each dilated twice as far as the one before.");
    body.layers = most_layers;
  }
  return body;
}

// 10 of iconv and 37 of fconv beside the dilations: bpnet-lite's own default.
int64_t seen_beyond(int64_t layers) {
  int64_t bases = 47;
  for (int64_t i = 1; i <= layers; ++i) {
    bases += int64_t{1} << i;
  }
  return bases;
}

int64_t half_width(const Weights& weights, const std::string& prefix) {
  const int64_t width = weights.size(prefix + "fconv.weight", 2);
  return width > 0 ? width / 2 : 0;
}

int64_t trimming_of(const Weights& weights, const std::string& prefix, int64_t given,
                    int64_t otherwise, const std::string& argument) {
  const int64_t trimming = given < 0 ? otherwise : given;
  const int64_t least = half_width(weights, prefix);
  if (trimming < least) {
    throw Error("argument", "`" + argument + "` must be at least " + std::to_string(least) +
                                ", half the width of `" + prefix + "fconv`, not " +
                                std::to_string(trimming) + ".");
  }
  return trimming;
}

// iconv and rconvs.0 ... as parts, and their calls as source. `activations`: the names of the ReLUs
// that follow them, as expressions.
std::string add_body(Weights& weights, const std::string& prefix, const Body& body,
                     const std::vector<std::string>& activations, ModulePart& part,
                     bool activation_before = false) {
  part.parts.emplace_back("iconv", weights.same_convolution(prefix + "iconv", body.filters, 4));
  std::vector<ModulePart> convolutions;
  const std::string first = activations[0] + ".forward(";
  std::string source = activation_before ? "    X = self.iconv.forward(X)\n"
                                         : "    X = " + first + "self.iconv.forward(X))\n";
  for (int64_t i = 0; i < body.layers; ++i) {
    const std::string number = std::to_string(i);
    convolutions.push_back(weights.same_convolution(prefix + "rconvs." + number, body.filters,
                                                    body.filters, int64_t{1} << (i + 1)));
    const std::string layer = "getattr(self.rconvs, \"" + number + "\").forward(";
    const std::string activation = activations[i + 1] + ".forward(";
    source += "    X = X + " +
              (activation_before ? layer + activation + "X))\n" : activation + layer + "X))\n");
  }
  if (activation_before) {
    source += "    X = " + first + "X)\n";
  }
  part.parts.emplace_back("rconvs", module_list(std::move(convolutions)));
  return source;
}

std::vector<ModulePart> relus(int64_t count) {
  return std::vector<ModulePart>(static_cast<size_t>(count), relu_layer());
}

// `controls`: whether control tracks are allowed.
ModulePart bpnet_part(Weights& weights, const std::string& prefix, const Body& body, bool controls,
                      bool activation_before = false) {
  ModulePart part;
  part.class_name = activation_before ? "BasePairNet" : "BPNet";
  std::vector<std::string> activations{"self.irelu"};
  for (int64_t i = 0; i < body.layers; ++i) {
    activations.push_back("getattr(self.rrelus, \"" + std::to_string(i) + "\")");
  }
  const std::string layers = add_body(weights, prefix, body, activations, part, activation_before);
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
  // One count for each task; ChromBPNet's, which are added, are one.
  const int64_t tasks = controls ? weights.size(prefix + "linear.weight", 0) : 1;
  part.parts.emplace_back(
      "linear", weights.linear(prefix + "linear", tasks, known ? body.filters + has_tracks : -1,
                               Weights::Bias::optional));

  const std::string trim = std::to_string(body.trimming);
  const std::string window = "[:, :, " + std::to_string(body.trimming - pooled_beyond) + ":end + " +
                             std::to_string(pooled_beyond) + "]";
  part.source = std::string("def forward(self, X: Tensor") +
                (has_tracks ? ", control_track: Tensor" : "") + "):\n" + "    end = X.size(2) - " +
                trim + "\n" + layers;
  part.source += "    profile = self.fconv.forward(" +
                 std::string(has_tracks ? "torch.cat([X, control_track], 1)" : "X") + ")[:, :, " +
                 trim + ":end]\n" + "    pooled = torch.mean(X" + window + ", [2])\n";
  if (has_tracks) {
    part.source += "    control = torch.sum(control_track" +
                   (activation_before ? "[:, :, " + trim + ":end]" : window) +
                   ", [1, 2]).unsqueeze(1)\n" +
                   "    pooled = torch.cat([pooled, torch.log(control + " +
                   (activation_before ? "2.0" : "1.0") + ")], 1)\n";
  }
  part.source += "    return profile, self.linear.forward(pooled)\n";
  return part;
}

}  // namespace

ModulePart bpnet(const NamedTensors& state_dict, const BpnetOptions& options) {
  Weights weights(state_dict);
  Body body = measure(weights, "");
  const bool before = options.activation_before;
  body.trimming =
      trimming_of(weights, "", options.trimming,
                  before ? int64_t{1} << body.layers : seen_beyond(body.layers), "trimming");
  ModulePart part = bpnet_part(weights, "", body, true, before);
  part.output_names = head_names;
  weights.check("BPNet");
  return part;
}

ModulePart chrombpnet(const NamedTensors& state_dict, const BpnetOptions& options) {
  Weights weights(state_dict);
  Body accessibility = measure(weights, "accessibility.");
  Body bias = measure(weights, "bias.");
  accessibility.trimming = trimming_of(weights, "accessibility.", options.trimming,
                                       seen_beyond(accessibility.layers), "trimming");
  bias.trimming = trimming_of(weights, "bias.", options.bias_trimming, seen_beyond(bias.layers),
                              "bias_trimming");
  const int64_t crop = accessibility.trimming - bias.trimming;
  ModulePart part;
  part.class_name = "ChromBPNet";
  part.parts.emplace_back("bias", bpnet_part(weights, "bias.", bias, false));
  part.parts.emplace_back("accessibility",
                          bpnet_part(weights, "accessibility.", accessibility, false));
  // Modules of their own, as in bpnet-lite, so that module rules can register them.
  part.parts.emplace_back("_exp1", plain_layer("_Exp", "torch.exp(input)"));
  part.parts.emplace_back("_exp2", plain_layer("_Exp", "torch.exp(input)"));
  part.parts.emplace_back("_log", plain_layer("_Log", "torch.log(input)"));
  // The bias's counts are of its own window, its profile is cut to the accessibility's.
  const std::string cut = std::to_string(crop);
  part.source =
      "def forward(self, X: Tensor):\n"
      "    profile, counts = self.accessibility.forward(X)\n"
      "    bias_profile, bias_counts = self.bias.forward(X)\n" +
      (crop > 0 ? "    bias_profile = bias_profile[:, :, " + cut + ":bias_profile.size(2) - " +
                      cut + "]\n"
                : std::string()) +
      "    both = self._exp1.forward(counts) + self._exp2.forward(bias_counts)\n"
      "    return profile + bias_profile, self._log.forward(both)\n";
  part.output_names = head_names;
  weights.check("ChromBPNet");
  if (crop < 0) {
    throw Error("argument", "`bias_trimming` (" + std::to_string(bias.trimming) +
                                ") must be at most `trimming` (" +
                                std::to_string(accessibility.trimming) +
                                "): the bias's profile must cover the accessibility's.");
  }
  return part;
}

ModulePart procapnet(const NamedTensors& state_dict, const BpnetOptions& options) {
  Weights weights(state_dict);
  Body body = measure(weights, "");
  const int64_t strands = weights.size("fconv.weight", 0);
  const int64_t width = weights.odd_width("fconv");
  const int64_t margin = half_width(weights, "");
  body.trimming = trimming_of(weights, "", options.trimming, procapnet_trimming, "trimming");
  ModulePart part;
  part.class_name = "ProCapNet";
  std::vector<std::string> activations;
  for (int64_t i = 0; i <= body.layers; ++i) {
    activations.push_back("getattr(self.relus, \"" + std::to_string(i) + "\")");
  }
  const std::string layers = add_body(weights, "", body, activations, part);
  // The window is cut before the profile head, which needs no padding.
  part.parts.emplace_back("fconv", weights.convolution("fconv", {strands, body.filters, width}));
  part.parts.emplace_back("relus", module_list(relus(body.layers + 1)));
  // One for both strands, or one each.
  part.parts.emplace_back("linear",
                          weights.linear("linear", weights.size("linear.weight", 0), body.filters));
  part.source = "def forward(self, X: Tensor):\n    end = X.size(2) - " +
                std::to_string(body.trimming) + "\n" + layers + "    X = X[:, :, " +
                std::to_string(body.trimming - margin) + ":end + " + std::to_string(margin) +
                "]\n" +
                "    return self.fconv.forward(X), self.linear.forward(torch.mean(X, [2]))\n";
  part.output_names = head_names;
  weights.check("ProCapNet");
  return part;
}

}  // namespace seqlift
