#include "core/model/compose.h"

#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/function_impl.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/model/bin_score.h"
#include "core/model/modules.h"
#include "core/model/profile_score.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

using torch::jit::Module;

std::string method_of(const Module& module) {
  return module.find_method("forward") ? "forward" : "evalforward";
}

const c10::FunctionSchema& schema_of(const Module& module) {
  return module.get_method(method_of(module)).function().getSchema();
}

// A name like `wanted` that nothing in the module has.
std::string free_name(const Module& module, const std::string& wanted) {
  const auto type = module.type();
  std::string name = wanted;
  for (int i = 2; type->findMethod(name) || type->findAttribute(name); ++i) {
    name = wanted + "_" + std::to_string(i);
  }
  return name;
}

// A module of the same class name that holds the same modules, weights and methods, the original's
// forward under another name: what calls it becomes its `forward`.
struct Opened {
  Module module;
  std::string inner;  // "self." and what the original's forward is called now
};

Opened open_again(const Module& original) {
  const auto unit = std::make_shared<torch::jit::CompilationUnit>();
  const auto type = original.type();
  const std::string inner = free_name(original, "model_forward");
  Opened opened{Module(*type->name(), unit, true), "self." + inner};
  const auto copy = opened.module.type();
  for (size_t i = 0; i < type->numAttributes(); ++i) {
    const std::string& name = type->getAttributeName(i);
    opened.module.register_attribute(name, type->getAttribute(i), original._ivalue()->getSlot(i),
                                     type->is_parameter(i), type->is_buffer(i));
  }
  for (size_t i = 0; i < type->numConstants(); ++i) {
    copy->addConstant(type->getConstantName(i), type->getConstant(i));
  }
  const std::string forward = method_of(original);
  for (const torch::jit::Function* method : type->methods()) {
    auto graph = torch::jit::toGraphFunction(*method).graph()->copy();
    graph->remapTypes([&](const c10::TypePtr& one) -> c10::TypePtr {
      return one == type ? c10::TypePtr(copy) : one;
    });
    const std::string name = method->name() == forward ? inner : method->name();
    torch::jit::Function* made =
        unit->create_function(c10::QualifiedName(*copy->name(), name), std::move(graph));
    const c10::FunctionSchema& schema = method->getSchema();
    std::vector<c10::Argument> arguments = schema.arguments();
    arguments[0] = c10::Argument(arguments[0].name(), copy);
    made->setSchema(c10::FunctionSchema(name, schema.overload_name(), std::move(arguments),
                                        schema.returns(), schema.is_vararg(), schema.is_varret()));
    copy->addMethod(made);
  }
  return opened;
}

// Inputs as TorchScript writes them
// ----------------------------------------------------------------

struct Input {
  std::string name;      // in the new forward
  std::string argument;  // in the model's
  std::string type;
  std::string otherwise;  // its default, or "" where it has none
  bool tensor = true;     // or an Optional[Tensor]
  bool optional = false;
  bool keeps_default = false;  // which cannot be written down: the input is left out unless given
};

std::string source_of_default(const c10::IValue& value) {
  if (value.isNone()) {
    return "None";
  }
  if (value.isBool()) {
    return value.toBool() ? "True" : "False";
  }
  return value.isInt() ? std::to_string(value.toInt()) : source_number(value.toDouble());
}

// The sequences first.
std::vector<Input> inputs_of(const Module& module) {
  std::vector<Input> inputs;
  const auto& arguments = schema_of(module).arguments();
  for (size_t i = 1; i < arguments.size(); ++i) {
    const c10::Argument& argument = arguments[i];
    Input input;
    input.name = input.argument = argument.name();
    input.type = argument.type()->annotation_str();
    const auto optional = argument.type()->cast<c10::OptionalType>();
    input.optional = optional != nullptr;
    const c10::TypePtr inner = optional ? optional->getElementType() : argument.type();
    input.tensor = inner->isSubtypeOf(*c10::TensorType::get());
    if (const auto& value = argument.default_value()) {
      input.keeps_default =
          !value->isNone() && !value->isBool() && !value->isInt() && !value->isDouble();
      input.otherwise = input.keeps_default ? "" : source_of_default(*value);
    }
    inputs.push_back(input);
  }
  return inputs;
}

