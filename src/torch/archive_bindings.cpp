#include <fstream>
#include <string>

#include "bindings.h"
#include "core/base/error.h"
#include "core/files/zip_reader.h"
#include "handle.h"

using namespace seqlift_r;

extern "C" {

// The names of a zip archive's members.
SEXP seqlift_torch_archive_names(SEXP path) {
  return guarded([&]() -> SEXP {
    return Rcpp::wrap(seqlift::ZipReader(Rcpp::as<std::string>(path)).names());
  });
}

// Writes one member, unfolded and its CRC checked, to the file `to`.
SEXP seqlift_torch_archive_member(SEXP path, SEXP name, SEXP to) {
  return guarded([&]() -> SEXP {
    const seqlift::ZipReader archive(Rcpp::as<std::string>(path));
    const std::string target = Rcpp::as<std::string>(to);
    const seqlift::Bytes bytes = archive.read_unfolded(Rcpp::as<std::string>(name));
    std::ofstream stream(target, std::ios::binary | std::ios::trunc);
    stream.write(bytes.data, static_cast<std::streamsize>(bytes.size));
    stream.close();
    if (!stream) {
      throw seqlift::Error("file", "\"" + target + "\" could not be written.");
    }
    return R_NilValue;
  });
}

}  // extern "C"
