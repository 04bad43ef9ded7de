#include "evaluate.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <limits>
#include <set>

#include "error.h"

namespace seqlift {

using torch::jit::Block;
using torch::jit::Node;

namespace {

const auto attribute_name = c10::Symbol::attr("name");

// All tensors inside a value, those in lists, tuples and dictionaries included.
void visit_tensors(const c10::IValue& value, const std::function<void(const at::Tensor&)>& visit) {
  if (value.isTensor()) {
    visit(value.toTensor());
  } else if (value.isTensorList()) {
    for (const at::Tensor& tensor : value.toTensorVector()) {
      visit(tensor);
    }
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) {
      visit_tensors(element, visit);
    }
  } else if (value.isTuple()) {
    for (const c10::IValue& element : value.toTupleRef().elements()) {
      visit_tensors(element, visit);
    }
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) {
      visit_tensors(entry.value(), visit);
    }
  }
}

bool has_gradient(const c10::IValue& value) {
  bool found = false;
  visit_tensors(value, [&](const at::Tensor& tensor) {
    found = found || (tensor.defined() && tensor.requires_grad());
  });
  return found;
}

bool same(const c10::IValue& a, const c10::IValue& b) {
  if (a.isTensor() && b.isTensor()) {
    return a.toTensor().is_same(b.toTensor());
  }
  const bool scalars = (a.isInt() || a.isDouble() || a.isBool() || a.isString() || a.isNone() ||
                        a.isDevice() || a.isIntList()) &&
                       a.tagKind() == b.tagKind();
  return scalars && a == b;
}

// Sums, flips and joins over the batch dimension mix rows, so the halves' rows no longer match by
// position. Shapes cannot always tell; an argument that names dimension 0 can.
bool touches_batch_dimension(const Call& call) {
  if (call.name == "slice" && call.inputs.size() == 5) {
    // X[:, :, a:b] begins with a slice that takes everything.
    const c10::IValue& start = call.constant(2);
    const c10::IValue& end = call.constant(3);
    const bool from_start = start.isNone() || (start.isInt() && start.toInt() == 0);
    const bool to_end =
        end.isNone() || (end.isInt() && end.toInt() == std::numeric_limits<int64_t>::max());
    if (from_start && to_end && call.constant(4).toInt() == 1) {
      return false;
    }
  }
  for (const char* name : {"dim", "dims"}) {
    const int position = call.find(name);
    if (position < 0) {
      continue;
    }
    const c10::IValue& dims = call.inputs[position].x;
    int64_t rank = 0;
    visit_tensors(call.inputs[0].x, [&](const at::Tensor& tensor) { rank = tensor.dim(); });
    // unsqueeze and stack count dimensions of their result.
    rank += call.name == "unsqueeze" || call.name == "stack" ? 1 : 0;
    if (dims.isInt() && (dims.toInt() == 0 || dims.toInt() + rank == 0)) {
      return true;
    }
    if (dims.isIntList()) {
      for (const int64_t dim : dims.toIntVector()) {
        if (dim == 0 || dim + rank == 0) {
          return true;
        }
      }
    }
  }
  return false;
}

// Sums and maxima over the rows of a batch. Asked where both halves have as many rows; a dimension
// is taken for the batch's if it alone has that many entries.
bool mixes_sequences(const Call& call) {
  static const std::set<std::string> reductions = {"sum",
                                                   "mean",
                                                   "nansum",
                                                   "cumsum",
                                                   "amax",
                                                   "amin",
                                                   "max",
                                                   "min",
                                                   "var",
                                                   "std",
                                                   "norm",
                                                   "prod",
                                                   "softmax",
                                                   "log_softmax",
                                                   "logsumexp",
                                                   "var_mean",
                                                   "std_mean",
                                                   "linalg_norm",
                                                   "linalg_vector_norm",
                                                   "median",
                                                   "sort",
                                                   "topk"};
  if (reductions.count(call.name) == 0 || call.batch.references != 1 ||
      !call.inputs[0].x.isTensor() || call.find("other") >= 0) {
    return false;
  }
  const at::Tensor input = call.inputs[0].x.toTensor();
  const int position = call.find("dim");
  const bool everything =
      position < 0 || call.inputs[position].x.isNone() ||
      (call.inputs[position].x.isIntList() && call.inputs[position].x.toIntVector().empty());
  if (everything) {
    return true;
  }
  std::vector<int64_t> dims = call.inputs[position].x.isInt()
                                  ? std::vector<int64_t>{call.inputs[position].x.toInt()}
                                  : call.inputs[position].x.toIntVector();
  const int64_t rows = call.batch.sequences;
  int64_t of_that_size = 0;
  for (const int64_t size : input.sizes()) {
    of_that_size += size == rows ? 1 : 0;
  }
  for (const int64_t dim : dims) {
    const int64_t d = dim < 0 ? dim + input.dim() : dim;
    if (of_that_size == 1 && input.size(d) == rows && d == 0) {
      return true;
    }
  }
  return false;
}

