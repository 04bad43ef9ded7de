// A recurrent cell is made of linear maps, sigmoid and tanh (rescale rule) and products of two
// (gradient at the midpoint); chaining their multipliers backwards through time keeps summation to
// delta, as each keeps it. With s the rescale slope of a gate, ~ the mean of x and reference, and g
// the multiplier that arrives at a value, the chain of one step is, for
//   lstm, h = o tanh(c), c = f c' + i g:
//     g_c = g_h ~o s(tanh c) + (from the next step),   g_c' = g_c ~f,
//     pre-activations: o: g_h ~tanh(c) s,  i: g_c ~g s,  f: g_c ~c' s,  g: g_c ~i s;
//   gru, h = n + z (h' - n), n = tanh(a + r q), q = W_hn h' + b_hn:
//     n: g_h (1 - ~z) s,  z: g_h ~(h' - n) s,  r: g_n ~q s,  q: g_n ~r,  h': g_h ~z + (of q, r, z);
//   rnn, h = tanh or relu: g_h s.
// All factors but g are known after the forward pass: they are formed step by step then, while
// what they are made of is in the cache, and going back costs one matrix product and a few
// multiplications a step. One operation of the autograd graph stands for the whole loop: hundreds
// of steps of a dozen operations each would spend their time on bookkeeping.
//
// The slopes of the gates, from the theorem of addition for tanh, lose no digits however close a
// and b are and need no double precision:
//   tanh a - tanh b = tanh(a - b) (1 - tanh a tanh b),
//   sigmoid a - sigmoid b = tanh((a - b) / 2) (sa + sb - 2 sa sb),  sa = sigmoid a.
#include "core/rules/recurrence.h"

#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// One half after one step, [rows, ...] each.
struct Moment {
  at::Tensor pre;      // what enters the gates
  at::Tensor gates;    // what leaves them (lstm: o, i, f, g; gru: r, z, n)
  at::Tensor carried;  // lstm: the cell state; gru: q
  at::Tensor bounded;  // lstm: tanh of the cell state
  at::Tensor hidden;
};

// The factors by which a step's multipliers go back, [rows, ...] each.
struct Factors {
  at::Tensor pre;     // to the gates
  at::Tensor hidden;  // lstm: from h to the cell state; gru: to the hidden state before
  at::Tensor carry;   // lstm: to the cell state before; gru: to q
};

// Views of both halves' rows that broadcast against each other.
class Pairing {
 public:
  Pairing(int64_t rows, const BatchShape& batch)
      : n_(batch.references == 1 ? 1 : batch.sequences),
        r_(batch.references),
        inner_(rows / (n_ * r_)) {}
  at::Tensor x(const at::Tensor& value) const { return value.view({n_, 1, inner_, -1}); }
  at::Tensor ref(const at::Tensor& value) const { return value.view({n_, r_, inner_, -1}); }
  at::Tensor rows(const at::Tensor& pairs) const {
    return pairs.reshape({n_ * r_ * inner_, pairs.size(-1)});
  }

 private:
  int64_t n_, r_, inner_;
};

at::Tensor part(const at::Tensor& gates, int64_t index, int64_t size, int64_t count = 1) {
  return gates.narrow(-1, index * size, count * size);
}

// tanh(u) / u, 1 at zero.
at::Tensor tanh_quotient(const at::Tensor& u) { return at::tanh(u).div_(u).nan_to_num_(1.0); }

at::Tensor middle(const at::Tensor& x, const at::Tensor& ref) { return (x + ref).mul_(0.5); }

// The rescale slope of tanh from its inputs and outputs.
at::Tensor tanh_slope(const at::Tensor& x, const at::Tensor& ref, const at::Tensor& tanh_x,
                      const at::Tensor& tanh_ref) {
  return tanh_quotient(x - ref).mul_((tanh_x * tanh_ref).neg_().add_(1));
}

// The rescale slopes of gates of which all but the last are sigmoids and the last is a tanh;
// `middles` are the means of their outputs.
at::Tensor gate_slopes(const at::Tensor& pre_x, const at::Tensor& pre_ref, const at::Tensor& x,
                       const at::Tensor& ref, const at::Tensor& middles, int64_t size) {
  const int64_t sigmoids = x.size(-1) / size - 1;
  at::Tensor change = pre_x - pre_ref;
  part(change, 0, size, sigmoids).mul_(0.5);
  at::Tensor slopes = tanh_quotient(change);
  const at::Tensor product = x * ref;
  part(slopes, 0, size, sigmoids)
      .mul_(part(middles, 0, size, sigmoids) - part(product, 0, size, sigmoids));
  part(slopes, sigmoids, size).mul_(part(product, sigmoids, size).neg().add_(1));
  return slopes;
}

