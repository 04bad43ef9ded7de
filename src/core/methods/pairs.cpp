#include "core/methods/pairs.h"

#include <torch/csrc/autograd/autograd.h>

#include <memory>

#include "core/base/error.h"
#include "core/evaluate/layers.h"
#include "core/evaluate/recompute.h"
#include "core/methods/batch_check.h"
#include "core/methods/chunks.h"
#include "core/methods/windows.h"
#include "core/model/graph_outputs.h"
#include "core/numeric/device.h"
#include "core/numeric/shape_text.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

PairRows gather_pairs(const Sequences& sequences, const References& references,
                      Constants& constants, int64_t begin, int64_t end) {
  std::vector<at::Tensor> X;
  std::vector<at::Tensor> own_references;
  std::vector<std::vector<at::Tensor>> args;
  for (int64_t pair = begin; pair < end; ++pair) {
    const int64_t i = pair / references.count;
    const int64_t j = pair % references.count;
    X.push_back(to_compute(sequences.X(i, i + 1), constants));
    own_references.push_back(to_compute(references.get(i, i + 1, j, j + 1), constants));
    args.push_back(arg_rows(sequences, constants, i, i + 1));
  }
  return {at::cat(X), at::cat(own_references), values_of(join_rows(args))};
}

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
                    "profile_score() or select_bins().");
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
  const c10::IValue& value = ref ? outputs[0].ref() : outputs[0].x;
  if (!value.isTensor()) {
    refuse_output(value);
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

at::Tensor explained_columns(const std::vector<Value>& outputs, bool ref, int64_t rows,
                             const PairOptions& options) {
  const at::Tensor columns = columns_of(single_output(outputs, ref), rows, options.profile);
  check_targets(options.targets, columns.size(1));
  return options.mean_normalise ? columns - columns.mean(1, true) : columns;
}

namespace {

// Whether the outputs are what attributions need; an audit does without.
bool explained(const std::vector<Value>& outputs, bool ref, int64_t rows) {
  if (outputs.size() != 1 || !outputs[0].depends) {
    return false;
  }
  const c10::IValue& value = ref ? outputs[0].ref() : outputs[0].x;
  return value.isTensor() && value.toTensor().dim() >= 1 && value.toTensor().dim() <= 2 &&
         value.toTensor().size(0) == rows;
}

}  // namespace

std::vector<at::Tensor> column_gradients(const at::Tensor& columns,
                                         const std::vector<at::Tensor>& points, int64_t target,
                                         bool keep) {
  const at::AutoGradMode enabled(true);
  std::vector<at::Tensor> result;
  try {
    result =
        torch::autograd::grad({columns.select(1, target).sum()}, points, {}, keep, false, true);
  } catch (const c10::Error& error) {
    throw_if_out_of_memory(error);
    const std::string why = error.what_without_backtrace();
    throw Error("evaluation", "The gradient of the model failed: " + why.substr(0, why.find('\n')));
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw_if_out_of_memory(error);
    const std::string why = error.what();
    // Autograd's words where it reaches an operation without a derivative.
    const bool missing = why.find("is not implemented") != std::string::npos;
    throw Error(missing ? "unsupported_operation" : "evaluation",
                missing ? "An operation of the model has no gradient in LibTorch: " + why + "."
                        : "The gradient of the model failed: " + why);
  }
  for (size_t i = 0; i < points.size(); ++i) {
    result[i] = result[i].defined() ? result[i] : at::zeros_like(points[i]);
  }
  return result;
}

at::Tensor chosen(const at::Tensor& columns, const std::vector<int64_t>& targets) {
  const at::Tensor index = at::tensor(targets, at::kLong).to(columns.device());
  return columns.detach().index_select(1, index).to(at::kDouble);
}

void check_company(const at::Tensor& f, const at::Tensor& again, at::ScalarType type) {
  const at::Tensor distance = (again - f).abs() / f.abs().clamp_min(1);
  // Batches of other sizes round differently.
  const double rounding = type == at::kDouble ? 1e-6 : 1e-2;
  if (distance.max().item<double>() > rounding) {
    throw Error("unsupported_operation",
                "The model mixes the sequences of a batch: what it gives for one depends on the "
                "others.");
  }
}

at::Tensor leaf_of(const at::Tensor& values) {
  return values.detach().clone(at::MemoryFormat::Contiguous).requires_grad_();
}

std::vector<Value> first_row(const at::Tensor& X, const std::vector<Value>& args,
                             const Graph& graph) {
  const auto row = [&](const at::Tensor& rows) {
    const at::Tensor one = rows.narrow(0, 0, 1);
    return graph.findings->alone_differs ? twice(one) : one;
  };
  std::vector<Value> inputs(1);
  inputs[0].x = row(X);
  for (const Value& arg : args) {
    inputs.emplace_back();
    inputs.back().x = row(arg.x.toTensor());
  }
  return inputs;
}

EvaluateOptions PairEvaluator::common() const {
  EvaluateOptions evaluation;
  evaluation.cancelled = &cancelled_;
  evaluation.observe = options_.observe;
  evaluation.ledger = options_.ledger;
  evaluation.letters = options_.letters;
  return evaluation;
}

PairResult PairEvaluator::on_halves(const at::Tensor& X, const at::Tensor& references,
                                    const std::vector<Value>& args, int64_t r, Memo* memo) const {
  EvaluateOptions evaluation = common();
  BatchMemory memory;
  const bool audits_letters = options_.letters && options_.letters->stepped;
  if (!options_.observe && !options_.ledger && !audits_letters) {
    memory = within_memory(graph_, constants_, first_row(X, args, graph_),
                           {X.size(0), X.size(0) * r, true});
  }
  evaluation.cuts = memory.cuts;
  evaluation.strips = memory.strips;
  memo = memory.remembers ? memo : nullptr;
  evaluation.mode = EvaluateOptions::Pairs{{X.size(0), r, memo}};
  if (memo) {
    memo->start();
  }
  const at::Tensor leaf = leaf_of(references);
  Value input;
  input.x = X.clone();
  input.set_ref(fresh_copy(leaf));
  input.depends = true;
  std::vector<Value> inputs{input};
  for (const Value& arg : args) {
    Value paired = arg;
    paired.set_ref(arg.x.toTensor().repeat_interleave(r, 0));
    inputs.push_back(paired);
  }
  const auto units = std::make_shared<Units>(options_.registrations, false, constants_);
  evaluation.unit = [units](Call& call) { return units->call(call); };
  evaluation.unit_rule = [units](const Call& call) { return units->rule_name(call); };
  Layers layers(graph_);
  evaluation.layer = layers.take();
  // Parts of the graph are evaluated again when this function has returned.
  const auto integrated = std::make_shared<std::set<std::string>>();
  if (options_.integrate) {
    evaluation.integrate = [integrated](const Call& call) { integrated->insert(call.where()); };
  }
  PairResult result;
  const std::vector<Value> outputs = evaluate(graph_, constants_, inputs, evaluation);
  if (evaluation.observe && !explained(outputs, true, leaf.size(0))) {
    return {};
  }
  result.integrated = *integrated;
  const at::AutoGradMode enabled(true);
  const at::Tensor f_ref = explained_columns(outputs, true, leaf.size(0), options_);
  const at::Tensor f_x = explained_columns(outputs, false, X.size(0), options_);
  if (!graph_.layer_paths.empty()) {
    explain_layers(layers.outputs(), f_ref, r, result);
  } else {
    // The rules of units ask them again in the backward pass. The last target's backward pass lets
    // go of the activations on its way, which keeps the memory in use small and the caches warm.
    result.multipliers = [f_ref, leaf, targets = options_.targets, units](size_t t) {
      return column_gradients(f_ref, {leaf}, targets[t], t + 1 < targets.size())[0];
    };
    if (options_.profile && evaluation.cuts.empty()) {
      const auto windows = std::make_shared<WindowedGradients>(f_ref, leaf, options_.targets);
      result.multipliers = [windows, whole = result.multipliers](size_t t) {
        const auto local = windows->at(t);
        return local ? *local : whole(t);
      };
    }
  }
  result.f_x = chosen(f_x, options_.targets).repeat_interleave(r, 0);
  result.f_ref = chosen(f_ref, options_.targets);
  return result;
}

void PairEvaluator::explain_layers(const std::vector<Halves>& layers, const at::Tensor& f_ref,
                                   int64_t r, PairResult& result) const {
  std::vector<at::Tensor> points;
  for (const Halves& layer : layers) {
    if (!layer.ref.defined() || layer.ref.size(0) != f_ref.size(0)) {
      throw Error("layer", "The output of a layer does not have one row for each sequence.");
    }
    points.push_back(layer.ref);
    result.layers.push_back({{}, layer.x.repeat_interleave(r, 0), layer.ref.detach()});
  }
  for (const int64_t target : options_.targets) {
    stop_if(cancelled_);
    const std::vector<at::Tensor> multipliers = column_gradients(f_ref, points, target, true);
    for (size_t i = 0; i < layers.size(); ++i) {
      result.layers[i].multipliers.push_back(multipliers[i]);
    }
  }
}

PairResult PairEvaluator::stacked(const at::Tensor& X, const at::Tensor& references,
                                  const std::vector<Value>& args) const {
  EvaluateOptions evaluation = common();
  evaluation.mode = EvaluateOptions::Gradients();
  if (!options_.observe && !options_.ledger) {
    evaluation.cuts =
        within_memory(graph_, constants_, first_row(X, args, graph_), {0, 2 * X.size(0)}).cuts;
  }
  const at::Tensor leaf = leaf_of(X);
  const at::AutoGradMode enabled(true);
  Value input;
  input.x = at::cat({fresh_copy(leaf), references});
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
  if (!evaluation.cuts.empty()) {
    evaluation.carry = units.carry(graph_);
  }
  evaluation.unit_rule = [&](const Call& call) { return units.rule_name(call); };
  const std::vector<Value> outputs = evaluate(graph_, constants_, inputs, evaluation);
  if (evaluation.observe && !explained(outputs, false, 2 * X.size(0))) {
    return {};
  }
  const at::Tensor f = explained_columns(outputs, false, 2 * X.size(0), options_);
  PairResult result;
  std::vector<at::Tensor> gradients;
  for (size_t t = 0; t < options_.targets.size(); ++t) {
    stop_if(cancelled_);
    const bool more = t + 1 < options_.targets.size();
    gradients.push_back(column_gradients(f, {leaf}, options_.targets[t], more)[0]);
  }
  result.multipliers = [gradients](size_t t) { return gradients[t]; };
  const at::Tensor both = chosen(f, options_.targets);
  result.f_x = both.narrow(0, 0, X.size(0));
  result.f_ref = both.narrow(0, X.size(0), X.size(0));
  return result;
}

}  // namespace seqlift