std::string head(std::vector<Input> inputs) {
  std::stable_partition(inputs.begin() + 1, inputs.end(),
                        [](const Input& input) { return input.otherwise.empty(); });
  std::string text = "def forward(self";
  for (const Input& input : inputs) {
    text += ", " + input.name + ": " + input.type;
    text += input.otherwise.empty() ? "" : "=" + input.otherwise;
  }
  return text + "):\n";
}

std::string line(const std::string& statement) { return "    " + statement + "\n"; }

// "self.model_forward(x, track=track)" with X as `x`.
std::string call_of(const std::string& callee, const std::string& x,
                    const std::vector<Input>& inputs) {
  std::string text = callee + "(" + x;
  for (size_t i = 1; i < inputs.size(); ++i) {
    text += ", " + inputs[i].argument + "=" + inputs[i].name;
  }
  return text + ")";
}

// Outputs -----------------------------------------------------------------------------------------

// Expressions of the outputs, `whole` being what the module's forward returned. Of a list or a
// dictionary the module's graph tells what is in it.
std::vector<std::string> outputs_of(const Module& module, const std::string& whole,
                                    const Graph* graph = nullptr) {
  const auto& returns = schema_of(module).returns();
  const c10::TypePtr type = returns.size() == 1 ? returns[0].type() : c10::NoneType::get();
  const auto is_tensor = [](const c10::TypePtr& one) {
    return one->isSubtypeOf(*c10::TensorType::get());
  };
  if (is_tensor(type)) {
    return {whole};
  }
  const auto tuple = type->cast<c10::TupleType>();
  const auto list = type->cast<c10::ListType>();
  const auto dictionary = type->cast<c10::DictType>();
  const torch::jit::Value* given = graph ? graph->graph->outputs()[0] : nullptr;
  if (given && dictionary && !given->type()->cast<c10::DictType>()) {
    std::vector<std::string> values;
    for (const std::string& key : graph->output_names) {
      values.push_back(whole + "[\"" + key + "\"]");
    }
    return values;
  }
  int64_t count = 0;
  if (given && list && is_tensor(list->getElementType()) &&
      given->node()->kind() == c10::prim::ListConstruct) {
    count = graph->outputs;
  }
  if (tuple && std::all_of(tuple->elements().begin(), tuple->elements().end(), is_tensor)) {
    count = static_cast<int64_t>(tuple->elements().size());
  }
  if (count == 0) {
    throw Error("model", "The model returns " + type->annotation_str() +
                             ": only a tensor, or tensors whose number its code tells, can be put "
                             "together with others.");
  }
  std::vector<std::string> outputs;
  for (int64_t i = 0; i < count; ++i) {
    outputs.push_back(whole + "[" + std::to_string(i) + "]");
  }
  return outputs;
}

std::string returned(const std::vector<std::string>& outputs) {
  std::string text;
  for (const std::string& output : outputs) {
    text += (text.empty() ? "" : ", ") + output;
  }
  return line("return " + (outputs.size() == 1 ? text : "(" + text + ")"));
}

// The outputs with the wrappers around them; the module of a score is added to `module`.
std::vector<std::string> wrap(Module& module, const std::vector<Wrapper>& wrappers,
                              std::vector<std::string> outputs) {
  for (const Wrapper& wrapper : wrappers) {
    if (wrapper.index < 0 || wrapper.index >= static_cast<int64_t>(outputs.size())) {
      throw Error("model", "There is no output " + std::to_string(wrapper.index + 1) + ".");
    }
    std::string selected = outputs[static_cast<size_t>(wrapper.index)];
    if (wrapper.kind != Wrapper::Kind::select_output) {
      const bool profile = wrapper.kind == Wrapper::Kind::profile_score;
      const std::string name = free_name(module, profile ? "profile_score" : "select_bins");
      module.register_module(
          name, build_module(profile ? profile_score_part() : bin_score_part(wrapper.bins)));
      selected = "self." + name + ".forward(" + selected + ")";
    }
    outputs = {selected};
  }
  return outputs;
}

Module define(Module module, const std::string& source) {
  try {
    module.define(source);
  } catch (const std::exception& error) {
    throw Error("model",
                "The model cannot be put together with others: " + std::string(error.what()));
  }
  return module;
}

// Reading from the other strand -------------------------------------------------------------------