at::Tensor apply_gates(const at::Tensor& pre, int64_t size) {
  const int64_t sigmoids = pre.size(1) / size - 1;
  at::Tensor gates = at::empty_like(pre);
  at::Tensor first = part(gates, 0, size, sigmoids);
  at::Tensor last = part(gates, sigmoids, size);
  at::sigmoid_out(first, part(pre, 0, size, sigmoids));
  at::tanh_out(last, part(pre, sigmoids, size));
  return gates;
}

// The steps of one kind of cell. `projected` is what the input sends to the gates.
class Stepper {
 public:
  Stepper(Cell cell, const CellWeights& weights) : cell_(cell), weights_(weights) {
    size_ = weights.hidden.size(0) / (cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1);
    if (cell == Cell::lstm) {
      // Sigmoids side by side, and beside each other the three that the cell state drives.
      for (at::Tensor* whole :
           {&weights_.input, &weights_.hidden, &weights_.input_bias, &weights_.hidden_bias}) {
        if (whole->defined()) {
          const auto gates = whole->chunk(4);
          *whole = at::cat({gates[3], gates[0], gates[1], gates[2]});
        }
      }
    }
    bias_ = weights_.input_bias;
    if (bias_.defined() && cell != Cell::gru) {
      bias_ = bias_ + weights_.hidden_bias;
    }
  }

  const CellWeights& weights() const { return weights_; }
  int64_t size() const { return size_; }

  // All steps at once: [T, rows, gates H].
  at::Tensor project(const at::Tensor& input) const {
    return at::linear(input, weights_.input, bias_).contiguous();
  }

  // Writes into `projected`, which becomes the step's own.
  Moment forward(at::Tensor projected, const Moment& before) const {
    Moment now;
    if (cell_ == Cell::gru) {
      const at::Tensor from_hidden =
          at::linear(before.hidden, weights_.hidden, weights_.hidden_bias);
      now.pre = projected;
      part(now.pre, 0, size_, 2).add_(part(from_hidden, 0, size_, 2));
      now.gates = at::empty_like(now.pre);
      at::Tensor reset_update = part(now.gates, 0, size_, 2);
      at::Tensor candidate = part(now.gates, 2, size_);
      at::sigmoid_out(reset_update, part(now.pre, 0, size_, 2));
      now.carried = part(from_hidden, 2, size_).contiguous();
      part(now.pre, 2, size_).addcmul_(part(now.gates, 0, size_), now.carried);
      at::tanh_out(candidate, part(now.pre, 2, size_));
      now.hidden = at::addcmul(candidate, part(now.gates, 1, size_), before.hidden - candidate);
      return now;
    }
    now.pre = projected.addmm_(before.hidden, weights_.hidden.t());
    if (cell_ == Cell::lstm) {
      now.gates = apply_gates(now.pre, size_);
      now.carried = (part(now.gates, 2, size_) * before.carried)
                        .addcmul_(part(now.gates, 1, size_), part(now.gates, 3, size_));
      now.bounded = at::tanh(now.carried);
      now.hidden = part(now.gates, 0, size_) * now.bounded;
      if (weights_.projection.defined()) {
        now.hidden = at::mm(now.hidden, weights_.projection.t());
      }
      return now;
    }
    now.hidden = cell_ == Cell::rnn_tanh ? at::tanh(now.pre) : at::relu(now.pre);
    return now;
  }

