// Borzoi (Linder et al. 2025, Nature Genetics 57:949) with the names of borzoi-pytorch (Hingerl): a
// tower of convolutions that halve the length, a transformer with relative positions, a way back to
// a quarter of the tower's resolution that takes up the tower's stages, the central bins, and a
// head for each species. pytorch_borzoi_model.py and pytorch_borzoi_transformer.py.
//
// Flashzoi (Hingerl et al. 2025) is the same with another attention, whose positions are rotations:
// MHA of flash-attention (Dao), mha.py and rotary.py.

#include <algorithm>

#include "core/import/architectures/architectures.h"
#include "core/model/relative_attention.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

constexpr double norm_eps = 0.001;

ModulePart gelu() { return activation_layer("GELU", "torch.gelu(input, approximate=\"tanh\")"); }

ModulePart halving() {
  PoolOptions options;
  options.size = {2};
  return pool_layer(options);
}

ModulePart doubling() {
  return plain_layer("torch.nn.modules.upsampling.Upsample",
                     "torch.upsample_nearest1d(input, [input.size(2) * 2], None)");
}

ModulePart block_of(std::vector<std::pair<std::string, ModulePart>> parts) {
  ModulePart part;
  part.class_name = "ConvBlock";
  std::string value = "input";
  for (const auto& one : parts) {
    value = "self." + one.first + ".forward(" + value + ")";
  }
  part.parts = std::move(parts);
  part.source = "def forward(self, input: Tensor):\n    return " + value + "\n";
  return part;
}

ModulePart conv_block(Weights& weights, const std::string& prefix, int64_t in, int64_t out) {
  return block_of({{"norm", weights.batch_norm(prefix + ".norm", in, 1, norm_eps)},
                   {"activation", gelu()},
                   {"conv_layer", weights.same_convolution(prefix + ".conv_layer", out, in)}});
}

// Each channel by itself, then all at one position.
ModulePart separable_block(Weights& weights, const std::string& prefix, int64_t channels) {
  const std::string depthwise = prefix + ".conv_layer.0";
  const int64_t width = weights.odd_width(depthwise);
  ConvolutionOptions options;
  options.padding = {width > 0 ? width / 2 : 0};
  options.groups = channels > 0 ? channels : 1;
  return block_of(
      {{"conv_layer",
        sequential(
            {weights.convolution(depthwise, {channels, 1, width}, options, Weights::Bias::no),
             weights.convolution(prefix + ".conv_layer.1", {channels, channels, 1})})}});
}

ModulePart attention(Weights& weights, const std::string& prefix, int64_t channels) {
  RelativeAttention options;
  options.three_families = false;
  options.heads = weights.size(prefix + ".rel_content_bias", 1);
  options.width = weights.size(prefix + ".rel_content_bias", 3);
  const int64_t queries =
      options.heads > 0 && options.width > 0 ? options.heads * options.width : -1;
  const int64_t values = weights.size(prefix + ".to_v.weight", 0);
  if (options.heads > 0 && values > 0 && values % options.heads != 0) {
    weights.complain("`" + prefix + ".to_v.weight` gives " + std::to_string(values) +
                     " values, not a multiple of the " + std::to_string(options.heads) + " heads.");
  }
  const int64_t positions = weights.size(prefix + ".to_rel_k.weight", 1);
  if (positions >= 0 && (positions == 0 || positions % 2 != 0)) {
    weights.complain("`" + prefix + ".to_rel_k.weight` takes " + std::to_string(positions) +
                     " positional features, not an even number.");
  }
  options.functions = positions / 2;
  ModulePart part;
  part.class_name = "Attention";
  for (const char* name : {"to_q", "to_k"}) {
    part.parts.emplace_back(
        name, weights.linear(prefix + "." + name, queries, channels, Weights::Bias::no));
  }
  part.parts.emplace_back("to_v",
                          weights.linear(prefix + ".to_v", values, channels, Weights::Bias::no));
  part.parts.emplace_back("to_out", weights.linear(prefix + ".to_out", channels, values));
  part.parts.emplace_back(
      "to_rel_k", weights.linear(prefix + ".to_rel_k", queries, positions, Weights::Bias::no));
  for (const char* name : {"rel_content_bias", "rel_pos_bias"}) {
    part.parameters.emplace_back(
        name, weights.take(prefix + "." + name, {1, options.heads, 1, options.width}));
  }
  part.source = relative_attention_source(options);
  return part;
}

