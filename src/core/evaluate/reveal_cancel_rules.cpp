// What each kind of operation does with the two parts (d+, d-) of a difference.
//
//   weights       (convolutions, dense layers) section 3.5.1: the terms w_i d_i of the sum are
//                 sorted by their sign. The parts of an input are joined first and split by the
//                 sign of their sum, as the package does it: p = max(d, 0), q = min(d, 0),
//                 y+ = W+ p + W- q and y- = W+ q + W- p with W+ = max(W, 0), W- = min(W, 0). An
//                 input that does not differ gets the mean of both multipliers.
//   scales        (batch norm, products with a constant) hand each part on, crosswise where the
//                 factor is negative.
//   other linear  operations (views, sums, means, pools, padding, ...) have no negative factors:
//                 they hand each part on by themselves. Differences cross the subtracted one.
//   elementwise   RevealCancel, section 3.5.3, or Rescale: see elementwise().
//   all else      that has a rule in the operation table (max-pools, products, softmax,
//                 normalisations): the multiplier of that rule, shared by both parts, and the
//                 output's difference split by its sign. The package does so with max-pools and
//                 has none of the others; the sum stays exact for all.
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/evaluate/evaluation.h"
#include "core/evaluate/reveal_cancel.h"
#include "core/evaluate/reveal_cancel_blocks.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"
#include "core/rules/steps.h"

