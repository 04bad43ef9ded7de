# Run by R CMD INSTALL in src/: installs both libraries, without the debugging symbols that
# R's flags put in (nine tenths of their size), and the record of the LibTorch they are for,
# which R finds as system.file("libtorch.dcf", package = "seqlift").
libraries <- paste0(c("seqlift", "seqlift_torch"), SHLIB_EXT)
destination <- file.path(R_PACKAGE_DIR, paste0("libs", R_ARCH))
dir.create(destination, recursive = TRUE, showWarnings = FALSE)
copied <- c(
  file.copy(libraries, destination, overwrite = TRUE),
  file.copy("libtorch.dcf", R_PACKAGE_DIR, overwrite = TRUE)
)
if (!all(copied)) {
  stop("could not install ", toString(c(libraries, "libtorch.dcf")[!copied]))
}
# R CMD check asks R for this table of what the objects call.
if (file.exists("symbols.rds")) {
  file.copy("symbols.rds", destination, overwrite = TRUE)
}

strip <- Sys.which("strip")
if (nzchar(strip)) {
  for (library in file.path(destination, libraries)) {
    system2(strip, c("--strip-debug", shQuote(library)))
  }
}