// Every two heads of the queries share one of the keys and one of the values. Of queries and keys
// the first channels turn with the position: pairs (i, i + half) by the angle position / base^(i /
// half).
ModulePart flash_attention(Weights& weights, const std::string& prefix, int64_t channels,
                           const BorzoiOptions& options) {
  const std::string mha = prefix + ".mha";
  const int64_t heads = options.heads;
  if (channels > 0 && (heads % 2 != 0 || channels % heads != 0)) {
    weights.complain("The " + std::to_string(channels) + " channels of `" + mha +
                     "` are not made of an even number of heads, " + std::to_string(heads) + ".");
  }
  const int64_t width = channels > 0 ? channels / heads : 1;
  // All of a head that is narrower.
  const int64_t half = std::min(options.rotated, width) / 2;
  ModulePart part;
  part.class_name = "MHA";
  part.parts.emplace_back(
      "Wqkv", weights.linear(mha + ".Wqkv", channels > 0 ? 2 * channels : -1, channels));
  part.parts.emplace_back("out_proj", weights.linear(mha + ".out_proj", channels, channels));
  part.source = with_numbers(R"(
def rotated(self, x: Tensor, angles: Tensor):
    cosine = torch.cos(angles).to(x.dtype)
    sine = torch.sin(angles).to(x.dtype)
    first = x[:, :, :, :HALF]
    second = x[:, :, :, HALF:BOTH]
    turned = [first * cosine - second * sine, first * sine + second * cosine, x[:, :, :, BOTH:]]
    return torch.cat(turned, 3)

def forward(self, input: Tensor):
    rows = input.size(0)
    n = input.size(1)
    at = input.device
    steps = torch.arange(HALF, dtype=7, device=at) / -float(HALF)
    places = torch.arange(n, dtype=7, device=at)
    angles = (places.unsqueeze(1) * torch.pow(20000.0, steps)).unsqueeze(1)
    qkv = self.Wqkv.forward(input)
    q = self.rotated(qkv[:, :, :CHANNELS].reshape([rows, n, HEADS, WIDTH]), angles)
    k = qkv[:, :, CHANNELS:CHANNELS + CHANNELS // 2].reshape([rows, n, PAIRS, WIDTH])
    k = self.rotated(k, angles)
    v = qkv[:, :, CHANNELS + CHANNELS // 2:].reshape([rows, n, PAIRS, WIDTH])
    q = q.reshape([rows, n, PAIRS, 2, WIDTH]).permute([0, 2, 3, 1, 4])
    k = k.permute([0, 2, 3, 1]).unsqueeze(2)
    v = v.permute([0, 2, 1, 3]).unsqueeze(2)
    shares = torch.softmax(torch.matmul(q, k) * (float(WIDTH) ** -0.5), -1)
    mixed = torch.matmul(shares, v).permute([0, 3, 1, 2, 4]).reshape([rows, n, CHANNELS])
    return self.out_proj.forward(mixed)
)",
                             {{"CHANNELS", std::max<int64_t>(channels, 1)},
                              {"WIDTH", width},
                              {"HEADS", heads},
                              {"PAIRS", heads / 2},
                              {"HALF", half},
                              {"BOTH", 2 * half}});
  ModulePart outer;
  outer.class_name = "FlashAttention";
  outer.parts.emplace_back("mha", std::move(part));
  outer.source = "def forward(self, input: Tensor):\n    return self.mha.forward(input)\n";
  return outer;
}

ModulePart borzoi_transformer_block(Weights& weights, const std::string& prefix, int64_t channels,
                                    const BorzoiOptions& options) {
  const std::string first = prefix + ".0.fn.";
  const std::string second = prefix + ".1.fn.";
  const int64_t hidden = weights.size(second + "1.weight", 0);
  return sequential(
      {residual(sequential({weights.layer_norm(first + "0", channels, norm_eps),
                            weights.has(first + "1.mha.Wqkv.weight")
                                ? flash_attention(weights, first + "1", channels, options)
                                : attention(weights, first + "1", channels),
                            dropout_layer()})),
       residual(sequential({weights.layer_norm(second + "0", channels, norm_eps),
                            weights.linear(second + "1", hidden, channels), dropout_layer(),
                            relu_layer(), weights.linear(second + "4", channels, hidden),
                            dropout_layer()}))});
}

}  // namespace

