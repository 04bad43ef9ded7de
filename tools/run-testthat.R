# Runs tests/testthat/ on the installed package, for tools/run-tests: ends with the line
#   testthat: <passed> passed, <failed> failed, <skipped> skipped
# in test_that() blocks; an error outside of one counts as a failed block, and so do snapshots
# that are not those in the repository any more: one that is new was compared with nothing.
#
#   Rscript tools/run-testthat.R [CLAIMS]
#
# CLAIMS is a folder that several of these share: a test file is run by the one that claims it.
library(testthat)
library(seqlift)

claims <- commandArgs(TRUE)
claims <- if (length(claims) > 0L) claims[1L] else tempfile()
dir.create(claims, showWarnings = FALSE)
# Only one of those who try makes the folder.
claim <- function(name) dir.create(file.path(claims, name), showWarnings = FALSE)

folder <- "tests/testthat"
files <- list.files(folder, "^test-.*[.]R$", full.names = TRUE)
stem <- function(path) sub("^test-(.*)[.]R$", "\\1", basename(path))
# Long files first, so that no lane is left with one at the end: those that take longer than their
# size says (they start processes, browsers or many calls), then by size.
slow <- c(
  "report_attributions", "attribute_streaming", "keras_files", "engine_isolated", "hostile",
  "writers", "full_disk", "plotly", "oracle_motifs", "motif_report"
)
files <- files[order(!stem(files) %in% slow, -file.size(files))]

snapshots_of <- function(name) {
  of_name <- list.files(file.path(folder, "_snaps"), recursive = TRUE, full.names = TRUE)
  here <- sub("[.]md$|[.]new[.]md$|/.*$", "", sub(".*/_snaps/", "", of_name))
  tools::md5sum(of_name[here == name])
}

# c(passed, failed, skipped) of a file.
run_file <- function(path) {
  before <- snapshots_of(stem(path))
  start <- proc.time()[["elapsed"]]
  blocks <- tryCatch(
    as.data.frame(test_file(path,
      package = "seqlift", load_package = "installed", reporter = "summary",
      stop_on_failure = FALSE
    )),
    error = function(error) {
      cat(path, "could not be run:", conditionMessage(error), "\n")
      NULL
    }
  )
  cat(sprintf("%s: %.0f s\n", stem(path), proc.time()[["elapsed"]] - start))
  if (is.null(blocks)) {
    return(c(0L, 1L, 0L))
  }
  if (nrow(blocks) == 0L) {
    cat(path, "has no test\n")
    return(c(0L, 1L, 0L))
  }
  bad <- blocks$failed > 0 | blocks$error
  omitted <- blocks$skipped & !bad
  changed <- !identical(before, snapshots_of(stem(path)))
  if (changed) {
    cat("Snapshots of", path, "were added, changed or lost.\n")
  }
  c(sum(!bad & !omitted), sum(bad) + changed, sum(omitted))
}

options(testthat.summary.max_reports = Inf)
totals <- c(0L, 0L, 0L)
if (claim("snapshots that no file makes")) {
  made <- sub("[.]md$", "", list.files(file.path(folder, "_snaps"), "[.]md$"))
  lost <- setdiff(made, stem(files))
  if (length(lost) > 0L) {
    cat("Snapshots that no file makes:", lost, sep = "\n  ")
  }
  totals[2L] <- length(lost)
}
for (path in files) {
  if (claim(basename(path))) {
    totals <- totals + run_file(path)
  }
}
cat(sprintf("testthat: %d passed, %d failed, %d skipped\n", totals[1L], totals[2L], totals[3L]))
