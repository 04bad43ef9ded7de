#include "bindings.h"
#include "core/methods/deep_lift.h"
#include "handle.h"

extern "C" SEXP seqlift_torch_deep_lift(SEXP pointer, SEXP input, SEXP references,
                                        SEXP options_list) {
  return seqlift_r::guarded([&]() -> SEXP {
    seqlift_r::Handle& handle = seqlift_r::handle_of(pointer);
    const Rcpp::List options(options_list);
    std::string key;
    seqlift::GraphOptions graph_options;
    graph_options.wrappers = seqlift_r::to_wrappers(options, key);
    seqlift_r::add_layers(options, graph_options, key);
    seqlift::DeepLiftOptions deep_lift_options;
    deep_lift_options.targets = seqlift_r::to_targets(options);
    deep_lift_options.mean_normalise = Rcpp::as<bool>(options["mean_normalise"]);
    deep_lift_options.batch_size = seqlift_r::whole(options, "batch_size");
    deep_lift_options.work = seqlift_r::to_work(options, false);
    deep_lift_options.rule = seqlift_r::choice<seqlift::NonlinearRule>(
        seqlift_r::text(options, "rule"),
        {{"reveal_cancel", seqlift::NonlinearRule::reveal_cancel},
         {"genomics_default", seqlift::NonlinearRule::genomics_default}});
    using Output = seqlift::DeepLiftOptions::Output;
    deep_lift_options.output = seqlift_r::choice<Output>(
        seqlift_r::text(options, "output"), {{"positive_multipliers", Output::positive_multipliers},
                                             {"negative_multipliers", Output::negative_multipliers},
                                             {"attributions", Output::attributions},
                                             {"contributions", Output::contributions},
                                             {"multipliers", Output::multipliers}});
    const seqlift::Sequences sequences = seqlift_r::to_sequences(Rcpp::List(input));
    const auto result = seqlift::deep_lift(
        *seqlift_r::graph_of(handle, key, graph_options), seqlift_r::constants_of(handle, options),
        sequences, seqlift_r::to_references(references, sequences), deep_lift_options);
    return seqlift_r::deep_lift_list(result);
  });
}
