#include <ATen/ATen.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <set>

#include "error.h"
#include "evaluation.h"

namespace seqlift {

using torch::jit::Node;

namespace {

// The operation's name without namespace and without the _ of in-place variants.
std::string base_name(const Node* node, bool mutates) {
  std::string name = node->kind().toUnqualString();
  if (mutates && name.size() > 1 && name.back() == '_' && name[name.size() - 2] != '_') {
    name.pop_back();
  }
  return name;
}

bool writes_first_input(const Node* node) {
  const auto* schema = node->maybeSchema();
  if (!schema || schema->arguments().empty()) {
    return false;
  }
  const auto* alias = schema->arguments()[0].alias_info();
  const bool tensor = schema->arguments()[0].type()->isSubtypeOf(*c10::TensorType::get());
  return tensor && alias && alias->isWrite();
}

// The operations that bfloat16 makes faster: the others stay in float32, as autocast does it.
bool multiplies_matrices(const std::string& name) {
  const Operation* operation = find_operation(name);
  const bool convolution = operation && operation->rule == rules::convolution;
  static const std::set<std::string> products = {"linear", "matmul",  "mm",    "bmm",
                                                 "addmm",  "baddbmm", "einsum"};
  return convolution || products.count(name) > 0;
}

void cast(std::vector<c10::IValue>& stack, at::ScalarType from, at::ScalarType to) {
  for (c10::IValue& value : stack) {
    if (value.isTensor() && value.toTensor().defined() && value.toTensor().scalar_type() == from) {
      value = value.toTensor().to(to);
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> tensors = value.toTensorVector();
      for (at::Tensor& tensor : tensors) {
        tensor = tensor.scalar_type() == from ? tensor.to(to) : tensor;
      }
      value = tensors;
    }
  }
}

// A dtype written into the model's code (`.float()`) means the model's own, which is the call's.
void follow_dtype(Call& call, const Constants& constants) {
  const int position = call.find("dtype");
  if (position >= 0 && call.inputs[position].x.isInt()) {
    const auto dtype = static_cast<at::ScalarType>(call.inputs[position].x.toInt());
    if (dtype == constants.native() && constants.native() != constants.compute()) {
      call.inputs[position] = Value();
      call.inputs[position].x = static_cast<int64_t>(constants.compute());
    }
  }
}

// Whether an operation that is linear by itself chooses by a condition or an index of X.
bool chooses(const Call& call, const Operation* operation) {
  const bool can = operation->kind == Kind::linear &&
                   (operation->rule == rules::where || operation->rule == rules::masked_fill ||
                    operation->rule == rules::index_put || operation->rule == rules::lookup);
  return can && std::any_of(call.inputs.begin(), call.inputs.end(),
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
  result.paired = value.paired;
  if (value.paired) {
    result.ref = convert(value.ref);
  }
  result.tainted = true;
  return result;
}

void Evaluation::run_operation(const Node* node) {
  static const Provenance nowhere;
  const auto known = graph_.provenance.find(node);
  const bool writes = writes_first_input(node);

  Call call;
  call.node = node;
  call.provenance = known == graph_.provenance.end() ? &nowhere : &known->second;
  call.name = base_name(node, writes);
  call.batch = options_.batch;
  call.constants = &constants_;
  call.plain_slice = graph_.plain_slices.count(node) > 0;
  bool tainted = false;
  for (const torch::jit::Value* input : node->inputs()) {
    call.inputs.push_back(value(input));
    tainted = tainted || call.inputs.back().tainted;
  }
  shield(call);
  follow_dtype(call, constants_);
  if (call.batch.memo) {
    call.batch.memo->enter(node);
  }
  if (node->kind() != c10::prim::CallMethod) {
    const auto* known_operation = node->maybeOperator();
    if (!known_operation) {
      refuse(call, "is not known to this LibTorch");
    }
    const bool reduced = constants_.reduced() && multiplies_matrices(call.name);
    // The operation of a text with places to fill in is told how many values there are.
    const bool variadic = known_operation->schema().is_vararg();
    call.evaluate = [operation = known_operation->getOperation(node), writes, reduced,
                     variadic](std::vector<c10::IValue> stack) mutable {
      if (variadic) {
        stack.emplace_back(static_cast<int64_t>(stack.size()));
      }
      if (writes) {
        stack[0] = stack[0].toTensor().clone();
      }
      if (reduced) {
        cast(stack, at::kFloat, at::kBFloat16);
      }
      operation(stack);
      if (reduced) {
        cast(stack, at::kBFloat16, at::kFloat);
      }
      return stack;
    };
  }
  std::vector<Value> outputs;
  try {
    outputs = options_.ledger ? measured(call, tainted) : apply(call, tainted);
    watch_length(call, outputs);
    if (writes && shared(node, call.inputs[0])) {
      write_back(call, outputs, tainted);
    }
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    const std::string why = text.substr(0, text.find("\nException"));
    explain_failure(call, why);
    throw Error("evaluation", call.where() + " failed: " + why);
  }
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    values_[node->outputs()[i]] = outputs.at(i);
  }
  refresh_containers(node);
}

// Copies of the inputs that something else writes to (the operation's own target is no such input).
void Evaluation::shield(Call& call) const {
  const auto written = graph_.written_inputs.find(call.node);
  if (written == graph_.written_inputs.end() || (!options_.pairs && !options_.gradients)) {
    return;
  }
  const at::AutoGradMode enabled(true);
  for (const int position : written->second) {
    Value& input = call.inputs[position];
    for (c10::IValue* half : {&input.x, &input.ref}) {
      if (half->isTensor() && half->toTensor().defined()) {
        *half = half->toTensor().clone();
      }
    }
  }
}

// The operation was evaluated out of place; now everything that shares the memory sees it, views
// included.
void Evaluation::write_back(const Call& call, std::vector<Value>& outputs, bool tainted) {
  const torch::jit::Value* name = call.node->input(0);
  const at::Tensor x = call.inputs[0].x.toTensor();
  if (call.batch.memo) {
    call.batch.memo->spoil();
  }
  if (x.sizes() != outputs[0].x.toTensor().sizes()) {
    // transpose_ and its kind change how the tensor is seen, not the memory.
    values_[name] = outputs[0];
    return;
  }
  Value& self = value(name);
  if (outputs[0].shown != self.shown) {
    outputs[0] = concrete(outputs[0]);
    tainted = true;
  }
  if (!self.paired && outputs[0].paired) {
    refuse(call, "writes what depends on X into a tensor that is the same for all sequences");
  }
  {
    const at::AutoGradMode enabled(options_.gradients);
    x.copy_(outputs[0].x.toTensor());
  }
  if (self.paired) {
    const at::AutoGradMode enabled(true);
    self.ref.toTensor().copy_((outputs[0].paired ? outputs[0].ref : outputs[0].x).toTensor());
  }
  const at::ScalarType shown = self.shown;
  outputs[0] = finish(self.x, self.paired ? self.ref : self.x, self.paired, tainted);
  outputs[0].shown = shown;
  for (auto& entry : values_) {
    Value& other = entry.second;
    if (other.x.isTensor() && other.x.toTensor().defined() && other.x.toTensor().is_alias_of(x)) {
      const at::ScalarType own = other.shown;
      other = finish(other.x, other.paired ? other.ref : other.x, other.paired,
                     other.tainted || tainted);
      other.shown = own;
    }
  }
}

// A list or dictionary that was written to may depend on X from now on, under each of its names.
void Evaluation::refresh_containers(const Node* node) {
  const auto* schema = node->maybeSchema();
  if (!schema || schema->arguments().empty() || node->inputs().empty()) {
    return;
  }
  const auto* alias = schema->arguments()[0].alias_info();
  const Value written = value(node->input(0));
  const bool container = written.x.isList() || written.x.isGenericDict();
  if (!container || !alias || !alias->isWrite()) {
    return;
  }
  bool tainted = written.tainted;
  for (const torch::jit::Value* input : node->inputs()) {
    tainted = tainted || value(input).tainted;
  }
  for (auto& entry : values_) {
    Value& other = entry.second;
    if (other.x.is(written.x)) {
      other = finish(other.x, other.paired ? other.ref : other.x, other.paired, tainted);
    }
  }
}

// Whether anything but the node's own first input sees the memory that the node writes to. After
// relu_(conv(x)) nothing does, and the result may simply take the place of the input.
bool Evaluation::shared(const Node* node, const Value& self) const {
  const auto last = graph_.last_uses.find(node);
  const torch::jit::Value* name = node->input(0);
  const bool done = last != graph_.last_uses.end() &&
                    std::find(last->second.begin(), last->second.end(), name) != last->second.end();
  bool found = !done || !self.x.toTensor().defined();
  const auto look = [&](const at::Tensor& tensor) {
    found = found || (tensor.defined() && tensor.is_alias_of(self.x.toTensor()));
  };
  for (const auto& entry : values_) {
    if (!found && entry.first != name) {
      visit_tensors(entry.second.x, look);
    }
  }
  for (const auto& entry : attributes_) {
    visit_tensors(entry.second.x, look);
  }
  return found;
}

std::vector<Value> Evaluation::both_halves(const Call& call, bool tainted) {
  std::vector<c10::IValue> x_inputs;
  std::vector<c10::IValue> ref_inputs;
  // What is written into later must be a tensor of its own on each half.
  bool paired = options_.pairs && graph_.written_results.count(call.node) > 0;
  for (const Value& input : call.inputs) {
    x_inputs.push_back(input.x);
    ref_inputs.push_back(input.paired ? input.ref : input.x);
    paired = paired || input.paired;
  }
  std::vector<c10::IValue> x;
  {
    const at::AutoGradMode guard(options_.gradients);
    x = once(call.batch.memo, "operation", [&]() { return call.evaluate(x_inputs); });
  }
  std::vector<c10::IValue> ref;
  if (paired) {
    const at::AutoGradMode guard(true);
    ref = call.evaluate(std::move(ref_inputs));
  }
  std::vector<Value> outputs;
  for (size_t i = 0; i < x.size(); ++i) {
    outputs.push_back(finish(x[i], paired ? ref[i] : x[i], paired, tainted));
  }
  return outputs;
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

// The operation by its rule, or an error.
std::vector<Value> Evaluation::by_rule(Call& call, const Operation* operation, bool tainted) {
  const Kind kind = operation ? operation->kind : Kind::other;
  if (mixes_sequences(call)) {
    refuse(call, "mixes the sequences of a batch: what it gives for one depends on the others");
  }
  if (operation && operation->rule && !tainted) {
    return kind == Kind::condition || typed(call) ? checked(call, operation)
                                                  : operation->rule(call);
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
std::vector<Value> Evaluation::ruled(Call& call, const Operation* operation, bool tainted) {
  const bool random = operation && operation->kind == Kind::random;
  if (!options_.integrate || random || tainted || typed(call) || mixes_sequences(call)) {
    return by_rule(call, operation, tainted);
  }
  try {
    return by_rule(call, operation, tainted);
  } catch (const Error& error) {
    if (error.kind() != "unsupported_operation") {
      throw;
    }
  }
  std::vector<Value> outputs = rules::integral(call);
  if (options_.integrated) {
    options_.integrated(call);
  }
  return outputs;
}

// Where truth values and whole numbers come in or go out, the rule computes with numbers. The
// operation itself, on what the model knows, says what type the result has, and that the numbers
// are right.
std::vector<Value> Evaluation::checked(Call& call, const Operation* operation) const {
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
    outputs = operation->rule(call);
  } catch (const c10::Error&) {
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
std::vector<Value> Evaluation::observed(Call& call, const Operation* operation, bool tainted) {
  const Kind kind = tainted ? Kind::condition : operation ? operation->kind : Kind::other;
  const char* name = kind_name(kind);
  try {
    std::vector<Value> outputs;
    try {
      outputs = by_rule(call, operation, tainted);
    } catch (const Error&) {
      outputs = ruled(call, operation, tainted);
      report(call, "integrated", "path integral", true, true);
      return outputs;
    }
    const bool rule = operation->rule && !tainted;
    const bool linear = kind == Kind::product && rules::is_one_factor(call);
    const bool choice = rule && chooses(call, operation);
    report(call, linear ? kind_name(Kind::linear) : kind_name(choice ? Kind::condition : kind),
           linear   ? "gradient (linear)"
           : choice ? "midpoint"
                    : operation->described,
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
void Evaluation::report_ordinary(const Call& call, const Operation* operation) const {
  const bool known = operation && operation->rule;
  const bool factor = known && operation->kind == Kind::product && rules::is_one_factor(call);
  const bool linear = known && (operation->kind == Kind::linear || factor);
  report(call,
         linear ? kind_name(Kind::linear) : kind_name(operation ? operation->kind : Kind::other),
         linear ? "gradient (linear)" : "ordinary gradient", true, linear);
}

std::vector<Value> Evaluation::apply(Call& call, bool tainted) {
  bool depends = false;
  for (const Value& input : call.inputs) {
    depends = depends || input.depends;
  }
  if (call.node->kind() == c10::prim::CallMethod) {
    const std::string rule = options_.unit_rule ? options_.unit_rule(call) : "";
    report(call, "registered", rule, true, rule != "gradient");
    return options_.unit(call);
  }
  if (options_.override_operation) {
    const auto outputs = options_.override_operation(call);
    if (!outputs.empty()) {
      report(call, kind_name(Kind::max), "maxpool", true, true);
      return outputs;
    }
  }
  const Operation* operation = find_operation(call.name);
  const bool reached = depends || tainted;
  const bool shape_only = operation && operation->kind == Kind::shape;
  std::vector<Value> outputs;
  if (shape_only) {
    make_concrete(call);
  }
  if (!options_.pairs || !reached || shape_only) {
    // Convolutions keep their fast layout where nothing is differentiated, too.
    const bool fast = operation && operation->rule == rules::convolution && !options_.gradients;
    outputs = fast ? operation->rule(call) : both_halves(call, tainted && !shape_only);
    if (depends && !shape_only) {
      report_ordinary(call, operation);
    }
  } else {
    if (touches_batch_dimension(call) && options_.batch.references > 1) {
      throw BatchMoved();
    }
    outputs =
        options_.observe ? observed(call, operation, tainted) : ruled(call, operation, tainted);
  }
  for (Value& output : outputs) {
    for (c10::IValue* half : {&output.x, &output.ref}) {
      if (half->isTensor() && half->toTensor().defined()) {
        *half = constants_.follow(half->toTensor());
      }
    }
    const bool tensors = options_.pairs && output.depends && output.paired && output.x.isTensor();
    if (tensors) {
      check_rows(output.x.toTensor(), output.ref.toTensor(), options_.batch);
    }
    // A result without a gradient still carries what its inputs knew of X.
    output.tainted =
        output.tainted || (options_.pairs && reached && !shape_only && !output.depends &&
                           !(operation && operation->kind == Kind::linear && !tainted));
  }
  return outputs;
}

}  // namespace seqlift
