// What a model takes and returns, and models made of models.

#include <string>

#include "bindings.h"
#include "core/files/save_module.h"
#include "core/methods/model_description.h"
#include "core/model/compose.h"
#include "core/numeric/tensor_functions.h"
#include "handle.h"
#include "load.h"

using namespace seqlift_r;

namespace {

std::vector<std::string> texts(const Rcpp::List& list, const char* name) {
  return Rcpp::as<std::vector<std::string>>(list[name]);
}

std::vector<seqlift::Wrapper> wrappers_of(const Rcpp::List& one) {
  std::string key;
  return to_wrappers(one, key);
}

seqlift::Reversal to_reversal(const std::string& name) {
  using seqlift::Reversal;
  return choice<Reversal>(name, {{"strands", Reversal::strands},
                                 {"positions", Reversal::positions},
                                 {"bins", Reversal::bins},
                                 {"none", Reversal::none},
                                 {"automatic", Reversal::automatic}});
}

std::vector<seqlift::FilledInput> to_filled(const Rcpp::List& list) {
  std::vector<seqlift::FilledInput> filled;
  for (R_xlen_t i = 0; i < list.size(); ++i) {
    const Rcpp::List one = list[i];
    const SEXP value = one["value"];
    filled.push_back({text(one, "name"), view_array(value).contiguous().clone(),
                      Rcpp::as<bool>(one["every_position"])});
  }
  return filled;
}

torch::jit::Module compose(const Rcpp::List& plan) {
  enum class Plan { ensemble, wrapped, reverse_complement };
  const Plan kind =
      choice<Plan>(text(plan, "kind"), {{"ensemble", Plan::ensemble},
                                        {"wrapped", Plan::wrapped},
                                        {"reverse_complement", Plan::reverse_complement}});
  const Rcpp::List members = plan["members"];
  if (kind == Plan::ensemble) {
    std::vector<seqlift::EnsembleMember> all;
    for (R_xlen_t i = 0; i < members.size(); ++i) {
      const Rcpp::List one = members[i];
      all.push_back({load_with_layout(one), wrappers_of(one), texts(one, "own_inputs"),
                     Rcpp::as<double>(one["weight"])});
    }
    return seqlift::ensemble_module(all);
  }
  const Rcpp::List one = members[0];
  const auto model = load_with_layout(one);
  if (kind == Plan::wrapped) {
    return seqlift::wrapped_module(model, wrappers_of(one), to_filled(plan["filled"]));
  }
  seqlift::ReverseComplementOptions options;
  const std::vector<std::string> inputs = texts(plan, "inputs");
  const std::vector<std::string> turned = texts(plan, "input_reversals");
  for (size_t i = 0; i < inputs.size(); ++i) {
    options.inputs[inputs[i]] = to_reversal(turned[i]);
  }
  options.given = texts(plan, "given");
  for (const std::string& output : texts(plan, "outputs")) {
    options.outputs.push_back(to_reversal(output));
  }
  return seqlift::reverse_complement_module(model, wrappers_of(one), options);
}

}  // namespace

extern "C" {

// `plan`: list(kind = "wrapped", "ensemble" or "reverse_complement", members = list of
// list(path, wrappers, ...), and what the kind needs).
SEXP seqlift_torch_compose(SEXP path, SEXP plan) {
  return guarded([&]() -> SEXP {
    seqlift::save_module(compose(Rcpp::List(plan)), Rcpp::as<std::string>(path));
    return R_NilValue;
  });
}

// `args`: of each input that the model needs, a double array [1, ...] of its values, c(channels,
// whether it has positions) as integers where only its shape is known, or NULL where that is to be
// found.
SEXP seqlift_torch_describe(SEXP pointer, SEXP args, SEXP options_list) {
  return guarded([&]() -> SEXP {
    Handle& handle = handle_of(pointer);
    const Rcpp::List options(options_list);
    std::string key;
    seqlift::DescribeOptions describe_options;
    describe_options.wrappers = to_wrappers(options, key);
    const Rcpp::List given(args);
    for (R_xlen_t i = 0; i < given.size(); ++i) {
      const SEXP value = given[i];
      seqlift::DescribedArg arg;
      if (TYPEOF(value) == INTSXP) {
        arg.channels = INTEGER(value)[0];
        arg.positions = INTEGER(value)[1] != 0;
      } else if (!Rf_isNull(value)) {
        arg.values = view_array(value).contiguous();
      }
      describe_options.args.push_back(arg);
    }
    const seqlift::ModelDescription found =
        seqlift::describe_model(handle.model, constants_of(handle, options), describe_options);
    Rcpp::List outputs;
    for (const seqlift::OutputDescription& output : found.outputs) {
      outputs.push_back(
          Rcpp::List::create(Rcpp::Named("shape") = Rcpp::wrap(output.sizes),
                             Rcpp::Named("receptive_field") = output.receptive_field));
    }
    Rcpp::List inputs;
    for (const seqlift::Sizes& sizes : found.args) {
      inputs.push_back(Rcpp::wrap(sizes));
    }
    return Rcpp::List::create(
        Rcpp::Named("known") = found.known, Rcpp::Named("X") = Rcpp::wrap(found.X),
        Rcpp::Named("lengths") = Rcpp::NumericVector::create(static_cast<double>(found.shortest),
                                                             static_cast<double>(found.longest)),
        Rcpp::Named("args") = inputs, Rcpp::Named("outputs") = outputs);
  });
}

}  // extern "C"
