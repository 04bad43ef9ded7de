// Enformer (Avsec et al. 2021, Nature Methods 18:1196) with the names of enformer-pytorch: a stem
// and a tower of convolutions that each halve the length by attention pooling, a transformer with
// relative positions, the central bins, and a head for each species.

#include <algorithm>
#include <cmath>

#include "core/import/architectures/architectures.h"
#include "core/model/relative_attention.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// enformer-pytorch keeps the stages a second time, as the steps of its trunk, and its state dicts
// hold both names; safetensors files may hold either.
NamedTensors without_trunk(const NamedTensors& state_dict) {
  const std::vector<std::pair<std::string, std::string>> stages{{"_trunk.1.", "stem."},
                                                                {"_trunk.2.", "conv_tower."},
                                                                {"_trunk.4.", "transformer."},
                                                                {"_trunk.6.", "final_pointwise."}};
  const auto own_name = [&stages](const std::string& key) {
    for (const auto& stage : stages) {
      if (key.compare(0, stage.first.size(), stage.first) == 0) {
        return stage.second + key.substr(stage.first.size());
      }
    }
    return key;
  };
  std::set<std::string> names;
  for (const auto& entry : state_dict) {
    names.insert(entry.first);
  }
  NamedTensors result;
  for (const auto& entry : state_dict) {
    const std::string name = own_name(entry.first);
    if (name == entry.first || names.count(name) == 0) {
      result.emplace_back(name, entry.second);
    }
  }
  return result;
}

ModulePart gelu_layer() { return plain_layer("GELU", "torch.sigmoid(1.702 * input) * input"); }

ModulePart rearrange_layer() { return plain_layer("Rearrange", "input.transpose(1, 2)"); }

ModulePart convolution_block(Weights& weights, const std::string& prefix, int64_t in, int64_t out) {
  return sequential({weights.batch_norm(prefix + ".0", in, 1), gelu_layer(),
                     weights.same_convolution(prefix + ".2", out, in)});
}

// Each pair of neighbours becomes their mean by the softmax of their logits; one that is left over
// at the end stays, as if its partner were masked.
ModulePart attention_pool(Weights& weights, const std::string& prefix, int64_t channels) {
  ModulePart part;
  part.class_name = "AttentionPool";
  part.parts.emplace_back(
      "to_attn_logits", weights.convolution(prefix + ".to_attn_logits", {channels, channels, 1, 1},
                                            {}, Weights::Bias::no));
  part.source = R"(
def forward(self, input: Tensor):
    even = input.size(2) // 2 * 2
    pairs = input[:, :, :even].reshape([input.size(0), input.size(1), even // 2, 2])
    shares = torch.softmax(self.to_attn_logits.forward(pairs), -1)
    pooled = torch.sum(pairs * shares, [-1])
    if even < input.size(2):
        pooled = torch.cat([pooled, input[:, :, even:]], 2)
    return pooled
)";
  return part;
}

ModulePart attention(Weights& weights, const std::string& prefix, int64_t channels,
                     bool use_tf_gamma) {
  const auto key = [&prefix](const std::string& name) { return prefix + "." + name; };
  const int64_t heads = weights.size(key("rel_content_bias"), 1);
  const int64_t width = weights.size(key("rel_content_bias"), 3);
  const int64_t queries = heads > 0 && width > 0 ? heads * width : -1;
  const int64_t values = weights.size(key("to_v.weight"), 0);
  if (heads > 0 && values > 0 && values % heads != 0) {
    weights.complain("`" + key("to_v.weight") + "` gives " + std::to_string(values) +
                     " values, not a multiple of the " + std::to_string(heads) + " heads.");
  }
  const int64_t positions = weights.size(key("to_rel_k.weight"), 1);
  if (positions >= 0 && (positions == 0 || positions % 6 != 0)) {
    weights.complain("`" + key("to_rel_k.weight") + "` takes " + std::to_string(positions) +
                     " positional features, not a multiple of 6.");
  }
  ModulePart part;
  part.class_name = "Attention";
  for (const char* name : {"to_q", "to_k"}) {
    part.parts.emplace_back(name, weights.linear(key(name), queries, channels, Weights::Bias::no));
  }
  part.parts.emplace_back("to_v", weights.linear(key("to_v"), values, channels, Weights::Bias::no));
  part.parts.emplace_back("to_out", weights.linear(key("to_out"), channels, values));
  part.parts.emplace_back("to_rel_k",
                          weights.linear(key("to_rel_k"), queries, positions, Weights::Bias::no));
  for (const char* name : {"rel_content_bias", "rel_pos_bias"}) {
    part.parameters.emplace_back(name, weights.take(key(name), {1, heads, 1, width}));
  }

  RelativeAttention options;
  options.heads = heads;
  options.width = width;
  options.functions = positions / 6;
  options.use_tf_gamma = use_tf_gamma;
  part.source = relative_attention_source(options);
  return part;
}

ModulePart transformer_block(Weights& weights, const std::string& prefix, int64_t channels,
                             bool use_tf_gamma) {
  const std::string first = prefix + ".0.fn.";
  const std::string second = prefix + ".1.fn.";
  const int64_t hidden = weights.size(second + "1.weight", 0);
  return sequential(
      {residual(
           sequential({weights.layer_norm(first + "0", channels),
                       attention(weights, first + "1", channels, use_tf_gamma), dropout_layer()})),
       residual(sequential({weights.layer_norm(second + "0", channels),
                            weights.linear(second + "1", hidden, channels), dropout_layer(),
                            relu_layer(), weights.linear(second + "4", channels, hidden),
                            dropout_layer()}))});
}

// A head's name as TorchScript's source has it.
std::string quoted_head(const std::string& name) {
  std::string text = "\"";
  for (const char letter : name) {
    if (letter == '"' || letter == '\\') {
      text += '\\';
    }
    text += letter;
  }
  return text + "\"";
}

// Any text will do that TorchScript's own printer writes as it is.
bool is_head_name(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char letter) { return letter >= ' ' && letter <= '~'; });
}

}  // namespace

