library(testthat)
library(seqlift)

# R CMD check is to end within ten minutes: without NOT_CRAN=true the files that take longest are
# left out. make test runs every one.
slow <- c(
  "attribute", "attribute_deep_lift", "attribution_report", "compose", "dependency_map", "design",
  "engine", "isolated_engine", "keras", "keras_files", "matched_regions", "model_description",
  "nn_module", "oracle", "parallel", "ranges", "streaming", "variants"
)
all <- identical(Sys.getenv("NOT_CRAN"), "true")
others <- paste0("^(?!(", paste(slow, collapse = "|"), ")$)")
test_check("seqlift", filter = if (!all) others, perl = TRUE)
