#include "core/evaluate/units.h"

#include <ATen/ExpandUtils.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/model/graph_passes.h"
#include "core/model/operation_table.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

at::Tensor first_half(const at::Tensor& both) { return both.narrow(0, 0, both.size(0) / 2); }

at::Tensor second_half(const at::Tensor& both) {
  return both.narrow(0, both.size(0) / 2, both.size(0) / 2);
}

at::Tensor twice(const at::Tensor& half) { return at::cat({half, half}); }

// How a quotient of differences replaces the ordinary gradient (tangermeme 1.4.0, from Captum).
at::Tensor peer_quotient(const at::Tensor& change_in, const at::Tensor& change_out,
                         const at::Tensor& grad, const at::Tensor& ordinary) {
  return at::where(change_in.abs() < peer_threshold, ordinary, grad * (change_out / change_in));
}

// What a tensor holds for each sequence.
std::string shape_of_row(const at::Tensor& tensor) {
  std::string sizes;
  for (const int64_t size : tensor.sizes().slice(tensor.dim() > 0 ? 1 : 0)) {
    sizes += (sizes.empty() ? "" : " x ") + std::to_string(size);
  }
  return sizes.empty() ? "one number" : sizes;
}

void require_same_shape(const Call& call, const at::Tensor& input, const at::Tensor& output) {
  if (input.sizes() != output.sizes()) {
    throw Error("registration",
                call.provenance->class_name + " (" + call.provenance->module + ") turns " +
                    shape_of_row(input) + " into " + shape_of_row(output) +
                    " per sequence. A class under the rescale rule must keep the shape of its "
                    "input: register the layer inside it that is not linear instead.");
  }
}

using Sizes = std::vector<int64_t>;

// The shape that tensors broadcast to, or nothing.
std::optional<Sizes> broadcast(const std::vector<Sizes>& shapes) {
  Sizes together;
  for (const Sizes& shape : shapes) {
    if (!at::are_expandable(together, shape)) {
      return std::nullopt;
    }
    together = at::infer_size(together, shape);
  }
  return together;
}

}  // namespace

// What the rule of a unit reads of a call.
struct Units::Seen {
  at::Tensor input;
  at::Tensor output;
  at::Tensor indices;  // of a max-pooling
};

// The hooks of the peers remember the last call of a module and apply its differences to the
// gradients of every call: wrong numbers, with a delta that shows it, where they broadcast to them,
// and an error where they do not. The former are the peers' numbers. For a model with one of the
// latter there are none, and each call of it is explained by its own.
struct Units::Last {
  Seen call;
  std::set<std::pair<Sizes, Sizes>> shapes;  // of all calls whose input depends on X

  // Whether the hook's result has the shape of each call's input.
  bool fits_all() const {
    const Sizes last_in = call.input.sizes().vec();
    const Sizes last_out = call.output.sizes().vec();
    return std::all_of(shapes.begin(), shapes.end(), [&](const std::pair<Sizes, Sizes>& shape) {
      const auto& [in, out] = shape;
      if (in == last_in && out == last_out) {
        return true;
      }
      if (call.indices.defined()) {
        return broadcast({out, last_out}) == last_out && broadcast({in, last_in}) == in;
      }
      return broadcast({in, out, last_in, last_out}) == in;
    });
  }
};

std::shared_ptr<const Units::Last> Units::remember(const std::string& module, const Seen& call,
                                                   bool depends) {
  std::shared_ptr<Last>& last = last_[module];
  if (last && again_ && repeated_.count(module) > 0) {
    return last;
  }
  if (!last) {
    last = std::make_shared<Last>();
  }
  last->call = call;
  if (depends) {
    last->shapes.insert({call.input.sizes().vec(), call.output.sizes().vec()});
  }
  return last;
}

