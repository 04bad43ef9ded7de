#include "handle.h"

#include "core/base/memory.h"
#include "core/model/graph_passes.h"
#include "core/numeric/device.h"
#include "core/numeric/shape_text.h"
#include "core/numeric/threads.h"

namespace seqlift_r {

namespace {

seqlift::UserRule to_user_rule(const Rcpp::Function& function) {
  return [function](const at::Tensor& x, const at::Tensor& x_ref, const at::Tensor& y,
                    const at::Tensor& y_ref, const at::Tensor& grad_output) {
    const Rcpp::NumericVector value =
        function(to_array(x.cpu()), to_array(x_ref.cpu()), to_array(y.cpu()), to_array(y_ref.cpu()),
                 to_array(grad_output.cpu()));
    const at::Tensor result = view_array(value).clone();
    if (result.sizes() != x.sizes()) {
      throw seqlift::Error("registration",
                           "The function in `nonlinear_ops` must return an array "
                           "of shape " +
                               seqlift::shape_text(x) + ", the shape of its input, not " +
                               seqlift::shape_text(result) + ".");
    }
    return result.to(x.device(), x.scalar_type());
  };
}

seqlift::Registrations to_registrations(const Rcpp::List& options, std::string& key,
                                        bool& calls_back) {
  seqlift::Registrations registrations;
  const Rcpp::List given = options["nonlinear_ops"];
  if (given.size() == 0) {
    return registrations;
  }
  const Rcpp::CharacterVector names = given.names();
  for (R_xlen_t i = 0; i < given.size(); ++i) {
    seqlift::Registration registration;
    const SEXP rule = given[i];
    const std::string name = Rcpp::as<std::string>(names[i]);
    std::string word = "function";
    if (Rf_isFunction(rule)) {
      registration.rule = seqlift::Registration::Rule::function;
      registration.function = to_user_rule(Rcpp::Function(rule));
      calls_back = true;
    } else {
      word = Rcpp::as<std::string>(rule);
      using Rule = seqlift::Registration::Rule;
      registration.rule = choice<Rule>(word, {{"softmax", Rule::softmax},
                                              {"maxpool", Rule::max_pool},
                                              {"linear", Rule::linear},
                                              {"rescale", Rule::rescale},
                                              {"integrate", Rule::integrate},
                                              {"gradient", Rule::gradient}});
    }
    key += name + "=" + word + ";";
    registrations[name] = registration;
  }
  return registrations;
}

// Of a model with several outputs, some may be computed from weights that others do not see.
void check_finite(const Handle& handle, const std::vector<seqlift::Wrapper>& wrappers) {
  const auto graph = seqlift::build_graph(handle.model, {wrappers, {}, {}, {}});
  const std::vector<std::string> read = seqlift::read_not_finite(*graph);
  std::string names;
  for (const std::string& name : read) {
    names += (names.empty() ? "" : ", ") + name;
  }
  if (!read.empty()) {
    throw seqlift::Error("model",
                         "This output is computed from weights that are not finite (NaN or "
                         "Inf): " +
                             names + ".");
  }
}

seqlift::BinScoreOptions to_bin_score(const Rcpp::List& one) {
  seqlift::BinScoreOptions options;
  const auto from_zero = [&one](const char* name) {
    std::vector<int64_t> numbers;
    for (const int number : Rcpp::as<std::vector<int>>(one[name])) {
      numbers.push_back(number - 1);
    }
    return numbers;
  };
  options.tracks_first = Rcpp::as<bool>(one["tracks_first"]);
  options.bins = from_zero("bins");
  options.tracks = from_zero("tracks");
  options.bins_in_all = whole(one, "bins_in_all");
  options.tracks_in_all = whole(one, "tracks_in_all");
  const auto squashing = Rcpp::as<std::vector<double>>(one["squashing"]);
  if (!squashing.empty()) {
    options.squashing = {squashing.at(0), squashing.at(1), squashing.at(2)};
  }
  options.mean = Rcpp::as<bool>(one["mean"]);
  options.logarithm = Rcpp::as<bool>(one["logarithm"]);
  options.pseudocount = Rcpp::as<double>(one["pseudocount"]);
  return options;
}

bool interrupted() {
  return R_ToplevelExec([](void*) { R_CheckUserInterrupt(); }, nullptr) == FALSE;
}

}  // namespace

Handle& handle_of(SEXP pointer) {
  auto* handle = static_cast<Handle*>(R_ExternalPtrAddr(pointer));
  if (!handle) {
    throw seqlift::Error("internal", "The model's handle is empty.");
  }
  return *handle;
}

std::string text(const Rcpp::List& list, const char* name) {
  return Rcpp::as<std::string>(list[name]);
}

int whole(const Rcpp::List& list, const char* name) { return Rcpp::as<int>(list[name]); }

std::vector<int64_t> to_targets(const Rcpp::List& options) {
  std::vector<int64_t> targets;
  for (const int target : Rcpp::as<std::vector<int>>(options["targets"])) {
    targets.push_back(target - 1);
  }
  return targets;
}

seqlift::Constants& constants_of(Handle& handle, const Rcpp::List& options) {
  const std::string dtype = text(options, "dtype");
  const at::ScalarType native = handle.model->dtype;
  const bool reduced = dtype == "bfloat16";
  // Weights of half precision are computed with in float32.
  const auto compute =
      choice<at::ScalarType>(dtype, {{"native", native == at::kDouble ? at::kDouble : at::kFloat},
                                     {"float64", at::kDouble},
                                     {"float32", at::kFloat},
                                     {"bfloat16", at::kFloat}});
  const std::string device = text(options, "device");
  // Whether the model takes some input at all: sequences that are mixed are told later.
  const bool trial = options.containsElementNamed("trial");
  auto& constants = handle.constants[dtype + "/" + device + (trial ? "/trial" : "")];
  if (!constants) {
    constants =
        std::make_shared<seqlift::Constants>(native, compute, seqlift::device_of(device), reduced);
    seqlift::Conduct conduct = handle.conduct;
    conduct.joint = conduct.joint || trial;
    constants->set_conduct(conduct);
  }
  return *constants;
}

std::vector<seqlift::Wrapper> to_wrappers(const Rcpp::List& options, std::string& key) {
  std::vector<seqlift::Wrapper> wrappers;
  const Rcpp::List given = options["wrappers"];
  for (R_xlen_t i = 0; i < given.size(); ++i) {
    const Rcpp::List one = given[i];
    seqlift::Wrapper wrapper;
    using Kind = seqlift::Wrapper::Kind;
    const std::string kind = text(one, "kind");
    wrapper.kind = choice<Kind>(kind, {{"profile_score", Kind::profile_score},
                                       {"select_bins", Kind::select_bins},
                                       {"select_output", Kind::select_output}});
    wrapper.index = whole(one, "index") - 1;
    key += kind + std::to_string(wrapper.index);
    if (wrapper.kind == Kind::select_bins) {
      wrapper.bins = to_bin_score(one);
      key += seqlift::key_of(wrapper.bins);
    }
    key += ";";
    wrappers.push_back(wrapper);
  }
  return wrappers;
}

void add_layers(const Rcpp::List& options, seqlift::GraphOptions& graph_options, std::string& key) {
  if (options.containsElementNamed("layers")) {
    graph_options.layers = Rcpp::as<std::vector<std::string>>(options["layers"]);
  }
  if (options.containsElementNamed("target_layer")) {
    graph_options.target_layer = text(options, "target_layer");
  }
  for (const std::string& layer : graph_options.layers) {
    key += "layer=" + layer + ";";
  }
  key += "target_layer=" + graph_options.target_layer + ";";
}

Rcpp::List to_arrays(const std::vector<at::Tensor>& tensors) {
  Rcpp::List arrays;
  for (const at::Tensor& tensor : tensors) {
    arrays.push_back(tensor.defined() ? static_cast<SEXP>(to_array(tensor)) : R_NilValue);
  }
  return arrays;
}

Rcpp::List deep_lift_list(const seqlift::DeepLiftShapResult& result, const OwnArrays& own) {
  const bool by_layer = !result.layers.empty();
  Rcpp::List list;
  if (by_layer) {
    list["layers"] = to_arrays(result.layers);
    list["deltas"] = to_arrays(result.layer_deltas);
  } else {
    list["values"] = own.array_of(result.values);
    list["deltas"] = to_array(result.deltas);
  }
  if (result.standard_errors.defined()) {
    list["standard_errors"] = own.array_of(result.standard_errors);
  }
  list["predictions"] = to_array(result.predictions);
  list["reference_predictions"] = to_array(result.reference_predictions);
  list["integrated"] = std::vector<std::string>(result.integrated.begin(), result.integrated.end());
  return list;
}

namespace {

// seqlift_memory(): a number of bytes, or NULL for the default.
void set_memory(const Rcpp::List& options) {
  const SEXP memory = options.containsElementNamed("memory") ? options["memory"] : R_NilValue;
  std::optional<int64_t> bytes;
  if (!Rf_isNull(memory)) {
    // More than any machine has, and what a whole number of 64 bits holds.
    constexpr double most = 1e18;
    bytes = static_cast<int64_t>(std::min(Rf_asReal(memory), most));
  }
  seqlift::set_memory_budget(bytes);
}

}  // namespace

seqlift::WorkOptions to_work(const Rcpp::List& options, bool calls_back) {
  seqlift::WorkOptions work;
  const int wanted = whole(options, "threads");
  work.threads = wanted > 1 ? seqlift::threads_to_be_had(wanted) : wanted;
  if (work.threads < wanted) {
    const Rcpp::Function tell = Rcpp::Environment::namespace_env("seqlift")["tell_of_threads"];
    tell(work.threads, wanted);
  }
  work.here = calls_back;
  set_memory(options);
  const SEXP progress = options["progress"];
  work.poll = [progress](double done) {
    if (interrupted()) {
      return false;
    }
    if (Rf_isFunction(progress)) {
      const Rcpp::Function show(progress);
      show(done);
    }
    return true;
  };
  return work;
}

std::shared_ptr<const seqlift::Graph> graph_of(Handle& handle, const std::string& key,
                                               const seqlift::GraphOptions& options) {
  auto& graph = handle.graphs[key];
  if (!graph) {
    const auto built = seqlift::build_graph(handle.model, options);
    if (!handle.model->not_finite.empty() && !options.wrappers.empty()) {
      check_finite(handle, options.wrappers);
    }
    graph = built;
  }
  return graph;
}

std::shared_ptr<const seqlift::Graph> wrapped_graph_of(Handle& handle, const Rcpp::List& options) {
  std::string key;
  seqlift::GraphOptions graph_options;
  graph_options.wrappers = to_wrappers(options, key);
  return graph_of(handle, key, graph_options);
}

Prepared prepare(Handle& handle, const Rcpp::List& options) {
  Prepared prepared;
  std::string key;
  bool calls_back = false;
  prepared.options.module_mode =
      choice<bool>(text(options, "rules"), {{"module", true}, {"operator", false}});
  prepared.options.integrate =
      options.containsElementNamed("fallback") &&
      choice<bool>(text(options, "fallback"), {{"integrate", true}, {"none", false}});
  prepared.options.registrations = to_registrations(options, key, calls_back);
  if (calls_back && text(options, "device") != "cpu" && !seqlift::backward_stays()) {
    throw seqlift::Error("device",
                         "A function in `nonlinear_ops` needs LibTorch 2.0 or later on a device "
                         "other than the CPU: this one would call it on another thread than R's. "
                         "Use device = \"cpu\".");
  }
  prepared.options.work = to_work(options, calls_back);
  seqlift::GraphOptions graph_options;
  graph_options.wrappers = to_wrappers(options, key);
  graph_options.is_unit =
      seqlift::whole_modules(prepared.options.registrations, prepared.options.module_mode);
  add_layers(options, graph_options, key);
  prepared.options.mean_normalise =
      options.containsElementNamed("mean_normalise") && Rcpp::as<bool>(options["mean_normalise"]);
  key += prepared.options.module_mode ? "module" : "operator";
  prepared.graph = graph_of(handle, key, graph_options);
  return prepared;
}

}  // namespace seqlift_r
