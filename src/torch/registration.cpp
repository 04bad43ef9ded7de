#include <R_ext/Rdynload.h>

#include "bindings.h"

namespace {

// R stores every routine under one function type and calls it with the right number of arguments,
// which its own type tells.
template <typename... Arguments>
R_CallMethodDef entry(const char* name, SEXP (*routine)(Arguments...)) {
  return {name, reinterpret_cast<DL_FUNC>(reinterpret_cast<void*>(routine)),
          static_cast<int>(sizeof...(Arguments))};
}

}  // namespace

extern "C" void R_init_seqlift_torch(DllInfo* dll) {
#define SEQLIFT_ENTRY(name, arguments) entry(#name, &name),
  static const R_CallMethodDef methods[] = {SEQLIFT_ROUTINES(SEQLIFT_ENTRY){nullptr, nullptr, 0}};
#undef SEQLIFT_ENTRY
  R_registerRoutines(dll, nullptr, methods, nullptr, nullptr);
  R_useDynamicSymbols(dll, FALSE);
}
