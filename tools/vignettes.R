# Every vignette as a page of its own, for `make vignettes`, with the seconds each took:
#   Rscript tools/vignettes.R FOLDER
folder <- commandArgs(trailingOnly = TRUE)[1L]
dir.create(folder, recursive = TRUE, showWarnings = FALSE)
# Where knitr writes figures: not beside the sources.
scratch <- tempfile("vignettes")
dir.create(scratch)

for (source in list.files("vignettes", "[.]Rmd$", full.names = TRUE)) {
  seconds <- system.time(
    page <- callr::r(
      function(...) rmarkdown::render(..., quiet = TRUE),
      list(normalizePath(source), output_dir = normalizePath(folder), intermediates_dir = scratch)
    )
  )[["elapsed"]]
  cat(sprintf("%-32s %5.1f s  %s\n", basename(source), seconds, page))
}