std::string reversed(const std::string& tensor, Reversal reversal) {
  switch (reversal) {
    case Reversal::strands:
      return "torch.flip(" + tensor + ", [1, 2])";
    case Reversal::positions:
      return "torch.flip(" + tensor + ", [-1])";
    case Reversal::bins:
      return "torch.flip(" + tensor + ", [1])";
    case Reversal::automatic:
      return "torch.flip(" + tensor + ", [1, 2]) if " + tensor + ".dim() == 3 else " + tensor;
    case Reversal::none:
      break;
  }
  return tensor;
}

// Statements that make `name` of `tensor`.
std::string reverse(const std::string& name, const std::string& tensor, Reversal reversal,
                    const std::string& what, const std::string& indent = "") {
  std::string text;
  if (reversal == Reversal::automatic) {
    text +=
        indent + line("assert " + tensor + ".dim() != 3 or " + tensor + ".size(1) <= 2, \"" + what +
                      " has more than two strands: reverse_complement_average() must be "
                      "told how it is read from the other strand\"");
  }
  return text + indent + line(name + " = " + reversed(tensor, reversal));
}

}  // namespace

Module wrapped_module(const std::shared_ptr<const Model>& model,
                      const std::vector<Wrapper>& wrappers, const std::vector<FilledInput>& filled,
                      const std::vector<std::string>& given) {
  Opened opened = open_again(model->module);
  std::vector<Input> all;
  std::vector<Input> open;
  for (Input input : inputs_of(model->module)) {
    const auto found = std::find_if(filled.begin(), filled.end(), [&](const FilledInput& one) {
      return one.name == input.argument;
    });
    if (found == filled.end()) {
      const bool wanted = std::find(given.begin(), given.end(), input.argument) != given.end();
      if (!input.keeps_default || wanted) {
        open.push_back(input);
        all.push_back(input);
      }
      continue;
    }
    const std::string& x = all[0].name;
    const std::string buffer = free_name(opened.module, "filled_" + input.argument);
    opened.module.register_buffer(buffer, found->value);
    std::string repeats = x + ".size(0)";
    for (int64_t d = 1; d < found->value.dim(); ++d) {
      const bool positions = found->every_position && d == 2;
      repeats += positions ? ", " + x + ".size(2)" : ", 1";
    }
    input.name = "self." + buffer + ".to(" + x + ".dtype).repeat([" + repeats + "])";
    all.push_back(input);
  }
  std::string source = head(open);
  source += line("seqlift_outputs = " + call_of(opened.inner, all[0].name, all));
  const auto graph = build_graph(model, {});
  source += returned(
      wrap(opened.module, wrappers, outputs_of(model->module, "seqlift_outputs", graph.get())));
  if (wrappers.empty() && graph->outputs > 1 && !graph->output_names.empty()) {
    name_outputs(opened.module, graph->output_names);
  }
  return define(opened.module, source);
}