class Evaluation {
 public:
  Evaluation(const Graph& graph, Constants& constants, const EvaluateOptions& options)
      : graph_(graph), constants_(constants), options_(options) {}

  std::vector<Value> run(const std::vector<Value>& inputs) {
    const Block* block = graph_.graph->block();
    Value self;
    self.x = graph_.self;
    values_[block->inputs()[0]] = self;
    for (size_t i = 0; i + 1 < block->inputs().size(); ++i) {
      Value given;
      if (i < inputs.size()) {
        given = inputs[i];
      } else if (graph_.model && graph_.model->argument_has_default.at(i)) {
        given.x = graph_.model->argument_defaults[i];
      } else {
        throw Error("args", "The model's input `" + block->inputs()[i + 1]->debugNameBase() +
                                "` was not given.");
      }
      values_[block->inputs()[i + 1]] = given;
    }
    run_block(block);
    std::vector<Value> outputs;
    const Value whole = values_.at(block->outputs()[0]);
    if (whole.x.isTuple() || whole.x.isList()) {
      const auto part = [](const c10::IValue& value, size_t i) {
        return value.isTuple() ? value.toTupleRef().elements()[i] : value.toListRef()[i];
      };
      const size_t count =
          whole.x.isTuple() ? whole.x.toTupleRef().elements().size() : whole.x.toListRef().size();
      for (size_t i = 0; i < count; ++i) {
        const c10::IValue x = part(whole.x, i);
        outputs.push_back(
            finish(x, whole.paired ? part(whole.ref, i) : x, whole.paired, whole.tainted));
      }
    } else {
      outputs.push_back(whole);
    }
    return outputs;
  }

 private:
  Value& value(const torch::jit::Value* name) { return values_.at(name); }

  Value finish(c10::IValue x, c10::IValue ref, bool paired, bool tainted) const {
    Value result;
    result.paired = paired && !same(x, ref);
    result.depends = has_gradient(result.paired ? ref : x);
    result.tainted = tainted && !result.depends;
    result.x = std::move(x);
    if (result.paired) {
      result.ref = std::move(ref);
    }
    return result;
  }

  void run_block(const Block* block) {
    for (const Node* node : block->nodes()) {
      if (options_.cancelled && options_.cancelled->load(std::memory_order_relaxed)) {
        throw Error("interrupt", "The evaluation was interrupted.");
      }
      run_node(node);
      const auto last = graph_.last_uses.find(node);
      if (last != graph_.last_uses.end()) {
        for (const torch::jit::Value* done : last->second) {
          values_.erase(done);
        }
      }
    }
  }

  void run_node(const Node* node) {
    switch (node->kind()) {
      case c10::prim::Constant: {
        Value result;
        result.x = node->mustBeNone() ? c10::IValue() : *torch::jit::toIValue(node->output());
        if (result.x.isTensor()) {
          result.x = constants_.convert(result.x.toTensor());
        }
        values_[node->output()] = result;
        return;
      }
      case c10::prim::GetAttr:
        return get_attribute(node);
      case c10::prim::SetAttr:
        attributes_[{value(node->input(0)).x.toObject().get(), node->s(attribute_name)}] =
            value(node->input(1));
        return;
      case c10::prim::If:
        return run_if(node);
      case c10::prim::Loop:
        return run_loop(node);
      case c10::prim::ListConstruct:
      case c10::prim::TupleConstruct:
      case c10::prim::DictConstruct:
        return construct(node);
      case c10::prim::TupleUnpack:
      case c10::prim::ListUnpack:
        return unpack(node);
      case c10::prim::Uninitialized:
        values_[node->output()] = Value();
        return;
      default:
        return run_operation(node);
    }
  }

