#include "nets.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/jit/api/module.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "catch.h"
#include "core/base/error.h"
#include "core/evaluate/evaluation.h"
#include "core/methods/audit.h"
#include "core/methods/deep_lift.h"
#include "core/methods/deep_lift_shap.h"
#include "core/methods/pairs.h"
#include "core/methods/windows.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"
#include "inputs.h"

namespace nets {

namespace {

// Source compiled from C++ knows no names of types, only their numbers.
std::string with_type_numbers(std::string source) {
  const std::vector<std::pair<std::string, std::string>> numbers{
      {"torch.float64", "7"}, {"torch.float32", "6"}, {"torch.long", "4"}, {"torch.bool", "11"}};
  for (const auto& entry : numbers) {
    for (size_t at = source.find(entry.first); at != std::string::npos;
         at = source.find(entry.first, at)) {
      source.replace(at, entry.first.size(), entry.second);
    }
  }
  return source;
}

Part with_types(Part part) {
  part.source = with_type_numbers(part.source);
  for (auto& inner : part.parts) {
    inner.second = with_types(std::move(inner.second));
  }
  return part;
}

// A path of our own under the system's folder for temporary files, removed at the end.
class TemporaryFile {
 public:
  TemporaryFile() {
    const char* folder = std::getenv("TMPDIR");
    path_ = std::string(folder ? folder : "/tmp") + "/seqlift-net-XXXXXX";
    const int file = mkstemp(&path_[0]);
    REQUIRE(file >= 0);
    close(file);
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Weights from whole numbers, so that they are the same in float32.
const char* const reduce =
    "f = y.flatten(1)\n"
    "w = (torch.arange(f.size(1)) * 37 % 101).to(torch.float64) / 101 - 0.47\n"
    "return (f * w).sum(1, keepdim=True)\n";

seqlift::Registrations registrations(const Settings& settings) {
  using Rule = seqlift::Registration::Rule;
  const std::map<std::string, Rule> rules{
      {"rescale", Rule::rescale},    {"softmax", Rule::softmax},   {"max_pool", Rule::max_pool},
      {"linear", Rule::linear},      {"gradient", Rule::gradient}, {"function", Rule::function},
      {"integrate", Rule::integrate}};
  seqlift::Registrations result;
  for (const auto& entry : settings.registered) {
    result[entry.first].rule = rules.at(entry.second);
    result[entry.first].function = settings.function;
  }
  return result;
}

std::shared_ptr<const seqlift::Graph> graph_of(const ModelPointer& model,
                                               const Settings& settings) {
  using Wrapper = seqlift::Wrapper;
  seqlift::GraphOptions options;
  const int64_t index = settings.select_output < 0 ? 0 : settings.select_output;
  if (settings.select_output >= 0 && !settings.profile_score) {
    options.wrappers.push_back({Wrapper::Kind::select_output, index});
  }
  if (settings.profile_score) {
    options.wrappers.push_back({Wrapper::Kind::profile_score, index});
  }
  options.is_unit = seqlift::whole_modules(registrations(settings), settings.module_mode);
  return seqlift::build_graph(model, options);
}

seqlift::Constants constants_of(const ModelPointer& model, const Settings& settings) {
  const bool reduced = settings.dtype == at::kBFloat16;
  return seqlift::Constants(model->dtype, reduced ? at::kFloat : settings.dtype,
                            at::Device(at::kCPU), reduced);
}

seqlift::DeepLiftShapOptions options_of(const Settings& settings) {
  using Output = seqlift::DeepLiftShapOptions::Output;
  seqlift::DeepLiftShapOptions options;
  options.output = settings.output == "multipliers"     ? Output::multipliers
                   : settings.output == "hypothetical"  ? Output::hypothetical
                   : settings.output == "contributions" ? Output::contributions
                                                        : Output::attributions;
  options.targets = settings.targets;
  options.batch_size = settings.batch_size;
  options.profile = settings.profile;
  options.standard_errors = settings.standard_errors;
  options.module_mode = settings.module_mode;
  options.integrate = settings.integrate;
  options.registrations = registrations(settings);
  options.work.threads = settings.threads;
  options.work.poll = settings.poll;
  return options;
}

std::vector<at::Tensor> tensors_of(const c10::IValue& value) {
  std::vector<at::Tensor> tensors;
  seqlift::visit_tensors(value, [&](const at::Tensor& tensor) { tensors.push_back(tensor); });
  return tensors;
}

}  // namespace

ModelPointer model(const Part& part, bool training) {
  const TemporaryFile file;
  seqlift::build_module(with_types(part), training).save(file.path());
  return seqlift::load_model(file.path());
}

std::string indented(const std::string& lines) {
  std::string text = "    ";
  for (const char letter : lines) {
    text += letter == '\n' ? std::string("\n    ") : std::string(1, letter);
  }
  return text + "\n";
}

ModelPointer forward(const std::string& body, const Tensors& parameters) {
  Part part;
  part.source = "def forward(self, x: Tensor):\n" + indented(body);
  part.parameters = parameters;
  // So that the model is one of float64 whatever it holds, unless a test says otherwise.
  if (parameters.empty() || parameters[0].first != "dtype_") {
    part.parameters.insert(part.parameters.begin(), {"dtype_", numbers({1}, 0)});
  }
  return model(part);
}

ModelPointer around(const std::string& lines, const Tensors& parameters) {
  Tensors all = parameters;
  all.emplace_back("w_in", numbers({4, 4, 3}, 101));
  all.emplace_back("b_in", numbers({4}, 102, -0.3, 0.3));
  return forward("h = torch.conv1d(x, self.w_in, self.b_in, padding=1)\n" + lines + "\n" + reduce,
                 all);
}

ModelPointer around_x(const std::string& lines, const Tensors& parameters) {
  return forward("h = x\n" + lines + "\n" + reduce, parameters);
}

at::Tensor numbers(const std::vector<int64_t>& sizes, int64_t seed, double low, double high) {
  // A generator of our own: the same numbers whatever LibTorch does to its own.
  uint64_t state = static_cast<uint64_t>(seed) * 2654435761U + 88172645463325252U;
  at::Tensor result = at::empty(sizes, at::kDouble);
  double* to = result.data_ptr<double>();
  for (int64_t i = 0; i < result.numel(); ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    to[i] = low + (high - low) * static_cast<double>(state >> 11) / 9007199254740992.0;
  }
  return result;
}

at::Tensor one_hot(int64_t n, int64_t length, int64_t seed) {
  const at::Tensor letters = numbers({n, length}, seed + 1000, 0, 4).floor().to(at::kLong);
  return at::one_hot(letters, 4).permute({0, 2, 1}).to(at::kDouble).contiguous();
}

at::Tensor vector_of(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }

Given given(int64_t n, int64_t r, int64_t length, int64_t seed) {
  Given result;
  result.X = one_hot(n, length, seed);
  result.references = one_hot(n * r, length, seed + 50).unflatten(0, {n, r}).contiguous();
  return result;
}

Given by_hand(const std::vector<double>& x, const std::vector<double>& reference) {
  const auto row = [](const std::vector<double>& values) {
    const auto length = static_cast<int64_t>(values.size());
    at::Tensor result = at::zeros({1, 4, length}, at::kDouble);
    result.select(1, 0).copy_(vector_of(values));
    return result;
  };
  return {row(x), row(reference).unsqueeze(1), {}};
}

Explained explain(const ModelPointer& model, const Given& given, const Settings& settings) {
  seqlift::Constants constants = constants_of(model, settings);
  // The rules' own refusals are asked, not the check that comes before them.
  seqlift::Conduct conduct;
  conduct.joint = true;
  constants.set_conduct(conduct);
  const auto result = seqlift::deep_lift_shap(
      *graph_of(model, settings), constants, sequences_of(given.X, given.args),
      references_of(given.references), options_of(settings));
  return {result.values,      result.deltas,
          result.predictions, result.reference_predictions,
          result.integrated,  result.standard_errors};
}

Explained deep_lifted(const ModelPointer& model, const Given& given, const std::string& rule,
                      const Settings& settings) {
  using Output = seqlift::DeepLiftOptions::Output;
  using Rule = seqlift::NonlinearRule;
  const std::map<std::string, Output> outputs{
      {"multipliers", Output::multipliers},
      {"positive_multipliers", Output::positive_multipliers},
      {"negative_multipliers", Output::negative_multipliers},
      {"contributions", Output::contributions}};
  const std::map<std::string, Rule> rules{{"rescale", Rule::rescale},
                                          {"reveal_cancel", Rule::reveal_cancel},
                                          {"genomics_default", Rule::genomics_default}};
  seqlift::DeepLiftOptions options;
  options.output = outputs.at(settings.output);
  options.rule = rules.at(rule);
  options.targets = settings.targets;
  options.batch_size = settings.batch_size;
  options.work.threads = settings.threads;
  seqlift::Constants constants = constants_of(model, settings);
  const auto result =
      seqlift::deep_lift(*graph_of(model, settings), constants, sequences_of(given.X, given.args),
                         references_of(given.references), options);
  return {result.values, result.deltas, result.predictions, result.reference_predictions, {}};
}

int64_t outputs_in_windows(const ModelPointer& model, const Given& given, int64_t outputs) {
  seqlift::Constants constants = constants_of(model, {});
  const at::AutoGradMode enabled(true);
  const at::Tensor leaf = given.references.flatten(0, 1).clone().requires_grad_();
  seqlift::Value input;
  input.x = given.X;
  input.set_ref(seqlift::attach(
      leaf.detach().clone(), {leaf},
      [](const at::Tensor& grad) { return std::vector<at::Tensor>{grad}; },
      [](const seqlift::Windows& grad) { return grad; }));
  input.depends = true;
  seqlift::EvaluateOptions options;
  options.mode =
      seqlift::EvaluateOptions::Pairs{{given.X.size(0), given.references.size(1), nullptr}};
  const auto graph = graph_of(model, Settings());
  const at::Tensor columns =
      seqlift::evaluate(*graph, constants, {input}, options)[0].ref().toTensor();
  int64_t found = 0;
  for (int64_t k = 0; k < outputs; ++k) {
    seqlift::WindowedGradients windows(columns, leaf, {k});
    found += windows.at(0) ? 1 : 0;
  }
  return found;
}

std::vector<double> multipliers_by_hand(const ModelPointer& model, const std::vector<double>& x,
                                        const std::vector<double>& reference,
                                        const Settings& settings) {
  // By what they mean where every input changes: models that read the sequence in steps have no
  // others.
  Settings own = settings;
  bool all_change = !settings.module_mode;
  for (size_t i = 0; i < x.size(); ++i) {
    all_change = all_change && std::abs(x[i] - reference[i]) > 1e-3;
  }
  own.output = all_change ? "contributions" : settings.output;
  const Explained result = explain(model, by_hand(x, reference), own);
  const at::Tensor row =
      result.values.select(0, 0).select(0, 0).select(0, 0).select(1, 0).to(at::kDouble);
  std::vector<double> values;
  for (int64_t i = 0; i < row.numel(); ++i) {
    values.push_back(row[i].item<double>() / (all_change ? x[i] - reference[i] : 1));
  }
  return values;
}

bool keeps_halves(const ModelPointer& model, const Given& given) {
  seqlift::Constants constants = constants_of(model, {});
  const auto graph = graph_of(model, Settings());
  const seqlift::PairOptions options;
  const std::atomic<bool> never{false};
  const seqlift::PairEvaluator evaluator(*graph, constants, options, never);
  const seqlift::Sequences sequences = sequences_of(given.X, given.args);
  try {
    evaluator.on_halves(given.X, given.references.flatten(0, 1),
                        seqlift::batch_of_args(sequences, constants, 0, given.X.size(0)),
                        given.references.size(1));
  } catch (const seqlift::BatchMoved&) {
    return false;
  }
  return true;
}

std::vector<at::Tensor> predicted(const ModelPointer& model, const at::Tensor& X,
                                  const std::vector<at::Tensor>& args, const Settings& settings) {
  seqlift::Constants constants = constants_of(model, settings);
  seqlift::PredictOptions options;
  options.batch_size = settings.batch_size;
  options.work.threads = settings.threads;
  options.work.poll = settings.poll;
  return seqlift::predict(*graph_of(model, settings), constants, sequences_of(X, args), options);
}

std::vector<at::Tensor> interpreted(const ModelPointer& model, const at::Tensor& X,
                                    const std::vector<at::Tensor>& args) {
  const at::NoGradGuard guard;
  // A copy: the model that is asked stays as it is.
  torch::jit::Module module = model->module.deepcopy();
  std::vector<c10::IValue> inputs{X.clone()};
  inputs.insert(inputs.end(), args.begin(), args.end());
  return tensors_of(module.forward(inputs));
}

std::vector<Step> audited(const ModelPointer& model, const Given& given, const Settings& settings) {
  seqlift::Constants constants = constants_of(model, settings);
  const auto graph = graph_of(model, settings);
  std::vector<Step> steps;
  const seqlift::AuditResult audit =
      seqlift::audit(*graph, constants, sequences_of(given.X, given.args),
                     references_of(given.references), options_of(settings));
  for (const seqlift::Step& step : audit.steps) {
    steps.push_back({step.operation, step.provenance.module, step.provenance.class_name,
                     step.provenance.source, step.kind, step.rule, step.supported, step.faithful,
                     step.delta});
  }
  return steps;
}

double worst_delta(const Explained& result) {
  const at::Tensor change = result.predictions.unsqueeze(1) - result.reference_predictions;
  const double worst = (result.deltas.abs() / change.abs().clamp_min(1.0)).max().item<double>();
  return std::isnan(worst) ? 1e9 : worst;
}

double largest_change(const Explained& result) {
  return (result.predictions.unsqueeze(1) - result.reference_predictions)
      .abs()
      .max()
      .item<double>();
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) {
    return 1e9;
  }
  if (a.numel() == 0) {
    return 0;
  }
  const double worst = (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
  return std::isnan(worst) ? 1e9 : worst;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const seqlift::Error& error) {
    return error.kind() + ": " + error.what();
  }
  return "";
}

bool has_operation(const std::string& name) {
  return c10::Dispatcher::singleton().findSchema({"aten::" + name, ""}).has_value();
}

double check_case(const Case& one, const Given& given) {
  INFO(one.op << ": " << one.lines);
  double change = 0;
  try {
    const ModelPointer net = around(one.lines, one.parameters);
    Settings settings;
    settings.output = "contributions";  // what reads the sequence in steps has no other scores
    const Explained result = explain(net, given, settings);
    CHECK(worst_delta(result) < 1e-10);
    const at::Tensor expected = interpreted(net, given.X)[0];
    CHECK(distance(result.predictions, expected) < 1e-10);
    change = largest_change(result);
  } catch (const std::exception& error) {
    FAIL_CHECK(std::string(error.what()).substr(0, 600));
  }
  return change;
}

void check_cases(const std::vector<Case>& cases, int64_t length) {
  const Given pairs = given(3, 4, length);
  for (const Case& one : cases) {
    const double change = check_case(one, pairs);
    INFO(one.op << ": " << one.lines);
    // A net that does not react to X would sum to anything.
    CHECK(change > 1e-4);
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const auto& some :
       {linear_cases(), convolution_cases(), elementwise_cases(), product_cases(), max_cases(),
        softmax_cases(), normalisation_cases(), norm_cases(), reduce_cases(), several_cases(),
        loss_cases(), complex_cases(), condition_cases(), order_cases(), recurrent_cases(),
        attention_cases()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

}  // namespace nets