  Factors factors(const Moment& x, const Moment& x_before, const Moment& ref,
                  const Moment& ref_before, const Pairing& pairs) const {
    const at::Tensor pre_x = pairs.x(x.pre);
    const at::Tensor pre_ref = pairs.ref(ref.pre);
    Factors result;
    if (cell_ == Cell::rnn_tanh) {
      result.pre = pairs.rows(tanh_slope(pre_x, pre_ref, pairs.x(x.hidden), pairs.ref(ref.hidden)));
      return result;
    }
    if (cell_ == Cell::rnn_relu) {
      // Equal inputs: the derivative.
      const at::Tensor change = pre_x - pre_ref;
      const at::Tensor quotient = (pairs.x(x.hidden) - pairs.ref(ref.hidden)) / change;
      result.pre = pairs.rows(at::where(change == 0, (pre_x > 0).to(change.dtype()), quotient));
      return result;
    }
    const at::Tensor gates_x = pairs.x(x.gates);
    const at::Tensor gates_ref = pairs.ref(ref.gates);
    const at::Tensor middles = middle(gates_x, gates_ref);
    at::Tensor slopes = gate_slopes(pre_x, pre_ref, gates_x, gates_ref, middles, size_);
    if (cell_ == Cell::lstm) {
      const auto carried = [&](const Moment& x_step, const Moment& ref_step) {
        return middle(pairs.x(x_step.carried), pairs.ref(ref_step.carried));
      };
      const at::Tensor bounded_x = pairs.x(x.bounded);
      const at::Tensor bounded_ref = pairs.ref(ref.bounded);
      part(slopes, 0, size_).mul_(middle(bounded_x, bounded_ref));
      part(slopes, 1, size_).mul_(part(middles, 3, size_));
      part(slopes, 2, size_).mul_(carried(x_before, ref_before));
      part(slopes, 3, size_).mul_(part(middles, 1, size_));
      result.hidden =
          pairs.rows(tanh_slope(pairs.x(x.carried), pairs.ref(ref.carried), bounded_x, bounded_ref)
                         .mul_(part(middles, 0, size_)));
      result.carry = pairs.rows(part(middles, 2, size_).contiguous());
    } else {
      const auto rise = [&](const at::Tensor& before, const at::Tensor& gates) {
        return before - part(gates, 2, size_);
      };
      const at::Tensor update = part(middles, 1, size_);
      at::Tensor candidate = part(slopes, 2, size_).mul_(1 - update);
      part(slopes, 1, size_)
          .mul_(middle(rise(pairs.x(x_before.hidden), gates_x),
                       rise(pairs.ref(ref_before.hidden), gates_ref)));
      part(slopes, 0, size_)
          .mul_(middle(pairs.x(x.carried), pairs.ref(ref.carried)).mul_(candidate));
      result.carry = pairs.rows(candidate * part(middles, 0, size_));
      result.hidden = pairs.rows(update.contiguous());
    }
    result.pre = pairs.rows(slopes);
    return result;
  }

  // Takes the multipliers of the hidden and the cell state back over one step; writes those of the
  // gates' inputs into `pre`.
  void backward(const Factors& by, at::Tensor& hidden, at::Tensor& cell, at::Tensor pre) const {
    if (cell_ == Cell::lstm) {
      if (weights_.projection.defined()) {
        hidden = at::mm(hidden, weights_.projection);
      }
      cell.addcmul_(hidden, by.hidden);
      at::Tensor output = part(pre, 0, size_);
      at::Tensor others = part(pre, 1, size_, 3).unflatten(1, {3, size_});
      at::mul_out(output, hidden, part(by.pre, 0, size_));
      at::mul_out(others, cell.unsqueeze(1), part(by.pre, 1, size_, 3).unflatten(1, {3, size_}));
      cell.mul_(by.carry);
      hidden = at::mm(pre, weights_.hidden);
    } else if (cell_ == Cell::gru) {
      at::Tensor gates = pre.unflatten(1, {3, size_});
      at::mul_out(gates, hidden.unsqueeze(1), by.pre.unflatten(1, {3, size_}));
      const at::Tensor candidate = hidden * by.carry;
      hidden = (hidden * by.hidden)
                   .addmm_(part(pre, 0, size_, 2), weights_.hidden.narrow(0, 0, 2 * size_));
      hidden.addmm_(candidate, weights_.hidden.narrow(0, 2 * size_, size_));
    } else {
      at::mul_out(pre, hidden, by.pre);
      hidden = at::mm(pre, weights_.hidden);
    }
  }

 private:
  Cell cell_;
  CellWeights weights_;
  at::Tensor bias_;
  int64_t size_ = 0;
};

// The steps of the sequences' half, remembered from block to block.
std::vector<Moment> remembered_steps(const BatchShape& batch,
                                     const std::function<std::vector<Moment>()>& compute) {
  const Memo::Results flat = once(batch.memo, "recurrence", [&]() {
    Memo::Results all;
    for (const Moment& step : compute()) {
      for (const at::Tensor& tensor :
           {step.pre, step.gates, step.carried, step.bounded, step.hidden}) {
        all.emplace_back(tensor);
      }
    }
    return all;
  });
  std::vector<Moment> steps;
  for (size_t i = 0; i < flat.size(); i += 5) {
    steps.push_back({flat[i].toTensor(), flat[i + 1].toTensor(), flat[i + 2].toTensor(),
                     flat[i + 3].toTensor(), flat[i + 4].toTensor()});
  }
  return steps;
}

}  // namespace