namespace seqlift {

namespace {

// Whether what raises a unit and what lowers it are apart already, as they are in the input.
bool parts_by_sign(const Blocks& blocks) {
  const at::NoGradGuard guard;
  const at::Tensor plus = blocks.rise();
  const at::Tensor minus = blocks.fall();
  return !(plus < 0).any().item<bool>() && !(minus > 0).any().item<bool>() &&
         !(plus * minus != 0).any().item<bool>();
}

// Whether an operation did with the first pair what it did with it alone, and with each copy the
// same.
bool is_row_by_row(const at::Tensor& alone, const at::Tensor& whole, int64_t pairs,
                   int64_t copies) {
  const at::NoGradGuard guard;
  if (whole.dim() == 0 || alone.dim() == 0 || whole.size(0) != alone.size(0) * pairs ||
      whole.size(0) % copies != 0) {
    return false;
  }
  const auto close = [&](const at::Tensor& a, const at::Tensor& b) {
    const double rounding = whole.scalar_type() == at::kDouble ? 1e-8 : 1e-3;
    return at::allclose(a, b, rounding, rounding, true);
  };
  const bool first = close(alone, whole.narrow(0, 0, alone.size(0)));
  const Blocks blocks = copies == 1 ? Blocks() : Blocks::of(whole);
  return first && (copies == 1 || close(blocks.x, blocks.origin));
}

}  // namespace

std::vector<Value> RevealCancel::linear(Call& call) {
  const Reveal reveal = call.row->reveal;
  if (reveal == Reveal::passes) {
    return {call.inputs[0]};
  }
  std::vector<c10::IValue> stack = call.stack(false);
  const auto cross = [&](int position) {
    if (call.depends(position) && stack[position].isTensor()) {
      stack[position] = split(call, stack[position].toTensor()).crossed().stack();
    }
  };
  const bool subtracts = reveal == Reveal::subtracts;
  if (reveal == Reveal::negates) {
    cross(0);
  } else if (reveal == Reveal::subtracts_first) {
    cross(0);
    if (number(call, "alpha", 1) < 0) {
      refuse(call, "has a negative alpha, which has no rule with RevealCancel");
    }
  } else if ((reveal == Reveal::adds && stack.size() == 3) || subtracts) {
    if (subtracts == (number(call, "alpha", 1) > 0)) {
      cross(1);
    }
  }
  std::vector<Value> outputs;
  const std::vector<c10::IValue> results = call.evaluate(std::move(stack));
  for (const c10::IValue& result : results) {
    outputs.push_back(to_one_batch(call, result));
  }
  return outputs;
}

// A factor a unit: the parts change places where it is negative.
std::optional<std::vector<Value>> RevealCancel::scaled(Call& call) {
  const std::vector<int> dependent = call.dependent();
  const bool norm = call.row->kind == Kind::linear;
  const bool divided = call.is(Trait::divides) && call.depends(1);
  const bool rounds =
      call.find("rounding_mode") >= 0 && !call.constant(call.find("rounding_mode")).isNone();
  if (dependent.size() != 1 || rounds || divided) {
    return std::nullopt;
  }
  if (norm && (call.constant(call.find("training")).toBool() ||
               !call.constant(call.find("running_var")).isTensor())) {
    return std::nullopt;
  }
  const int position = dependent[0];
  if (call.inputs[position].x.isList()) {
    return linear(call);  // repeated
  }
  const at::Tensor input = call.inputs[position].x.toTensor();
  split(call, input);
  at::Tensor straight;
  if (norm) {
    // The table's rule keeps nothing of its input for the way back.
    Call halves = call;
    halves.inputs[position] = to_value(input.detach().narrow(0, 0, input.size(0) / rows()), input);
    halves.batch = {1, rows(), nullptr};
    straight = call.row->rule(halves)[0].ref().toTensor();
  } else {
    straight = first_output(call, call.stack(false));
  }
  const c10::IValue& factor = call.constant(norm ? call.find("weight") : 1 - position);
  const auto swapped = [&]() { return Blocks::of(straight).crossed().stack(); };
  at::Tensor result = straight;
  if (factor.isTensor()) {
    at::Tensor negative = factor.toTensor() < 0;
    if (norm) {
      negative = negative.unsqueeze(0);
      while (negative.dim() < input.dim()) {
        negative = negative.unsqueeze(-1);
      }
    }
    result = negative.any().item<bool>() ? at::where(negative, swapped(), straight) : straight;
  } else if (!factor.isNone() && factor.toScalar().toDouble() < 0) {
    result = swapped();
  }
  return std::vector<Value>{to_one_batch(call, result)};
}

// A sum with weights of any sign: see the head of this file.
std::optional<std::vector<Value>> RevealCancel::weighted(Call& call) {
  const std::vector<int> dependent = call.dependent();
  const bool convolution = call.is(Trait::convolves);
  const bool adds = call.row->added == 0;
  int signal = 0;
  int weight = 1;
  const int added = call.row->added;  // what comes on top of the sum, once
  int factors = -1;                   // a list that holds both
  if (call.inputs[1].x.isTensorList()) {
    factors = 1;
    if (call.constant(1).toTensorVector().size() != 2) {
      return std::nullopt;
    }
    signal = call.constant(1).toTensorVector()[0].requires_grad() ? 0 : 1;
    weight = 1 - signal;
  } else if (adds) {
    const bool first = call.depends(1);
    signal = first ? 1 : 2;
    weight = first ? 2 : 1;
  } else if (added < 0) {
    signal = call.depends(0) ? 0 : 1;
    weight = 1 - signal;
  }
  const auto factor = [&](int which) {
    const c10::IValue& input = call.inputs[factors >= 0 ? factors : which].x;
    return factors >= 0 ? input.toTensorVector()[which] : input.toTensor();
  };
  const bool free_sum = adds && call.depends(0);
  const bool signs = number(call, "alpha", 1) >= 0 && number(call, "beta", 1) >= 0;
  if (!factor(signal).requires_grad() || factor(weight).requires_grad() || !signs ||
      dependent.size() != (free_sum ? 2U : 1U)) {
    return std::nullopt;
  }
  const at::Tensor stack = factor(signal);
  const at::Tensor matrix = factor(weight);
  const Blocks blocks = split(call, stack);
  const int64_t copies = copies_for(call, rows());
  // The operation with a block in the place of the stack; `by` in that of the weights; what is
  // added once, or nothing.
  const auto with = [&](const Value& of, const at::Tensor& by, bool with_added) {
    Call product = call;
    Value& place = product.inputs[factors >= 0 ? factors : signal];
    if (factors >= 0) {
      const auto list = [&](const at::Tensor& half) {
        return c10::IValue(signal == 0 ? std::vector<at::Tensor>{half, by}
                                       : std::vector<at::Tensor>{by, half});
      };
      place = to_value(list(of.x.toTensor()), list(of.half(true).toTensor()));
      place.depends = of.depends;
    } else {
      place = of;
      product.inputs[weight] = Value();
      product.inputs[weight].x = by;
    }
    if (!with_added && added >= 0 && call.inputs[added].x.isTensor() &&
        call.inputs[added].x.toTensor().defined()) {
      const at::Tensor given = call.inputs[added].x.toTensor();
      product.inputs[added] = Value();
      if (adds) {
        product.inputs[added].x = at::zeros({1}, given.options().requires_grad(false));
      }
    }
    return product;
  };
  // The table's rule for a block [pairs, ...] as a leaf; the other half is one row of it.
  const auto ruled = [&](const at::Tensor& leaf, const at::Tensor& by) {
    const int64_t pairs = copies == 1 ? pairs_ : 1;
    Call product =
        with(to_value(leaf.detach().narrow(0, 0, leaf.size(0) / pairs), leaf), by, false);
    product.batch = {1, pairs, nullptr};
    const Value output = call.row->rule(product)[0];
    const at::Tensor whole = output.ref().toTensor();
    if (!is_row_by_row(output.x.toTensor(), whole.detach(), pairs, copies)) {
      refuse(call,
             "mixes or moves the sequences of a batch, which the rules of RevealCancel need "
             "in their place");
    }
    return whole;
  };
  const at::Tensor change = (blocks.x - blocks.reference).detach();
  const bool fresh = layer_behind(stack) == Layer::none && parts_by_sign(blocks);
  Value reference;
  reference.x = in_copies(blocks.reference.detach(), copies);
  at::Tensor y_reference;
  {
    const at::NoGradGuard guard;
    Call product = with(reference, matrix, !free_sum);
    product.batch = {pairs_, 1, nullptr};
    y_reference = first_copy(convolution ? call.row->rule(product)[0].x.toTensor()
                                         : first_output(product, product.stack(false)),
                             copies);
  }
  // With d = p + q and |d| = p - q, W+ p + W- q = (W d + |W| |d|) / 2 and W+ q + W- p = (W d -
  // |W| |d|) / 2: two products instead of four.
  const at::Tensor leaf = in_copies(change, copies).detach().requires_grad_();
  const at::Tensor size = in_copies(change.abs(), copies).requires_grad_();
  const at::Tensor sum = ruled(leaf, matrix);
  const at::Tensor spread = ruled(size, matrix.abs());
  const at::NoGradGuard guard;
  const at::Tensor y = first_copy(sum.detach(), copies);
  const at::Tensor both = first_copy(spread.detach(), copies);
  const at::Tensor plus = (y + both) / 2;
  const at::Tensor minus = (y - both) / 2;
  // The x block as what reference and parts add up to: where no input of a unit differs, its
  // difference is then zero exactly, whatever order its terms were summed in.
  const Blocks result{y_reference + plus + minus, y_reference, plus, minus, at::zeros_like(plus)};
  at::Tensor output = attach(
      result.stack(), {stack},
      [sum, spread, leaf, size, change, fresh, copies,
       stack_rows = stack.size(0)](const at::Tensor& grad) {
        const Blocks blocks = Blocks::of(grad);
        const auto back = [&](const at::Tensor& product, const at::Tensor& of,
                              const at::Tensor& g) {
          at::Tensor whole = g;
          if (copies > 1) {
            const at::Tensor none = at::zeros_like(g);
            whole = Blocks{g, none, none, none, none}.stack();
          }
          return first_copy(torch::autograd::grad({product}, {of}, {whole}, true)[0], copies);
        };
        const at::Tensor straight = back(sum, leaf, (blocks.plus + blocks.minus) / 2);
        const at::Tensor cross = back(spread, size, (blocks.plus - blocks.minus) / 2);
        at::Tensor rise = straight + cross;
        at::Tensor fall = straight - cross;
        if (!fresh) {
          rise = of_sign(change, rise, fall);
          fall = rise;
        }
        return std::vector<at::Tensor>{as_gradient(rise, fall, stack_rows)};
      });
  if (free_sum) {
    const at::AutoGradMode enabled(true);
    output = output + call.inputs[0].x.toTensor() * number(call, "beta", 1);
  }
  const auto node = output.grad_fn();
  layers_[node.get()] = {node, convolution ? Layer::convolution : Layer::dense};
  return std::vector<Value>{to_one_batch(call, output)};
}

// The multiplier of the operation table's rule for both parts.
std::vector<Value> RevealCancel::shared(Call& call) {
  Call halves = call;
  const int64_t copies = copies_for(call, rows());
  halves.batch = {copies * pairs_, 1, nullptr};
  std::vector<at::Tensor> stacks;
  std::vector<at::Tensor> leaves;
  const auto leaf_of = [&](const at::Tensor& stack) {
    const Blocks blocks = split(call, stack);
    stacks.push_back(stack);
    leaves.push_back(in_copies(blocks.reference.detach(), copies).requires_grad_());
    return Halves{in_copies(blocks.x.detach(), copies), leaves.back()};
  };
  for (const int position : call.dependent()) {
    const c10::IValue& input = call.inputs[position].x;
    if (input.isTensor()) {
      halves.inputs[position] = to_value(leaf_of(input.toTensor()));
      continue;
    }
    if (!input.isTensorList()) {
      refuse(call, "has no rule with RevealCancel");
    }
    std::vector<at::Tensor> x;
    std::vector<at::Tensor> reference;
    for (const at::Tensor& element : input.toTensorVector()) {
      const Halves both = element.requires_grad() ? leaf_of(element) : Halves{element, element};
      x.push_back(both.x);
      reference.push_back(both.ref);
    }
    halves.inputs[position] = to_value(c10::IValue(x), c10::IValue(reference));
    halves.inputs[position].depends = true;
  }
  std::vector<int64_t> all;
  for (const at::Tensor& stack : stacks) {
    all.push_back(stack.size(0));
  }
  const auto stack_of = [&](const at::Tensor& x, const at::Tensor& ref) {
    const at::Tensor y = first_copy(x.detach(), copies);
    const at::Tensor y_reference = first_copy(ref.detach(), copies);
    const at::Tensor change = y - y_reference;
    const Blocks result{y, y_reference, change.clamp_min(0), change.clamp_max(0),
                        at::zeros_like(y)};
    const auto backward = [ref, leaves, change, copies, all](const at::Tensor& grad) {
      const Blocks blocks = Blocks::of(grad);
      at::Tensor joined = of_sign(change, blocks.plus, blocks.minus);
      if (copies > 1) {
        const at::Tensor none = at::zeros_like(change);
        joined = Blocks{joined, none, none, none, none}.stack();
      }
      std::vector<at::Tensor> multipliers =
          torch::autograd::grad({ref}, leaves, {joined}, true, false, true);
      for (size_t i = 0; i < leaves.size(); ++i) {
        const at::Tensor m = multipliers[i].defined() ? multipliers[i] : at::zeros_like(leaves[i]);
        const at::Tensor own = first_copy(m, copies);
        multipliers[i] = as_gradient(own, own, all[i]);
      }
      return multipliers;
    };
    return attach(result.stack(), stacks, backward);
  };
  std::vector<Value> outputs;
  for (const Value& given : call.row->rule(halves)) {
    if (given.tainted || !given.depends) {
      Value value;
      value.x = given.x;
      value.tainted = true;
      outputs.push_back(value);
    } else if (given.ref().isTensorList()) {
      const std::vector<at::Tensor> x = given.x.toTensorVector();
      const std::vector<at::Tensor> ref = given.ref().toTensorVector();
      std::vector<at::Tensor> stacked;
      for (size_t i = 0; i < ref.size(); ++i) {
        stacked.push_back(stack_of(x[i], ref[i]));
      }
      outputs.push_back(to_one_batch(call, stacked));
    } else {
      outputs.push_back(to_one_batch(call, stack_of(given.x.toTensor(), given.ref().toTensor())));
    }
  }
  return outputs;
}

}  // namespace seqlift
