// What the bindings share: a loaded model's handle, and the options they all read.
#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "convert.h"
#include "core/base/error.h"
#include "core/methods/audit.h"
#include "core/model/model.h"

namespace seqlift_r {

// A loaded model with what has been prepared of it so far.
struct Handle {
  std::shared_ptr<const seqlift::Model> model;
  std::map<std::string, std::shared_ptr<const seqlift::Graph>> graphs;
  std::map<std::string, std::shared_ptr<seqlift::Constants>> constants;
  seqlift::Conduct conduct;
};

Handle& handle_of(SEXP pointer);

// Prepares a graph once per key.
std::shared_ptr<const seqlift::Graph> graph_of(Handle& handle, const std::string& key,
                                               const seqlift::GraphOptions& options);
// That of a prediction: with the wrappers among the options and nothing else.
std::shared_ptr<const seqlift::Graph> wrapped_graph_of(Handle& handle, const Rcpp::List& options);
seqlift::Constants& constants_of(Handle& handle, const Rcpp::List& options);

// One option of a list.
std::string text(const Rcpp::List& list, const char* name);

// What a word from R stands for. R has checked what the user gave, so another word is a fault of
// ours: nothing is taken for it.
template <typename Meaning>
Meaning choice(const std::string& word,
               std::initializer_list<std::pair<const char*, Meaning>> meanings) {
  for (const auto& [known, meaning] : meanings) {
    if (word == known) {
      return meaning;
    }
  }
  throw seqlift::Error("internal",
                       "\"" + word + "\" came from R, which is none of the words known.");
}
int whole(const Rcpp::List& list, const char* name);

// Targets count from 1 in R and from 0 in the core.
std::vector<int64_t> to_targets(const Rcpp::List& options);

// The wrappers around the model; `key` becomes one that no other wrappers have.
std::vector<seqlift::Wrapper> to_wrappers(const Rcpp::List& options, std::string& key);

// The layers and the layer as target among the options, where there are any.
void add_layers(const Rcpp::List& options, seqlift::GraphOptions& graph_options, std::string& key);

// Arrays of the tensors; NULL for one that is not defined.
Rcpp::List to_arrays(const std::vector<at::Tensor>& tensors);

// The result of DeepLIFT's methods: values, or layers, with their deltas.
Rcpp::List deep_lift_list(const seqlift::DeepLiftShapResult& result,
                          const OwnArrays& own = OwnArrays());

// Threads, progress and interrupts; `calls_back`: a rule is an R function, so one thread only.
seqlift::WorkOptions to_work(const Rcpp::List& options, bool calls_back);

// What deep_lift_shap and the audit share: the graph for these registrations, and the options.
struct Prepared {
  std::shared_ptr<const seqlift::Graph> graph;
  seqlift::DeepLiftShapOptions options;
};

Prepared prepare(Handle& handle, const Rcpp::List& options);

// Runs a binding; what the core throws becomes list(error = kind, message = ).
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

}  // namespace seqlift_r
