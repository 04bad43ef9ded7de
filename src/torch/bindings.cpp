// What R calls: options filled in, one call of the core, a named list. Errors of the core come back
// as list(error = kind, message = ) and are raised by R with the user's call; nothing jumps through
// C++.
#include "bindings.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

#include <map>
#include <memory>
#include <string>
#include <thread>

#include "convert.h"
#include "core/audit.h"
#include "core/error.h"
#include "core/model.h"

namespace {

using seqlift_r::to_array;
using seqlift_r::to_references;
using seqlift_r::to_sequences;

// A loaded model with what has been prepared of it so far.
struct Handle {
  std::shared_ptr<const seqlift::Model> model;
  std::map<std::string, std::shared_ptr<const seqlift::Graph>> graphs;
  std::map<std::string, std::shared_ptr<seqlift::Constants>> constants;
};

Handle& handle_of(SEXP pointer) {
  auto* handle = static_cast<Handle*>(R_ExternalPtrAddr(pointer));
  if (!handle) {
    throw seqlift::Error("internal", "The model's handle is empty.");
  }
  return *handle;
}

void free_handle(SEXP pointer) {
  delete static_cast<Handle*>(R_ExternalPtrAddr(pointer));
  R_ClearExternalPtr(pointer);
}

std::string text(const Rcpp::List& list, const char* name) {
  return Rcpp::as<std::string>(list[name]);
}

int whole(const Rcpp::List& list, const char* name) { return Rcpp::as<int>(list[name]); }

template <typename Body>
SEXP guarded(const Body& body) {
  std::string kind = "internal";
  std::string message;
  SEXP jump = nullptr;
  try {
    return body();
  } catch (const Rcpp::LongjumpException& exception) {
    // R wants to leave (an error or interrupt inside a callback): everything of ours is unwound
    // first.
    jump = exception.token;
  } catch (const seqlift::Error& error) {
    kind = error.kind();
    message = error.what();
  } catch (const c10::Error& error) {
    message = error.what_without_backtrace();
  } catch (const std::exception& error) {
    message = error.what();
  }
  if (jump) {
    Rcpp::internal::resumeJump(jump);
  }
  return Rcpp::List::create(Rcpp::Named("error") = kind, Rcpp::Named("message") = message);
}

seqlift::Constants& constants_of(Handle& handle, const Rcpp::List& options) {
  const std::string dtype = text(options, "dtype");
  const at::ScalarType native = handle.model->dtype;
  const bool reduced = dtype == "bfloat16";
  const at::ScalarType compute = dtype == "native"    ? native
                                 : dtype == "float64" ? at::kDouble
                                                      : at::kFloat;
  const std::string device = text(options, "device");
  auto& constants = handle.constants[dtype + "/" + device];
  if (!constants) {
    constants = std::make_shared<seqlift::Constants>(native, compute, at::Device(device), reduced);
  }
  return *constants;
}

std::vector<seqlift::Wrapper> to_wrappers(const Rcpp::List& options, std::string& key) {
  std::vector<seqlift::Wrapper> wrappers;
  const Rcpp::List given = options["wrappers"];
  for (R_xlen_t i = 0; i < given.size(); ++i) {
    const Rcpp::List one = given[i];
    seqlift::Wrapper wrapper;
    wrapper.kind = text(one, "kind") == "profile_score" ? seqlift::Wrapper::Kind::profile_score
                                                        : seqlift::Wrapper::Kind::select_output;
    wrapper.index = whole(one, "index") - 1;
    key += text(one, "kind") + std::to_string(wrapper.index) + ";";
    wrappers.push_back(wrapper);
  }
  return wrappers;
}

seqlift::UserRule to_user_rule(const Rcpp::Function& function) {
  return [function](const at::Tensor& x, const at::Tensor& x_ref, const at::Tensor& y,
                    const at::Tensor& y_ref, const at::Tensor& grad_output) {
    const Rcpp::NumericVector value =
        function(to_array(x.cpu()), to_array(x_ref.cpu()), to_array(y.cpu()), to_array(y_ref.cpu()),
                 to_array(grad_output.cpu()));
    const at::Tensor result = seqlift_r::view_array(value).clone();
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
      registration.rule = word == "softmax"   ? Rule::softmax
                          : word == "maxpool" ? Rule::max_pool
                          : word == "linear"  ? Rule::linear
                          : word == "rescale" ? Rule::rescale
                                              : Rule::gradient;
    }
    key += name + "=" + word + ";";
    registrations[name] = registration;
  }
  return registrations;
}

bool interrupted() {
  return R_ToplevelExec([](void*) { R_CheckUserInterrupt(); }, nullptr) == FALSE;
}

seqlift::WorkOptions to_work(const Rcpp::List& options, bool calls_back) {
  seqlift::WorkOptions work;
  work.threads = whole(options, "threads");
  work.here = calls_back;
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
    graph = seqlift::build_graph(handle.model, options);
  }
  return graph;
}

// What deep_lift_shap and the audit share: the graph for these registrations, and the options.
struct Prepared {
  std::shared_ptr<const seqlift::Graph> graph;
  seqlift::DeepLiftShapOptions options;
};

Prepared prepare(Handle& handle, const Rcpp::List& options) {
  Prepared prepared;
  std::string key;
  bool calls_back = false;
  prepared.options.module_mode = text(options, "rules") == "module";
  prepared.options.registrations = to_registrations(options, key, calls_back);
  prepared.options.work = to_work(options, calls_back);
  seqlift::GraphOptions graph_options;
  graph_options.wrappers = to_wrappers(options, key);
  graph_options.is_unit =
      seqlift::Units::whole(prepared.options.registrations, prepared.options.module_mode);
  key += prepared.options.module_mode ? "module" : "operator";
  prepared.graph = graph_of(handle, key, graph_options);
  return prepared;
}

}  // namespace

