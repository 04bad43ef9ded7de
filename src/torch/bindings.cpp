// What R calls: options filled in, one call of the core, a named list. Errors of the core come back
// as list(error = kind, message = ) and are raised by R with the user's call; nothing jumps through
// C++.
#include "bindings.h"

#include <ATen/Parallel.h>
#include <torch/version.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>

#include "core/methods/fixed_batch.h"
#include "core/model/graph_outputs.h"
#include "core/model/graph_passes.h"
#include "core/model/input_layout.h"
#include "core/numeric/tensor_functions.h"
#include "handle.h"
#include "load.h"

using namespace seqlift_r;

namespace {

void free_handle(SEXP pointer) {
  delete static_cast<Handle*>(R_ExternalPtrAddr(pointer));
  R_ClearExternalPtr(pointer);
}

std::vector<std::string> places(const std::vector<const torch::jit::Node*>& nodes,
                                const seqlift::Graph& graph) {
  std::vector<std::string> texts;
  for (const torch::jit::Node* node : nodes) {
    texts.push_back(seqlift::place_of(node, graph));
  }
  return texts;
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

// `file`: see load_with_layout(). Where the layout is left as it is, found = list(fits, vocabulary)
// says what the model's first layers tell of it.
SEXP seqlift_torch_load(SEXP file) {
  return guarded([&]() -> SEXP {
    auto handle = std::make_unique<Handle>();
    handle->model = load_with_layout(Rcpp::List(file));
    const seqlift::Model& model = *handle->model;
    // Which modules the model's code calls; each is opened.
    std::vector<std::string> called;
    std::vector<std::string> called_classes;
    seqlift::GraphOptions graph_options;
    graph_options.is_unit = [&](const std::string& path, const std::string& class_name) {
      called.push_back(path);
      called_classes.push_back(class_name);
      return false;
    };
    const auto graph = graph_of(*handle, "", graph_options);
    seqlift::FoundLayout found;
    if (Rf_isNull(Rcpp::List(file)["layout"])) {
      found = seqlift::find_input_layout(*graph);
    }
    const at::ScalarType compute = model.dtype == at::kDouble ? at::kDouble : at::kFloat;
    seqlift::Constants constants(model.dtype, compute, at::kCPU);
    const int64_t outputs = seqlift::count_outputs(handle->model, constants, *graph);
    // What every output is computed from.
    std::vector<std::string> not_finite = model.not_finite;
    for (int64_t i = 0; !model.not_finite.empty() && i < std::max<int64_t>(outputs, 1); ++i) {
      const auto wrapper = seqlift::Wrapper{seqlift::Wrapper::Kind::select_output, i};
      const auto read =
          seqlift::read_not_finite(*seqlift::build_graph(handle->model, {{wrapper}, {}, {}, {}}));
      not_finite.erase(std::remove_if(not_finite.begin(), not_finite.end(),
                                      [&](const std::string& name) {
                                        return std::find(read.begin(), read.end(), name) ==
                                               read.end();
                                      }),
                       not_finite.end());
    }
    const Rcpp::List info = Rcpp::List::create(
        Rcpp::Named("class") = model.class_name,
        Rcpp::Named("dtype") = std::string(c10::toString(model.dtype)),
        Rcpp::Named("arguments") = model.argument_names,
        Rcpp::Named("has_default") = model.argument_has_default,
        Rcpp::Named("modules") = model.module_paths,
        Rcpp::Named("module_classes") = model.module_classes, Rcpp::Named("called") = called,
        Rcpp::Named("called_classes") = called_classes,
        Rcpp::Named("parameters") = static_cast<double>(model.parameters),
        Rcpp::Named("not_finite") = Rcpp::wrap(not_finite),
        Rcpp::Named("outputs") = static_cast<int>(outputs),
        Rcpp::Named("output_names") = graph->output_names,
        Rcpp::Named("training") = places(graph->training, *graph));
    const Rcpp::Shield<SEXP> pointer(R_MakeExternalPtr(handle.release(), R_NilValue, R_NilValue));
    R_RegisterCFinalizerEx(pointer, free_handle, TRUE);
    return Rcpp::List::create(
        Rcpp::Named("pointer") = static_cast<SEXP>(pointer), Rcpp::Named("info") = info,
        Rcpp::Named("found") =
            Rcpp::List::create(Rcpp::Named("fits") = found.fits,
                               Rcpp::Named("vocabulary") = static_cast<int>(found.vocabulary)));
  });
}

// What the user allows the model to do: list(joint = TRUE or FALSE, random_state = seed or NULL).
SEXP seqlift_torch_conduct(SEXP pointer, SEXP conduct) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List given(conduct);
    handle.conduct.joint = Rcpp::as<bool>(given["joint"]);
    const SEXP seed = given["random_state"];
    if (!Rf_isNull(seed)) {
      handle.conduct.random_state = static_cast<uint32_t>(Rcpp::as<double>(seed));
    }
    handle.constants.clear();
    return R_NilValue;
  });
}