  void get_attribute(const Node* node) {
    const auto object = value(node->input()).x.toObject();
    const std::string& name = node->s(attribute_name);
    const auto overlaid = attributes_.find({object.get(), name});
    if (overlaid != attributes_.end()) {
      values_[node->output()] = overlaid->second;
      return;
    }
    Value result;
    result.x = object->getAttr(name);
    if (result.x.isTensor() && result.x.toTensor().defined()) {
      at::Tensor tensor = constants_.convert(result.x.toTensor());
      // The model is never written to: what an operation writes into is a copy.
      result.x = graph_.written_attributes.count(node->output()) > 0 ? tensor.clone() : tensor;
    }
    values_[node->output()] = result;
  }

  // A condition must be the same for both halves. One that depends on the batch size alone may
  // differ between them: with X repeated they have one size.
  bool condition(const Value& value, const Node* node) {
    const bool x = value.x.isTensor() ? value.x.toTensor().item<bool>() : value.x.toBool();
    if (!value.paired) {
      return x;
    }
    const bool ref = value.ref.isTensor() ? value.ref.toTensor().item<bool>() : value.ref.toBool();
    if (x != ref) {
      if (options_.batch.references > 1 && !value.tainted) {
        throw BatchMoved();
      }
      throw Error(
          "unsupported_operation",
          "A branch of the model's code is taken for a sequence and not for its reference (" +
              place(node) + "): no rule shares out such a step.");
    }
    return x;
  }

  void run_if(const Node* node) {
    const Block* taken = node->blocks()[condition(value(node->input()), node) ? 0 : 1];
    run_block(taken);
    for (size_t i = 0; i < node->outputs().size(); ++i) {
      values_[node->outputs()[i]] = value(taken->outputs()[i]);
    }
  }

  void run_loop(const Node* node) {
    const Value& limit = value(node->input(0));
    if (limit.paired) {
      throw BatchMoved();
    }
    const int64_t count = limit.x.toInt();
    bool going = condition(value(node->input(1)), node);
    std::vector<Value> carried;
    for (size_t i = 2; i < node->inputs().size(); ++i) {
      carried.push_back(value(node->input(i)));
    }
    const Block* body = node->blocks()[0];
    for (int64_t i = 0; i < count && going; ++i) {
      Value index;
      index.x = i;
      values_[body->inputs()[0]] = index;
      for (size_t j = 0; j < carried.size(); ++j) {
        values_[body->inputs()[j + 1]] = carried[j];
      }
      run_block(body);
      going = condition(value(body->outputs()[0]), node);
      for (size_t j = 0; j < carried.size(); ++j) {
        carried[j] = value(body->outputs()[j + 1]);
      }
    }
    for (size_t j = 0; j < carried.size(); ++j) {
      values_[node->outputs()[j]] = carried[j];
    }
  }

  // Lists are written to later (append), so each half gets one of its own from the start.
  void construct(const Node* node) {
    const auto build = [&](bool ref) {
      std::vector<c10::IValue> parts;
      for (const torch::jit::Value* input : node->inputs()) {
        const Value& part = value(input);
        parts.push_back(ref && part.paired ? part.ref : part.x);
      }
      return assemble(node, std::move(parts));
    };
    bool paired = false;
    bool tainted = false;
    for (const torch::jit::Value* input : node->inputs()) {
      paired = paired || value(input).paired;
      tainted = tainted || value(input).tainted;
    }
    const auto& type = node->output()->type();
    const bool numbers =
        type->cast<c10::ListType>() &&
        !type->expectRef<c10::ListType>().getElementType()->isSubtypeOf(*c10::TensorType::get());
    paired = options_.pairs && (paired || (node->kind() != c10::prim::TupleConstruct && !numbers));
    const c10::IValue x = build(false);
    values_[node->output()] = finish(x, paired ? build(true) : x, paired, tainted);
  }

