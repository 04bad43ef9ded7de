// Attention whose logits also hold how far apart two positions are, as in Enformer and Borzoi:
// logits[i, j] = (q_i + content bias) k_j + (q_i + position bias) r_(j - i).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/model/modules.h"

namespace seqlift {

// Source in which names in capitals stand for numbers.
std::string with_numbers(std::string source,
                         const std::vector<std::pair<std::string, int64_t>>& numbers);

struct RelativeAttention {
  int64_t heads = 1;
  int64_t width = 1;      // of keys, for each head
  int64_t functions = 1;  // of distance, of each family
  // Enformer's three families of functions; else Borzoi's one.
  bool three_families = true;
  // Gamma densities are divided by their maximum over distances, as in Enformer's published
  // weights; else over functions.
  bool use_tf_gamma = true;
};

// The methods of a module with the linear layers to_q, to_k, to_v, to_out and to_rel_k and the
// parameters rel_content_bias and rel_pos_bias, both [1, heads, 1, width]: forward() of [n, L, C].
std::string relative_attention_source(const RelativeAttention& options);

}  // namespace seqlift