ModulePart enformer(const NamedTensors& state_dict, const EnformerOptions& options) {
  Weights weights(without_trunk(state_dict));
  int64_t channels = weights.size("stem.0.weight", 0);
  ModulePart part;
  part.class_name = "Enformer";
  part.parts.emplace_back(
      "stem", sequential({weights.same_convolution("stem.0", channels, 4),
                          residual(convolution_block(weights, "stem.1.fn", channels, channels)),
                          attention_pool(weights, "stem.2", channels)}));

  std::vector<ModulePart> tower;
  const int64_t stages = weights.count("conv_tower");
  for (int64_t i = 0; i < stages; ++i) {
    const std::string prefix = "conv_tower." + std::to_string(i);
    const int64_t out = weights.size(prefix + ".0.2.weight", 0);
    tower.push_back(sequential({convolution_block(weights, prefix + ".0", channels, out),
                                residual(convolution_block(weights, prefix + ".1.fn", out, out)),
                                attention_pool(weights, prefix + ".2", out)}));
    channels = out;
  }
  part.parts.emplace_back("conv_tower", sequential(std::move(tower)));

  std::vector<ModulePart> blocks;
  const int64_t depth = weights.count("transformer");
  for (int64_t i = 0; i < depth; ++i) {
    blocks.push_back(transformer_block(weights, "transformer." + std::to_string(i), channels,
                                       options.use_tf_gamma));
  }
  part.parts.emplace_back("transformer", sequential(std::move(blocks)));
  part.parts.emplace_back("crop_final", target_length_crop(options.target_length));

  const int64_t last = weights.size("final_pointwise.1.2.weight", 0);
  part.parts.emplace_back(
      "final_pointwise",
      sequential({rearrange_layer(),
                  convolution_block(weights, "final_pointwise.1", channels, last),
                  rearrange_layer(), dropout_layer(), gelu_layer()}));

  ModulePart heads;
  heads.class_name = "torch.nn.modules.container.ModuleDict";
  std::string outputs;
  for (const std::string& name : weights.names_below("_heads")) {
    const std::string prefix = "_heads." + name;
    if (!options.head.empty() && name != options.head) {
      weights.ignore(prefix + ".");
    } else if (is_head_name(name)) {
      const int64_t tracks = weights.size(prefix + ".0.weight", 0);
      heads.parts.emplace_back(name,
                               sequential({weights.linear(prefix + ".0", tracks, last),
                                           activation_layer("Softplus", "torch.softplus(input)")}));
      outputs += (outputs.empty() ? "" : ", ") +
                 ("getattr(self._heads, " + quoted_head(name) + ")") + ".forward(x)";
      part.output_names.push_back(name);
    }
  }
  if (outputs.empty()) {
    weights.complain(options.head.empty() ? "There is no head such as `_heads.human.0.weight`."
                                          : "There is no head `" + options.head + "`.");
  }
  part.parts.emplace_back("_heads", std::move(heads));
  part.source = R"(
def forward(self, X: Tensor):
    x = self.conv_tower.forward(self.stem.forward(X)).transpose(1, 2)
    x = self.crop_final.forward(self.transformer.forward(x))
    x = self.final_pointwise.forward(x)
    return )" + outputs +
                "\n";
  weights.check("Enformer");
  return part;
}

}  // namespace seqlift
