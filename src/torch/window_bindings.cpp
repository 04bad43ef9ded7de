
#include <string>

#include "bindings.h"
#include "core/predict_windows.h"
#include "core/tensor_functions.h"
#include "handle.h"

using namespace seqlift_r;

namespace {

seqlift::PredictWindowsOptions::Method to_method(const std::string& name) {
  using Method = seqlift::PredictWindowsOptions::Method;
  return name == "full"          ? Method::full
         : name == "incremental" ? Method::incremental
                                 : Method::automatic;
}

// Rows and positions count from 1 in R.
std::vector<int64_t> from_one(const Rcpp::IntegerVector& numbers) {
  std::vector<int64_t> result;
  for (const int number : numbers) {
    result.push_back(number - 1);
  }
  return result;
}

}  // namespace

extern "C" {

// `edits`: list(row, start, content = double array [edits, 4, width]).
SEXP seqlift_torch_predict_windows(SEXP pointer, SEXP input, SEXP edits_list, SEXP options_list) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List options(options_list);
    const Rcpp::List given(edits_list);
    std::string key;
    seqlift::GraphOptions graph_options;
    graph_options.wrappers = to_wrappers(options, key);
    seqlift::PredictWindowsOptions window_options;
    window_options.method = to_method(text(options, "method"));
    window_options.batch_size = whole(options, "batch_size");
    window_options.work = to_work(options, false);
    seqlift::WindowEdits edits;
    edits.row = from_one(given["row"]);
    edits.start = from_one(given["start"]);
    edits.content = view_array(given["content"]);
    const auto graph = graph_of(handle, key, graph_options);
    const seqlift::PredictWindowsResult result =
        seqlift::predict_windows(*graph, constants_of(handle, options),
                                 to_sequences(Rcpp::List(input)), edits, window_options);
    return Rcpp::List::create(
        Rcpp::Named("outputs") = to_arrays(result.outputs),
        Rcpp::Named("done_work") = result.done_work, Rcpp::Named("whole_work") = result.whole_work,
        Rcpp::Named("evaluated_whole") = static_cast<double>(result.evaluated_whole));
  });
}

}  // extern "C"
