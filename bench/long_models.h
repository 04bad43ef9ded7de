// Weights of the published long models, random, for long_context.cpp.

#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/import/architectures/architectures.h"
#include "core/numeric/tensor_functions.h"

namespace bench {

constexpr int64_t attention_heads = 8;

struct Network {
  seqlift::NamedTensors tensors;

  void add(const std::string& key, const std::vector<int64_t>& sizes) {
    // What a layer gives has about the size of what it takes, GELU's half being made up for: with
    // smaller weights every sequence would give the same.
    constexpr double gain = 1.6;
    double inputs = 1;
    for (size_t i = 1; i < sizes.size(); ++i) {
      inputs *= static_cast<double>(sizes[i]);
    }
    const at::Tensor values = at::randn(sizes);
    tensors.emplace_back(key, sizes.size() > 1 ? gain * values / std::sqrt(inputs) : values * 0.1);
  }
  void layer(const std::string& prefix, const std::vector<int64_t>& sizes) {
    add(prefix + ".weight", sizes);
    add(prefix + ".bias", {sizes[0]});
  }
  void norm(const std::string& prefix, int64_t channels) {
    tensors.emplace_back(prefix + ".weight", at::ones({channels}));
    tensors.emplace_back(prefix + ".bias", at::zeros({channels}));
  }
  void batch_norm(const std::string& prefix, int64_t channels) {
    norm(prefix, channels);
    tensors.emplace_back(prefix + ".running_mean", at::zeros({channels}));
    tensors.emplace_back(prefix + ".running_var", at::ones({channels}));
    tensors.emplace_back(prefix + ".num_batches_tracked", at::scalar_tensor(1, at::kLong));
  }
  void block(const std::string& prefix, int64_t in, int64_t out, int64_t width) {
    batch_norm(prefix + ".0", in);
    layer(prefix + ".2", {out, in, width});
  }
  // Attention with relative positions of so many features, then a layer at each position.
  void attention_block(const std::string& prefix, int64_t width, int64_t positions) {
    constexpr int64_t keys = attention_heads * 64;
    const std::string attention = prefix + ".0.fn.1";
    norm(prefix + ".0.fn.0", width);
    add(attention + ".rel_content_bias", {1, attention_heads, 1, keys / attention_heads});
    add(attention + ".rel_pos_bias", {1, attention_heads, 1, keys / attention_heads});
    add(attention + ".to_q.weight", {keys, width});
    add(attention + ".to_k.weight", {keys, width});
    add(attention + ".to_v.weight", {width, width});
    layer(attention + ".to_out", {width, width});
    add(attention + ".to_rel_k.weight", {keys, positions});
    norm(prefix + ".1.fn.0", width);
    layer(prefix + ".1.fn.1", {2 * width, width});
    layer(prefix + ".1.fn.4", {width, 2 * width});
  }
};

// Avsec 2021: `width` 1536, `depth` 11.
inline seqlift::NamedTensors enformer_weights(int64_t width, int64_t depth) {
  constexpr int64_t stages = 6;
  Network net;
  const int64_t half = width / 2;
  net.layer("stem.0", {half, 4, 15});
  net.block("stem.1.fn", half, half, 1);
  net.add("stem.2.to_attn_logits.weight", {half, half, 1, 1});
  int64_t in = half;
  for (int64_t i = 0; i < stages; ++i) {
    // From half the width to all of it in equal ratios, by multiples of 128.
    const double ratio = std::pow(2.0, static_cast<double>(i) / (stages - 1));
    const int64_t step = std::min<int64_t>(128, half / 4);
    const int64_t out = std::llround(static_cast<double>(half) * ratio / step) * step;
    const std::string stage = "conv_tower." + std::to_string(i);
    net.block(stage + ".0", in, out, 5);
    net.block(stage + ".1.fn", out, out, 1);
    net.add(stage + ".2.to_attn_logits.weight", {out, out, 1, 1});
    in = out;
  }
  for (int64_t i = 0; i < depth; ++i) {
    const std::string block = "transformer." + std::to_string(i);
    net.attention_block(block, width, width / attention_heads);
  }
  net.block("final_pointwise.1", width, 2 * width, 1);
  net.layer("_heads.human.0", {5313, 2 * width});
  return net.tensors;
}

// Linder et al. 2025, in the layout of borzoi-pytorch: `width` 1536, `depth` 8. Lengths are
// multiples of 128.
inline seqlift::NamedTensors borzoi_weights(int64_t width, int64_t depth) {
  constexpr int64_t positions = 32;
  Network net;
  const auto conv = [&](const std::string& prefix, int64_t in, int64_t out, int64_t size) {
    net.batch_norm(prefix + ".norm", in);
    net.layer(prefix + ".conv_layer", {out, in, size});
  };
  const auto part = [&](int64_t published) {
    return std::max<int64_t>(4, published * width / 1536);
  };
  net.layer("conv_dna.conv_layer", {part(512), 4, 15});
  int64_t in = part(512);
  int64_t block = 0;
  for (const int64_t published : {608, 736, 896, 1056, 1280}) {
    conv("res_tower." + std::to_string(block), in, part(published), 5);
    in = part(published);
    block += 2;
  }
  conv("unet1.1", in, width, 5);
  conv("horizontal_conv0", in, width, 1);
  conv("horizontal_conv1", width, width, 1);
  for (int64_t i = 0; i < depth; ++i) {
    const std::string layer = "transformer." + std::to_string(i);
    net.attention_block(layer, width, positions);
  }
  for (const char* level : {"1", "0"}) {
    conv(std::string("upsampling_unet") + level + ".0", width, width, 1);
    const std::string separable = std::string("separable") + level + ".conv_layer.";
    net.add(separable + "0.weight", {width, 1, 3});
    net.layer(separable + "1", {width, width, 1});
  }
  conv("final_joined_convs.0", width, part(1920), 1);
  net.layer("human_head", {7611, part(1920), 1});
  return net.tensors;
}

}  // namespace bench
