// The entry points of seqlift_torch.so. A routine stands in the list below and nowhere else but
// where it is defined: it is declared here, and registered with as many arguments in
// registration.cpp.
#pragma once

#ifndef R_NO_REMAP
#define R_NO_REMAP  // R's short names (length) clash with the standard library's
#endif
#include <Rinternals.h>

// clang-format off
#define SEQLIFT_ROUTINES(ROUTINE) \
  ROUTINE(seqlift_torch_info, ()) \
  ROUTINE(seqlift_torch_load, (SEXP path)) \
  ROUTINE(seqlift_torch_conduct, (SEXP pointer, SEXP conduct)) \
  ROUTINE(seqlift_torch_compose, (SEXP path, SEXP plan)) \
  ROUTINE(seqlift_torch_describe, (SEXP pointer, SEXP args, SEXP options)) \
  ROUTINE(seqlift_torch_is_exported_program, (SEXP path)) \
  ROUTINE(seqlift_torch_convert_exported_program, (SEXP path, SEXP to)) \
  ROUTINE(seqlift_torch_predict, (SEXP pointer, SEXP input, SEXP options)) \
  ROUTINE(seqlift_torch_deep_lift_shap, (SEXP pointer, SEXP input, SEXP references, SEXP options)) \
  ROUTINE(seqlift_torch_deep_lift, (SEXP pointer, SEXP input, SEXP references, SEXP options)) \
  ROUTINE(seqlift_torch_audit, (SEXP pointer, SEXP input, SEXP references, SEXP options)) \
  ROUTINE(seqlift_torch_gradients, (SEXP pointer, SEXP input, SEXP options)) \
  ROUTINE(seqlift_torch_path_gradients, (SEXP pointer, SEXP input, SEXP references, SEXP options)) \
  ROUTINE(seqlift_torch_predict_windows, (SEXP pointer, SEXP input, SEXP edits, SEXP options)) \
  ROUTINE(seqlift_torch_build_architecture, (SEXP name, SEXP weights, SEXP options, SEXP path)) \
  ROUTINE(seqlift_torch_state_dict, (SEXP path)) \
  ROUTINE(seqlift_torch_state_dict_values, (SEXP path, SEXP places)) \
  ROUTINE(seqlift_torch_archive_names, (SEXP path)) \
  ROUTINE(seqlift_torch_archive_members, (SEXP path, SEXP wanted, SEXP folder)) \
  ROUTINE(seqlift_torch_convert_keras, (SEXP file, SEXP path)) \
  ROUTINE(seqlift_torch_convert_onnx, (SEXP path, SEXP to)) \
  ROUTINE(seqlift_torch_convert_traces, (SEXP plan, SEXP to)) \
  ROUTINE(seqlift_torch_convert_script_module, (SEXP path, SEXP to)) \
  ROUTINE(seqlift_torch_fixed_batch, (SEXP pointer, SEXP input, SEXP options))
// clang-format on

extern "C" {

#define SEQLIFT_DECLARE(name, arguments) SEXP name arguments;
SEQLIFT_ROUTINES(SEQLIFT_DECLARE)
#undef SEQLIFT_DECLARE

}  // extern "C"
