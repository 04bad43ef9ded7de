// How an operation is evaluated: by its rule on both halves, as it is, by the user's fallback, or
// not at all.

#include "core/rules/rules.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/evaluate/evaluation.h"
#include "core/model/operation_table.h"
#include "core/model/random_operations.h"
#include "core/numeric/device.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

namespace {

// Whether an operation that is linear by itself chooses by a condition or an index of X.
bool chooses(const Call& call) {
  return call.is(Trait::chooses_by_x) &&
         std::any_of(call.inputs.begin(), call.inputs.end(),
                     [](const Value& input) { return input.typed() && input.depends; });
}

bool typed(const Call& call) {
  return std::any_of(call.inputs.begin(), call.inputs.end(),
                     [](const Value& input) { return input.typed(); });
}

void make_concrete(Call& call) {
  for (Value& input : call.inputs) {
    input = concrete(input);
  }
}

}  // namespace

Value concrete(const Value& value) {
  if (!value.typed()) {
    return value;
  }
  const auto convert = [&](const c10::IValue& half) -> c10::IValue {
    if (half.isTensor()) {
      return half.toTensor().detach().to(value.shown);
    }
    c10::impl::GenericList list(half.toList().elementType());
    for (const c10::IValue& element : half.toListRef()) {
      list.push_back(element.isTensor() ? element.toTensor().detach().to(value.shown) : element);
    }
    return list;
  };
  Value result;
  result.x = convert(value.x);
  if (value.paired()) {
    result.set_ref(convert(value.ref()));
  }
  result.tainted = true;
  return result;
}

void Evaluation::report(const Call& call, const std::string& kind, const std::string& rule,
                        bool supported, bool faithful, const std::string& refusal) const {
  if (options_.observe) {
    Step step;
    step.node = call.node;
    step.operation = call.node->kind() == c10::prim::CallMethod ? "module" : call.name;
    step.provenance = *call.provenance;
    step.kind = kind;
    step.rule = rule;
    step.supported = supported;
    step.faithful = faithful;
    step.refusal = refusal;
    options_.observe(step);
  }
}

void Evaluation::refuse(const Call& call, const std::string& why) const {
  throw Error("unsupported_operation", call.where() + " " + why + ".");
}

// Numbers of their own for a random operation, from the call's seed. Unless it was asked for, only
// those are drawn that reach no output, and by the audit, which says so.
void Evaluation::draw(Call& call) {
  const auto& seed = constants_.conduct().random_state;
  draw_from_seed(call, seed.value_or(0), drawn_[call.where()]++, graph_.draws.at(call.node),
                 constants_.device());
  const bool reaches =
      std::find(graph_.random.begin(), graph_.random.end(), call.node) != graph_.random.end();
  if (!seed && reaches) {
    report(call, kind_name(Kind::random), "none", false, false,
           call.where() + " draws random numbers.");
  } else if (reaches && (call.dependent().empty() || draws_alone(call))) {
    report(call, kind_name(Kind::random), "drawn from a seed", true, true);
  }
}

// The operation by its rule, or an error.
std::vector<Value> Evaluation::by_rule(Call& call, bool tainted) {
  const Kind kind = call.row->kind;
  if (mixes_sequences(call) && !(tainted && kind == Kind::condition)) {
    refuse(call, "mixes the sequences of a batch: what it gives for one depends on the others");
  }
  // LibTorch compares and sorts lists of tensors by operations of the same names.
  if ((kind == Kind::condition || kind == Kind::max) && call.inputs[0].x.isList()) {
    refuse(call, "compares the tensors of a list, which has no rule");
  }
  if (call.row->rule && !tainted) {
    return kind == Kind::condition || typed(call) ? checked(call) : call.row->rule(call);
  }
  if (kind == Kind::condition) {
    // By itself it is harmless: its result may go unused, and what uses it is refused.
    make_concrete(call);
    return both_halves(call, true);
  }
  refuse(call, tainted ? "uses a condition or an index that depends on X, which has no rule"
               : kind == Kind::random ? "draws random numbers"
                                      : "has no rule that keeps summation-to-delta");
}

// The same with the user's fallback.
std::vector<Value> Evaluation::ruled(Call& call, bool tainted) {
  const bool random = call.row->kind == Kind::random;
  if (!options_.integrate || random || tainted || typed(call) || mixes_sequences(call)) {
    return by_rule(call, tainted);
  }
  try {
    return by_rule(call, tainted);
  } catch (const Error& error) {
    if (error.kind() != "unsupported_operation") {
      throw;
    }
  }
  std::vector<Value> outputs = rules::integral(call);
  options_.integrate(call);
  return outputs;
}

