# BiocCheck for tools/check: the package's file is in PACKAGE, the package installed. Fails on an
# error. Left out: what asks Bioconductor's own servers (deprecated packages, the mailing list).
package <- Sys.getenv("PACKAGE")

# Without a network BiocManager cannot tell which release this is, and BiocCheck stops. It is asked
# in a process of its own: it remembers the first answer.
known <- callr::r(function() {
  version <- try(BiocManager::version(), silent = TRUE)
  inherits(version, "package_version") && !inherits(version, "version_sentinel")
})
if (!known) {
  releases <- c("4.2" = "3.16", "4.3" = "3.18", "4.4" = "3.20", "4.5" = "3.22", "4.6" = "3.23")
  r <- paste(R.version$major, sub("[.].*", "", R.version$minor), sep = ".")
  table <- tempfile(fileext = ".yaml")
  # The releases before and after are not asked about, but must be in the table.
  step <- function(version, by) {
    sub("[0-9]+$", as.integer(sub(".*[.]", "", version)) + by, version)
  }
  own <- releases[[r]]
  writeLines(c(
    sprintf("release_version: \"%s\"", own), sprintf("devel_version: \"%s\"", step(own, 1L)),
    "r_ver_for_bioc_ver:",
    sprintf("  \"%s\": \"%s\"", c(step(own, -1L), own, step(own, 1L)), c(r, r, step(r, 1L)))
  ), table)
  Sys.setenv(BIOCONDUCTOR_CONFIG_FILE = paste0("file://", table))
  cat("check: Bioconductor cannot be reached; its release is taken to be", own, "\n")
}

result <- BiocCheck::BiocCheck(package,
  `no-check-deprecated` = TRUE, `no-check-bioc-help` = TRUE, `no-check-CRAN` = TRUE,
  `no-check-remotes` = TRUE, `quit-with-status` = FALSE
)
found <- length(result$error)
cat("BiocCheck:", found, "errors,", length(result$warning), "warnings,",
  length(result$note), "notes\n"
)
quit(status = as.integer(found > 0L))
