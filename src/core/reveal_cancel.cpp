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
#include "reveal_cancel.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include <array>
#include <set>
#include <unordered_set>

#include "error.h"
#include "evaluation.h"

namespace seqlift {

namespace {

enum Block { x_block, reference_block, plus_block, minus_block, origin_block, block_count };

// The multiplier of a part that is zero is the effect of a part of this size, as in the package.
constexpr double probe = 1e-7;

[[noreturn]] void refuse(const Call& call, const std::string& why) {
  throw Error("unsupported_operation", call.where() + " " + why + ".");
}

at::Tensor join(const std::vector<at::Tensor>& blocks) { return at::cat(blocks, 0); }

at::Tensor crossed(const at::Tensor& stack) {
  std::vector<at::Tensor> blocks = stack.chunk(block_count, 0);
  std::swap(blocks[plus_block], blocks[minus_block]);
  return join(blocks);
}

at::Tensor part(const std::vector<at::Tensor>& blocks, Block which) {
  return blocks[which] - blocks[origin_block];
}

// The x block again as what reference and parts add up to: where no input of a unit differs, its
// difference is then zero exactly, whatever order its terms were summed in.
at::Tensor rebuilt(const at::Tensor& stack) {
  std::vector<at::Tensor> blocks = stack.chunk(block_count, 0);
  blocks[x_block] =
      (blocks[reference_block] + part(blocks, plus_block) + part(blocks, minus_block)).detach();
  return join(blocks);
}

// The gradient of a difference whose parts have these gradients, if it was split by its sign.
at::Tensor joined_gradient(const at::Tensor& change, const at::Tensor& plus,
                           const at::Tensor& minus) {
  return at::where(change > 0, plus, at::where(change < 0, minus, (plus + minus) / 2));
}

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

// A result as a value of a one-batch evaluation.
Value to_one_batch(const Call& call, const c10::IValue& result) {
  Value value;
  value.x = result;
  visit_tensors(result, [&](const at::Tensor& tensor) {
    const bool defined = tensor.defined();
    if (defined && !at::isFloatingType(tensor.scalar_type())) {
      refuse(call, "turns what depends on X into whole numbers, which has no rule");
    }
    value.depends = value.depends || (defined && tensor.requires_grad());
  });
  return value;
}

double scalar_or(const Call& call, const char* name, double otherwise) {
  const int position = call.find(name);
  return position >= 0 ? call.constant(position).toScalar().toDouble() : otherwise;
}

bool is_any(const Call& call, const std::set<std::string>& names) {
  return names.count(call.name) > 0;
}

// Linear operations of the table with factors of both signs that are not looked into.
bool has_mixed_factors(const Call& call) {
  return is_any(call, {"diff", "upsample_bicubic2d", "__interpolate", "upsample", "__upsample"});
}

bool passes_input(const Call& call) {
  return is_any(call, {"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout",
                       "detach", "data"});
}

}  // namespace

RevealCancel::Input RevealCancel::input(const at::Tensor& x, const at::Tensor& reference) {
  const at::Tensor change = x - reference;
  Input input;
  input.plus = change.clamp_min(0).detach().requires_grad_();
  input.minus = change.clamp_max(0).detach().requires_grad_();
  const at::AutoGradMode enabled(true);
  input.blocks = join({x, reference, input.plus, input.minus, at::zeros_like(x)});
  return input;
}

at::Tensor RevealCancel::repeat(const at::Tensor& arg) {
  return join(std::vector<at::Tensor>(block_count, arg));
}

at::Tensor RevealCancel::change(const at::Tensor& output) {
  const std::vector<at::Tensor> blocks = output.chunk(block_count, 0);
  return part(blocks, plus_block) + part(blocks, minus_block);
}

int64_t RevealCancel::rows() const { return block_count * pairs_; }

// The blocks of a value. Their parts must add up to the difference: they do not where the model
// moved the batch dimension, so that the rows are no longer those of the pairs.
std::vector<at::Tensor> RevealCancel::split(const Call& call, const at::Tensor& stack) const {
  const bool divides = stack.dim() > 0 && stack.size(0) > 0 && stack.size(0) % rows() == 0;
  std::vector<at::Tensor> blocks;
  bool adds_up = false;
  if (divides) {
    blocks = stack.chunk(block_count, 0);
    const at::NoGradGuard guard;
    const at::Tensor& x = blocks[x_block];
    const at::Tensor& reference = blocks[reference_block];
    const at::Tensor gap = x - reference - part(blocks, plus_block) - part(blocks, minus_block);
    const double size = std::max(1.0, stack.abs().max().item<double>());
    const double rounding = x.scalar_type() == at::kDouble ? 1e-8 : 1e-3;
    // NaN and infinity are told of where the output is looked at.
    adds_up = !(gap.abs().max().item<double>() > rounding * size);
  }
  if (!adds_up) {
    refuse(call,
           "gets sequences that are not along the first dimension, which the rules of "
           "RevealCancel need");
  }
  return blocks;
}

// The nearest layer with weights behind a value, found by walking back through autograd's graph.
// Where a sum brings several together a convolution counts, whose Rescale is the safer rule.
RevealCancel::Layer RevealCancel::layer_behind(const at::Tensor& stack) const {
  Layer found = Layer::none;
  std::vector<const torch::autograd::Node*> waiting{stack.grad_fn().get()};
  std::unordered_set<const torch::autograd::Node*> seen;
  while (!waiting.empty()) {
    const torch::autograd::Node* node = waiting.back();
    waiting.pop_back();
    if (!node || !seen.insert(node).second) {
      continue;
    }
    const auto layer = layers_.find(node);
    if (layer != layers_.end()) {
      found = std::max(found, layer->second.second);
      continue;
    }
    for (const auto& edge : node->next_edges()) {
      waiting.push_back(edge.function.get());
    }
  }
  return found;
}

// The parts joined and split anew by the sign of the difference. The model's input is split
// already: its multipliers for rises and falls stay apart.
at::Tensor RevealCancel::by_sign(const Call& call, const at::Tensor& stack) const {
  std::vector<at::Tensor> blocks = split(call, stack);
  const at::Tensor plus = part(blocks, plus_block);
  const at::Tensor minus = part(blocks, minus_block);
  const at::Tensor change = (blocks[x_block] - blocks[reference_block]).detach();
  const bool fresh = layer_behind(stack) == Layer::none && !(plus < 0).any().item<bool>() &&
                     !(minus > 0).any().item<bool>() && !(plus * minus != 0).any().item<bool>();
  if (fresh) {
    return stack;
  }
  const at::Tensor sum = plus + minus;
  // The gradient of the sum, the value of the difference: the same but for rounding, which must not
  // choose a sign.
  const at::Tensor joined = sum - sum.detach() + change;
  const at::Tensor still = (change == 0).to(sum.scalar_type()) / 2;
  blocks[plus_block] = joined * ((change > 0).to(sum.scalar_type()) + still);
  blocks[minus_block] = joined * ((change < 0).to(sum.scalar_type()) + still);
  blocks[origin_block] = at::zeros_like(change);
  return join(blocks);
}

std::vector<Value> RevealCancel::apply(Call& call) {
  bool tainted = false;
  for (const Value& input : call.inputs) {
    tainted = tainted || input.tainted;
  }
  const Operation* operation = find_operation(call.name);
  if ((call.dependent().empty() && !tainted) || (operation && operation->kind == Kind::shape)) {
    return {};
  }
  if (tainted || (operation && operation->kind == Kind::condition)) {
    refuse(call, "uses a condition or an index that depends on X, which has no rule");
  }
  if (!operation || !operation->rule) {
    refuse(call, "has no rule that keeps summation-to-delta");
  }
  if (touches_batch_dimension(call) || mixes_sequences(call)) {
    refuse(call,
           "mixes or moves the sequences of a batch, which the rules of RevealCancel need "
           "in their place");
  }
  // What returns nothing writes into a list, which the engine does.
  if (call.node->outputs().empty()) {
    return {};
  }
  const at::AutoGradMode enabled(true);
  const bool one = call.dependent().size() == 1 && call.inputs[call.dependent()[0]].x.isTensor();
  if (operation->kind == Kind::elementwise && one && operation->rule != rules::glu) {
    return elementwise(call);
  }
  if (operation->rule == rules::batch_norm || operation->kind == Kind::product) {
    if (auto result = scaled(call)) {
      return *result;
    }
  }
  if (operation->rule == rules::convolution || operation->kind == Kind::product) {
    if (auto result = weighted(call)) {
      return *result;
    }
    return shared(call);
  }
  const bool linear_kind = operation->kind == Kind::linear && operation->rule != rules::batch_norm;
  return linear_kind && !has_mixed_factors(call) ? linear(call) : shared(call);
}

std::vector<Value> RevealCancel::linear(Call& call) {
  if (passes_input(call)) {
    return {call.inputs[0]};
  }
  std::vector<c10::IValue> stack = arguments(call);
  const auto cross = [&](int position) {
    if (call.depends(position) && stack[position].isTensor()) {
      split(call, stack[position].toTensor());
      stack[position] = crossed(stack[position].toTensor());
    }
  };
  const bool subtracts = is_any(call, {"sub", "subtract"});
  if (is_any(call, {"neg", "negative"})) {
    cross(0);
  } else if (call.name == "rsub") {
    cross(0);
    if (scalar_or(call, "alpha", 1) < 0) {
      refuse(call, "has a negative alpha, which has no rule with RevealCancel");
    }
  } else if ((call.name == "add" && stack.size() == 3) || subtracts) {
    if (subtracts == (scalar_or(call, "alpha", 1) > 0)) {
      cross(1);
    }
  }
  std::vector<Value> outputs;
  for (const c10::IValue& result : call.evaluate(std::move(stack))) {
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
  split(call, input);
  std::vector<c10::IValue> stack = arguments(call);
  const at::Tensor straight = run(call, stack);
  stack[position] = crossed(input);
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
  const bool signs = scalar_or(call, "alpha", 1) >= 0 && scalar_or(call, "beta", 1) >= 0;
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
  const at::Tensor sum = straight + product(crossed(input), matrix.clamp_max(0));
  split(call, sum);
  const at::Tensor result = rebuilt(sum);
  const auto node = result.grad_fn();
  layers_[node.get()] = {node, convolution ? Layer::convolution : Layer::dense};
  return std::vector<Value>{to_one_batch(call, result)};
}

bool RevealCancel::reveals(const Call& call, const at::Tensor& stack) const {
  if (rule_ != NonlinearRule::genomics_default) {
    return rule_ == NonlinearRule::reveal_cancel;
  }
  const Layer layer = layer_behind(stack);
  if (layer == Layer::none) {
    refuse(call,
           "is behind neither a convolution nor a dense layer: the genomics default has no "
           "rule for it");
  }
  return layer == Layer::dense;
}

// Rescale gives both parts the multiplier (f(x) - f(r)) / (x - r). RevealCancel gives each the mean
// of its effects before and after the other one's,
//   y+ = ((f(r + d+) - f(r)) + (f(r + d- + d+) - f(r + d-))) / 2,  m+ = y+ / d+,
// and likewise y-; y+ + y- = f(r + d+ + d-) - f(r).
std::vector<Value> RevealCancel::elementwise(Call& call) {
  const int position = call.dependent()[0];
  const at::Tensor stack = call.inputs[position].x.toTensor();
  const std::vector<at::Tensor> blocks = split(call, stack);
  const at::Tensor plus = part(blocks, plus_block);
  const at::Tensor minus = part(blocks, minus_block);
  const bool reveal = reveals(call, stack);
  // The table's rule gives f(x), f(r) and, as a gradient, the multiplier of Rescale.
  Call halves = call;
  const at::Tensor leaf = repeat(blocks[reference_block].detach()).requires_grad_();
  halves.inputs[position] = to_value(repeat(blocks[x_block].detach()), leaf);
  halves.batch = {rows(), 1, nullptr};
  const Value given = find_operation(call.name)->rule(halves).at(0);
  const at::Tensor y = given.x.toTensor().chunk(block_count, 0)[x_block];
  const at::Tensor y_reference =
      given.ref.toTensor().detach().chunk(block_count, 0)[reference_block];
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
    const at::Tensor r = blocks[reference_block].detach().to(at::kDouble);
    const auto multiplier = [&](const at::Tensor& own, const at::Tensor& other) {
      const at::Tensor d = own.detach().to(at::kDouble);
      const at::Tensor beside = other.detach().to(at::kDouble);
      const at::Tensor step = at::where(d == 0, at::full_like(d, probe), d);
      others[position] = join({r + step, r, r + beside + step, r + beside, r});
      const std::vector<at::Tensor> f = run(call, others).chunk(block_count, 0);
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
    slope_plus = slope.chunk(block_count, 0)[reference_block];
    slope_minus = slope_plus;
  }
  return {to_one_batch(
      call, join({y, y_reference, slope_plus * plus, slope_minus * minus, at::zeros_like(y)}))};
}

// The multiplier of the operation table's rule for both parts.
std::vector<Value> RevealCancel::shared(Call& call) {
  Call halves = call;
  halves.batch = {rows(), 1, nullptr};
  std::vector<at::Tensor> stacks;
  std::vector<at::Tensor> leaves;
  const auto leaf_of = [&](const at::Tensor& stack) {
    const std::vector<at::Tensor> blocks = split(call, stack);
    stacks.push_back(stack);
    leaves.push_back(repeat(blocks[reference_block].detach()).requires_grad_());
    return Halves{repeat(blocks[x_block].detach()), leaves.back()};
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
    const at::Tensor y = given.x.toTensor().chunk(block_count, 0)[x_block].detach();
    const at::Tensor y_reference = ref.detach().chunk(block_count, 0)[reference_block];
    const at::Tensor change = y - y_reference;
    const at::Tensor result =
        join({y, y_reference, change.clamp_min(0), change.clamp_max(0), at::zeros_like(y)});
    outputs.push_back(to_one_batch(
        call, attach(result, stacks, [ref, leaves, change](const at::Tensor& grad) {
          const std::vector<at::Tensor> blocks = grad.chunk(block_count, 0);
          const at::Tensor none = at::zeros_like(change);
          const at::Tensor joined =
              joined_gradient(change, blocks[plus_block], blocks[minus_block]);
          std::vector<at::Tensor> multipliers = torch::autograd::grad(
              {ref}, leaves, {join({none, joined, none, none, none})}, true, false, true);
          for (size_t i = 0; i < leaves.size(); ++i) {
            const at::Tensor m =
                multipliers[i].defined() ? multipliers[i] : at::zeros_like(leaves[i]);
            const at::Tensor own = m.chunk(block_count, 0)[reference_block];
            const at::Tensor zero = at::zeros_like(own);
            multipliers[i] = join({zero, zero, own, own, zero});
          }
          return multipliers;
        })));
  }
  return outputs;
}

}  // namespace seqlift
