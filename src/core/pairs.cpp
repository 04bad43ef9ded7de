#include "pairs.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>

#include "error.h"
#include "predict.h"
#include "windows.h"

namespace seqlift {

at::Tensor columns_of(const at::Tensor& output, int64_t rows, bool profile) {
  if (profile && output.dim() > 2 && output.size(0) == rows) {
    return output.flatten(1);
  }
  const bool fits = output.dim() >= 1 && output.dim() <= 2 && output.size(0) == rows;
  if (!fits) {
    const bool by_row = output.dim() > 2 && output.size(0) == rows;
    throw Error("output",
                "The model must return one row of targets per sequence, but it returns " +
                    (by_row ? shape_text(output[0]) + " per sequence"
                            : shape_text(output) + " for " + std::to_string(rows) + " sequences") +
                    ". Choose an output with select_output(), or turn a profile into a number with "
                    "profile_score().");
  }
  return output.dim() == 1 ? output.unsqueeze(1) : output;
}

void check_targets(const std::vector<int64_t>& targets, int64_t columns) {
  for (const int64_t target : targets) {
    if (target >= columns) {
      throw Error("target", "The model has " + std::to_string(columns) + " target" +
                                (columns == 1 ? "" : "s") + ", there is no target " +
                                std::to_string(target + 1) + ".");
    }
  }
}

at::Tensor single_output(const std::vector<Value>& outputs, bool ref) {
  if (outputs.size() != 1) {
    throw Error("output", "The model has " + std::to_string(outputs.size()) +
                              " outputs; choose one with select_output().");
  }
  const c10::IValue& value = ref ? outputs[0].ref : outputs[0].x;
  if (!value.isTensor()) {
    throw Error("output", "The model returns something that is not a tensor.");
  }
  if (outputs[0].tainted && !outputs[0].depends) {
    throw Error("unsupported_operation",
                "The output depends on X only through a condition or an index, which has no rule.");
  }
  if (!outputs[0].depends) {
    throw Error("output", "The model's output does not depend on the sequences.");
  }
  return value.toTensor();
}

namespace {

// The gradient of a target's column with respect to `leaf`; `keep` where others will be asked for.
at::Tensor gradient(const at::Tensor& columns, const at::Tensor& leaf, int64_t target, bool keep) {
  const at::AutoGradMode enabled(true);
  at::Tensor result;
  try {
    result = torch::autograd::grad({columns.select(1, target).sum()}, {leaf}, {}, keep, false,
                                   true)[0];
  } catch (const c10::Error& error) {
    const std::string why = error.what_without_backtrace();
    throw Error("evaluation", "The gradient of the model failed: " + why.substr(0, why.find('\n')));
  }
  return result.defined() ? result : at::zeros_like(leaf);
}

at::Tensor chosen(const at::Tensor& columns, const std::vector<int64_t>& targets) {
  const at::Tensor index = at::tensor(targets, at::kLong).to(columns.device());
  return columns.detach().index_select(1, index).to(at::kDouble);
}

at::Tensor leaf_of(const at::Tensor& references) {
  return references.detach().clone(at::MemoryFormat::Contiguous).requires_grad_();
}

// The leaf itself must not be written to by the model; its copy may.
at::Tensor behind(const at::Tensor& leaf) {
  const at::AutoGradMode enabled(true);
  return attach(
      leaf.detach().clone(), {leaf},
      [](const at::Tensor& grad) { return std::vector<at::Tensor>{grad}; },
      [](const Windows& grad) { return grad; });
}

}  // namespace

EvaluateOptions PairEvaluator::common() const {
  EvaluateOptions evaluation;
  evaluation.cancelled = &cancelled_;
  evaluation.observe = options_.observe;
  return evaluation;
}

PairResult PairEvaluator::on_halves(const at::Tensor& X, const at::Tensor& references,
                                    const std::vector<Value>& args, int64_t r, Memo* memo) const {
  EvaluateOptions evaluation = common();
  if (memo) {
    memo->start();
  }
  evaluation.pairs = true;
  evaluation.batch = {X.size(0), r, memo};
  const at::Tensor leaf = leaf_of(references);
  Value input;
  input.x = X.clone();
  input.ref = behind(leaf);
  input.paired = true;
  input.depends = true;
  std::vector<Value> inputs{input};
  for (const Value& arg : args) {
    Value paired = arg;
    paired.paired = true;
    paired.ref = arg.x.toTensor().repeat_interleave(r, 0);
    inputs.push_back(paired);
  }
  Units units(options_.registrations, false, constants_);
  evaluation.unit = [&](Call& call) { return units.call(call); };
  evaluation.unit_rule = [&](const Call& call) { return units.rule_name(call); };
  const std::vector<Value> outputs = evaluate(graph_, constants_, inputs, evaluation);
  if (evaluation.observe) {
    return {};
  }
  const at::AutoGradMode enabled(true);
  const bool profile = options_.profile;
  const at::Tensor f_ref = columns_of(single_output(outputs, true), leaf.size(0), profile);
  const at::Tensor f_x = columns_of(single_output(outputs, false), X.size(0), profile);
  check_targets(options_.targets, f_ref.size(1));
  PairResult result;
  result.multipliers = [f_ref, leaf, targets = options_.targets](size_t t) {
    return gradient(f_ref, leaf, targets[t], true);
  };
  if (profile) {
    const auto windows = std::make_shared<WindowedGradients>(f_ref, leaf, options_.targets);
    result.multipliers = [windows, whole = result.multipliers](size_t t) {
      const auto local = windows->at(t);
      return local ? *local : whole(t);
    };
  }
  result.f_x = chosen(f_x, options_.targets).repeat_interleave(r, 0);
  result.f_ref = chosen(f_ref, options_.targets);
  return result;
}

PairResult PairEvaluator::stacked(const at::Tensor& X, const at::Tensor& references,
                                  const std::vector<Value>& args) const {
  EvaluateOptions evaluation = common();
  evaluation.gradients = true;
  const at::Tensor leaf = leaf_of(X);
  const at::AutoGradMode enabled(true);
  Value input;
  input.x = at::cat({behind(leaf), references});
  input.depends = true;
  std::vector<Value> inputs{input};
  for (const Value& arg : args) {
    Value both;
    both.x = at::cat({arg.x.toTensor(), arg.x.toTensor()});
    inputs.push_back(both);
  }
  Units units(options_.registrations, true, constants_);
  evaluation.unit = [&](Call& call) { return units.call(call); };
  evaluation.override_operation = [&](Call& call) { return units.pool(call); };
  evaluation.unit_rule = [&](const Call& call) { return units.rule_name(call); };
  const std::vector<Value> outputs = evaluate(graph_, constants_, inputs, evaluation);
  if (evaluation.observe) {
    return {};
  }
  const at::Tensor f =
      columns_of(single_output(outputs, false), 2 * X.size(0), options_.profile);
  check_targets(options_.targets, f.size(1));
  PairResult result;
  std::vector<at::Tensor> gradients;
  for (const int64_t target : options_.targets) {
    gradients.push_back(gradient(f, leaf, target, true));
  }
  result.multipliers = [gradients](size_t t) { return gradients[t]; };
  const at::Tensor both = chosen(f, options_.targets);
  result.f_x = both.narrow(0, 0, X.size(0));
  result.f_ref = both.narrow(0, X.size(0), X.size(0));
  return result;
}

}  // namespace seqlift
