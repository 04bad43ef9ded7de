// How work that needs no LibTorch hears of the user's interruption.
#pragma once

#include <Rcpp.h>

// False once the user wants to stop; the core then ends its work (`WorkerOptions::poll`). R must
// not jump out of C++ by itself.
inline bool goes_on(double) {
  return R_ToplevelExec([](void*) { R_CheckUserInterrupt(); }, nullptr) == TRUE;
}