std::function<Resume(const std::vector<at::Tensor>&)> Units::carry(const Graph& graph) {
  std::map<std::string, int> places;
  for (const torch::jit::Node* node : all_nodes(graph.graph->block())) {
    const auto place = graph.provenance.find(node);
    const bool remembered =
        node->kind() == c10::prim::CallMethod || operation_of(node).peer_pool != PeerPool::none;
    if (remembered && place != graph.provenance.end() && ++places[place->second.module] == 2) {
      repeated_.insert(place->second.module);
    }
  }
  return [this](const std::vector<at::Tensor>&) {
    for (auto last = last_.begin(); last != last_.end();) {
      if (repeated_.count(last->first) > 0) {
        ++last;
      } else {
        hooks_fail_ = hooks_fail_ || !last->second->fits_all();
        last = last_.erase(last);
      }
    }
    return [this](const std::vector<at::Tensor>&, bool again) { again_ = again; };
  };
}

bool Units::hooks_fail() {
  hooks_fail_ = hooks_fail_ || std::any_of(last_.begin(), last_.end(), [](const auto& last) {
                  return !last.second->fits_all();
                });
  return hooks_fail_;
}

Units::Units(const Registrations& registrations, bool module_mode, Constants& constants)
    : registrations_(registrations), module_mode_(module_mode), constants_(constants) {}

std::string Units::rule_name(const Call& call) const {
  const Provenance& place = *call.provenance;
  const Registration* registration =
      find_rule(registrations_, module_mode_, place.module, place.class_name);
  switch (registration->rule) {
    case Registration::Rule::rescale:
      return "rescale";
    case Registration::Rule::softmax:
      return "softmax of the batch";
    case Registration::Rule::max_pool:
      return "maxpool";
    case Registration::Rule::linear:
      return "gradient (linear)";
    case Registration::Rule::gradient:
      return "gradient";
    case Registration::Rule::integrate:
      return "path integral";
    case Registration::Rule::function:
      break;
  }
  return "your function";
}

std::vector<Value> Units::call(Call& call) {
  // In a trace a module whose result nobody takes (a head beside the one that is looked at) gives
  // nothing.
  if (call.node->output()->type()->kind() == c10::TypeKind::NoneType) {
    return {Value()};
  }
  const Provenance& place = *call.provenance;
  const Registration* registration =
      find_rule(registrations_, module_mode_, place.module, place.class_name);
  const std::string method = call.node->s(c10::attr::name);
  auto& body = bodies_[place.module + "." + method];
  if (!body) {
    body = build_unit_graph(call.inputs[0].x, method, place);
  }
  int input = -1;
  for (size_t i = 1; i < call.inputs.size(); ++i) {
    const bool depends = call.inputs[i].depends;
    if (depends && (input >= 0 || !call.inputs[i].x.isTensor())) {
      throw Error("registration", place.class_name + " (" + place.module +
                                      ") takes several inputs that depend on X: a registered class "
                                      "is one unit from its input to its output and takes one.");
    }
    input = depends ? static_cast<int>(i) : input;
  }
  if (input < 0) {
    // Nothing of X reaches it: it is evaluated as it is.
    bool paired = false;
    bool tainted = false;
    for (const Value& given : call.inputs) {
      paired = paired || given.paired();
      tainted = tainted || given.tainted;
    }
    const at::Tensor x = run(call, body, -1, {}, false, false);
    if (module_mode_ && call.inputs.size() > 1 && call.inputs[1].x.isTensor()) {
      remember(place.module, {call.inputs[1].x.toTensor().detach(), x.detach(), {}}, false);
    }
    Value output = paired ? to_value(x, run(call, body, -1, {}, true, false)) : Value();
    output.x = x;
    output.tainted = tainted;
    return {output};
  }
  return module_mode_ ? in_module_mode(call, *registration, body, input)
                      : in_operator_mode(call, *registration, body, input);
}

at::Tensor Units::run(const Call& call, const std::shared_ptr<const Graph>& body, int position,
                      const at::Tensor& input, bool ref, bool gradients) {
  std::vector<Value> inputs;
  for (size_t i = 1; i < call.inputs.size(); ++i) {
    Value value;
    const Value& given = call.inputs[i];
    value.x = static_cast<int>(i) == position ? c10::IValue(input) : given.half(ref);
    inputs.push_back(value);
  }
  EvaluateOptions options;
  if (gradients) {
    options.mode = EvaluateOptions::Gradients();
  }
  const at::AutoGradMode guard(gradients);
  const std::vector<Value> outputs = evaluate(*body, constants_, inputs, options);
  if (outputs.size() != 1 || !outputs[0].x.isTensor()) {
    throw Error("registration", call.provenance->class_name + " (" + call.provenance->module +
                                    ") returns several values: a registered class returns one.");
  }
  return outputs[0].x.toTensor();
}

