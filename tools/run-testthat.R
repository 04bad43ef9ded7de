# Runs tests/testthat/ on the installed package, for tools/run-tests: ends with the line
#   testthat: <passed> passed, <failed> failed, <skipped> skipped
# in test_that() blocks; an error outside of one counts as a failed block, and so do snapshots
# that are not those in the repository any more: one that is new was compared with nothing.
library(testthat)
library(seqlift)

snapshots <- function() {
  tools::md5sum(list.files("tests/testthat/_snaps", recursive = TRUE, full.names = TRUE))
}
before <- snapshots()

options(testthat.summary.max_reports = Inf)
results <- test_dir(
  "tests/testthat",
  package = "seqlift",
  load_package = "installed",
  reporter = "summary",
  stop_on_failure = FALSE
)
blocks <- as.data.frame(results)
bad <- blocks$failed > 0 | blocks$error
omitted <- blocks$skipped & !bad
after <- snapshots()
same <- intersect(names(before), names(after))
changed <- c(
  setdiff(names(before), same), setdiff(names(after), same), same[before[same] != after[same]]
)
if (length(changed) > 0L) {
  cat("Snapshots that were added, changed or lost:", changed, sep = "\n  ")
}
cat(sprintf(
  "testthat: %d passed, %d failed, %d skipped\n",
  sum(!bad & !omitted), sum(bad) + (length(changed) > 0L), sum(omitted)
))
