// How much work the chunks of a method are, and what they give as a whole.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/model/graph.h"
#include "core/numeric/work.h"

namespace seqlift {

// Forward and backward: about so many times the work of a prediction.
constexpr int64_t passes = 3;

// `count` chunks of `rows` sequences of so many positions, as if each position met each weight.
Chunks chunks_of(int64_t count, const Graph& graph, int64_t rows, int64_t length);

// Rows of several chunks, each below the ones before. What is undefined of all of them stays so.
at::Tensor join_rows(const std::vector<at::Tensor>& parts);

std::vector<at::Tensor> join_rows(const std::vector<std::vector<at::Tensor>>& parts);

// Of a field of each chunk: a tensor, or as many tensors of each.
template <typename Part>
at::Tensor join_rows(const std::vector<Part>& parts, at::Tensor Part::*field) {
  std::vector<at::Tensor> rows;
  for (const Part& part : parts) {
    rows.push_back(part.*field);
  }
  return join_rows(rows);
}

template <typename Part>
std::vector<at::Tensor> join_rows(const std::vector<Part>& parts,
                                  std::vector<at::Tensor> Part::*field) {
  std::vector<std::vector<at::Tensor>> rows;
  for (const Part& part : parts) {
    rows.push_back(part.*field);
  }
  return join_rows(rows);
}

}  // namespace seqlift
