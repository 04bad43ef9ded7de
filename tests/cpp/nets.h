// Small networks for the tests, written as TorchScript source and compiled by LibTorch, and one
// way to explain, predict and audit them. Everything heavy is in nets.cpp: a test file that
// includes this header alone compiles in a few seconds.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/model/modules.h"

namespace seqlift {
struct Model;
}

namespace nets {

using ModelPointer = std::shared_ptr<const seqlift::Model>;
using Tensors = seqlift::NamedTensors;
using Part = seqlift::ModulePart;

// Saved to a file and read back by load_model(), as every model of a user is.
ModelPointer model(const Part& part, bool training = false);
// A model of X alone with this body, one statement a line.
ModelPointer forward(const std::string& body, const Tensors& parameters = {});
// A model that computes `y` from `h` by these lines, h [N, 4, L] being a convolution of X, and
// returns one number: all of y with weights that are all different.
ModelPointer around(const std::string& lines, const Tensors& parameters = {});
// The same with h = X.
ModelPointer around_x(const std::string& lines, const Tensors& parameters = {});
std::string indented(const std::string& lines);

// Seeded numbers, uniform between `low` and `high`, and one-hot sequences [n, 4, length].
at::Tensor numbers(const std::vector<int64_t>& sizes, int64_t seed, double low = -1,
                   double high = 1);
at::Tensor one_hot(int64_t n, int64_t length, int64_t seed);
// [values], float64.
at::Tensor vector_of(const std::vector<double>& values);

struct Given {
  at::Tensor X;           // [n, C, L]
  at::Tensor references;  // [n, r, C, L]
  std::vector<at::Tensor> args;
};
Given given(int64_t n, int64_t r, int64_t length, int64_t seed = 1);
// One sequence and one reference of one channel row each, for answers worked out by hand; four
// channels, of which the first values are given and the others zero.
Given by_hand(const std::vector<double>& x, const std::vector<double>& reference);

struct Step {
  std::string operation, module, class_name, source, kind, rule;
  bool supported = true;
  bool faithful = true;
  double delta = 0;
};

using UserRule = std::function<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                          const at::Tensor&, const at::Tensor&)>;

struct Settings {
  at::ScalarType dtype = at::kDouble;
  int64_t batch_size = 32;
  int threads = 1;
  std::vector<int64_t> targets{0};
  bool module_mode = false;
  bool integrate = false;
  std::map<std::string, std::string> registered;  // class -> "rescale", "softmax", ..., "function"
  UserRule function;
  int64_t select_output = -1;  // from 0
  bool profile_score = false;
  std::function<bool(double)> poll;
  std::string output = "multipliers";
  bool profile = false;  // the targets are positions of a profile, their dimension comes third last
  bool standard_errors = false;
};

struct Explained {
  at::Tensor values;  // [n, r, 4, L, targets] for multipliers
  at::Tensor deltas;  // [n, r, targets]
  at::Tensor predictions;
  at::Tensor reference_predictions;
  std::set<std::string> integrated;
  at::Tensor standard_errors;
};

Explained explain(const ModelPointer& model, const Given& given, const Settings& settings = {});
// By the DeepLIFT package's rules: `rule` is "rescale", "reveal_cancel" or "genomics_default",
// Settings::output one of "multipliers", "positive_multipliers", "negative_multipliers",
// "contributions".
Explained deep_lifted(const ModelPointer& model, const Given& given, const std::string& rule,
                      const Settings& settings = {});
// How many of the outputs 0 .. outputs - 1 get their gradients as windows.
int64_t outputs_in_windows(const ModelPointer& model, const Given& given, int64_t outputs);
// The multipliers of the first values of the first pair, for nets worked out by hand.
std::vector<double> multipliers_by_hand(const ModelPointer& model, const std::vector<double>& x,
                                        const std::vector<double>& reference,
                                        const Settings& settings = {});
// Whether X and all references went through as two halves: false where X had to be repeated.
bool keeps_halves(const ModelPointer& model, const Given& given);
std::vector<at::Tensor> predicted(const ModelPointer& model, const at::Tensor& X,
                                  const std::vector<at::Tensor>& args = {},
                                  const Settings& settings = {});
// The model run by LibTorch's own interpreter.
std::vector<at::Tensor> interpreted(const ModelPointer& model, const at::Tensor& X,
                                    const std::vector<at::Tensor>& args = {});
std::vector<Step> audited(const ModelPointer& model, const Given& given,
                          const Settings& settings = {});

// max |delta| / max(1, |change of the prediction|) over pairs and targets; NaN counts as 1e9.
double worst_delta(const Explained& result);
double largest_change(const Explained& result);
// max |a - b|, NaN counted as 1e9, and 1e9 where the shapes differ.
double distance(const at::Tensor& a, const at::Tensor& b);

// What is thrown: "<kind>: <message>" of seqlift's own errors, "" where nothing is thrown.
std::string error_of(const std::function<void()>& action);

// One operation in a net around it. `op` is the row of the operation table that it is for.
struct Case {
  std::string op;
  std::string lines;  // y from h
  Tensors parameters = {};
};
std::vector<Case> linear_cases();
std::vector<Case> convolution_cases();
std::vector<Case> elementwise_cases();
std::vector<Case> product_cases();
std::vector<Case> max_cases();
std::vector<Case> softmax_cases();
std::vector<Case> normalisation_cases();
std::vector<Case> condition_cases();
std::vector<Case> order_cases();
std::vector<Case> norm_cases();
std::vector<Case> reduce_cases();
std::vector<Case> several_cases();
std::vector<Case> loss_cases();
std::vector<Case> complex_cases();
std::vector<Case> recurrent_cases();
std::vector<Case> attention_cases();
std::vector<Case> all_cases();
// Whether the LibTorch in use has aten::`name`.
bool has_operation(const std::string& name);

// Completeness in float64, and the same prediction as LibTorch's own interpreter: fails with the
// case's text. Returns the largest change, so that a caller can ask for more than no change at all.
double check_case(const Case& one, const Given& given);
void check_cases(const std::vector<Case>& cases, int64_t length = 9);

}  // namespace nets
