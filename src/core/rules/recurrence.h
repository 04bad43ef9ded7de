// Recurrent cells stepped through time on both halves. rules/recurrent.cpp reads the operations'
// arguments and stacks layers and directions of it.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/halves/halves.h"

namespace seqlift {

enum class Cell { lstm, gru, rnn_tanh, rnn_relu };

// The weights of one layer in one direction, gates in LibTorch's order: i, f, g, o (lstm), r, z, n
// (gru). Biases and projection may be undefined.
struct CellWeights {
  at::Tensor input;        // [gates H, C]
  at::Tensor hidden;       // [gates H, H_out]
  at::Tensor input_bias;   // [gates H]
  at::Tensor hidden_bias;  // [gates H]
  at::Tensor projection;   // [H_out, H] (lstm)
};

struct CellStates {
  Halves hidden;  // [rows, H_out]
  Halves cell;    // [rows, H] (lstm)
};

struct Recurrence {
  Halves output;     // [T, rows, H_out]: the hidden state after each step, at the step's own place
  Halves last_cell;  // [rows, H] (lstm): the cell state after the last step
};

// `input` is [T, rows, C], rows matched as dimension 0 of the halves is. `reversed` runs from the
// last step to the first.
Recurrence run_recurrence(Cell cell, const CellWeights& weights, const Halves& input,
                          const CellStates& initial, bool reversed, const BatchShape& batch);

}  // namespace seqlift