ModulePart borzoi(const NamedTensors& state_dict, const BorzoiOptions& options) {
  Weights weights(state_dict);
  ModulePart part;
  part.class_name = "Borzoi";
  int64_t channels = weights.size("conv_dna.conv_layer.weight", 0);
  ModulePart stem;
  stem.class_name = "ConvDna";
  stem.parts.emplace_back("conv_layer",
                          weights.same_convolution("conv_dna.conv_layer", channels, 4));
  stem.parts.emplace_back("max_pool", halving());
  stem.source =
      "def forward(self, input: Tensor):\n    return "
      "self.max_pool.forward(self.conv_layer.forward(input))\n";
  part.parts.emplace_back("conv_dna", std::move(stem));

  // Blocks have even numbers, poolings stand between them.
  std::vector<ModulePart> tower;
  const int64_t stages = weights.count("res_tower");
  for (int64_t i = 0; i < stages; i += 2) {
    const std::string prefix = "res_tower." + std::to_string(i);
    const int64_t out = weights.size(prefix + ".conv_layer.weight", 0);
    if (i > 0) {
      tower.push_back(halving());
    }
    tower.push_back(conv_block(weights, prefix, channels, out));
    channels = out;
  }
  part.parts.emplace_back("res_tower", sequential(std::move(tower)));
  const int64_t width = weights.size("unet1.1.conv_layer.weight", 0);
  part.parts.emplace_back("unet1",
                          sequential({halving(), conv_block(weights, "unet1.1", channels, width)}));
  part.parts.emplace_back("_max_pool", halving());
  part.parts.emplace_back("horizontal_conv0",
                          conv_block(weights, "horizontal_conv0", channels, width));
  part.parts.emplace_back("horizontal_conv1",
                          conv_block(weights, "horizontal_conv1", width, width));
  std::vector<ModulePart> blocks;
  const int64_t depth = weights.count("transformer");
  for (int64_t i = 0; i < depth; ++i) {
    blocks.push_back(
        borzoi_transformer_block(weights, "transformer." + std::to_string(i), width, options));
  }
  part.parts.emplace_back("transformer", sequential(std::move(blocks)));
  for (const char* level : {"1", "0"}) {
    const std::string up = std::string("upsampling_unet") + level;
    part.parts.emplace_back(up,
                            sequential({conv_block(weights, up + ".0", width, width), doubling()}));
    const std::string separable = std::string("separable") + level;
    part.parts.emplace_back(separable, separable_block(weights, separable, width));
  }
  part.parts.emplace_back("crop", target_length_crop(options.target_length));
  const int64_t last = weights.size("final_joined_convs.0.conv_layer.weight", 0);
  part.parts.emplace_back("final_joined_convs",
                          sequential({conv_block(weights, "final_joined_convs.0", width, last),
                                      dropout_layer(), gelu()}));
  std::string outputs;
  for (const char* name : {"human", "mouse"}) {
    const std::string head = std::string(name) + "_head";
    if (!weights.has(head + ".weight")) {
      continue;
    }
    if (!options.head.empty() && options.head != name) {
      weights.ignore(head + ".");
      continue;
    }
    part.parts.emplace_back(
        head, weights.convolution(head, {weights.size(head + ".weight", 0), last, 1}));
    outputs += (outputs.empty() ? "" : ", ") + ("self.final_softplus.forward(self." + head) +
               ".forward(x))";
    part.output_names.emplace_back(name);
  }
  if (outputs.empty()) {
    weights.complain("There is no head `" + (options.head.empty() ? "human" : options.head) +
                     "_head`.");
    outputs = "x";
  }
  part.parts.emplace_back("final_softplus", activation_layer("Softplus", "torch.softplus(input)"));
  part.source = R"(
def forward(self, X: Tensor):
    stage_0 = self.res_tower.forward(self.conv_dna.forward(X))
    stage_1 = self.unet1.forward(stage_0)
    x = self._max_pool.forward(stage_1).transpose(1, 2)
    x = self.transformer.forward(x).transpose(1, 2)
    x = self.upsampling_unet1.forward(x) + self.horizontal_conv1.forward(stage_1)
    x = self.separable1.forward(x)
    x = self.upsampling_unet0.forward(x) + self.horizontal_conv0.forward(stage_0)
    x = self.separable0.forward(x)
    x = self.crop.forward(x.transpose(1, 2)).transpose(1, 2)
    x = self.final_joined_convs.forward(x)
    return )" + outputs +
                "\n";
  weights.check("Borzoi");
  return part;
}

}  // namespace seqlift
