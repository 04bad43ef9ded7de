
#include <string>

#include "bindings.h"
#include "core/methods/predict_windows.h"
#include "core/numeric/tensor_functions.h"
#include "handle.h"

using namespace seqlift_r;

namespace {

seqlift::PredictWindowsOptions::Method to_method(const std::string& name) {
  using Method = seqlift::PredictWindowsOptions::Method;
  return choice<Method>(
      name,
      {{"full", Method::full}, {"incremental", Method::incremental}, {"auto", Method::automatic}});
}

seqlift::PredictWindowsOptions::Originals to_originals(const std::string& name) {
  using Originals = seqlift::PredictWindowsOptions::Originals;
  return choice<Originals>(
      name,
      {{"none", Originals::none}, {"batched", Originals::batched}, {"alone", Originals::alone}});
}

// Rows and positions count from 1 in R.
std::vector<int64_t> from_one(const Rcpp::IntegerVector& numbers) {
  std::vector<int64_t> result;
  for (const int number : numbers) {
    result.push_back(number - 1);
  }
  return result;
}

// A double array [edits, 4, width], or letters as codes [width, edits].
at::Tensor to_content(SEXP given) {
  const at::Tensor content = view_array(given);
  if (content.scalar_type() != at::kByte) {
    return content;
  }
  const at::Tensor letters = at::arange(4, at::kByte).view({1, 4, 1});
  return content.t().unsqueeze(1).eq(letters).to(at::kFloat);
}

}  // namespace

extern "C" {

// `edits`: list(row, start, content, width = of each edit, or none: that of `content`).
SEXP seqlift_torch_predict_windows(SEXP pointer, SEXP input, SEXP edits_list, SEXP options_list) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List options(options_list);
    const Rcpp::List given(edits_list);
    seqlift::PredictWindowsOptions window_options;
    window_options.method = to_method(text(options, "method"));
    window_options.batch_size = whole(options, "batch_size");
    window_options.work = to_work(options, false);
    seqlift::WindowEdits edits;
    edits.row = from_one(given["row"]);
    edits.start = from_one(given["start"]);
    edits.content = to_content(given["content"]);
    const Rcpp::IntegerVector width = given["width"];
    edits.width.assign(width.begin(), width.end());
    window_options.originals = to_originals(text(options, "originals"));
    window_options.targets = to_targets(options);
    const auto graph = wrapped_graph_of(handle, options);
    const seqlift::PredictWindowsResult result =
        seqlift::predict_windows(*graph, constants_of(handle, options),
                                 to_sequences(Rcpp::List(input)), edits, window_options);
    return Rcpp::List::create(
        Rcpp::Named("outputs") = to_arrays(result.outputs),
        Rcpp::Named("originals") = to_arrays(result.originals),
        Rcpp::Named("done_work") = result.done_work, Rcpp::Named("whole_work") = result.whole_work,
        Rcpp::Named("evaluated_whole") = static_cast<double>(result.evaluated_whole));
  });
}

}  // extern "C"