  static c10::IValue assemble(const Node* node, std::vector<c10::IValue> parts) {
    if (node->kind() == c10::prim::TupleConstruct) {
      const auto type = node->output()->type()->expect<c10::TupleType>();
      return type->name() ? c10::ivalue::Tuple::createNamed(std::move(parts), type)
                          : c10::ivalue::Tuple::create(std::move(parts));
    }
    if (node->kind() == c10::prim::DictConstruct) {
      const auto type = node->output()->type()->expect<c10::DictType>();
      c10::impl::GenericDict dict(type->getKeyType(), type->getValueType());
      for (size_t i = 0; i + 1 < parts.size(); i += 2) {
        dict.insert_or_assign(parts[i], parts[i + 1]);
      }
      return dict;
    }
    c10::impl::GenericList list(node->output()->type()->expect<c10::ListType>()->getElementType());
    for (c10::IValue& part : parts) {
      list.push_back(std::move(part));
    }
    return list;
  }

  void unpack(const Node* node) {
    const Value whole = value(node->input());
    const auto parts = [](const c10::IValue& value) {
      return value.isTuple() ? value.toTupleRef().elements().vec() : value.toListRef().vec();
    };
    const std::vector<c10::IValue> x = parts(whole.x);
    const std::vector<c10::IValue> ref = whole.paired ? parts(whole.ref) : x;
    for (size_t i = 0; i < node->outputs().size(); ++i) {
      values_[node->outputs()[i]] = finish(x.at(i), ref.at(i), whole.paired, whole.tainted);
    }
  }

  std::string place(const Node* node) const {
    const auto known = graph_.provenance.find(node);
    const Provenance provenance = known == graph_.provenance.end() ? Provenance() : known->second;
    std::string text = provenance.module.empty() ? "the model itself" : provenance.module;
    return provenance.source.empty() ? text : text + ", " + provenance.source;
  }

  void run_operation(const Node* node);
  std::vector<Value> apply(Call& call, bool tainted);
  std::vector<Value> both_halves(const Call& call, bool tainted);
  bool shared(const Node* node, const Value& self) const;
  std::vector<Value> ruled(Call& call, const Operation* operation, bool tainted);
  std::vector<Value> observed(Call& call, const Operation* operation, bool tainted);
  void report_ordinary(const Call& call, const Operation* operation) const;
  [[noreturn]] void refuse(const Call& call, const std::string& why) const;
  void report(const Call& call, const std::string& kind, const std::string& rule, bool supported,
              bool faithful) const;

