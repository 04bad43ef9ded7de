// How a model takes its sequences. Here they are [n, 4, L], one-hot, for every model; a model that
// was written for [n, L, 4], for an image of height one or for whole numbers gets what it was
// written for by a few operations put before it. These are part of its graph, so that what is
// explained is always [n, 4, L].
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/model/graph.h"
#include "core/model/model.h"

namespace seqlift {

struct InputLayout {
  // "NCL" as here; "NLC", "NC1L", ...: the dimensions' order, a 1 for one of size one; "tokens":
  // whole numbers [n, L].
  std::string dimensions = "NCL";
  // Of "tokens": which numbers stand for A, C, G, T, and for N (-1: none does).
  std::array<int64_t, 5> tokens{0, 1, 2, 3, -1};
};

// N, C and L once each and any number of 1s, four of these at most, or "tokens".
bool is_input_layout(const std::string& dimensions);

// From now on the `forward` of this model takes [n, 4, L]. It must not have been evaluated yet.
// Errors: kind "layout" where there is no such layout.
void set_input_layout(const Model& model, const InputLayout& layout);

struct FoundLayout {
  // Those that fit the model's first layers; empty where these do not tell. NCL alone where it
  // fits.
  std::vector<std::string> fits;
  int64_t vocabulary = 0;  // of "tokens": how many there are
};

// From the layers that the sequences reach first: which layouts give each of them as many channels
// as its weights have. `graph`: of a model as its file has it.
FoundLayout find_input_layout(const Graph& graph);

// Tokens that are looked up in a table, or made one-hot again, are a product of the one-hot
// sequences and the table: exact, and linear. A column of zeros is the row of N where that has a
// token, else zeros.
void open_tokens(Graph& graph);

}  // namespace seqlift