SEXP seqlift_torch_predict(SEXP pointer, SEXP input, SEXP options_list) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List options(options_list);
    seqlift::PredictOptions predict_options;
    predict_options.batch_size = whole(options, "batch_size");
    predict_options.work = to_work(options, false);
    return to_arrays(seqlift::predict(*wrapped_graph_of(handle, options),
                                      constants_of(handle, options),
                                      to_sequences(Rcpp::List(input)), predict_options));
  });
}

SEXP seqlift_torch_fixed_batch(SEXP pointer, SEXP input, SEXP options_list) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List options(options_list);
    return Rcpp::wrap(static_cast<int>(seqlift::fixed_batch(*wrapped_graph_of(handle, options),
                                                            constants_of(handle, options),
                                                            to_sequences(Rcpp::List(input)))));
  });
}

SEXP seqlift_torch_deep_lift_shap(SEXP pointer, SEXP input, SEXP references, SEXP options_list) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List options(options_list);
    Prepared prepared = prepare(handle, options);
    prepared.options.batch_size = whole(options, "batch_size");
    prepared.options.targets = to_targets(options);
    prepared.options.profile = options.containsElementNamed("profile");
    prepared.options.standard_errors = options.containsElementNamed("standard_errors");
    using Output = seqlift::DeepLiftShapOptions::Output;
    prepared.options.output =
        choice<Output>(text(options, "output"), {{"multipliers", Output::multipliers},
                                                 {"contributions", Output::contributions},
                                                 {"hypothetical", Output::hypothetical},
                                                 {"attributions", Output::attributions}});
    OwnArrays own;
    prepared.options.space = [&own](const std::vector<int64_t>& sizes) { return own.space(sizes); };
    const seqlift::Sequences sequences = to_sequences(Rcpp::List(input));
    const auto result =
        seqlift::deep_lift_shap(*prepared.graph, constants_of(handle, options), sequences,
                                to_references(references, sequences), prepared.options);
    return deep_lift_list(result, own);
  });
}

SEXP seqlift_torch_audit(SEXP pointer, SEXP input, SEXP references, SEXP options_list) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List options(options_list);
    Prepared prepared = prepare(handle, options);
    prepared.options.targets = to_targets(options);
    const seqlift::Sequences sequences = to_sequences(Rcpp::List(input));
    const seqlift::AuditResult audit =
        seqlift::audit(*prepared.graph, constants_of(handle, options), sequences,
                       to_references(references, sequences), prepared.options);
    std::vector<std::string> columns[6];
    std::vector<std::string> refusal;
    std::vector<bool> supported;
    std::vector<bool> faithful;
    std::vector<bool> stepped;
    std::vector<double> delta;
    for (const seqlift::Step& step : audit.steps) {
      const std::string values[6] = {
          step.operation, step.provenance.module, step.provenance.class_name, step.kind,
          step.rule,      step.provenance.source};
      for (int i = 0; i < 6; ++i) {
        columns[i].push_back(values[i]);
      }
      refusal.push_back(step.refusal);
      supported.push_back(step.supported);
      faithful.push_back(step.faithful);
      stepped.push_back(step.stepped);
      delta.push_back(step.delta);
    }
    const auto array_or_null = [](const at::Tensor& values) {
      return values.defined() ? static_cast<SEXP>(to_array(values)) : R_NilValue;
    };
    const Rcpp::List steps =
        Rcpp::List::create(Rcpp::Named("op") = columns[0], Rcpp::Named("module") = columns[1],
                           Rcpp::Named("class") = columns[2], Rcpp::Named("kind") = columns[3],
                           Rcpp::Named("rule") = columns[4], Rcpp::Named("source") = columns[5],
                           Rcpp::Named("supported") = supported, Rcpp::Named("faithful") = faithful,
                           Rcpp::Named("delta") = delta, Rcpp::Named("refusal") = refusal,
                           Rcpp::Named("stepped") = stepped);
    return Rcpp::List::create(Rcpp::Named("steps") = steps,
                              Rcpp::Named("deltas") = array_or_null(audit.deltas),
                              Rcpp::Named("changes") = array_or_null(audit.changes));
  });
}

}  // extern "C"