  const Graph& graph_;
  Constants& constants_;
  const EvaluateOptions& options_;
  std::unordered_map<const torch::jit::Value*, Value> values_;
  std::map<std::pair<const void*, std::string>, Value> attributes_;
};

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
  if (node->kind() != c10::prim::CallMethod) {
    const auto* known_operation = node->maybeOperator();
    if (!known_operation) {
      refuse(call, "is not known to this LibTorch");
    }
    const bool reduced = constants_.reduced() && multiplies_matrices(call.name);
    call.evaluate = [operation = known_operation->getOperation(node), writes,
                     reduced](std::vector<c10::IValue> stack) mutable {
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
    outputs = apply(call, tainted);
    if (writes && shared(node, call.inputs[0])) {
      // Evaluated out of place; now everything that shares the memory sees it, views included.
      const at::Tensor& x = call.inputs[0].x.toTensor();
      {
        const at::AutoGradMode enabled(options_.gradients);
        if (call.batch.memo) {
          call.batch.memo->spoil();
        }
        x.copy_(outputs[0].x.toTensor());
      }
      Value& self = value(node->input(0));
      if (self.paired) {
        const at::AutoGradMode enabled(true);
        self.ref.toTensor().copy_((outputs[0].paired ? outputs[0].ref : outputs[0].x).toTensor());
      } else if (outputs[0].paired) {
        refuse(call, "writes what depends on X into a tensor that is the same for all sequences");
      }
      outputs[0] = finish(self.x, self.paired ? self.ref : self.x, self.paired, tainted);
      // Views of the same memory now depend on X as well.
      for (auto& entry : values_) {
        Value& other = entry.second;
        if (other.x.isTensor() && other.x.toTensor().defined() &&
            other.x.toTensor().is_alias_of(x)) {
          other = finish(other.x, other.paired ? other.ref : other.x, other.paired,
                         other.tainted || tainted);
        }
      }
    }
  } catch (const c10::Error& error) {
    const std::string why = error.what_without_backtrace();
    throw Error("evaluation", call.where() + " failed: " + why.substr(0, why.find("\nException")));
  }
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    values_[node->outputs()[i]] = outputs.at(i);
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
  bool paired = false;
  for (const Value& input : call.inputs) {
    x_inputs.push_back(input.x);
    ref_inputs.push_back(input.paired ? input.ref : input.x);
    paired = paired || input.paired;
  }
  std::vector<c10::IValue> x;
  {
    const at::AutoGradMode guard(options_.gradients);
    x = once(call.batch.memo, [&]() { return call.evaluate(x_inputs); });
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
                        bool supported, bool faithful) const {
  if (options_.observe) {
    Step step;
    step.node = call.node;
    step.operation = call.node->kind() == c10::prim::CallMethod ? "module" : call.name;
    step.provenance = *call.provenance;
    step.kind = kind;
    step.rule = rule;
    step.supported = supported;
    step.faithful = faithful;
    options_.observe(step);
  }
}

void Evaluation::refuse(const Call& call, const std::string& why) const {
  throw Error("unsupported_operation", call.where() + " " + why + ".");
}

// The operation by its rule, or an error.
std::vector<Value> Evaluation::ruled(Call& call, const Operation* operation, bool tainted) {
  const Kind kind = operation ? operation->kind : Kind::other;
  if (mixes_sequences(call)) {
    refuse(call, "mixes the sequences of a batch: what it gives for one depends on the others");
  }
  if (operation && operation->rule && !tainted) {
    return operation->rule(call);
  }
  if (kind == Kind::condition) {
    // A comparison alone is harmless: its result may go unused, and what uses it is refused.
    return both_halves(call, true);
  }
  refuse(call, tainted ? "uses a condition or an index that depends on X, which has no rule"
               : kind == Kind::random ? "draws random numbers"
                                      : "has no rule that keeps summation-to-delta");
}

// The same for the audit: what would be refused is told and evaluated with its ordinary gradient.
std::vector<Value> Evaluation::observed(Call& call, const Operation* operation, bool tainted) {
  const Kind kind = tainted ? Kind::condition : operation ? operation->kind : Kind::other;
  const char* name = kind_name(kind);
  if (!tainted && kind == Kind::condition) {
    report(call, name, "none", false, false);
    return both_halves(call, true);
  }
  try {
    const std::vector<Value> outputs = ruled(call, operation, tainted);
    const bool linear = call.dependent().size() == 1 && kind == Kind::product;
    report(call, linear ? kind_name(Kind::linear) : name,
           linear ? "gradient (linear)" : operation->described, true, true);
    return outputs;
  } catch (const Error& error) {
    if (error.kind() != "unsupported_operation") {
      throw;
    }
    report(call, name, "none", false, false);
    return both_halves(call, tainted);
  }
}

// What a gradient without rules is faithful for: operations that are linear in what depends on X.
void Evaluation::report_ordinary(const Call& call, const Operation* operation) const {
  const bool known = operation && operation->rule;
  const bool factor = known && operation->kind == Kind::product && call.dependent().size() == 1 &&
                      !((operation->rule == rules::quotient) && call.depends(1));
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

}  // namespace

std::vector<Value> evaluate(const Graph& graph, Constants& constants,
                            const std::vector<Value>& inputs, const EvaluateOptions& options) {
  return Evaluation(graph, constants, options).run(inputs);
}

}  // namespace seqlift
