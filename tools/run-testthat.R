# Runs tests/testthat/ on the installed package, for tools/run-tests: ends with the line
#   testthat: <passed> passed, <failed> failed, <skipped> skipped
# in test_that() blocks; an error outside of one counts as a failed block.
library(testthat)
library(seqlift)

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
cat(sprintf(
  "testthat: %d passed, %d failed, %d skipped\n",
  sum(!bad & !omitted), sum(bad), sum(omitted)
))