extern "C" {

SEXP seqlift_torch_info() {
  return guarded([]() -> SEXP {
    return Rcpp::List::create(
        Rcpp::Named("version") = TORCH_VERSION,
        Rcpp::Named("cores") = static_cast<int>(std::thread::hardware_concurrency()),
        Rcpp::Named("cuda") = at::hasCUDA(),
        Rcpp::Named("devices") = at::hasCUDA() ? static_cast<int>(at::getNumGPUs()) : 0);
  });
}

SEXP seqlift_torch_load(SEXP path) {
  return guarded([&]() -> SEXP {
    auto handle = std::make_unique<Handle>();
    handle->model = seqlift::load_model(Rcpp::as<std::string>(path));
    const seqlift::Model& model = *handle->model;
    const auto graph = graph_of(*handle, "", {});
    const Rcpp::List info =
        Rcpp::List::create(Rcpp::Named("class") = model.class_name,
                           Rcpp::Named("dtype") = std::string(c10::toString(model.dtype)),
                           Rcpp::Named("arguments") = model.argument_names,
                           Rcpp::Named("has_default") = model.argument_has_default,
                           Rcpp::Named("modules") = model.module_paths,
                           Rcpp::Named("module_classes") = model.module_classes,
                           Rcpp::Named("parameters") = static_cast<double>(model.parameters),
                           Rcpp::Named("not_finite") = Rcpp::wrap(model.not_finite),
                           Rcpp::Named("outputs") = static_cast<int>(graph->outputs));
    const Rcpp::Shield<SEXP> pointer(R_MakeExternalPtr(handle.release(), R_NilValue, R_NilValue));
    R_RegisterCFinalizerEx(pointer, free_handle, TRUE);
    return Rcpp::List::create(Rcpp::Named("pointer") = static_cast<SEXP>(pointer),
                              Rcpp::Named("info") = info);
  });
}

SEXP seqlift_torch_predict(SEXP pointer, SEXP input, SEXP options_list) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List options(options_list);
    std::string key;
    seqlift::GraphOptions graph_options;
    graph_options.wrappers = to_wrappers(options, key);
    seqlift::PredictOptions predict_options;
    predict_options.batch_size = whole(options, "batch_size");
    predict_options.work = to_work(options, false);
    const auto graph = graph_of(handle, key, graph_options);
    const std::vector<at::Tensor> outputs = seqlift::predict(
        *graph, constants_of(handle, options), to_sequences(Rcpp::List(input)), predict_options);
    Rcpp::List result;
    for (const at::Tensor& output : outputs) {
      result.push_back(to_array(output));
    }
    return result;
  });
}

SEXP seqlift_torch_deep_lift_shap(SEXP pointer, SEXP input, SEXP references, SEXP options_list) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List options(options_list);
    Prepared prepared = prepare(handle, options);
    prepared.options.batch_size = whole(options, "batch_size");
    prepared.options.targets.clear();
    for (const int target : Rcpp::as<std::vector<int>>(options["targets"])) {
      prepared.options.targets.push_back(target - 1);
    }
    const std::string output = text(options, "output");
    using Output = seqlift::DeepLiftShapOptions::Output;
    prepared.options.output = output == "multipliers"    ? Output::multipliers
                              : output == "hypothetical" ? Output::hypothetical
                                                         : Output::attributions;
    const seqlift::Sequences sequences = to_sequences(Rcpp::List(input));
    const auto result =
        seqlift::deep_lift_shap(*prepared.graph, constants_of(handle, options), sequences,
                                to_references(references, sequences), prepared.options);
    return Rcpp::List::create(
        Rcpp::Named("values") = to_array(result.values),
        Rcpp::Named("deltas") = to_array(result.deltas),
        Rcpp::Named("predictions") = to_array(result.predictions),
        Rcpp::Named("reference_predictions") = to_array(result.reference_predictions));
  });
}

SEXP seqlift_torch_audit(SEXP pointer, SEXP input, SEXP references, SEXP options_list) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List options(options_list);
    const Prepared prepared = prepare(handle, options);
    const seqlift::Sequences sequences = to_sequences(Rcpp::List(input));
    const std::vector<seqlift::Step> steps =
        seqlift::audit(*prepared.graph, constants_of(handle, options), sequences,
                       to_references(references, sequences), prepared.options);
    std::vector<std::string> columns[6];
    std::vector<std::string> refusal;
    std::vector<bool> supported;
    std::vector<bool> faithful;
    for (const seqlift::Step& step : steps) {
      const std::string values[6] = {
          step.operation, step.provenance.module, step.provenance.class_name, step.kind,
          step.rule,      step.provenance.source};
      for (int i = 0; i < 6; ++i) {
        columns[i].push_back(values[i]);
      }
      refusal.push_back(step.refusal);
      supported.push_back(step.supported);
      faithful.push_back(step.faithful);
    }
    return Rcpp::List::create(Rcpp::Named("op") = columns[0], Rcpp::Named("module") = columns[1],
                              Rcpp::Named("class") = columns[2], Rcpp::Named("kind") = columns[3],
                              Rcpp::Named("rule") = columns[4], Rcpp::Named("source") = columns[5],
                              Rcpp::Named("supported") = supported,
                              Rcpp::Named("faithful") = faithful, Rcpp::Named("refusal") = refusal);
  });
}

}  // extern "C"
