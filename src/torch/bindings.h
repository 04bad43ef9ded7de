// The entry points of seqlift_torch.so; registered in registration.cpp.
#pragma once

#ifndef R_NO_REMAP
#define R_NO_REMAP  // R's short names (length) clash with the standard library's
#endif
#include <Rinternals.h>

extern "C" {

SEXP seqlift_torch_info();
SEXP seqlift_torch_load(SEXP path);
SEXP seqlift_torch_conduct(SEXP pointer, SEXP conduct);
SEXP seqlift_torch_compose(SEXP path, SEXP plan);
SEXP seqlift_torch_describe(SEXP pointer, SEXP args, SEXP options);
SEXP seqlift_torch_is_exported_program(SEXP path);
SEXP seqlift_torch_convert_exported_program(SEXP path, SEXP to);
SEXP seqlift_torch_predict(SEXP pointer, SEXP input, SEXP options);
SEXP seqlift_torch_deep_lift_shap(SEXP pointer, SEXP input, SEXP references, SEXP options);
SEXP seqlift_torch_deep_lift(SEXP pointer, SEXP input, SEXP references, SEXP options);
SEXP seqlift_torch_audit(SEXP pointer, SEXP input, SEXP references, SEXP options);
SEXP seqlift_torch_gradients(SEXP pointer, SEXP input, SEXP options);
SEXP seqlift_torch_path_gradients(SEXP pointer, SEXP input, SEXP references, SEXP options);
SEXP seqlift_torch_predict_windows(SEXP pointer, SEXP input, SEXP edits, SEXP options);
SEXP seqlift_torch_build_architecture(SEXP name, SEXP weights, SEXP options, SEXP path);
SEXP seqlift_torch_state_dict(SEXP path);
SEXP seqlift_torch_state_dict_values(SEXP path, SEXP places);
SEXP seqlift_torch_archive_names(SEXP path);
SEXP seqlift_torch_archive_member(SEXP path, SEXP name, SEXP to);
SEXP seqlift_torch_convert_keras(SEXP file, SEXP path);
SEXP seqlift_torch_convert_onnx(SEXP path, SEXP to);
SEXP seqlift_torch_convert_traces(SEXP plan, SEXP to);
SEXP seqlift_torch_convert_script_module(SEXP path, SEXP to);

}  // extern "C"