Recurrence run_recurrence(Cell cell, const CellWeights& weights, const Halves& input,
                          const CellStates& initial, bool reversed, const BatchShape& batch) {
  const at::NoGradGuard guard;
  const Stepper stepper(cell, weights);
  const int64_t time = input.ref.size(0);
  const int64_t rows = input.ref.size(1);
  const auto place = [time, reversed](int64_t step) { return reversed ? time - 1 - step : step; };
  const auto before_first = [](const at::Tensor& hidden, const at::Tensor& carried) {
    Moment step;
    step.hidden = hidden.detach().contiguous();
    step.carried = carried.defined() ? carried.detach().contiguous() : carried;
    return step;
  };

  const Moment x_first = before_first(initial.hidden.x, initial.cell.x);
  const std::vector<Moment> x_steps = remembered_steps(batch, [&]() {
    const at::Tensor projected = stepper.project(input.x);
    std::vector<Moment> steps;
    for (int64_t i = 0; i < time; ++i) {
      steps.push_back(stepper.forward(projected[place(i)], i == 0 ? x_first : steps.back()));
    }
    return steps;
  });

  // Hidden states of all steps and the last cell state lie in one tensor: one result of autograd.
  const int64_t states = time * rows * initial.hidden.ref.size(1);
  const int64_t cells = cell == Cell::lstm ? rows * stepper.size() : 0;
  at::Tensor joined = at::empty({states + cells}, input.ref.options());
  const auto states_of = [=](const at::Tensor& whole) {
    return whole.narrow(0, 0, states).view({time, rows, -1});
  };
  const auto cells_of = [=](const at::Tensor& whole) {
    return whole.narrow(0, states, cells).view({rows, -1});
  };
  const at::Tensor written = states_of(joined);
  const at::Tensor projected = stepper.project(input.ref.detach());
  const Pairing pairs(rows, batch);
  std::vector<Factors> factors;
  Moment before = before_first(initial.hidden.ref, initial.cell.ref);
  for (int64_t i = 0; i < time; ++i) {
    const Moment now = stepper.forward(projected[place(i)], before);
    written[place(i)].copy_(now.hidden);
    factors.push_back(
        stepper.factors(x_steps[i], i == 0 ? x_first : x_steps[i - 1], now, before, pairs));
    before = now;
  }

  Recurrence result;
  std::vector<at::Tensor> hidden_x(time);
  for (int64_t i = 0; i < time; ++i) {
    hidden_x[place(i)] = x_steps[i].hidden;
  }
  result.output.x = at::stack(hidden_x);
  std::vector<at::Tensor> inputs{input.ref, initial.hidden.ref};
  if (cell == Cell::lstm) {
    cells_of(joined).copy_(before.carried);
    result.last_cell.x = x_steps.back().carried;
    inputs.push_back(initial.cell.ref);
  }
  const bool needs_input = input.ref.requires_grad();
  const at::Tensor attached = attach(joined, inputs, [=](const at::Tensor& grad) {
    const at::Tensor flat = grad.contiguous();
    const at::Tensor of_output = states_of(flat);
    at::Tensor hidden = at::zeros_like(of_output[0]);
    at::Tensor cell_state = cells > 0 ? cells_of(flat).clone() : at::Tensor();
    at::Tensor pre = at::empty({time, rows, stepper.weights().hidden.size(0)}, flat.options());
    for (int64_t i = time - 1; i >= 0; --i) {
      hidden.add_(of_output[place(i)]);
      stepper.backward(factors[i], hidden, cell_state, pre[place(i)]);
    }
    std::vector<at::Tensor> grads(2);
    if (needs_input) {
      grads[0] = at::matmul(pre, stepper.weights().input);
    }
    grads[1] = hidden;
    if (cells > 0) {
      grads.push_back(cell_state);
    }
    return grads;
  });
  const at::AutoGradMode enabled(true);
  result.output.ref = states_of(attached);
  if (cells > 0) {
    result.last_cell.ref = cells_of(attached);
  }
  return result;
}

}  // namespace seqlift