Module ensemble_module(const std::vector<EnsembleMember>& members) {
  Module module(c10::QualifiedName("__torch__.seqlift.Ensemble"),
                std::make_shared<torch::jit::CompilationUnit>());
  module.register_attribute("training", c10::BoolType::get(), false);
  std::vector<Input> shared;
  std::vector<Input> own;
  std::string body;
  std::vector<std::vector<std::string>> outputs;
  std::vector<std::string> names;  // of the outputs, where all members have the same
  for (size_t i = 0; i < members.size(); ++i) {
    const EnsembleMember& member = members[i];
    const std::string name = "model_" + std::to_string(i + 1);
    const Module wrapped = wrapped_module(member.model, member.wrappers, {}, member.own_inputs);
    module.register_module(name, wrapped);
    module.register_attribute("weight_" + std::to_string(i + 1), c10::FloatType::get(),
                              member.weight);
    std::vector<Input> inputs = inputs_of(wrapped);
    std::vector<Input> others;
    for (size_t j = 0; j < inputs.size(); ++j) {
      Input& input = inputs[j];
      const auto& names = member.own_inputs;
      if (std::find(names.begin(), names.end(), input.argument) == names.end()) {
        others.push_back(input);
        continue;
      }
      input.name = name + "_" + input.argument;
      own.push_back(input);
      own.back().otherwise.clear();
    }
    // Every member may call the sequences as it likes.
    if (i == 0) {
      shared = others;
    }
    const auto same = [](const Input& a, const Input& b) {
      return a.name == b.name && a.type == b.type && a.otherwise == b.otherwise;
    };
    if (others.size() != shared.size() ||
        !std::equal(others.begin() + 1, others.end(), shared.begin() + 1, same)) {
      throw Error("model", "The inputs of model " + std::to_string(i + 1) +
                               " of the ensemble are not those of model 1, or have other types or "
                               "defaults.");
    }
    const std::string whole = "seqlift_outputs_" + std::to_string(i + 1);
    body += line(whole + " = " + call_of("self." + name + ".forward", shared[0].name, inputs));
    outputs.push_back(outputs_of(wrapped, whole));
    if (i == 0) {
      names = output_names(wrapped);
    } else if (names != output_names(wrapped)) {
      names.clear();
    }
    if (outputs[i].size() != outputs[0].size()) {
      throw Error("model", "Model " + std::to_string(i + 1) + " of the ensemble has " +
                               std::to_string(outputs[i].size()) + " outputs and model 1 has " +
                               std::to_string(outputs[0].size()) + ".");
    }
  }
  std::vector<std::string> means;
  for (size_t k = 0; k < outputs[0].size(); ++k) {
    std::string parts;
    for (size_t i = 0; i < members.size(); ++i) {
      parts += (i ? ", " : "") + outputs[i][k] + " * self.weight_" + std::to_string(i + 1);
    }
    // A stack refuses what an addition would stretch.
    means.push_back("torch.stack([" + parts + "]).sum(0)");
  }
  if (!names.empty() && names.size() == outputs[0].size()) {
    name_outputs(module, names);
  }
  std::vector<Input> inputs{shared[0]};
  inputs.insert(inputs.end(), own.begin(), own.end());
  inputs.insert(inputs.end(), shared.begin() + 1, shared.end());
  return define(module, head(inputs) + body + returned(means));
}

Module reverse_complement_module(const std::shared_ptr<const Model>& model,
                                 const std::vector<Wrapper>& wrappers,
                                 const ReverseComplementOptions& options) {
  const Module wrapped = wrapped_module(model, wrappers, {}, options.given);
  Opened opened = open_again(wrapped);
  const std::vector<Input> inputs = inputs_of(wrapped);
  const std::string x = inputs[0].name;
  std::string source = head(inputs);
  source += line("seqlift_x = torch.cat([torch.flip(" + x + "[:, :4], [1, 2]), torch.flip(" + x +
                 "[:, 4:], [2])], 1) if " + x + ".size(1) > 4 else torch.flip(" + x + ", [1, 2])");
  std::vector<Input> turned = inputs;
  for (size_t i = 1; i < inputs.size(); ++i) {
    const auto told = options.inputs.find(inputs[i].name);
    const Reversal reversal = told == options.inputs.end() ? Reversal::automatic : told->second;
    if (!inputs[i].tensor || reversal == Reversal::none) {
      continue;
    }
    const std::string& given = inputs[i].name;
    const std::string name = "seqlift_input_" + std::to_string(i);
    const std::string what = "the input " + given;
    if (inputs[i].optional) {
      source += line(name + " = " + given) + line("if " + given + " is not None:");
      source += reverse(name, given, reversal, what, "    ");
    } else {
      source += reverse(name, given, reversal, what);
    }
    turned[i].name = name;
  }
  source += line("seqlift_forward = " + call_of(opened.inner, x, inputs));
  source += line("seqlift_reverse = " + call_of(opened.inner, "seqlift_x", turned));
  const std::vector<std::string> ahead = outputs_of(wrapped, "seqlift_forward");
  const std::vector<std::string> back = outputs_of(wrapped, "seqlift_reverse");
  std::vector<std::string> means;
  for (size_t k = 0; k < ahead.size(); ++k) {
    const std::string number = std::to_string(k + 1);
    source += line("seqlift_back_" + number + " = " + back[k]);
    source += reverse("seqlift_turned_" + number, "seqlift_back_" + number, options.outputs.at(k),
                      "output " + number);
    means.push_back("(" + ahead[k] + " + seqlift_turned_" + number + ") * 0.5");
  }
  return define(opened.module, source + returned(means));
}

}  // namespace seqlift