// The unit as a function of its input, for as long as this object lives.
MultiOutput Units::as_function(const Call& call, const std::shared_ptr<const Graph>& body,
                               int input, bool ref) {
  return [this, call, body, input, ref](const Operands& at) {
    return std::vector<at::Tensor>{run(call, body, input, at[0], ref, true)};
  };
}

std::vector<Value> Units::in_module_mode(Call& call, const Registration& registration,
                                         const std::shared_ptr<const Graph>& body, int input) {
  const at::Tensor given = call.inputs[input].x.toTensor();
  const at::Tensor point = given.detach().requires_grad_();
  const at::Tensor value = run(call, body, input, point, false, true);
  const Seen own{given.detach(), value.detach(), {}};
  const auto last = remember(call.provenance->module, own, true);
  const auto rule = registration.rule;
  const bool quotient = rule == Registration::Rule::rescale || rule == Registration::Rule::softmax;
  if (quotient) {
    require_same_shape(call, given, value);
  }
  const auto along_path = [function = as_function(call, body, input, false)](
                              const at::Tensor& x, const at::Tensor& x_ref,
                              const at::Tensor& grad) {
    const at::Tensor leaf = x_ref.detach().requires_grad_();
    const Halves whole = integrate(function, {{x, leaf}}, {x.size(0), 1, nullptr})[0];
    return torch::autograd::grad({whole.ref}, {leaf}, {grad})[0];
  };
  const auto backward = [this, point, value, own, last, rule, user = registration.function,
                         quotient, along_path](const at::Tensor& grad) {
    const auto ordinary = torch::autograd::grad({value}, {point}, {grad}, true, false, false)[0];
    if (rule == Registration::Rule::integrate) {
      return std::vector<at::Tensor>{
          twice(along_path(first_half(own.input), second_half(own.input), first_half(grad)))};
    }
    const Seen& seen = hooks_fail() ? own : last->call;
    const at::Tensor x = first_half(seen.input);
    const at::Tensor x_ref = second_half(seen.input);
    const at::Tensor y = first_half(seen.output);
    const at::Tensor y_ref = second_half(seen.output);
    if (rule == Registration::Rule::function) {
      return std::vector<at::Tensor>{twice(user(x, x_ref, y, y_ref, first_half(grad)))};
    }
    if (!quotient) {
      return std::vector<at::Tensor>{ordinary};
    }
    at::Tensor result = peer_quotient(twice(x - x_ref), twice(y - y_ref), grad, ordinary);
    if (rule == Registration::Rule::softmax) {
      result = result - result.sum() / static_cast<double>(ordinary.numel());
    }
    return std::vector<at::Tensor>{result};
  };
  Value output;
  output.x = attach(value.detach(), {given}, backward);
  output.depends = true;
  return {output};
}

std::vector<Value> Units::in_operator_mode(Call& call, const Registration& registration,
                                           const std::shared_ptr<const Graph>& body, int input) {
  const Halves given = call.halves(input);
  const BatchShape batch = call.batch;
  const at::Tensor y = run(call, body, input, given.x, false, false);
  if (registration.rule == Registration::Rule::linear ||
      registration.rule == Registration::Rule::gradient) {
    return {to_value(y, run(call, body, input, given.ref, true, true))};
  }
  if (registration.rule == Registration::Rule::integrate) {
    const OnHalves<MultiOutput> function(as_function(call, body, input, false),
                                         as_function(call, body, input, true));
    return {to_value(integrate(function, {given}, batch)[0])};
  }
  const at::Tensor point = given.ref.detach().requires_grad_();
  const at::Tensor y_ref = run(call, body, input, point, true, true);
  check_rows(y, y_ref, batch);
  const at::Tensor x = repeat_x(given.x, point, batch);
  const at::Tensor y_x = repeat_x(y, y_ref, batch);
  const bool user = registration.rule == Registration::Rule::function;
  if (!user) {
    require_same_shape(call, point, y_ref);
  }
  const auto backward = [=, rule = registration.function](const at::Tensor& grad) {
    if (user) {
      return std::vector<at::Tensor>{rule(x, point.detach(), y_x, y_ref.detach(), grad)};
    }
    const auto ordinary = torch::autograd::grad({y_ref}, {point}, {grad}, true, false, false)[0];
    return std::vector<at::Tensor>{
        peer_quotient(x - point.detach(), y_x - y_ref.detach(), grad, ordinary)};
  };
  return {to_value(y, attach(y_ref.detach(), {given.ref}, backward))};
}

