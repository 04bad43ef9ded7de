
#include <map>
#include <string>

#include "bindings.h"
#include "core/methods/path_gradients.h"
#include "core/numeric/tensor_functions.h"
#include "handle.h"

using namespace seqlift_r;

namespace {

std::shared_ptr<const seqlift::Graph> to_graph(Handle& handle, const Rcpp::List& options) {
  seqlift::GraphOptions graph_options;
  std::string key = "gradients;";
  graph_options.wrappers = to_wrappers(options, key);
  add_layers(options, graph_options, key);
  return graph_of(handle, key, graph_options);
}

seqlift::GradientOptions to_gradient_options(const Rcpp::List& options) {
  using Relu = seqlift::GradientOptions::Relu;
  seqlift::GradientOptions result;
  result.relu = choice<Relu>(text(options, "relu"), {{"guided", Relu::guided},
                                                     {"deconvolution", Relu::deconvolution},
                                                     {"ordinary", Relu::ordinary}});
  result.targets = to_targets(options);
  result.mean_normalise = Rcpp::as<bool>(options["mean_normalise"]);
  result.args = Rcpp::as<bool>(options["explain_args"]);
  result.simplex = Rcpp::as<bool>(options["simplex"]);
  result.times_input = Rcpp::as<bool>(options["times_input"]);
  result.batch_size = whole(options, "batch_size");
  result.work = to_work(options, false);
  return result;
}

// numpy's seeds go up to 2^32 - 1 and come as doubles.
uint32_t to_seed(const Rcpp::List& options) {
  return static_cast<uint32_t>(Rcpp::as<double>(options["random_state"]));
}

seqlift::QuadratureRule to_rule(const std::string& name) {
  using Rule = seqlift::QuadratureRule;
  return choice<Rule>(name, {{"gausslegendre", Rule::gauss_legendre},
                             {"riemann_left", Rule::left},
                             {"riemann_right", Rule::right},
                             {"riemann_middle", Rule::middle},
                             {"trapezoid", Rule::trapezoid},
                             {"riemann_trapezoid", Rule::captum_trapezoid}});
}

}  // namespace

extern "C" {

SEXP seqlift_torch_gradients(SEXP pointer, SEXP input, SEXP options_list) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List options(options_list);
    const auto graph = to_graph(handle, options);
    seqlift::Constants& constants = constants_of(handle, options);
    const seqlift::Sequences sequences = to_sequences(Rcpp::List(input));
    const seqlift::GradientOptions gradient_options = to_gradient_options(options);
    seqlift::NoiseOptions noise;
    noise.samples = whole(options, "n_samples");
    noise.sd = Rcpp::as<double>(options["sd"]);
    noise.random_state = to_seed(options);
    const seqlift::GradientResult result =
        noise.samples > 0
            ? seqlift::smooth_gradients(*graph, constants, sequences, noise, gradient_options)
            : seqlift::gradients(*graph, constants, sequences, gradient_options);
    return Rcpp::List::create(Rcpp::Named("values") = to_arrays(result.values),
                              Rcpp::Named("predictions") = to_array(result.predictions));
  });
}

SEXP seqlift_torch_path_gradients(SEXP pointer, SEXP input, SEXP references, SEXP options_list) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List options(options_list);
    const auto graph = to_graph(handle, options);
    const seqlift::Sequences sequences = to_sequences(Rcpp::List(input));
    seqlift::PathOptions path;
    path.gradients = to_gradient_options(options);
    path.random_points = Rcpp::as<bool>(options["random_points"]);
    path.random_state = to_seed(options);
    path.quadrature =
        seqlift::quadrature(to_rule(text(options, "quadrature")), whole(options, "n_steps"));
    const Rcpp::List reference_args = options["reference_args"];
    for (R_xlen_t i = 0; i < reference_args.size(); ++i) {
      path.reference_args.push_back(view_array(reference_args[i]).contiguous());
    }
    const seqlift::PathResult result =
        seqlift::path_gradients(*graph, constants_of(handle, options), sequences,
                                to_references(references, sequences), path);
    return Rcpp::List::create(
        Rcpp::Named("values") = to_arrays(result.values),
        Rcpp::Named("deltas") = to_arrays(result.deltas),
        Rcpp::Named("predictions") = to_array(result.predictions),
        Rcpp::Named("reference_predictions") = to_array(result.reference_predictions));
  });
}

}  // extern "C"
