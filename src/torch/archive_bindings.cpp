#include <fstream>
#include <string>
#include <vector>

#include "bindings.h"
#include "core/base/error.h"
#include "core/files/zip_reader.h"
#include "handle.h"

using namespace seqlift_r;

namespace {

void write_file(const std::string& path, const seqlift::Bytes& bytes) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream.write(bytes.data, static_cast<std::streamsize>(bytes.size));
  stream.close();
  if (!stream) {
    throw seqlift::Error("file", "\"" + path + "\" could not be written.");
  }
}

}  // namespace

extern "C" {

// The names of a zip archive's members.
SEXP seqlift_torch_archive_names(SEXP path) {
  return guarded([&]() -> SEXP {
    return Rcpp::wrap(seqlift::ZipReader(Rcpp::as<std::string>(path)).names());
  });
}

// Of a zip archive that is read once: its members' names; those of `wanted` that it has are written
// into `folder` by their names, unfolded and their CRC checked.
SEXP seqlift_torch_archive_members(SEXP path, SEXP wanted, SEXP folder) {
  return guarded([&]() -> SEXP {
    const seqlift::ZipReader archive(Rcpp::as<std::string>(path));
    const std::string beginning = Rcpp::as<std::string>(folder) + "/";
    for (const auto& name : Rcpp::as<std::vector<std::string>>(wanted)) {
      if (archive.has(name)) {
        write_file(beginning + name, archive.read_unfolded(name));
      }
    }
    return Rcpp::wrap(archive.names());
  });
}

}  // extern "C"
