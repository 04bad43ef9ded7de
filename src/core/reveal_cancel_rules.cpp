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

#include <set>

#include "reveal_cancel.h"
#include "steps.h"
#include "tensor_functions.h"

namespace seqlift {

namespace {

// The multiplier of a part that is zero is the effect of a part of this size, as in the package.
constexpr double probe = 1e-7;

std::vector<c10::IValue> arguments(const Call& call) {
  std::vector<c10::IValue> stack;
  for (const Value& input : call.inputs) {
    stack.push_back(input.x);
  }
  return stack;
}

at::Tensor run(const Call& call, std::vector<c10::IValue> stack) {
  return call.evaluate(std::move(stack))[0].toTensor();
}

bool is_any(const Call& call, const std::set<std::string>& names) {
  return names.count(call.name) > 0;
}

bool passes_input(const Call& call) {
  return is_any(call, {"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout",
                       "detach", "data"});
}

// The x block again as what reference and parts add up to: where no input of a unit differs, its
// difference is then zero exactly, whatever order its terms were summed in.
at::Tensor rebuilt(const at::Tensor& stack) {
  Blocks blocks = Blocks::of(stack);
  blocks.x = (blocks.reference + blocks.rise() + blocks.fall()).detach();
  return blocks.stack();
}

}  // namespace

std::vector<Value> RevealCancel::linear(Call& call) {
  if (passes_input(call)) {
    return {call.inputs[0]};
  }
  std::vector<c10::IValue> stack = arguments(call);
  const auto cross = [&](int position) {
    if (call.depends(position) && stack[position].isTensor()) {
      stack[position] = split(call, stack[position].toTensor()).crossed().stack();
    }
  };
  const bool subtracts = is_any(call, {"sub", "subtract"});
  if (is_any(call, {"neg", "negative"})) {
    cross(0);
  } else if (call.name == "rsub") {
    cross(0);
    if (number(call, "alpha", 1) < 0) {
      refuse(call, "has a negative alpha, which has no rule with RevealCancel");
    }
  } else if ((call.name == "add" && stack.size() == 3) || subtracts) {
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
  const bool norm = find_operation(call.name)->rule == rules::batch_norm;
  const bool quotient = is_any(call, {"div", "divide", "true_divide"}) && !call.depends(1);
  const bool rounds =
      call.find("rounding_mode") >= 0 && !call.constant(call.find("rounding_mode")).isNone();
  if (dependent.size() != 1 || rounds || !(norm || quotient || is_any(call, {"mul", "multiply"}))) {
    return std::nullopt;
  }
  if (norm && (call.name != "batch_norm" || call.constant(call.find("training")).toBool() ||
               !call.constant(call.find("running_var")).isTensor())) {
    return std::nullopt;
  }
  const int position = dependent[0];
  const at::Tensor input = call.inputs[position].x.toTensor();
  const Blocks blocks = split(call, input);
  std::vector<c10::IValue> stack = arguments(call);
  const at::Tensor straight = run(call, stack);
  stack[position] = blocks.crossed().stack();
  const at::Tensor swapped = run(call, stack);
  const c10::IValue& factor = call.constant(norm ? call.find("weight") : 1 - position);
  at::Tensor result = straight;
  if (factor.isTensor()) {
    at::Tensor negative = factor.toTensor() < 0;
    if (norm) {
      negative = negative.unsqueeze(0);
      while (negative.dim() < input.dim()) {
        negative = negative.unsqueeze(-1);
      }
    }
    result = at::where(negative, swapped, straight);
  } else if (!factor.isNone() && factor.toScalar().toDouble() < 0) {
    result = swapped;
  }
  return std::vector<Value>{to_one_batch(call, result)};
}

// A sum with weights of any sign: see the head of this file.
std::optional<std::vector<Value>> RevealCancel::weighted(Call& call) {
  const std::vector<int> dependent = call.dependent();
  const bool convolution = find_operation(call.name)->rule == rules::convolution;
  const bool adds = is_any(call, {"addmm", "addbmm", "baddbmm", "addmv", "addr"});
  int signal = 0;
  int weight = 1;
  int added = -1;    // what comes on top of the sum, once
  int factors = -1;  // a list that holds both
  if (convolution) {
    weight = call.find("weight");
    added = call.find("bias");
  } else if (call.name == "linear") {
    added = call.find("bias");
  } else if (adds) {
    const bool first = call.depends(1);
    signal = first ? 1 : 2;
    weight = first ? 2 : 1;
    added = 0;
  } else if (is_any(call, {"matmul", "mm", "bmm", "mv", "inner", "outer", "ger", "kron",
                           "linalg_matmul", "tensordot"})) {
    signal = call.depends(0) ? 0 : 1;
    weight = 1 - signal;
  } else if (call.name == "einsum" && call.constant(1).toTensorVector().size() == 2) {
    factors = 1;
    signal = call.constant(1).toTensorVector()[0].requires_grad() ? 0 : 1;
    weight = 1 - signal;
  } else {
    return std::nullopt;
  }
  std::vector<c10::IValue> stack = arguments(call);
  const auto factor = [&](int which) {
    return factors >= 0 ? stack[factors].toTensorVector()[which] : stack[which].toTensor();
  };
  const auto product = [&](const at::Tensor& of, const at::Tensor& by) {
    if (factors >= 0) {
      std::vector<at::Tensor> both(2);
      both[signal] = of;
      both[weight] = by;
      stack[factors] = both;
    } else {
      stack[signal] = of;
      stack[weight] = by;
    }
    return run(call, stack);
  };
  const bool free_sum = adds && call.depends(0);
  const bool signs = number(call, "alpha", 1) >= 0 && number(call, "beta", 1) >= 0;
  if (!factor(signal).requires_grad() || factor(weight).requires_grad() || !signs ||
      dependent.size() != (free_sum ? 2U : 1U)) {
    return std::nullopt;
  }
  const at::Tensor input = by_sign(call, factor(signal));
  const at::Tensor matrix = factor(weight);
  const at::Tensor straight = product(input, matrix.clamp_min(0));
  if (added >= 0 && stack[added].isTensor() && stack[added].toTensor().defined()) {
    stack[added] = at::zeros_like(stack[added].toTensor());
  }
  const at::Tensor sum =
      straight + product(Blocks::of(input).crossed().stack(), matrix.clamp_max(0));
  split(call, sum);
  const at::Tensor result = rebuilt(sum);
  const auto node = result.grad_fn();
  layers_[node.get()] = {node, convolution ? Layer::convolution : Layer::dense};
  return std::vector<Value>{to_one_batch(call, result)};
}

// Rescale gives both parts the multiplier (f(x) - f(r)) / (x - r). RevealCancel gives each the mean
// of its effects before and after the other one's,
//   y+ = ((f(r + d+) - f(r)) + (f(r + d- + d+) - f(r + d-))) / 2,  m+ = y+ / d+,
// and likewise y-; y+ + y- = f(r + d+ + d-) - f(r).
std::vector<Value> RevealCancel::elementwise(Call& call) {
  const int position = call.dependent()[0];
  const at::Tensor stack = call.inputs[position].x.toTensor();
  const Blocks blocks = split(call, stack);
  const at::Tensor plus = blocks.rise();
  const at::Tensor minus = blocks.fall();
  const bool reveal = reveals(call, stack);
  // The table's rule gives f(x), f(r) and, as a gradient, the multiplier of Rescale.
  Call halves = call;
  const at::Tensor leaf = repeat(blocks.reference.detach()).requires_grad_();
  halves.inputs[position] = to_value(repeat(blocks.x.detach()), leaf);
  halves.batch = {rows(), 1, nullptr};
  const Value given = find_operation(call.name)->rule(halves).at(0);
  const at::Tensor y = Blocks::of(given.x.toTensor()).x;
  const at::Tensor y_reference = Blocks::of(given.ref.toTensor().detach()).reference;
  at::Tensor slope_plus;
  at::Tensor slope_minus;
  if (reveal) {
    const at::NoGradGuard guard;
    std::vector<c10::IValue> others = arguments(call);
    for (c10::IValue& other : others) {
      if (other.isTensor() && other.toTensor().defined() &&
          at::isFloatingType(other.toTensor().scalar_type())) {
        other = other.toTensor().to(at::kDouble);
      }
    }
    const at::Tensor r = blocks.reference.detach().to(at::kDouble);
    const auto multiplier = [&](const at::Tensor& own, const at::Tensor& other) {
      const at::Tensor d = own.detach().to(at::kDouble);
      const at::Tensor beside = other.detach().to(at::kDouble);
      const at::Tensor step = at::where(d == 0, at::full_like(d, probe), d);
      others[position] = at::cat({r + step, r, r + beside + step, r + beside, r});
      const std::vector<at::Tensor> f = run(call, others).chunk(Blocks::count, 0);
      return (((f[0] - f[1]) + (f[2] - f[3])) / (2 * step)).to(own.scalar_type());
    };
    slope_plus = multiplier(plus, minus);
    slope_minus = multiplier(minus, plus);
    if (!(slope_plus + slope_minus).isfinite().all().item<bool>() &&
        stack.isfinite().all().item<bool>()) {
      refuse(call,
             "is not defined at the reference moved by one part of the difference alone, "
             "where RevealCancel asks for it");
    }
  } else {
    const at::Tensor ref = given.ref.toTensor();
    const at::Tensor slope = ref.requires_grad()
                                 ? torch::autograd::grad({ref}, {leaf}, {at::ones_like(ref)})[0]
                                 : at::zeros_like(leaf);
    slope_plus = Blocks::of(slope).reference;
    slope_minus = slope_plus;
  }
  const Blocks result{y, y_reference, slope_plus * plus, slope_minus * minus, at::zeros_like(y)};
  return {to_one_batch(call, result.stack())};
}

// The multiplier of the operation table's rule for both parts.
std::vector<Value> RevealCancel::shared(Call& call) {
  Call halves = call;
  halves.batch = {rows(), 1, nullptr};
  std::vector<at::Tensor> stacks;
  std::vector<at::Tensor> leaves;
  const auto leaf_of = [&](const at::Tensor& stack) {
    const Blocks blocks = split(call, stack);
    stacks.push_back(stack);
    leaves.push_back(repeat(blocks.reference.detach()).requires_grad_());
    return Halves{repeat(blocks.x.detach()), leaves.back()};
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
  std::vector<Value> outputs;
  for (const Value& given : find_operation(call.name)->rule(halves)) {
    if (given.tainted || !given.depends) {
      Value value;
      value.x = given.x;
      value.tainted = true;
      outputs.push_back(value);
      continue;
    }
    const at::Tensor ref = given.ref.toTensor();
    const at::Tensor y = Blocks::of(given.x.toTensor()).x.detach();
    const at::Tensor y_reference = Blocks::of(ref.detach()).reference;
    const at::Tensor change = y - y_reference;
    const Blocks result{y, y_reference, change.clamp_min(0), change.clamp_max(0),
                        at::zeros_like(y)};
    outputs.push_back(to_one_batch(
        call, attach(result.stack(), stacks, [ref, leaves, change](const at::Tensor& grad) {
          const Blocks blocks = Blocks::of(grad);
          const at::Tensor none = at::zeros_like(change);
          const at::Tensor joined = of_sign(change, blocks.plus, blocks.minus);
          std::vector<at::Tensor> multipliers = torch::autograd::grad(
              {ref}, leaves, {Blocks{none, joined, none, none, none}.stack()}, true, false, true);
          for (size_t i = 0; i < leaves.size(); ++i) {
            const at::Tensor m =
                multipliers[i].defined() ? multipliers[i] : at::zeros_like(leaves[i]);
            const at::Tensor own = Blocks::of(m).reference;
            const at::Tensor zero = at::zeros_like(own);
            multipliers[i] = Blocks{zero, zero, own, own, zero}.stack();
          }
          return multipliers;
        })));
  }
  return outputs;
}

}  // namespace seqlift