// Where truth values and whole numbers come in or go out, the rule computes with numbers. The
// operation itself, on what the model knows, says what type the result has, and that the numbers
// are right.
std::vector<Value> Evaluation::checked(Call& call) const {
  std::vector<c10::IValue> inputs;
  for (const Value& input : call.inputs) {
    inputs.push_back(concrete(input).x);
  }
  std::vector<c10::IValue> truth;
  {
    const at::NoGradGuard guard;
    truth = call.evaluate(std::move(inputs));
  }
  const char* const why = "does with a condition or an index that depends on X what no rule covers";
  std::vector<Value> outputs;
  try {
    outputs = call.row->rule(call);
  } catch (const c10::Error& error) {
    throw_if_out_of_memory(error);
    refuse(call, why);
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    Value& output = outputs[i];
    std::vector<at::Tensor> expected;
    std::vector<at::Tensor> found;
    visit_tensors(truth[i], [&](const at::Tensor& tensor) { expected.push_back(tensor); });
    visit_tensors(output.x, [&](const at::Tensor& tensor) { found.push_back(tensor); });
    if (expected.empty() || found.size() != expected.size()) {
      refuse(call, why);
    }
    for (size_t j = 0; j < found.size(); ++j) {
      const at::ScalarType type = expected[j].scalar_type();
      const bool whole = at::isIntegralType(type, true);
      const at::ScalarType wide = at::isComplexType(type) ? at::kComplexDouble : at::kDouble;
      const bool same = expected[j].sizes() == found[j].sizes() &&
                        at::allclose(expected[j].to(wide), found[j].to(wide), whole ? 0 : 1e-3,
                                     whole ? 0 : 1e-5, true);
      if (!same || type != expected[0].scalar_type()) {
        refuse(call, why);
      }
      output.shown = whole ? type : at::ScalarType::Undefined;
    }
  }
  return outputs;
}

// The same for the audit: what would be refused is told and evaluated with its ordinary gradient.
std::vector<Value> Evaluation::observed(Call& call, bool tainted) {
  const Kind kind = tainted ? Kind::condition : call.row->kind;
  const char* name = kind_name(kind);
  try {
    std::vector<Value> outputs;
    try {
      outputs = by_rule(call, tainted);
    } catch (const Error& error) {
      if (error.kind() == "memory") {
        throw;
      }
      outputs = ruled(call, tainted);
      report(call, "integrated", "path integral", true, true);
      return outputs;
    }
    const bool rule = call.row->rule && !tainted;
    const bool linear = kind == Kind::product && rules::is_one_factor(call);
    const bool choice = rule && chooses(call);
    report(call, linear ? kind_name(Kind::linear) : kind_name(choice ? Kind::condition : kind),
           linear   ? "gradient (linear)"
           : choice ? "midpoint"
                    : call.row->described,
           rule, rule);
    return outputs;
  } catch (const Error& error) {
    if (error.kind() != "unsupported_operation") {
      throw;
    }
    report(call, name, "none", false, false, error.what());
    const bool known = !typed(call);
    make_concrete(call);
    return both_halves(call, tainted || !known);
  }
}

// What a gradient without rules is faithful for: operations that are linear in what depends on X.
void Evaluation::report_ordinary(const Call& call) const {
  const Kind kind = call.row->kind;
  const bool factor = kind == Kind::product && rules::is_one_factor(call);
  const bool linear = call.row->rule && (kind == Kind::linear || factor);
  report(call, kind_name(linear ? Kind::linear : kind),
         linear ? "gradient (linear)" : "ordinary gradient", true, linear);
}

std::vector<Value> Evaluation::apply(Call& call, bool tainted) {
  if (options_.changes()) {
    return changed(call);
  }
  bool depends = false;
  for (const Value& input : call.inputs) {
    depends = depends || input.depends;
  }
  if (call.node->kind() == c10::prim::CallMethod) {
    if (plainly_) {
      return unit_plainly(call);
    }
    moved_ = true;
    const std::string rule = options_.unit_rule ? options_.unit_rule(call) : "";
    report(call, "registered", rule, true, rule != "gradient" && rule != "softmax of the batch");
    return options_.unit(call);
  }
  if (options_.override_operation) {
    const auto outputs = options_.override_operation(call);
    if (!outputs.empty()) {
      moved_ = true;
      report(call, kind_name(Kind::max), "maxpool", true, true);
      return outputs;
    }
  }
  const Kind kind = call.row->kind;
  const bool reached = depends || tainted;
  const bool drawn = graph_.draws.count(call.node) > 0 && draws_alone(call);
  const bool shape_only = drawn || kind == Kind::shape;
  std::vector<Value> outputs;
  if (shape_only) {
    make_concrete(call);
  }
  if (!options_.two_halves() || !reached || shape_only) {
    // Convolutions keep their fast layout where nothing is differentiated, too.
    const bool fast =
        call.is(Trait::convolves) && !options_.is<EvaluateOptions::Gradients>() && !plainly_;
    moved_ = moved_ || fast;
    outputs = fast ? call.row->rule(call) : both_halves(call, tainted && !shape_only);
    const bool paired = std::any_of(call.inputs.begin(), call.inputs.end(),
                                    [](const Value& input) { return input.paired(); });
    if (fast && !paired) {
      // A rule speaks of two halves. What is one value would be written into a list twice.
      for (Value& output : outputs) {
        output = finish(output.x, output.x, false, output.tainted);
      }
    }
    if (depends && !shape_only) {
      report_ordinary(call);
    }
  } else {
    if (touches_batch_dimension(call) && options_.batch().references > 1) {
      throw BatchMoved();
    }
    outputs = options_.observe ? observed(call, tainted) : ruled(call, tainted);
  }
  for (Value& output : outputs) {
    output.each_half([&](c10::IValue& half) {
      if (half.isTensor() && half.toTensor().defined()) {
        half = constants_.as_converted(half.toTensor());
      }
    });
    const bool tensors =
        options_.two_halves() && output.depends && output.paired() && output.x.isTensor();
    if (tensors) {
      check_rows(output.x.toTensor(), output.ref().toTensor(), options_.batch());
    }
    // A result without a gradient still carries what its inputs knew of X.
    output.tainted = output.tainted || (options_.two_halves() && reached && !shape_only &&
                                        !output.depends && !(kind == Kind::linear && !tainted));
  }
  return outputs;
}

}  // namespace seqlift
