#include <R_ext/Rdynload.h>

#include "batch_bindings.h"
#include "bindings.h"

namespace {

// R stores every routine under one function type and calls it with the right number of arguments.
template <typename Routine>
DL_FUNC entry(Routine* routine) {
  return reinterpret_cast<DL_FUNC>(reinterpret_cast<void*>(routine));
}

const R_CallMethodDef methods[] = {
    {"seqlift_torch_info", entry(&seqlift_torch_info), 0},
    {"seqlift_torch_load", entry(&seqlift_torch_load), 1},
    {"seqlift_torch_conduct", entry(&seqlift_torch_conduct), 2},
    {"seqlift_torch_compose", entry(&seqlift_torch_compose), 2},
    {"seqlift_torch_describe", entry(&seqlift_torch_describe), 3},
    {"seqlift_torch_is_exported_program", entry(&seqlift_torch_is_exported_program), 1},
    {"seqlift_torch_convert_exported_program", entry(&seqlift_torch_convert_exported_program), 2},
    {"seqlift_torch_predict", entry(&seqlift_torch_predict), 3},
    {"seqlift_torch_fixed_batch", entry(&seqlift_torch_fixed_batch), 3},
    {"seqlift_torch_deep_lift_shap", entry(&seqlift_torch_deep_lift_shap), 4},
    {"seqlift_torch_deep_lift", entry(&seqlift_torch_deep_lift), 4},
    {"seqlift_torch_audit", entry(&seqlift_torch_audit), 4},
    {"seqlift_torch_gradients", entry(&seqlift_torch_gradients), 3},
    {"seqlift_torch_path_gradients", entry(&seqlift_torch_path_gradients), 4},
    {"seqlift_torch_predict_windows", entry(&seqlift_torch_predict_windows), 4},
    {"seqlift_torch_build_architecture", entry(&seqlift_torch_build_architecture), 4},
    {"seqlift_torch_state_dict", entry(&seqlift_torch_state_dict), 1},
    {"seqlift_torch_state_dict_values", entry(&seqlift_torch_state_dict_values), 2},
    {"seqlift_torch_archive_names", entry(&seqlift_torch_archive_names), 1},
    {"seqlift_torch_archive_member", entry(&seqlift_torch_archive_member), 3},
    {"seqlift_torch_convert_keras", entry(&seqlift_torch_convert_keras), 2},
    {"seqlift_torch_convert_onnx", entry(&seqlift_torch_convert_onnx), 2},
    {"seqlift_torch_convert_traces", entry(&seqlift_torch_convert_traces), 2},
    {"seqlift_torch_convert_script_module", entry(&seqlift_torch_convert_script_module), 2},
    {nullptr, nullptr, 0}};

}  // namespace

extern "C" void R_init_seqlift_torch(DllInfo* dll) {
  R_registerRoutines(dll, nullptr, methods, nullptr, nullptr);
  R_useDynamicSymbols(dll, FALSE);
}
