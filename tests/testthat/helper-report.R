# For the tests of pages: attribution_report() and motif_report().
skip_if_no_report_tools <- function() {
  skip_if_not_installed("rmarkdown")
  skip_if_not(rmarkdown::pandoc_available("2.0"), "pandoc is not installed")
}

# What a reader sees: no tags, no images.
report_text <- function(page) {
  text <- gsub("<(script|style)[^>]*>.*?</\\1>", "", page, perl = TRUE)
  gsub("[[:space:]]+", " ", gsub("<[^>]*>", "", text))
}

report_headings <- function(page) {
  found <- regmatches(page, gregexpr("<h2[^>]*>[^<]*</h2>", page))[[1L]]
  report_text(found)
}
