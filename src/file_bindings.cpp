// R's door to what the core knows of the disk, of memory and of R's own values.
#include <Rcpp.h>

#include <cstdint>
#include <string>

#include "core/base/disk.h"
#include "core/base/memory.h"

// [[Rcpp::export(rng = false)]]
Rcpp::CharacterVector core_file_kinds(Rcpp::CharacterVector paths) {
  using seqlift::FileKind;
  const auto name = [](FileKind kind) {
    switch (kind) {
      case FileKind::absent:
        return "absent";
      case FileKind::file:
        return "file";
      case FileKind::folder:
        return "folder";
      case FileKind::pipe:
        return "pipe";
      case FileKind::socket:
        return "socket";
      case FileKind::device:
        return "device";
      default:
        return "unknown";
    }
  };
  Rcpp::CharacterVector kinds(paths.size());
  for (R_xlen_t i = 0; i < paths.size(); ++i) {
    kinds[i] = name(seqlift::file_kind(Rcpp::as<std::string>(paths[i])));
  }
  return kinds;
}

// Gives values their attributes in place, where R would copy them: only for values that nothing
// else holds, such as what the engine has just returned.
// [[Rcpp::export(rng = false)]]
SEXP core_own_attributes(SEXP values, Rcpp::List attributes) {
  const Rcpp::CharacterVector names = attributes.names();
  for (R_xlen_t i = 0; i < attributes.size(); ++i) {
    Rf_setAttrib(values, Rf_install(names[i]), attributes[i]);
  }
  return values;
}

// [[Rcpp::export(rng = false)]]
std::string core_flush_to_disk(std::string path) { return seqlift::flush_to_disk(path); }

// [[Rcpp::export(rng = false)]]
std::string core_ask_for_room(std::string path, double bytes) {
  return seqlift::ask_for_room(path, static_cast<std::int64_t>(bytes));
}

// Of a process that has set none; NA where the system does not tell.
// [[Rcpp::export(rng = false)]]
double core_memory_budget() {
  const auto bytes = seqlift::memory_budget();
  return bytes ? static_cast<double>(*bytes) : NA_REAL;
}