// tangermeme 1.4.0: the larger of both maxima splits the change into a rise, put by max_unpool
// where x has its maximum, and a fall, where the reference has it; overlapping windows overwrite
// each other.
std::vector<Value> Units::pool(Call& call) {
  const bool one = call.row->peer_pool == PeerPool::line;
  if (call.row->peer_pool == PeerPool::none || !call.inputs[0].depends) {
    return {};
  }
  const Provenance& place = *call.provenance;
  const Registration* registration =
      find_rule(registrations_, module_mode_, place.module, place.class_name);
  if (!registration || registration->rule != Registration::Rule::max_pool) {
    return {};
  }
  const auto numbers = [&](const char* name) {
    return call.constant(call.find(name)).toIntVector();
  };
  const auto kernel = numbers("kernel_size");
  const auto stride = numbers("stride");
  const auto padding = numbers("padding");
  const auto dilation = numbers("dilation");
  const bool ceil = call.constant(call.find("ceil_mode")).toBool();
  const at::Tensor given = call.inputs[0].x.toTensor();
  const at::Tensor point = given.detach().requires_grad_();
  std::tuple<at::Tensor, at::Tensor> found;
  {
    const at::AutoGradMode guard(true);
    found = one ? at::max_pool1d_with_indices(point, kernel, stride, padding, dilation, ceil)
                : at::max_pool2d_with_indices(point, kernel, stride, padding, dilation, ceil);
  }
  const at::Tensor value = std::get<0>(found);
  const Seen own{given.detach(), value.detach(), std::get<1>(found)};
  const auto last = remember(place.module, own, true);
  const auto backward = [=](const at::Tensor& grad) {
    const auto ordinary = torch::autograd::grad({value}, {point}, {grad}, true, false, false)[0];
    const auto& [input, output, indices] = hooks_fail() ? own : last->call;
    const at::Tensor change = first_half(input) - second_half(input);
    const at::Tensor top = at::maximum(first_half(output), second_half(output));
    const at::Tensor change_out = at::cat({top - second_half(output), first_half(output) - top});
    const at::Tensor share = grad * change_out;
    at::Tensor spread;
    if (one) {
      spread = at::max_unpool2d(share.unsqueeze(-1).contiguous(),
                                indices.unsqueeze(-1).contiguous(), {input.size(-1), 1})
                   .squeeze(-1);
    } else {
      spread = at::max_unpool2d(share.contiguous(), indices.contiguous(),
                                {input.size(-2), input.size(-1)});
    }
    const at::Tensor both = twice(first_half(spread) + second_half(spread));
    const at::Tensor change_in = twice(change);
    return std::vector<at::Tensor>{
        at::where(change_in.abs() < peer_pool_threshold, ordinary, both / change_in)};
  };
  Value output;
  output.x = attach(value.detach(), {given}, backward);
  output.depends = true;
  return {output};
}

UnitRule units_as_written(Constants& constants) {
  return [&constants](Call& call) {
    const auto inside =
        build_unit_graph(call.inputs[0].x, call.node->s(c10::attr::name), *call.provenance);
    return evaluate(*inside, constants,
                    std::vector<Value>(call.inputs.begin() + 1, call.inputs.end()),
                    EvaluateOptions());
  };
}

}  // namespace seqlift
